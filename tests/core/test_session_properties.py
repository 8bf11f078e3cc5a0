"""What must hold for every history of audio, delays, failures and ends."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.driver import Driver, Truth
from whisper_streaming.core.audio import samples_of
from whisper_streaming.core.events import (
    AudioGap,
    LanguageDetected,
    PartialUpdated,
    SessionEnded,
    SessionFailed,
    SpeechStarted,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import (
    DecodeOptions,
    DecodeRequest,
    Hypothesis,
    WindowRules,
)
from whisper_streaming.core.language import LanguageRules
from whisper_streaming.core.session import Session, SessionConfig

RULES = st.sampled_from(
    [WindowRules(), WindowRules(14.0, 8.0, 2), WindowRules(6.0, 3.0, 1), WindowRules(4.0, 30.0, 2)]
)


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    """Words of 0.1 to 0.7 s; mostly close together, sometimes a pause that ends an utterance."""
    count = draw(st.integers(0, 30))
    gap = st.sampled_from([0.0, 0.0, 0.02, 0.1, 0.3, 0.9, 2.5])
    clock, spans = 0.0, []
    for _ in range(count):
        start = clock + draw(gap)
        clock = start + draw(st.sampled_from([0.1, 0.25, 0.4, 0.7]))
        spans.append((start, clock))
    return Truth(spans, clock + draw(st.sampled_from([0.0, 0.01, 0.3, 3.0])))


options = st.sampled_from([DecodeOptions(language="en"), DecodeOptions(language=None)])
chunks = st.lists(st.sampled_from([1, 511, 512, 1600, 8000, 40_000]), min_size=1, max_size=8)
delays = st.lists(st.integers(0, 6), min_size=1, max_size=8)


def play(
    driver: Driver, sizes: list[int], waits: list[int], outcomes: list[bool] | None = None
) -> None:
    """Feed all audio in chunks of ``sizes``; each answer comes ``waits`` chunks late, or fails."""
    size, wait = itertools.cycle(sizes), itertools.cycle(waits)
    outcome = itertools.cycle(outcomes or [True])
    countdown = next(wait)
    while not driver.at_end:
        # A stream of single samples would take for ever; its smallest steps are what matters.
        driver.feed(max(next(size), 200))
        countdown -= 1
        if countdown <= 0:
            countdown = next(wait)
            driver.answer() if next(outcome) else driver.fail()


@settings(deadline=None, max_examples=200)
@given(truths(), chunks, delays, RULES, st.booleans(), options)
def test_every_word_is_committed_once_and_in_order(
    truth: Truth,
    sizes: list[int],
    waits: list[int],
    rules: WindowRules,
    use_vad: bool,
    options: DecodeOptions,
) -> None:
    config = SessionConfig(options=options, window=rules, withhold_silence=use_vad)
    driver = Driver(Session(config), truth)
    play(driver, sizes, waits)
    driver.finish()

    assert driver.texts == [str(number) for number in range(len(truth.spans))]
    account = driver.terminal.account
    assert account.received == samples_of(truth.duration_s)
    assert account.received == account.decoded + account.silence
    if not use_vad:
        assert account.silence == 0


@settings(deadline=None, max_examples=200)
@given(truths(), chunks, delays, RULES, st.booleans(), options, st.lists(st.booleans(), min_size=1))
def test_failures_lose_nothing_silently(
    truth: Truth,
    sizes: list[int],
    waits: list[int],
    rules: WindowRules,
    use_vad: bool,
    options: DecodeOptions,
    outcomes: list[bool],
) -> None:
    config = SessionConfig(options=options, window=rules, withhold_silence=use_vad)
    driver = Driver(Session(config), truth)
    play(driver, sizes, waits, outcomes)
    driver.finish()

    account = driver.terminal.account
    gaps = [event for event in driver.events if isinstance(event, AudioGap)]
    assert account.received == account.decoded + account.silence + account.gap
    assert account.gap == sum(samples_of(gap.end) - samples_of(gap.start) for gap in gaps)
    heard = {text for text in driver.texts if "cut" not in text}
    for number, (start, end) in enumerate(truth.spans):
        in_a_gap = any(gap.start < end and start < gap.end for gap in gaps)
        failed = isinstance(driver.terminal, SessionFailed)
        assert str(number) in heard or in_a_gap or failed
    numbers = [int(text.split("cut")[0]) for text in driver.texts]
    assert numbers == sorted(set(numbers))


@dataclass(frozen=True)
class Babel(Truth):
    """Each window that asks for its language gets the next of some guesses."""

    guesses: Iterator[tuple[str, float]]

    def hear(self, request: DecodeRequest) -> Hypothesis:
        heard = super().hear(request)
        if request.options.language is not None:
            return heard
        language, probability = next(self.guesses)
        return replace(heard, language=language, language_probability=probability)


guesses = st.lists(
    st.tuples(st.sampled_from(["en", "de", "tr"]), st.sampled_from([0.2, 0.6, 0.95])), min_size=1
)


@settings(deadline=None, max_examples=150)
@given(truths(), chunks, delays, RULES, st.booleans(), st.booleans(), guesses)
def test_nothing_is_lost_while_the_language_is_open(
    truth: Truth,
    sizes: list[int],
    waits: list[int],
    rules: WindowRules,
    use_vad: bool,
    is_per_utterance: bool,
    guesses: list[tuple[str, float]],
) -> None:
    language = LanguageRules(is_per_utterance=is_per_utterance)
    config = SessionConfig(window=rules, withhold_silence=use_vad, language=language)
    babel = Babel(truth.spans, truth.duration_s, itertools.cycle(guesses))
    driver = Driver(Session(config), babel)
    play(driver, sizes, waits)
    driver.finish()

    assert driver.texts == [str(number) for number in range(len(truth.spans))]
    account = driver.terminal.account
    assert account.received == samples_of(truth.duration_s)
    assert account.received == account.decoded + account.silence
    # Final words in one language before a window in another would be nonsense.
    assert all(each.options.language is not None for each in driver.requests if each.prefix)
    told = [each.language for each in driver.events if isinstance(each, LanguageDetected)]
    assert all(one != next_one for one, next_one in itertools.pairwise(told))


@settings(deadline=None, max_examples=120)
@given(truths(), chunks, delays, st.booleans(), st.lists(st.booleans(), min_size=1))
def test_events_come_in_order(
    truth: Truth, sizes: list[int], waits: list[int], use_vad: bool, outcomes: list[bool]
) -> None:
    driver = Driver(Session(SessionConfig(withhold_silence=use_vad)), truth)
    play(driver, sizes, waits, outcomes)
    driver.finish()

    *events, last = driver.events
    assert isinstance(last, SessionEnded | SessionFailed)
    assert not any(isinstance(event, SessionEnded | SessionFailed) for event in events)
    open_id, previous_id = None, 0
    for event in events:
        match event:
            case SpeechStarted(utterance_id=number):
                assert open_id is None
                assert number == previous_id + 1
                open_id = previous_id = number
            case UtteranceEnded(utterance_id=number):
                assert number == open_id
                open_id = None
            case WordsCommitted(utterance_id=number) | PartialUpdated(utterance_id=number):
                assert number == open_id
    assert open_id is None
    times = [time for word in driver.committed for time in (word.start, word.end)]
    assert times == sorted(times)


@settings(deadline=None, max_examples=30)
@given(truths(), chunks, delays)
def test_the_text_does_not_depend_on_the_schedule(
    truth: Truth, sizes: list[int], waits: list[int]
) -> None:
    at_once = Driver(Session(SessionConfig()), truth)
    at_once.feed(samples_of(truth.duration_s))
    at_once.finish()
    driver = Driver(Session(SessionConfig()), truth)
    play(driver, sizes, waits)
    driver.finish()

    assert driver.texts == at_once.texts
