"""The open utterance of a session: its window, its committed words and its tail."""

import math
from collections import deque
from dataclasses import replace
from itertools import takewhile
from typing import Final

from whisper_streaming.core.audio import samples_of, seconds
from whisper_streaming.core.hypothesis import (
    DecodeRequest,
    Hypothesis,
    WindowRules,
    Word,
    Words,
)
from whisper_streaming.core.policy import GUESS_PROBABILITY, CommitPolicy, spoken_form
from whisper_streaming.core.transcript import starts_word

# Words this close to the end of a full window may be cut off, so they are decoded again.
_FULL_WINDOW_MARGIN_S = 1.0
# No word takes longer. One that seems to was stretched over noise by the alignment.
_LONGEST_WORD_S = 3.0
SHORTEST_WINDOW_S: Final = _FULL_WINDOW_MARGIN_S + _LONGEST_WORD_S
"""A window that may not grow to this length could never hold a long word whole."""
# CTranslate2 gives a window 224 tokens, a forced prefix included: new words need most of them.
_LONGEST_PREFIX_TOKENS = 96
# More audio mostly makes another word of a guess that ends so close to the end of the audio.
_GUESS_MARGIN_S = 0.7
# Words that take less are no progress: a decoder could go on like that without end.
_SHORTEST_STEP_S = 0.1
# Word times are not exact: a window starts a little before the first word it keeps.
_CUT_MARGIN_S = 0.1


class Utterance:
    """Speech between two endpoints, decoded in windows that start at ``window_start``.

    Attributes:
        utterance_id: Number within the session.
        window_start: First sample of the next window.
        end: Where the utterance ends; None while it goes on.
        requested_until: Audio before this sample is in a window that was answered, or failed.
        decoded_until: Where the newest window that was answered ends.
        prefix: Committed words inside the window.
        tail: Uncommitted words of the newest hypothesis.
        says_words: Whether the newest window had words behind the committed ones.
        is_silence: Whether it is what lies before speech, cut off from it.
    """

    def __init__(
        self, utterance_id: int, window_start: int, speech_start: int, history: int
    ) -> None:
        self.utterance_id = utterance_id
        self.window_start = window_start
        self.end: int | None = None
        self.requested_until = speech_start
        self.decoded_until = window_start
        self.prefix: Words = ()
        self.tail: Words = ()
        self.says_words = False
        self.is_silence = False
        self._history: deque[Words] = deque(maxlen=history)
        self._settled_until = -math.inf  # speech before this second is over
        # The first word would start with the window otherwise: attention puts silence into it.
        self._last_word_end = seconds(speech_start)

    def commit_agreed(
        self, hypothesis: Hypothesis, policy: CommitPolicy, audio_end: float
    ) -> Words:
        """Commit what the policy calls safe; the rest becomes the tail.

        Args:
            hypothesis: What was heard in the newest window.
            policy: Of the session.
            audio_end: Where that window ends, seconds on the session's clock.
        """
        count = policy.safe_words(tuple(self._history), hypothesis, audio_end=audio_end)
        settled = takewhile(lambda word: word.end <= self._settled_until, hypothesis.words)
        return self._commit(hypothesis.words, max(count, sum(1 for _ in settled)))

    def commit_full(self, hypothesis: Hypothesis, window_end_s: float) -> Words:
        """Commit all but the words at the very end of a window that cannot grow."""
        safe_until = window_end_s - _FULL_WINDOW_MARGIN_S
        count = sum(1 for word in hypothesis.words if word.end <= safe_until)
        return self._commit(hypothesis.words, count)

    def commit_all(self, words: Words) -> Words:
        """Commit ``words``: the utterance is over."""
        return self._commit(words, len(words))

    def go_on(self) -> None:
        """Take the known end back: speech goes on behind a pause in the same window.

        What was said before the pause is final as soon as it is heard.
        """
        assert self.end is not None
        self._settled_until = seconds(self.end)
        self.end = None

    @property
    def is_wordless(self) -> bool:
        """Whether nothing was said in it yet, as far as detector and decoder know."""
        was_joined = self._settled_until > -math.inf
        return not (self.prefix or self.says_words or was_joined)

    def veto(self) -> None:
        """Take the newest hypothesis for noise: nothing of it is shown or will be agreed with."""
        self.tail = ()
        self.says_words = False

    def hold(self, words: Words) -> None:
        """Show ``words`` without committing any (the language is not decided)."""
        self._commit(words, 0)

    def moves_on(self, request: DecodeRequest) -> bool:
        """Whether words were committed since ``request`` was cut that took some time."""
        before = request.prefix[-1].end if request.prefix else request.start
        return bool(self.prefix) and self.prefix[-1].end - before > _SHORTEST_STEP_S

    def shown(self, audio_end: float) -> Words:
        """The tail up to a guess that more audio is likely to change.

        Text that is glued to a word before it is shown with it: whoever cuts the text into
        sentences must know that the word goes on.

        Args:
            audio_end: Where the audio of the newest hypothesis ends, seconds on the clock.
        """
        for index, word in enumerate(self.tail):
            is_guess = word.probability < GUESS_PROBABILITY and starts_word(word.text)
            if is_guess and audio_end - word.end < _GUESS_MARGIN_S:
                return self.tail[:index]
        return self.tail

    def trim(self, window_end: int, rules: WindowRules) -> Words:
        """Cut a long window before its last committed words; return the words that left it.

        Long in time or in tokens: some languages need several tokens for a syllable.
        """
        is_long = window_end - self.window_start > samples_of(rules.trim_window_s)
        if not self.prefix or not (is_long or _token_count(self.prefix) > _LONGEST_PREFIX_TOKENS):
            return ()
        kept = self.prefix[-rules.keep_words :]
        # "Hahahaha" may have sixty tokens, and a few such words would leave no room for new ones.
        while len(kept) > 1 and _token_count(kept) > _LONGEST_PREFIX_TOKENS:
            kept = kept[1:]
        return self._cut(samples_of(kept[0].start - _CUT_MARGIN_S), kept)

    def restart_after(self, window_end: int) -> Words:
        """Move a full window on for good; return the words that left it.

        Must make progress whatever the hypothesis said, or a stream of noise would be decoded
        over and over.
        """
        margin_start = window_end - samples_of(_FULL_WINDOW_MARGIN_S)
        start = margin_start
        if self.tail and seconds(window_end) - self.tail[0].start <= _LONGEST_WORD_S:
            start = min(start, samples_of(self.tail[0].start))  # not in the middle of a word
        start = max(start, samples_of(self._last_word_end))
        if start <= self.window_start:
            start = margin_start
        left = self._cut(start, ())
        self._history.clear()
        return left

    def _cut(self, sample: int, kept: Words) -> Words:
        left = self.prefix[: len(self.prefix) - len(kept)]
        self.window_start = max(self.window_start, sample)
        self.prefix = kept
        return left

    def _commit(self, words: Words, count: int) -> Words:
        words = self._in_order(words)
        committed = words[:count]
        spoken = sum(1 for word in committed if spoken_form(word.text))
        self.prefix += committed
        self.tail = words[count:]
        self.says_words = bool(words)
        for _ in range(len(self._history)):
            self._history.append(_without_spoken(self._history.popleft(), spoken))
        self._history.append(self.tail)
        if committed:
            self._last_word_end = committed[-1].end
        return committed

    def _in_order(self, words: Words) -> Words:
        """``words`` with times that never go back behind a committed word."""
        ordered: list[Word] = []
        earliest = self._last_word_end
        for word in words:
            start = max(word.start, earliest)
            ordered.append(replace(word, start=start, end=max(word.end, start)))
            earliest = ordered[-1].end
        return tuple(ordered)


def _token_count(words: Words) -> int:
    return sum(len(word.tokens) for word in words)


def _without_spoken(words: Words, count: int) -> Words:
    """``words`` without the first ``count`` spoken ones and the punctuation between them."""
    for index, word in enumerate(words):
        if count == 0:
            return words[index:]
        count -= bool(spoken_form(word.text))
    return ()
