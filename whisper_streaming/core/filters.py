"""Filters for text that was not spoken. Each is a pure predicate or cut with a name."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis, Word, Words
from whisper_streaming.core.policy import spoken_form
from whisper_streaming.core.voice import Voice, VoiceTrack, frame_levels_db, level_spread_db

# The rule of openai/whisper: a window is silent when the model says so and is also unsure of
# what it wrote. Either alone would drop quiet or unusual speech.
NO_SPEECH_PROBABILITY: Final = 0.6
LOGPROB_OF_NOISE: Final = -1.0

# Measured on the embedded model: -0.45 and -0.7 do equally well; -0.3 throws good context away.
LOGPROB_OF_DOUBT: Final = -0.6

# Nobody says two words or more in less; 0.2 s for each is usual.
SHORTEST_WORD_S: Final = 0.08

# Who is as sure as that may be right where the detector is deaf. Of 1,171 words that the embedded
# model heard in noise none was, of words in speech two thirds are.
SURE_PROBABILITY: Final = 0.9
SURE_LOGPROB: Final = -0.3

# Sounds that deceive the detector do so for a moment: up to 0.16 s, and up to 1.4 times its
# threshold. Single words at -35 dBFS, also in noise of 10 dB less, have more of one or the other.
STRONG_VOICE: Final = 1.5
SHORTEST_VOICE_S: Final = 0.18
# Word times come from attention and are not exact.
TIME_MARGIN_S: Final = 0.5
# In the sound before a sentence a decoder likes to begin one of its own, of words like these.
LIKELY_PROBABILITY: Final = 0.6
UNLIKELY_TIME_MARGIN_S: Final = 0.2

STEADY_DB: Final = 3.2
STEADY_MARGIN_S: Final = 0.6
STEADY_S: Final = 1.2
SHORTEST_LEVEL_S: Final = 0.13  # a tenth of that; a shorter word does not show in its spread

# Stock models have learnt from subtitles what stands there where nobody speaks, and write it with
# great certainty. Barański et al. 2025 (arXiv:2501.11378) and openai/whisper#679, #1606.
SUBTITLE_PHRASES: Final = frozenset(
    {
        "thank you",
        "thank you for watching",
        "thank you so much for watching",
        "thanks for watching",
        "please subscribe",
        "subtitles by the amara org community",
        "untertitel der amara org community",
        "untertitel im auftrag des zdf für funk 2017",
        "vielen dank",
        "sous titres réalisés para la communauté d amara org",
        "sous titrage st 501",
        "merci d avoir regardé cette vidéo",
        "subtítulos realizados por la comunidad de amara org",
        "gracias por ver el video",
        "sottotitoli creati dalla comunità amara org",
        "legendas pela comunidade amara org",
        "altyazı m k",
        "izlediğiniz için teşekkür ederim",
        "titulky vytvořil johnyx",
        "субтитры сделал dimatorzok",
        "продолжение следует",
        "ご視聴ありがとうございました",
        "시청해주셔서 감사합니다",
        "字幕by索兰娅",
    }
)
# "Thank you" that was spoken has 0.15 s of voice a word and more; a cough has that for one.
VOICE_OF_A_WORD_S: Final = 0.1

# One encoder frame, and nothing that is said takes as little.
NO_TIME_S: Final = 0.025

LONGEST_LOOP_WORDS: Final = 8
LOOP_REPEATS: Final = 4


def is_silence(hypothesis: Hypothesis) -> bool:
    """Whether the model itself judges that nothing was said.

    A decode that did not come to an end has no score; in what the model calls silence it is noise.
    """
    logprob = hypothesis.average_logprob
    is_unsure = hypothesis.is_truncated or (logprob is not None and logprob < LOGPROB_OF_NOISE)
    return hypothesis.no_speech_probability > NO_SPEECH_PROBABILITY and is_unsure


def is_doubtful(hypothesis: Hypothesis) -> bool:
    """Whether the model is unsure enough of its words that its context may have misled it.

    A sentence that was just said stands in the context, and a model hardly says it again; and
    in noise a model likes to repeat its context. A model that does not come to an end is lost.
    """
    if not hypothesis.words:
        return False
    logprob = hypothesis.average_logprob
    return hypothesis.is_truncated or (logprob is not None and logprob < LOGPROB_OF_DOUBT)


def is_subtitle_phrase(words: Words, voice: Voice) -> bool:
    """Whether ``words`` are one of the phrases of subtitles, and there was no voice to say them."""
    phrase = " ".join("".join(_letters(word.text) for word in words).split())
    count = len(phrase.split())
    return phrase in SUBTITLE_PHRASES and voice.voiced_s < VOICE_OF_A_WORD_S * count


def is_sure(word: Word, hypothesis: Hypothesis) -> bool:
    """Whether the model is so sure of ``word`` that no detector should overrule it."""
    logprob = hypothesis.average_logprob
    is_unsure = hypothesis.is_truncated or (logprob is not None and logprob < SURE_LOGPROB)
    return word.probability >= SURE_PROBABILITY and not is_unsure


def lacks_voice(word: Word, track: VoiceTrack) -> bool:
    """Whether the detector heard no voice near ``word``, or only what a click gives."""
    is_likely = word.probability >= LIKELY_PROBABILITY
    margin_s = TIME_MARGIN_S if is_likely else UNLIKELY_TIME_MARGIN_S
    voice = track.heard(word.start - margin_s, word.end + margin_s)
    return voice.peak < STRONG_VOICE * track.threshold and voice.voiced_s < SHORTEST_VOICE_S


def is_steady_around(word: Word, levels_db: npt.NDArray[np.float64], window_start: float) -> bool:
    """Whether ``word`` stands in a sound that is steadier than any voice.

    The sound may begin or end with the word: then it follows a voice, or a voice follows it.

    Args:
        word: To judge.
        levels_db: Levels of the window's frames.
        window_start: Seconds on the session's clock.
    """
    begin, end = word.start - window_start, word.end - window_start
    stretches = [(begin - STEADY_MARGIN_S, end + STEADY_MARGIN_S)]
    if end - begin >= SHORTEST_LEVEL_S:
        stretches += [(begin, begin + STEADY_S), (end - STEADY_S, end)]
    spreads = (level_spread_db(levels_db, *stretch) for stretch in stretches)
    return any(spread is not None and spread < STEADY_DB for spread in spreads)


def drop_unheard(request: DecodeRequest, hypothesis: Hypothesis, track: VoiceTrack) -> Words:
    """The words of ``hypothesis`` without those that nothing in the audio speaks for.

    Around such a word there is no voice, or a sound as steady as no voice is: hum that is loud
    enough to be clipped deceives every detector. One of the two is enough if the model is not
    sure of the word itself.

    Args:
        request: The window.
        hypothesis: What was heard in it.
        track: What a detector heard that knows voices from other sound.
    """
    if is_subtitle_phrase(hypothesis.words, track.heard(request.start, request.end)):
        return ()
    kept: list[Word] = []
    levels_db: npt.NDArray[np.float64] | None = None
    for word in hypothesis.words:
        is_unvoiced, is_trusted = lacks_voice(word, track), is_sure(word, hypothesis)
        if is_trusted and not is_unvoiced:
            kept.append(word)
            continue
        if levels_db is None:
            levels_db = frame_levels_db(request.samples)
        is_steady = is_steady_around(word, levels_db, request.start)
        needed = 2 if is_trusted else 1
        if is_unvoiced + is_steady < needed:
            kept.append(word)
    return tuple(kept)


def drop_timeless(hypothesis: Hypothesis) -> Words:
    """The words of ``hypothesis`` without runs of two or more that took no time and are doubtful.

    In the noise before the first word a decoder likes to begin a sentence of its own, and the
    alignment finds no audio for it. One such word alone may be a real one that was swallowed.
    """
    words = hypothesis.words
    is_timeless = [
        word.end - word.start < NO_TIME_S
        and bool(spoken_form(word.text))
        and not is_sure(word, hypothesis)
        for word in words
    ]
    if not any(is_timeless):
        return words
    neighbours = zip([False, *is_timeless[:-1]], [*is_timeless[1:], False], strict=True)
    return tuple(
        word
        for word, timeless, beside in zip(words, is_timeless, neighbours, strict=True)
        if not (timeless and any(beside))
    )


def cut_loop(words: Words) -> Words:
    """``words`` up to the first round of a loop.

    A decoder that lost the audio repeats itself until it runs out of tokens. People say "yes,
    yes" and count "one one", so a phrase of up to ``LONGEST_LOOP_WORDS`` words must come
    ``LOOP_REPEATS`` times without a break, and one word twice as often.
    """
    forms = [spoken_form(word.text) for word in words]
    for start in range(len(forms)):
        for length in range(1, LONGEST_LOOP_WORDS + 1):
            needed = LOOP_REPEATS * (2 if length == 1 else 1)
            if _repeats(forms, start, length) >= needed:
                return words[: start + length]
    return words


def drop_squeezed_repeats(prefix: Words, words: Words) -> Words:
    """``words`` without phrases that stand twice while there was time for one.

    A decoder that loses its place says a phrase again, and the alignment then finds no audio
    for one of the two: it gets almost no time. Two real repetitions both take their time.

    Args:
        prefix: Committed words before ``words``; a repetition of them counts, they stay.
        words: Uncommitted words with times.
    """
    both = prefix + words
    for length in range(LONGEST_LOOP_WORDS, 1, -1):
        for start in range(max(0, len(prefix) - length), len(both) - 2 * length + 1):
            middle, end = start + length, start + 2 * length
            first, second = both[start:middle], both[middle:end]
            if not _same_phrase(first, second):
                continue
            if start >= len(prefix) and _is_squeezed(first):
                return drop_squeezed_repeats(prefix, (both[:start] + both[middle:])[len(prefix) :])
            if middle >= len(prefix) and _is_squeezed(second):
                return drop_squeezed_repeats(prefix, (both[:middle] + both[end:])[len(prefix) :])
    return words


def _letters(text: str) -> str:
    """``text`` in lower case, with spaces for what is no letter or digit."""
    return "".join(each if each.isalnum() else " " for each in text.casefold())


def _same_phrase(first: Words, second: Words) -> bool:
    return all(
        spoken_form(one.text) and spoken_form(one.text) == spoken_form(other.text)
        for one, other in zip(first, second, strict=True)
    )


def _is_squeezed(phrase: Words) -> bool:
    return phrase[-1].end - phrase[0].start < SHORTEST_WORD_S * len(phrase)


def _repeats(forms: Sequence[str], start: int, length: int) -> int:
    """How often the phrase at ``start`` stands there in a row, at least 1."""
    phrase = forms[start : start + length]
    count = 1
    position = start + length
    while forms[position : position + length] == phrase and len(phrase) == length:
        count += 1
        position += length
    return count
