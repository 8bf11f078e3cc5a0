"""Which parts of a recording are decoded together."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np

from whisper_streaming.core.audio import FloatArray, samples_of
from whisper_streaming.core.endpoint import EndpointRules
from whisper_streaming.engine.whole import cut_at_pauses

_PADDING_S: Final = 0.2
"""Around speech, because a detector is late at its begin and early at its end."""


def speech_windows(
    speech_probs: FloatArray, rules: EndpointRules, *, longest_s: float, merged_s: float
) -> list[tuple[int, int]]:
    """Ranges of samples: utterances, the short ones together, the long ones in pieces.

    Args:
        speech_probs: float32, shape (k,): a probability for each frame of the recording.
        rules: What is speech, and which silence ends an utterance.
        longest_s: No range is longer; where one must be cut, it is cut at a pause.
        merged_s: Neighbours are merged up to this length.
    """
    merged: list[tuple[int, int]] = []
    for start, end in _utterances(speech_probs, rules):
        if merged and end - merged[-1][0] <= samples_of(merged_s):
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return [piece for each in merged for piece in _pieces(speech_probs, rules, each, longest_s)]


def _utterances(speech_probs: FloatArray, rules: EndpointRules) -> Iterator[tuple[int, int]]:
    """Speech with silences shorter than those that end it; no two ranges overlap."""
    frames = np.flatnonzero(speech_probs >= rules.threshold)
    if not len(frames):
        return
    frame, padding = rules.frame_samples, samples_of(_PADDING_S)
    silent = max(1, samples_of(rules.silence_s) // frame)
    cuts = np.flatnonzero(np.diff(frames) > silent) + 1
    runs = [(run[0] * frame, (run[-1] + 1) * frame) for run in np.split(frames, cuts)]
    # Half of a silence is enough for either side.
    middles = [(before[1] + after[0]) // 2 for before, after in pairwise(runs)]
    total = len(speech_probs) * frame
    for (start, end), first, last in zip(runs, [0, *middles], [*middles, total], strict=True):
        yield int(max(first, start - padding)), int(min(last, end + padding))


def _pieces(
    speech_probs: FloatArray, rules: EndpointRules, window: tuple[int, int], longest_s: float
) -> Iterator[tuple[int, int]]:
    start, end = window
    if end - start <= samples_of(longest_s):
        yield window
        return
    first = start // rules.frame_samples
    probs = speech_probs[first : -(-end // rules.frame_samples)]
    offset = first * rules.frame_samples
    for begin, stop in cut_at_pauses(probs, longest_s):
        yield max(start, offset + begin), min(end, offset + stop)
