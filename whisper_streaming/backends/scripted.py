"""A deterministic backend that hears words written into the audio itself.

For tests, demos and load tests: ``spoken("hello world".split())`` gives audio in which this backend
hears exactly those words, at exact times. What is heard depends on nothing but the samples, so a
batch equals single decodes, a stream equals the whole recording, and a lost or doubled sample is
a lost or doubled word.

A word is a block of symbols. A symbol is a run of samples of one magnitude, with the sign of a
1 kHz square wave so that the block sounds and has no offset::

    START | run length L | payload             | END
    32    | 3 digits, 32 | 2 digits a byte, L  | L     samples a symbol

A digit is one of 16 magnitudes, 0.04 apart: 16-bit and 8-bit audio survive, lossy codecs do not.
The payload is UTF-8, with an optional language code and a tab before the word. Its runs fill
the word's duration, so a window that ends inside a word has heard that share of its letters.
"""

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from whisper_streaming.backends.base import BackendInfo, ModelInfo, StreamingProfile
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis, Word
from whisper_streaming.errors import DecodeError

HEADER_SAMPLES: Final = 32
LENGTH_DIGITS: Final = 3
START_LEVEL: Final = 0.96
END_LEVEL: Final = 0.88
LOWEST_DIGIT_LEVEL: Final = 0.20
DIGIT_STEP: Final = 0.04
SQUARE_WAVE_HALF_PERIOD: Final = 8  # samples: 1 kHz
MIN_RUN_SAMPLES: Final = 8
"""Shorter runs would leave no middle to read when a sample is lost."""
MAX_WINDOW_S: Final = 30.0
"""As Whisper: a longer window is an error of the session that asks for it."""
CUT_WORD_PROBABILITY: Final = 0.3
DEFAULT_LANGUAGE: Final = "en"
LANGUAGES: Final = ("en", "de", "es", "fr", "tr")

_START, _END, _NOTHING = 17, 16, -1
_BLOCK_HEADER = HEADER_SAMPLES * (1 + LENGTH_DIGITS)

Digits = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word in a piece of audio.

    Attributes:
        text: Without a leading space; only the letters heard if the word is cut.
        start_sample: Position of its first sample in the audio.
        end_sample: Position after its last sample, or the end of the audio if it is cut.
        language: The code it was marked with, if any.
        is_cut: The audio ends inside the word.
    """

    text: str
    start_sample: int
    end_sample: int
    language: str | None = None
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class ScriptedBehaviour:
    """How the backend departs from a perfect, instant listener.

    Attributes:
        hears_cut_words: A word that the window's end cuts is heard, with the letters so far, as
            Whisper does. Otherwise it is not heard before it is complete.
        seconds_per_batch: Time every call takes.
        seconds_per_audio_s: Time added for each second of audio in the call.
        sleep: Lets that time pass; called in the worker's thread.
        fails: Requests for which a batch raises ``DecodeError``; see :func:`hears`.
    """

    hears_cut_words: bool = True
    seconds_per_batch: float = 0.0
    seconds_per_audio_s: float = 0.0
    sleep: Callable[[float], None] = time.sleep
    fails: Callable[[DecodeRequest], bool] | None = None


def spoken(
    words: Sequence[str],
    *,
    word_s: float = 0.4,
    gap_s: float = 0.0,
    language: str | None = None,
) -> FloatArray:
    """Audio in which the backend hears ``words`` one after the other.

    Args:
        words: Texts without spaces; punctuation belongs to the word.
        word_s: Duration of each word, to the sample.
        gap_s: Silence after each word.
        language: Code to mark the words with; the first marked word decides a detection.

    Returns:
        float32, shape (n,), mono, 16 kHz, in [-1, 1].

    Raises:
        ValueError: If a word is empty, holds a tab, or is too long for ``word_s``.
    """
    gap = np.zeros(samples_of(gap_s), dtype=np.float32)
    parts = [part for word in words for part in (_block(word, samples_of(word_s), language), gap)]
    return np.concatenate(parts) if parts else gap[:0]


def hear(samples: FloatArray) -> list[HeardWord]:
    """The words in ``samples``, in order; a word whose beginning is missing is not heard.

    Args:
        samples: float32, shape (n,), mono, 16 kHz, in [-1, 1].
    """
    return list(_words(_symbols(samples)))


def hears(word: str) -> Callable[[DecodeRequest], bool]:
    """A predicate for :attr:`ScriptedBehaviour.fails`: the window holds ``word`` in full."""

    def fails(request: DecodeRequest) -> bool:
        return any(each.text == word and not each.is_cut for each in hear(request.samples))

    return fails


class ScriptedBackend:
    """Hears what :func:`spoken` wrote. Keeps every promise of ``Backend``.

    The task ``"translate"`` gives upper case, so that a test sees which task a decode had.
    """

    def __init__(
        self,
        behaviour: ScriptedBehaviour | None = None,
        *,
        workers: int = 1,
        max_batch: int = 8,
        models: Sequence[str] = ("scripted",),
        profile: StreamingProfile | None = None,
    ) -> None:
        self._behaviour = behaviour or ScriptedBehaviour()
        self._info = BackendInfo(
            engine="scripted",
            models=tuple(
                ModelInfo(name, LANGUAGES, True, profile or StreamingProfile()) for name in models
            ),
            workers=workers,
            max_batch=max_batch,
        )

    @property
    def info(self) -> BackendInfo:
        return self._info

    def warm_up(self) -> None:
        """Nothing is cold."""

    def batch_key(self, request: DecodeRequest) -> Hashable:
        """Windows of one model may be decoded together, whatever their length and task."""
        return self._info.model(request.options.model).name

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        behaviour = self._behaviour
        audio_s = sum(request.duration_s for request in requests)
        cost_s = behaviour.seconds_per_batch + behaviour.seconds_per_audio_s * audio_s
        if cost_s > 0:
            behaviour.sleep(cost_s)
        for request in requests:
            if request.duration_s > MAX_WINDOW_S:
                raise DecodeError(f"a window of {request.duration_s:.1f} s is too long")
            if behaviour.fails is not None and behaviour.fails(request):
                raise DecodeError("the script wants this request to fail")
        return [self._decode(request, cost_s / len(requests)) for request in requests]

    def close(self) -> None:
        """Nothing is held."""

    def _decode(self, request: DecodeRequest, decode_s: float) -> Hypothesis:
        heard = hear(request.samples)
        marked = next((word.language for word in heard if word.language), None)
        if not self._behaviour.hears_cut_words:
            heard = [word for word in heard if not word.is_cut]
        words = [_as_word(word, request) for word in heard]
        new = words[_count_known(words, request) :]
        return Hypothesis(
            words=tuple(new[: request.max_new_tokens]),
            language=request.options.language or _detect(marked, request.options.candidates),
            no_speech_probability=0.0 if heard else 1.0,
            average_logprob=-0.1 if heard else None,
            is_truncated=len(new) > request.max_new_tokens,
            decode_s=decode_s,
        )


def _detect(marked: str | None, candidates: Sequence[str]) -> str:
    language = marked or DEFAULT_LANGUAGE
    return candidates[0] if candidates and language not in candidates else language


def _as_word(heard: HeardWord, request: DecodeRequest) -> Word:
    text = heard.text.upper() if request.options.task == "translate" else heard.text
    return Word(
        text=f" {text}",
        start=(request.start_sample + heard.start_sample) / SAMPLE_RATE,
        end=(request.start_sample + heard.end_sample) / SAMPLE_RATE,
        probability=CUT_WORD_PROBABILITY if heard.is_cut else 1.0,
    )


def _count_known(words: Sequence[Word], request: DecodeRequest) -> int:
    """How many leading words the prefix covers.

    By time and not by number: a word of the prefix that the window's start cuts is not heard.
    """
    if not request.prefix:
        return 0
    half_a_sample = 0.5 / SAMPLE_RATE
    known_until = request.prefix[-1].end - half_a_sample
    return sum(word.start < known_until for word in words)


# -- writing ------------------------------------------------------------------------------


def _block(word: str, block_samples: int, language: str | None) -> FloatArray:
    if not word or "\t" in word:
        raise ValueError(f"{word!r} is no word")
    payload = (f"{language}\t{word}" if language else word).encode()
    digits = [digit for byte in payload for digit in (byte >> 4, byte & 15)]
    run = min((block_samples - _BLOCK_HEADER) // (len(digits) + 1), 16**LENGTH_DIGITS - 1)
    if run < MIN_RUN_SAMPLES:
        raise ValueError(f"{word!r} is too long for {block_samples / SAMPLE_RATE:.2f} s")
    length = [run >> 8, run >> 4 & 15, run & 15]
    levels = np.concatenate(
        (
            np.repeat([START_LEVEL, *map(_digit_level, length)], HEADER_SAMPLES),
            np.repeat([*map(_digit_level, digits), END_LEVEL], run),
        )
    )
    block = np.zeros(block_samples, dtype=np.float32)
    sign = 1 - 2 * (np.arange(len(levels)) // SQUARE_WAVE_HALF_PERIOD % 2)
    block[: len(levels)] = levels * sign
    return block


def _digit_level(digit: int) -> float:
    return LOWEST_DIGIT_LEVEL + DIGIT_STEP * digit


# -- reading ------------------------------------------------------------------------------


def _symbols(samples: FloatArray) -> Digits:
    """The symbol that each sample is part of: a digit, ``_END``, ``_START`` or ``_NOTHING``."""
    magnitudes = np.abs(samples)
    symbols = np.round((magnitudes - LOWEST_DIGIT_LEVEL) / DIGIT_STEP).astype(np.int8)
    symbols[symbols > _END - 1] = _END
    symbols[magnitudes > (START_LEVEL + END_LEVEL) / 2] = _START
    symbols[magnitudes < LOWEST_DIGIT_LEVEL - DIGIT_STEP / 2] = _NOTHING
    return symbols


def _words(symbols: Digits) -> Iterator[HeardWord]:
    is_start = symbols == _START
    edges = np.flatnonzero(np.diff(is_start.astype(np.int8), prepend=0, append=0))
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        # A shorter run is a word whose beginning is missing.
        if end - begin == HEADER_SAMPLES:
            word = _read_block(symbols, int(begin))
            if word is not None:
                yield word


def _read_block(symbols: Digits, begin: int) -> HeardWord | None:
    """The word whose block begins at ``begin``; None if no letter of it can be read."""
    length = symbols[begin + HEADER_SAMPLES + HEADER_SAMPLES // 2 :: HEADER_SAMPLES][:LENGTH_DIGITS]
    if len(length) < LENGTH_DIGITS or not _are_digits(length):
        return None
    run = int(length[0]) << 8 | int(length[1]) << 4 | int(length[2])
    if run < MIN_RUN_SAMPLES:
        return None
    runs = symbols[begin + _BLOCK_HEADER + run // 2 :: run]
    ends = np.flatnonzero((runs < 0) | (runs >= _END))
    count = int(ends[0]) if len(ends) else len(runs)
    end = begin + _BLOCK_HEADER + run * (count + 1)
    is_whole = len(ends) > 0 and runs[count] == _END and end <= len(symbols)
    if not is_whole and len(ends) > 0 and runs[count] != _END:
        return None  # something else follows the digits: samples are missing inside the word
    language, text = _read_payload(runs[:count])
    if not text:
        return None
    return HeardWord(text, begin, min(end, len(symbols)), language, is_cut=not is_whole)


def _read_payload(digits: Digits) -> tuple[str | None, str]:
    pairs = digits[: len(digits) // 2 * 2].astype(np.uint8).reshape(-1, 2)
    # A cut may leave a part of a character.
    payload = bytes(pairs[:, 0] << 4 | pairs[:, 1]).decode(errors="ignore")
    language, tab, text = payload.rpartition("\t")
    return (language if tab else None), text


def _are_digits(symbols: Digits) -> bool:
    return bool(np.all((symbols >= 0) & (symbols < _END)))
