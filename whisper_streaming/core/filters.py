"""Filters for text that was not spoken. Each is a pure predicate or cut with a name."""

from collections.abc import Sequence
from typing import Final

from whisper_streaming.core.hypothesis import Hypothesis, Words
from whisper_streaming.core.policy import spoken_form

# The rule of openai/whisper: a window is silent when the model says so and is also unsure of
# what it wrote. Either alone would drop quiet or unusual speech.
NO_SPEECH_PROBABILITY: Final = 0.6
LOGPROB_OF_NOISE: Final = -1.0

# Measured on the embedded model: -0.45 and -0.7 do equally well; -0.3 throws good context away.
LOGPROB_OF_DOUBT: Final = -0.6

# Nobody says two words or more in less; 0.2 s for each is usual.
SHORTEST_WORD_S: Final = 0.08

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
