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

LONGEST_LOOP_WORDS: Final = 8
LOOP_REPEATS: Final = 4


def is_silence(hypothesis: Hypothesis) -> bool:
    """Whether the model itself judges that nothing was said."""
    return (
        hypothesis.no_speech_probability > NO_SPEECH_PROBABILITY
        and hypothesis.average_logprob is not None
        and hypothesis.average_logprob < LOGPROB_OF_NOISE
    )


def is_doubtful(hypothesis: Hypothesis) -> bool:
    """Whether the model is unsure enough of its words that its context may have misled it.

    A sentence that was just said stands in the context, and a model hardly says it again; and
    in noise a model likes to repeat its context.
    """
    return (
        bool(hypothesis.words)
        and hypothesis.average_logprob is not None
        and hypothesis.average_logprob < LOGPROB_OF_DOUBT
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


def _repeats(forms: Sequence[str], start: int, length: int) -> int:
    """How often the phrase at ``start`` stands there in a row, at least 1."""
    phrase = forms[start : start + length]
    count = 1
    position = start + length
    while forms[position : position + length] == phrase and len(phrase) == length:
        count += 1
        position += length
    return count
