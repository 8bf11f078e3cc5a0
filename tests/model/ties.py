"""Where two answers to one window part, and how near they were to each other there."""

from collections.abc import Sequence

import numpy as np

from whisper_streaming.backends.whisper_model import WhisperModel
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis


def tokens_of(hypothesis: Hypothesis) -> list[int]:
    """The token ids of the words, in order."""
    return [token for word in hypothesis.words for token in word.tokens]


def margin(model: WhisperModel, request: DecodeRequest, one: list[int], other: list[int]) -> float:
    """By how much the logits prefer one answer where the two part; 0.0 for a perfect tie.

    Reaches into ``model``: no public call gives the score of a token that was not chosen.

    Args:
        model: Decodes the window alone, with the common tokens forced.
        request: The window; its language is known.
        one: Tokens of an answer; must not equal ``other``.
        other: Tokens of the other answer.
    """
    common = _common_length(one, other)
    encoded = model._encode([request])
    (row,) = model._rows([request], encoded)
    forced = [*row.prefix, *one[:common]]
    (result,) = model._model.generate(
        encoded,
        [[*model._start(row), row.tokenizer.no_timestamps, *forced]],
        beam_size=1,
        max_length=2 * (len(forced) + 64),
        suppress_blank=False,
        return_logits_vocab=True,
    )
    logits = np.asarray(result.logits[0][len(forced)]).ravel()
    one_next, other_next = (
        answer[common] if common < len(answer) else row.tokenizer.eot for answer in (one, other)
    )
    return float(abs(logits[one_next] - logits[other_next]))


def _common_length(one: Sequence[int], other: Sequence[int]) -> int:
    return next(
        (index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
