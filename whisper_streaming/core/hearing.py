"""What a session makes of what was heard: of the sound itself, and of the words in it."""

from dataclasses import replace

from whisper_streaming.core.audio import FloatArray, samples_of
from whisper_streaming.core.endpoint import EndpointRules
from whisper_streaming.core.events import InputFault
from whisper_streaming.core.filters import (
    cut_loop,
    drop_squeezed_repeats,
    drop_timeless,
    drop_unheard,
    is_silence,
)
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis, Words
from whisper_streaming.core.quality import QualityMonitor, QualityRules
from whisper_streaming.core.voice import VoiceTrack


class Hearing:
    """Judges the input, and drops words that were not spoken.

    Args:
        rules: Whose frames and threshold the speech probabilities have.
        quality: When the input is at fault; None does not judge it.
        knows_voices: Whether the probabilities tell a voice from other sound.
    """

    def __init__(
        self, rules: EndpointRules, quality: QualityRules | None, *, knows_voices: bool
    ) -> None:
        self._voice = VoiceTrack(rules.frame_samples, rules.threshold) if knows_voices else None
        self._quality = QualityMonitor(quality, rules.frame_samples) if quality else None

    def receive(
        self, samples: FloatArray, speech_probs: FloatArray, *, keep_from: int
    ) -> list[InputFault]:
        """Take the next audio; return the faults that it shows for the first time.

        Args:
            samples: float32, shape (n,), mono, 16 kHz, in [-1, 1].
            speech_probs: float32, shape (k,): of the frames that are complete by now.
            keep_from: First sample that may be asked about later.
        """
        if self._voice is not None:
            self._voice.append(speech_probs, keep_from=keep_from)
        if self._quality is None:
            return []
        return list(self._quality.receive(samples, speech_probs))

    def spoken_words(self, request: DecodeRequest, hypothesis: Hypothesis) -> Words:
        """The words of ``hypothesis`` that pass the filters."""
        if is_silence(hypothesis):
            return ()
        words = drop_timeless(hypothesis)
        if self._voice is not None and words:
            words = drop_unheard(request, replace(hypothesis, words=words), self._voice)
        return drop_squeezed_repeats(request.prefix, cut_loop(words))


def heard_until(request: DecodeRequest, hypothesis: Hypothesis) -> int:
    """End of what ``hypothesis`` speaks for: its last word if the decoder had no room for more.

    A decoder that got less than half through the window has lost its way and would not go on.
    """
    last_word_end = hypothesis.words[-1].end if hypothesis.words else request.start
    is_cut_short = hypothesis.is_truncated and last_word_end > (request.start + request.end) / 2
    return samples_of(last_word_end) if is_cut_short else request.end_sample
