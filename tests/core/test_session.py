import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.core.builders import FRAME, audio, hypothesis, words
from tests.core.driver import Driver, Truth
from whisper_streaming.core.audio import FloatArray, samples_of
from whisper_streaming.core.endpoint import EndpointRules
from whisper_streaming.core.events import (
    AudioGap,
    GapReason,
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
    Word,
    join_words,
)
from whisper_streaming.core.language import LanguageRules
from whisper_streaming.core.session import Session, SessionConfig
from whisper_streaming.errors import SessionStateError

ENGLISH = SessionConfig(options=DecodeOptions(language="en"))
DETECT = SessionConfig(options=DecodeOptions(language=None))
NO_VAD = replace(ENGLISH, withhold_silence=False)


class Unvoiced(Truth):
    """What is said in a voice that the detector is deaf to."""

    def speech_probs(self, frames: int, first: int = 0) -> FloatArray:
        return np.zeros(frames, dtype=np.float32)


def prompted(prompt: str) -> SessionConfig:
    """A session that is given text before its audio."""
    return SessionConfig(options=DecodeOptions(language="en", prompt=prompt))


def feed(session: Session, duration_s: float, *, speech: bool) -> None:
    """Whole frames of speech or silence."""
    frames = round(duration_s * 16_000 / FRAME)
    probs = np.full(frames, 0.9 if speech else 0.05, dtype=np.float32)
    session.receive_audio(audio(frames * FRAME / 16_000), probs)


def requested(session: Session) -> DecodeRequest:
    request = session.decode_to_run()
    assert request is not None
    return request


def speaking(config: SessionConfig = ENGLISH, duration_s: float = 1.0) -> Session:
    """A session that has heard a second of speech and asks for nothing yet."""
    session = Session(config)
    feed(session, duration_s, speech=True)
    session.events_to_send()
    return session


def test_silence_is_never_decoded() -> None:
    session = Session(ENGLISH)
    feed(session, 60.0, speech=False)

    assert session.decode_to_run() is None
    assert session.events_to_send() == []
    assert session.lag_s == 0.0
    session.receive_eof()
    (ended,) = session.events_to_send()
    assert isinstance(ended, SessionEnded)
    assert ended.account.silence == ended.account.received


def test_silence_needs_no_memory() -> None:
    session = Session(ENGLISH)
    for _ in range(600):
        feed(session, 1.0, speech=False)

    assert session._audio.end_sample - session._audio.start_sample < samples_of(1.0)


@pytest.mark.parametrize("words_per_s", [0, 2])
def test_speech_without_a_pause_needs_no_memory(words_per_s: int) -> None:
    """With words the window is trimmed behind them; without words it fills up and restarts."""
    spans = [(number / 2, number / 2 + 0.4) for number in range(60 * words_per_s)]
    truth = Truth(spans, duration_s=60.0)
    session = Session(SessionConfig(options=DecodeOptions("en"), window=WindowRules(6.0, 4.0, 2)))
    for second in range(60):
        feed(session, 1.024, speech=True)
        while (request := session.decode_to_run()) is not None:
            session.receive_hypothesis(truth.hear(request))
        assert session._audio.end_sample - session._audio.start_sample <= samples_of(7.1), second

    assert not any(isinstance(event, UtteranceEnded) for event in session.events_to_send())


def test_speech_starts_before_it_was_detected() -> None:
    session = Session(ENGLISH)
    feed(session, 2.048, speech=False)
    feed(session, 0.512, speech=True)

    assert session.events_to_send() == [SpeechStarted(1, 1.648)]
    request = requested(session)
    assert request.start == pytest.approx(2.048 - 0.4)
    assert request.end == pytest.approx(2.56)


def test_asks_only_when_enough_new_audio_arrived() -> None:
    session = speaking()
    requested(session)
    session.receive_hypothesis(hypothesis("the cat"))
    feed(session, 0.256, speech=True)
    assert session.decode_to_run() is None

    feed(session, 0.064, speech=True)
    assert requested(session).end == pytest.approx(1.32, abs=0.04)


def test_one_request_at_a_time_and_the_next_covers_all_audio() -> None:
    session = speaking()
    requested(session)
    feed(session, 3.0, speech=True)
    assert session.decode_to_run() is None

    session.receive_hypothesis(hypothesis("the cat"))
    assert requested(session).end == pytest.approx(4.0, abs=0.04)


def test_two_hypotheses_that_agree_commit() -> None:
    session = speaking()
    requested(session)
    session.receive_hypothesis(hypothesis("the cat sat"))
    assert session.events_to_send() == [PartialUpdated(1, words("the cat sat"))]

    feed(session, 0.32, speech=True)
    requested(session)
    session.receive_hypothesis(hypothesis("the cat sits down"))
    committed, partial = session.events_to_send()

    assert committed == WordsCommitted(1, words("the cat"))
    assert isinstance(partial, PartialUpdated)
    assert join_words(partial.words) == " sits down"
    feed(session, 0.32, speech=True)
    assert join_words(requested(session).prefix) == " the cat"


def test_the_end_of_speech_brings_a_last_decode_that_commits_all() -> None:
    session = speaking()
    feed(session, 0.64, speech=False)
    request = requested(session)
    assert request.is_last
    assert request.end < 1.64 - 0.1  # the silence that told the end is not decoded

    session.receive_hypothesis(hypothesis("the cat"))
    assert session.events_to_send() == [
        WordsCommitted(1, words("the cat")),
        UtteranceEnded(1, request.end),
    ]
    assert session.decode_to_run() is None
    assert not session.has_open_utterance


def test_end_of_audio_flushes_and_is_idempotent() -> None:
    session = speaking()
    session.receive_eof()
    session.receive_eof()
    request = requested(session)
    assert request.is_last
    session.receive_hypothesis(hypothesis("the cat"))

    *_, ended = session.events_to_send()
    assert isinstance(ended, SessionEnded)
    assert ended.account.received == ended.account.decoded
    assert session.is_over


def test_audio_after_its_end_is_our_bug() -> None:
    session = speaking()
    session.receive_eof()
    with pytest.raises(SessionStateError):
        session.receive_audio(audio(0.1), np.zeros(0, dtype=np.float32))


def test_end_of_audio_in_the_middle_of_a_first_sound_still_decodes_it() -> None:
    session = Session(ENGLISH)
    feed(session, 1.024, speech=False)
    feed(session, 0.032, speech=True)  # one frame: too short to count, yet it was the last
    session.receive_eof()

    assert requested(session).is_last


def test_idle_input_flushes_and_the_session_goes_on() -> None:
    session = speaking()
    session.receive_idle()
    requested(session)
    session.receive_hypothesis(hypothesis("the cat"))
    assert isinstance(session.events_to_send()[-1], UtteranceEnded)

    feed(session, 0.512, speech=True)
    assert isinstance(session.events_to_send()[0], SpeechStarted)
    assert requested(session).start >= 1.0 - 0.04  # nothing is decoded twice


def test_idle_in_silence_does_nothing() -> None:
    session = Session(ENGLISH)
    feed(session, 2.048, speech=False)
    session.receive_idle()

    assert session.decode_to_run() is None
    assert session.events_to_send() == []


def test_an_endpoint_that_arrives_during_a_decode_waits() -> None:
    session = speaking()
    requested(session)
    feed(session, 0.64, speech=False)
    session.receive_hypothesis(hypothesis("the cat"))

    request = requested(session)
    assert request.is_last
    assert request.end < 1.64
    session.receive_hypothesis(hypothesis("the cat sat"))
    kinds = [type(event) for event in session.events_to_send()]
    assert kinds[-2:] == [WordsCommitted, UtteranceEnded]


def test_a_pause_is_looked_at_once_and_then_no_decode_is_left() -> None:
    session = speaking()
    requested(session)
    session.receive_hypothesis(hypothesis("the cat"))
    feed(session, 0.192, speech=False)
    assert session.decode_to_run() is None  # the voice may still fade

    feed(session, 0.032, speech=False)
    pause = requested(session)
    assert (pause.is_last, pause.end) == (False, pytest.approx(1.216))
    session.receive_hypothesis(hypothesis("the cat sat"))
    feed(session, 0.256, speech=False)
    assert session.decode_to_run() is None
    session.events_to_send()

    feed(session, 0.032, speech=False)  # the endpoint
    assert session.decode_to_run() is None
    assert session.events_to_send() == [
        WordsCommitted(1, words("sat", start=0.5)),
        UtteranceEnded(1, pytest.approx(1.216)),
    ]


def test_speech_after_a_pause_is_decoded_again() -> None:
    session = speaking()
    requested(session)
    session.receive_hypothesis(hypothesis("the cat"))
    feed(session, 0.256, speech=False)
    requested(session)
    session.receive_hypothesis(hypothesis("the cat"))
    feed(session, 0.064, speech=True)
    assert session.decode_to_run() is None

    feed(session, 0.256, speech=True)
    assert not requested(session).is_last


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(replace(ENGLISH, decodes_last_anew=True), id="the last decode is better"),
        pytest.param(DETECT, id="the language is not known"),
    ],
)
def test_a_pause_that_was_looked_at_is_decoded_again_where_that_gives_more(
    config: SessionConfig,
) -> None:
    session = speaking(config)
    requested(session)
    session.receive_hypothesis(hypothesis("the cat"))
    feed(session, 0.256, speech=False)
    requested(session)
    session.receive_hypothesis(hypothesis("the cat"))
    feed(session, 0.256, speech=False)

    request = requested(session)
    assert request.is_last
    assert request.end == pytest.approx(1.248)


def test_a_failed_look_at_a_pause_is_made_up_for_at_its_end() -> None:
    session = speaking()
    requested(session)
    session.receive_hypothesis(hypothesis("the cat"))
    feed(session, 0.256, speech=False)
    requested(session)
    session.receive_failure()
    assert session.decode_to_run() is None
    feed(session, 0.256, speech=False)

    assert requested(session).is_last


def test_an_utterance_that_waits_for_its_last_decode_is_joined_by_the_next() -> None:
    session = speaking()
    requested(session)
    feed(session, 0.64, speech=False)
    feed(session, 1.28, speech=True)
    session.receive_hypothesis(hypothesis("the cat"))

    request = requested(session)
    assert (request.is_last, request.start) == (False, 0.0)
    assert request.end == pytest.approx(2.91, abs=0.02)
    session.events_to_send()
    before, after = hypothesis("the cat sat"), hypothesis("on the mat", start=1.7)
    session.receive_hypothesis(replace(before, words=before.words + after.words))
    assert session.events_to_send() == [
        WordsCommitted(1, before.words),  # their speech is over
        PartialUpdated(1, after.words),
    ]


@pytest.mark.parametrize(
    ("pause_s", "window"),
    [
        pytest.param(3.2, WindowRules(), id="a long pause"),
        pytest.param(0.64, WindowRules(max_window_s=3.0), id="a short window"),
        pytest.param(0.64, WindowRules(joined_s=1.0), id="what a model hears together"),
    ],
)
def test_utterances_are_not_joined_beyond(pause_s: float, window: WindowRules) -> None:
    session = speaking(replace(ENGLISH, window=window))
    requested(session)
    feed(session, pause_s, speech=False)
    feed(session, 1.28, speech=True)
    session.receive_hypothesis(hypothesis("the cat"))

    request = requested(session)
    assert request.is_last
    assert request.end < 1.64


@pytest.mark.parametrize(
    ("language", "is_last"),
    [pytest.param(None, True, id="to be detected"), pytest.param("en", False, id="given")],
)
def test_utterances_that_may_be_in_two_languages_are_not_joined(
    language: str | None, is_last: bool
) -> None:
    rules = LanguageRules(is_per_utterance=True)
    session = speaking(SessionConfig(options=DecodeOptions(language=language), language=rules))
    requested(session)
    feed(session, 0.64, speech=False)
    feed(session, 1.28, speech=True)
    session.receive_hypothesis(hypothesis("the cat"))

    assert requested(session).is_last is is_last


def test_what_is_due_is_cut_as_late_as_it_is_asked_for() -> None:
    session = speaking()
    due = session.decode_due()
    assert due is not None
    assert due.end == pytest.approx(1.0, abs=0.04)
    assert not session.is_last_due
    feed(session, 0.32, speech=True)
    feed(session, 0.512, speech=False)

    assert session.is_last_due
    request = requested(session)
    assert request.end == pytest.approx(1.5, abs=0.04)
    assert session.decode_due() is None
    assert not session.is_last_due


def test_committed_text_becomes_the_context_of_the_next_utterance() -> None:
    session = speaking(prompted("Names: Holmes."))
    assert requested(session).prompt == "Names: Holmes."
    feed(session, 0.64, speech=False)
    session.receive_hypothesis(hypothesis("the cat"))
    requested(session)
    session.receive_hypothesis(hypothesis("the cat"))
    feed(session, 0.512, speech=True)

    assert requested(session).prompt == "Names: Holmes. the cat"


def test_a_translation_is_no_context_for_what_follows() -> None:
    translating = DecodeOptions(language="de", task="translate", prompt="Names: Holmes.")
    session = speaking(SessionConfig(options=translating))
    session.receive_idle()
    requested(session)
    session.receive_hypothesis(hypothesis("the cat"))
    feed(session, 0.512, speech=True)

    assert requested(session).prompt == "Names: Holmes."


def test_a_long_silence_ends_the_context() -> None:
    session = speaking()
    session.receive_idle()
    requested(session)
    session.receive_hypothesis(hypothesis("the cat"))
    feed(session, 6.4, speech=False)
    feed(session, 0.512, speech=True)

    assert requested(session).prompt == ""


def test_a_long_silence_ends_the_context_without_vad_too() -> None:
    driver = Driver(Session(NO_VAD), Truth([(0.1, 0.6), (1.8, 2.2), (9.0, 9.6)], duration_s=10.0))
    while not driver.at_end:
        driver.feed(samples_of(0.1))
        driver.answer()

    prompts = [request.prompt for request in driver.requests if request.start > 1.2]
    assert prompts[0] == " 0"
    assert prompts[-1] == ""


def second_utterance(*, prompt: str = "") -> Session:
    """A session whose second utterance has just begun, with the first one as context."""
    session = speaking(prompted(prompt))
    session.receive_idle()
    requested(session)
    session.receive_hypothesis(hypothesis("the cat"))
    feed(session, 0.512, speech=True)
    session.events_to_send()
    return session


def test_doubtful_first_words_are_decoded_again_without_the_context() -> None:
    session = second_utterance()
    request = requested(session)
    assert request.prompt == " the cat"
    session.receive_hypothesis(replace(hypothesis("the cap"), average_logprob=-1.0))

    assert session.events_to_send() == []
    again = requested(session)
    assert (again.start, again.end, again.prompt) == (request.start, request.end, "")
    session.receive_hypothesis(replace(hypothesis("the cap"), average_logprob=-1.0))
    assert session.decode_to_run() is None  # once is enough


def test_the_clients_own_prompt_is_not_doubted() -> None:
    session = second_utterance(prompt="Names: Holmes.")
    requested(session)
    session.receive_hypothesis(replace(hypothesis("the cap"), average_logprob=-1.0))
    assert requested(session).prompt == "Names: Holmes."
    session.receive_hypothesis(replace(hypothesis("the cap"), average_logprob=-1.0))

    assert session.decode_to_run() is None


def test_a_doubtful_last_window_is_decoded_again_too() -> None:
    session = second_utterance()
    session.receive_eof()
    assert requested(session).is_last
    session.receive_hypothesis(replace(hypothesis("the cap"), average_logprob=-1.0))

    again = requested(session)
    assert (again.is_last, again.prompt) == (True, "")


def test_the_doubtful_words_of_an_upload_are_decoded_again_as_well() -> None:
    session = speaking(replace(ENGLISH, context_s=60.0))
    for _ in range(4):
        feed(session, 3.2, speech=False)
        feed(session, 2.56, speech=True)
    requested(session)
    session.receive_hypothesis(hypothesis("the cat"))  # the rest waits
    doubtful = requested(session)
    assert doubtful.prompt == " the cat"
    session.receive_hypothesis(replace(hypothesis("the cap"), average_logprob=-1.0))

    again = requested(session)
    assert (again.start, again.end, again.prompt) == (doubtful.start, doubtful.end, "")
    # It was in doubt without context, too: the next one is not looked at twice.
    session.receive_hypothesis(replace(hypothesis("the cap"), average_logprob=-1.0))
    following = requested(session)
    assert following.start > again.start
    assert following.prompt == " the cap"
    session.receive_hypothesis(replace(hypothesis("the cup"), average_logprob=-1.0))
    assert requested(session).start > following.start


def test_a_long_window_is_cut_before_its_last_committed_words() -> None:
    rules = WindowRules(max_window_s=10.0, trim_window_s=2.0, keep_words=2)
    session = speaking(replace(ENGLISH, window=rules), duration_s=2.496)
    requested(session)
    session.receive_hypothesis(hypothesis("the cat sat on the mat"))
    feed(session, 0.32, speech=True)
    requested(session)
    session.receive_hypothesis(hypothesis("the cat sat on the mat again"))
    feed(session, 0.32, speech=True)

    request = requested(session)
    assert join_words(request.prefix) == " the mat"
    assert request.prompt == " the cat sat on"
    assert request.start == pytest.approx(1.0 - 0.1, abs=0.01)


def test_a_full_window_commits_by_force_and_moves_on() -> None:
    rules = WindowRules(max_window_s=4.0, trim_window_s=30.0, keep_words=2)
    session = speaking(replace(ENGLISH, window=rules), duration_s=6.4)
    request = requested(session)
    assert request.duration_s == 4.0
    said = " ".join(str(number) for number in range(15))  # 3.75 s
    session.receive_hypothesis(hypothesis(said))

    committed = session.events_to_send()[0]
    assert isinstance(committed, WordsCommitted)
    assert committed.words[-1].end == 3.0
    assert requested(session).start == 3.0


@pytest.mark.parametrize(("is_truncated", "start"), [(True, 4.0), (False, 5.0)])
def test_after_a_full_window_that_had_too_many_words_the_next_goes_on_where_they_end(
    is_truncated: bool, start: float
) -> None:
    window = WindowRules(max_window_s=6.0, trim_window_s=30.0)
    session = speaking(replace(ENGLISH, window=window), duration_s=8.0)
    assert requested(session).end == pytest.approx(6.0)
    many = words(" ".join(map(str, range(16))))  # 4 s
    session.receive_hypothesis(Hypothesis(many, "en", is_truncated=is_truncated))

    feed(session, 4.0, speech=True)
    assert requested(session).start == pytest.approx(start)


def test_a_last_window_that_had_too_many_words_is_followed_by_another() -> None:
    """The decoder bounds its tokens; what is said behind them is not lost."""
    session = speaking(duration_s=4.0)
    session.receive_idle()
    first = requested(session)
    assert first.is_last
    session.receive_hypothesis(Hypothesis(words("one two", start=2.0), "en", is_truncated=True))

    rest = requested(session)
    assert (rest.end, join_words(rest.prefix)) == (first.end, " one two")
    session.receive_hypothesis(Hypothesis(words("three", start=2.5), "en"))
    events = session.events_to_send()
    said = [join_words(e.words) for e in events if isinstance(e, WordsCommitted)]
    assert said == [" one two", " three"]
    assert isinstance(events[-1], UtteranceEnded)


def test_a_decoder_that_gets_no_further_does_not_hold_an_utterance() -> None:
    session = speaking(duration_s=4.0)
    session.receive_idle()
    for _ in range(2):
        requested(session)
        stuck = (Word(" la", 3.0, 3.0),)
        session.receive_hypothesis(Hypothesis(stuck, "en", is_truncated=True))

    assert session.decode_to_run() is None
    assert isinstance(session.events_to_send()[-1], UtteranceEnded)


def test_without_vad_silence_is_decoded_once() -> None:
    driver = Driver(Session(NO_VAD), Truth([], duration_s=60.0))
    while not driver.at_end:
        driver.feed(samples_of(0.1))
        driver.answer()
    driver.finish()

    assert not any(request.is_last for request in driver.requests[:-1])
    assert len(driver.requests) <= 61
    assert driver.terminal.account.decoded == driver.terminal.account.received


def test_without_vad_what_was_joined_is_not_cut_off_as_silence() -> None:
    """One message ends a word that nobody has heard yet, and begins the next."""
    config = replace(NO_VAD, endpoint=EndpointRules(silence_s=0.1), min_chunk_s=1.0)
    driver = Driver(Session(config), Truth([(0.55, 1.25), (1.55, 2.2)], duration_s=4.0))
    driver.feed(samples_of(1.24))
    driver.answer()  # of the silence in front
    assert driver.pending is None
    driver.feed(samples_of(0.5))
    while not driver.at_end:
        driver.answer()
        driver.feed(samples_of(0.1))
    driver.finish()

    assert driver.texts == ["0", "1"]


def test_without_vad_silence_is_decoded_too() -> None:
    """But not as often as speech: nobody waits for words there."""
    session = Session(NO_VAD)
    feed(session, 1.184, speech=False)
    assert session.decode_to_run() is None
    feed(session, 0.032, speech=False)

    assert requested(session).start == 0.0
    session.receive_hypothesis(hypothesis(""))
    session.receive_eof()
    ended = session.events_to_send()[-1]
    assert isinstance(ended, SessionEnded)
    assert ended.account.decoded == ended.account.received


def test_without_vad_silence_before_speech_has_a_window_of_its_own() -> None:
    """The first window of the speech is the same with VAD and without."""
    session = Session(NO_VAD)
    feed(session, 1.024, speech=False)
    feed(session, 0.256, speech=True)
    silence = requested(session)
    assert (silence.start, silence.end) == (0.0, pytest.approx(0.624))
    session.receive_hypothesis(hypothesis(""))
    assert session.decode_to_run() is None
    feed(session, 0.064, speech=True)

    request = requested(session)
    assert (request.start, request.end) == pytest.approx((0.624, 1.344))


def test_without_vad_silence_that_was_decoded_is_not_decoded_with_the_speech() -> None:
    session = Session(NO_VAD)
    feed(session, 1.28, speech=False)
    requested(session)
    session.receive_hypothesis(hypothesis(""))
    feed(session, 0.32, speech=True)

    request = requested(session)
    assert (request.start, request.end) == pytest.approx((0.88, 1.6))
    session.receive_hypothesis(hypothesis("the cat"))
    session.receive_eof()
    assert isinstance(ended := session.events_to_send()[-1], SessionEnded)
    assert ended.account.decoded == ended.account.received


def test_without_vad_words_that_the_detector_does_not_hear_come_as_often_as_others() -> None:
    session = Session(NO_VAD)
    feed(session, 1.216, speech=False)
    requested(session)
    session.receive_hypothesis(hypothesis("the cat"))
    feed(session, 0.32, speech=False)

    assert requested(session).end == pytest.approx(1.536)
    session.receive_hypothesis(hypothesis(""))
    feed(session, 0.32, speech=False)
    assert session.decode_to_run() is None


def test_without_vad_a_pause_is_heard_once_too() -> None:
    """And the utterance ends without another decode; the silence goes to the next one."""
    driver = Driver(Session(NO_VAD), Truth([(0.1, 0.6), (2.5, 2.9)], duration_s=4.0))
    while not driver.at_end:
        driver.feed(samples_of(0.1))
        driver.answer()
    driver.finish()

    assert driver.texts == ["0", "1"]
    ends = [event.end for event in driver.events if isinstance(event, UtteranceEnded)]
    assert ends == pytest.approx([0.9, 3.2, 4.0])
    assert [request.end for request in driver.requests if request.end < 2.5] == pytest.approx(
        [0.4, 0.7, 0.9, 2.1]
    )
    account = driver.terminal.account
    assert account.decoded == account.received


@pytest.mark.parametrize("language", ["en", None])
def test_without_vad_a_pause_of_the_decoder_ends_the_utterance(language: str | None) -> None:
    session = Session(replace(NO_VAD, options=DecodeOptions(language=language)))
    for _ in range(20):
        feed(session, 0.512, speech=False)
        if session.decode_to_run() is not None:
            session.receive_hypothesis(hypothesis(""))

    ends = [event for event in session.events_to_send() if isinstance(event, UtteranceEnded)]
    assert len(ends) >= 2


def test_without_vad_a_pause_is_not_ended_inside_the_word_that_ends_it() -> None:
    """The decoder does not hear a word by its first 0.2 s, so its silence proves nothing there."""
    truth = Unvoiced([(2.4, 3.0)], duration_s=4.0)

    def hear(request: DecodeRequest) -> Hypothesis:
        heard = truth.hear(request)
        return replace(heard, words=tuple(w for w in heard.words if w.end - w.start > 0.2))

    driver = Driver(Session(NO_VAD), truth)
    for end in (1.2, 2.5, 3.0, 4.0):  # the second request ends 0.1 s into the word
        driver.feed(samples_of(end) - driver.position)
        driver.answer(hear)
    driver.finish()

    assert driver.texts == ["0"]
    ends = [event.end for event in driver.events if isinstance(event, UtteranceEnded)]
    assert ends[0] == pytest.approx(2.1)


# -- language


def test_a_detected_language_is_kept_once_it_is_certain() -> None:
    session = speaking(DETECT, duration_s=2.56)
    assert requested(session).options.language is None
    session.receive_hypothesis(
        replace(hypothesis("hallo"), language="de", language_probability=0.9)
    )

    assert session.events_to_send()[0] == LanguageDetected("de", 0.9)
    feed(session, 0.32, speech=True)
    assert requested(session).options.language == "de"


@pytest.mark.parametrize(
    ("duration_s", "probability"),
    [pytest.param(1.024, 0.99, id="too short"), pytest.param(4.096, 0.4, id="uncertain")],
)
def test_nothing_is_shown_or_lost_while_the_language_is_open(
    duration_s: float, probability: float
) -> None:
    session = speaking(DETECT, duration_s=duration_s)
    unsure = replace(hypothesis("hallo"), language="de", language_probability=probability)
    requested(session)
    session.receive_hypothesis(unsure)
    assert session.events_to_send() == []

    session.receive_eof()
    assert requested(session).start == 0.0
    session.receive_hypothesis(unsure)
    (committed,) = [e for e in session.events_to_send() if isinstance(e, WordsCommitted)]
    assert join_words(committed.words) == " hallo"


def said_in(language: str, text: str, probability: float = 0.9) -> Hypothesis:
    return replace(hypothesis(text), language=language, language_probability=probability)


def test_a_short_first_utterance_is_shown_and_the_next_one_decides() -> None:
    session = speaking(DETECT, duration_s=1.024)
    feed(session, 0.64, speech=False)
    assert requested(session).is_last
    session.receive_hypothesis(said_in("en", "yes"))

    (detected, committed, ended) = session.events_to_send()
    assert detected == LanguageDetected("en", 0.9)
    assert isinstance(committed, WordsCommitted)
    assert isinstance(ended, UtteranceEnded)
    feed(session, 2.56, speech=True)
    assert requested(session).options.language is None
    session.receive_hypothesis(said_in("tr", "evet"))
    assert LanguageDetected("tr", 0.9) in session.events_to_send()


def test_words_behind_text_of_another_language_are_heard_again_without_it() -> None:
    config = replace(DETECT, language=LanguageRules(is_per_utterance=True))
    session = speaking(config, duration_s=2.56)
    requested(session)
    session.receive_hypothesis(said_in("de", "guten tag"))
    feed(session, 0.64, speech=False)
    requested(session)
    session.receive_hypothesis(said_in("de", "guten tag"))
    session.events_to_send()

    feed(session, 2.56, speech=True)
    first = requested(session)
    assert (first.prompt, first.options.language) == (" guten tag", None)
    session.receive_hypothesis(said_in("tr", "guten evet"))
    again = requested(session)
    assert (again.prompt, again.options.language) == ("", "tr")
    assert (again.start, again.end) == (first.start, first.end)
    session.receive_hypothesis(said_in("tr", "evet"))

    events = session.events_to_send()
    assert [event.language for event in events if isinstance(event, LanguageDetected)] == ["tr"]
    assert "guten" not in "".join(
        join_words(e.words) for e in events if isinstance(e, WordsCommitted | PartialUpdated)
    )


def test_a_doubtful_word_is_heard_again_in_the_language_before() -> None:
    config = replace(DETECT, language=LanguageRules(is_per_utterance=True))
    session = speaking(config, duration_s=2.56)
    requested(session)
    session.receive_hypothesis(said_in("de", "guten tag"))
    feed(session, 0.64, speech=False)
    requested(session)
    session.receive_hypothesis(said_in("de", "guten tag"))

    feed(session, 0.512, speech=True)
    session.receive_eof()
    doubtful = requested(session)
    session.receive_hypothesis(said_in("en", "yah", probability=0.4))
    again = requested(session)

    assert doubtful.options.language is None
    assert again.options.language == "de"
    assert (again.start, again.end) == (doubtful.start, doubtful.end)


# -- failure


def test_a_failed_window_is_asked_for_again_with_what_arrived_since() -> None:
    session = speaking()
    requested(session)
    session.receive_failure()
    assert session.decode_to_run() is None
    feed(session, 0.32, speech=True)

    request = requested(session)
    assert (request.start, request.end) == (0.0, pytest.approx(1.32, abs=0.04))


def test_a_failed_last_window_is_a_gap_and_keeps_the_words_heard() -> None:
    session = speaking()
    requested(session)
    session.receive_hypothesis(hypothesis("the cat"))
    feed(session, 0.512, speech=True)
    session.receive_eof()
    requested(session)
    session.events_to_send()
    session.receive_failure()

    gap, committed, ended, over = session.events_to_send()
    assert isinstance(gap, AudioGap)
    assert gap.reason is GapReason.DECODE_FAILED
    assert (gap.start, gap.end) == (pytest.approx(1.0, abs=0.04), pytest.approx(1.5, abs=0.04))
    assert isinstance(committed, WordsCommitted)
    assert join_words(committed.words) == " the cat"
    assert isinstance(ended, UtteranceEnded)
    assert isinstance(over, SessionEnded)
    assert over.account.gap > 0


def test_gives_up_after_three_failures_in_a_row_and_accounts_for_everything() -> None:
    session = speaking()
    for _ in range(3):
        feed(session, 0.512, speech=True)
        requested(session)
        session.receive_failure()

    *_, failed = session.events_to_send()
    assert isinstance(failed, SessionFailed)
    assert failed.account.gap == failed.account.received
    assert session.is_over
    assert session.decode_to_run() is None
    feed(session, 1.0, speech=True)  # a late message is harmless


def test_abandoning_keeps_the_words_heard_and_reports_the_rest() -> None:
    session = speaking()
    requested(session)
    session.receive_hypothesis(hypothesis("the cat"))
    feed(session, 1.024, speech=True)
    requested(session)
    session.events_to_send()
    session.abandon()
    session.abandon()

    committed, gap, ended, over = session.events_to_send()
    assert isinstance(committed, WordsCommitted)
    assert isinstance(gap, AudioGap)
    assert gap.reason is GapReason.OUT_OF_TIME
    assert gap.end - gap.start == pytest.approx(1.024)
    assert isinstance(ended, UtteranceEnded)
    assert isinstance(over, SessionEnded)
    assert session.is_over
    assert session.decode_to_run() is None


def test_abandoning_silence_loses_nothing() -> None:
    session = Session(ENGLISH)
    feed(session, 2.048, speech=False)
    session.abandon()

    (over,) = session.events_to_send()
    assert isinstance(over, SessionEnded)
    assert over.account.gap == 0


def test_an_answer_without_a_request_is_our_bug() -> None:
    session = Session(ENGLISH)
    with pytest.raises(SessionStateError):
        session.receive_hypothesis(hypothesis("the"))
    with pytest.raises(SessionStateError):
        session.receive_failure()


def test_lag_is_the_speech_that_waits() -> None:
    session = speaking(duration_s=2.048)
    assert session.lag_s == pytest.approx(2.048)
    requested(session)
    session.receive_hypothesis(hypothesis("the"))
    assert session.lag_s == 0.0


def test_pre_roll_never_reaches_into_the_utterance_before() -> None:
    rules = EndpointRules(silence_s=0.1, pre_roll_s=2.0)
    truth = Truth([(0.5, 1.0), (1.4, 1.9), (2.3, 2.8)], 4.0)
    driver = Driver(Session(replace(ENGLISH, endpoint=rules, decodes_last_anew=True)), truth)
    while not driver.at_end:
        driver.feed(FRAME)
        driver.answer()
    driver.finish()

    lasts = [request for request in driver.requests if request.is_last]
    assert len(lasts) == 3
    assert all(a.end <= b.start for a, b in itertools.pairwise(lasts))
    assert driver.texts == ["0", "1", "2"]
