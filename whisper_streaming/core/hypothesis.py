"""What travels between a session and a decoder: words, hypotheses, requests."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word, or punctuation that belongs to the word before it.

    Attributes:
        text: As the decoder wrote it, with its leading space where the language has one.
            ``"".join`` of the texts gives the transcript. Text without a leading space
            and without letters is punctuation glued to the word before.
        start: Seconds on the session's audio clock.
        end: Seconds on the session's audio clock, never before ``start``.
        probability: Mean token probability in [0, 1].
        tokens: The backend's token ids of ``text``, opaque to everyone else; empty if it has none.
        speaker: Label of who speaks, if anybody found out.
        is_aligned: The times were measured letter by letter (forced alignment). Else they are the
            decoder's: where its attention was, or a guess.
    """

    text: str
    start: float
    end: float
    probability: float = 1.0
    tokens: tuple[int, ...] = ()
    speaker: str | None = None
    is_aligned: bool = False


Words = tuple[Word, ...]


def join_words(words: Sequence[Word]) -> str:
    """The text of ``words``, with the leading space of the first one."""
    return "".join(word.text for word in words)


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """What differs per session and shapes a decode. The same for all requests of a session.

    Attributes:
        language: Whisper language code; None lets the decoder detect it.
        task: ``"transcribe"`` or ``"translate"`` (to English).
        model: Name of one of the loaded models; None is the first.
        hotwords: Words to favour, as free text, or empty.
        prompt: Text that precedes the session, or empty; part of the context of its requests.
        candidates: Where the decoder detects the language, it is one of these; empty: any.
    """

    language: str | None = None
    task: str = "transcribe"
    model: str | None = None
    hotwords: str = ""
    prompt: str = ""
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WindowRules:
    """How a session cuts its windows; a matter of the model.

    Attributes:
        max_window_s: Longest window; a full one is committed by force.
        trim_window_s: Window length past which committed words move to the prompt.
        keep_words: Committed words that stay in a trimmed window as left context.
        joined_s: Utterances that wait for a late decoder share a window up to this length. None:
            up to half of the longest.
    """

    max_window_s: float = 28.0
    trim_window_s: float = 12.0
    keep_words: int = 4
    joined_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DecodeRequest:
    """One window to decode. Carries everything; a decoder keeps no session state.

    Attributes:
        samples: float32, shape (n,), mono, 16 kHz, in [-1, 1]; read-only.
        start_sample: Position of ``samples[0]`` on the session's sample clock.
        options: The session's options; the language may be filled in by detection.
        prefix: Committed words inside the window; the hypothesis goes on after them.
        prompt: Text before the window, given as context: the session's own, then committed words.
        is_last: The window ends its utterance, so a person waits for it and the best
            decode is worth its time.
        max_new_tokens: Bound on what may be decoded after the prefix.
        is_background: No words of a live session wait for it: it is decoded when nothing else is.
        beam_size: Hypotheses that are followed at once; None is the backend's own choice.
    """

    samples: FloatArray
    start_sample: int
    options: DecodeOptions
    prefix: Words = ()
    prompt: str = ""
    is_last: bool = False
    max_new_tokens: int = 128
    is_background: bool = False
    beam_size: int | None = None

    def peek(self) -> "DecodeRequest":
        """A request is a decode job that is cut already (see ``engine.base.DecodeJob``)."""
        return self

    def take(self) -> "DecodeRequest":
        return self

    @property
    def end_sample(self) -> int:
        return self.start_sample + len(self.samples)

    @property
    def start(self) -> float:
        return self.start_sample / SAMPLE_RATE

    @property
    def end(self) -> float:
        return self.end_sample / SAMPLE_RATE

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What one decode says about its window.

    Attributes:
        words: The words after the request's prefix, times on the session's audio clock.
            Empty means: nothing more was said. A failure is never an empty hypothesis.
        language: Language decoded in.
        language_probability: In [0, 1]; 1.0 where the request named the language.
        no_speech_probability: In [0, 1], judged at the start of the window; 0 behind a prefix.
        average_logprob: Mean log-probability of the decoded tokens; None if unknown.
        is_truncated: The decode ran into ``max_new_tokens`` and did not end by itself.
        has_word_times: The times and probabilities of the words were measured, not guessed.
        decode_s: Seconds the backend worked on it, its share of the batch.
    """

    words: Words
    language: str
    language_probability: float = 1.0
    no_speech_probability: float = 0.0
    average_logprob: float | None = None
    is_truncated: bool = False
    has_word_times: bool = True
    decode_s: float = field(default=0.0, compare=False)
