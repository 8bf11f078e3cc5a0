"""What a model hears when it may hear everything first: the yardstick beside every comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from whisper_streaming.backends.base import Backend
from whisper_streaming.bench.progress import tracked
from whisper_streaming.bench.recordings import Recording
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.hypothesis import DecodeOptions
from whisper_streaming.engine.whole import decode_whole
from whisper_streaming.evaluate import word_errors
from whisper_streaming.vad import VadKind, create_vad

WINDOWS_S: Final = (10.0, 30.0)
"""Ten seconds is about what a live window is; thirty is what Whisper was made for."""


@dataclass(frozen=True, slots=True)
class OfflineTexts:
    """What one model hears of recordings, each decoded at its end in windows of one length.

    Attributes:
        window_s: Longest window.
        texts: By name of the recording.
        errors: Word errors of all recordings.
        words: Words said in all recordings.
    """

    window_s: float
    texts: Mapping[str, str]
    errors: int
    words: int

    @property
    def rate(self) -> float:
        """Word errors per word said."""
        return self.errors / self.words


def speech_probabilities(recording: Recording, detector: VadKind = "silero") -> FloatArray:
    """A speech probability for each whole frame of the recording; float32, shape (k,)."""
    return create_vad(detector).open_stream().process(recording.samples)


def decode_offline(
    backend: Backend,
    recordings: Sequence[Recording],
    *,
    model: str | None = None,
    detector: VadKind = "silero",
) -> tuple[OfflineTexts, ...]:
    """Decode ``recordings`` in windows of up to each of ``WINDOWS_S``.

    Args:
        backend: Called directly.
        recordings: At least one.
        model: Of the backend; None takes its first one.
        detector: Finds the pauses at which windows are cut.

    Raises:
        DecodeError: If the backend fails.
    """
    probabilities = {each.name: speech_probabilities(each, detector) for each in recordings}
    found = []
    for window_s in WINDOWS_S:
        texts: dict[str, str] = {}
        errors = words = 0
        for each in tracked(recordings, f"offline, windows of {window_s:g} s"):
            options = DecodeOptions(language=each.language, model=model)
            text = decode_whole(
                backend, each.samples, probabilities[each.name], options, max_window_s=window_s
            )
            counted = word_errors(" ".join(word.text for word in each.words), text)
            texts[each.name] = text
            errors, words = errors + counted.errors, words + counted.reference_words
        found.append(OfflineTexts(window_s, texts, errors, words))
    return tuple(found)


def offline_note(offline: Sequence[OfflineTexts]) -> str:
    """The error rates as a sentence for the notes of a report."""
    rates = ", ".join(f"{each.rate:.1%} in {each.window_s:g}-s windows" for each in offline)
    return f"Word error rate of the same model offline: {rates}."


def offline_details(offline: Sequence[OfflineTexts]) -> dict[str, float]:
    """The error rates for the details of a report: ``offline_wer_10s`` and so on."""
    return {f"offline_wer_{each.window_s:g}s": each.rate for each in offline}
