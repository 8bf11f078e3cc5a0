"""Which part of an utterance is worth a decode, and the request for it."""

from dataclasses import dataclass

from whisper_streaming.core.audio import SAMPLE_RATE, AudioBuffer, samples_of
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest
from whisper_streaming.core.utterance import Utterance

_TOKENS_PER_SECOND = 12
_SPARE_TOKENS = 10
# More text than that, nobody speaks in the longest window; what a window had no room for is asked
# for again.
_MAX_TOKENS = 200
# Of text that may change, 10 to 15 s are enough: without a bound a slow model that has lost its way
# falls behind further with each window, because each is longer than the one before.
_MAX_PARTIAL_TOKENS = 64
# Without VAD silence is decoded too, but no detector and no decoder has heard anything there yet.
_SILENT_CHUNK_S = 1.2


def token_bound(audio_s: float, most: int = _MAX_TOKENS) -> int:
    """Tokens that words in so many seconds take at most; a decoder in a loop takes all it is given.

    Args:
        audio_s: Seconds.
        most: What no audio gets more than.
    """
    return min(most, round(audio_s * _TOKENS_PER_SECOND) + _SPARE_TOKENS)


@dataclass(frozen=True, slots=True)
class Window:
    """Audio from the window start of ``utterance`` to ``end``, a sample.

    Attributes:
        utterance: The open one.
        end: Where the audio ends that there is of it.
        is_full: Whether the window is as long as it may be.
    """

    utterance: Utterance
    end: int
    is_full: bool

    @classmethod
    def of(cls, utterance: Utterance, received: int, max_window_s: float) -> "Window":
        """The longest window of ``utterance`` when ``received`` samples were received."""
        longest = utterance.window_start + samples_of(max_window_s)
        available = received if utterance.end is None else utterance.end
        return cls(utterance, min(available, longest), is_full=available >= longest)

    @property
    def ends_utterance(self) -> bool:
        """Whether the utterance ends with it."""
        return self.end == self.utterance.end

    @property
    def is_last(self) -> bool:
        """Whether it is the last look at words, so that a person waits for it."""
        return self.ends_utterance and not self.utterance.is_silence

    def is_worth_a_decode(
        self, speech_start: int | None, quiet_from: int | None, min_chunk_s: float
    ) -> bool:
        """Whether there is anything to learn from it.

        Args:
            speech_start: Where the speech that goes on now began; None if there is none.
            quiet_from: While speech pauses: where its last sounds have faded.
            min_chunk_s: New audio that is worth a decode while speech goes on.
        """
        if self.ends_utterance or self.is_full:
            return True
        asked_until = self.utterance.requested_until
        if quiet_from is not None and quiet_from <= self.end:
            # Nothing is said now: one look at all that was, and none at the silence.
            return asked_until < quiet_from
        if not self.utterance.says_words:
            if speech_start is None:
                min_chunk_s = max(min_chunk_s, _SILENT_CHUNK_S)
            else:
                asked_until = max(asked_until, speech_start)
        return self.end - asked_until >= samples_of(min_chunk_s)

    def request(self, audio: AudioBuffer, options: DecodeOptions, prompt: str) -> DecodeRequest:
        """Cut it out of ``audio``."""
        start, prefix = self.utterance.window_start, self.utterance.prefix
        committed_until = prefix[-1].end if prefix else start / SAMPLE_RATE
        new_s = max(0.0, self.end / SAMPLE_RATE - committed_until)
        most = _MAX_TOKENS if self.ends_utterance or self.is_full else _MAX_PARTIAL_TOKENS
        return DecodeRequest(
            samples=audio.read(start, self.end),
            start_sample=start,
            options=options,
            prefix=prefix,
            prompt=prompt,
            is_last=self.is_last,
            max_new_tokens=token_bound(new_s, most),
        )
