"""What observers of a session hear, and that they cannot miss its end."""

import asyncio

import pytest

from tests.live.memory_socket import MemorySocket
from tests.live.test_live_session import TEXT, WORDS, Bench
from tests.live.virtual_time import in_virtual_time
from whisper_streaming.backends.scripted import spoken
from whisper_streaming.config import LimitSettings
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.events import (
    AudioGap,
    GapReason,
    LanguageDetected,
    PartialUpdated,
    SessionEnded,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.core.transcript import Segment, SegmentRules
from whisper_streaming.errors import SlowConsumer
from whisper_streaming.live.input_end import Ending, Outcome
from whisper_streaming.live.observers import SegmentFeed


class Listener:
    """Keeps what a feed gives."""

    def __init__(self, language: str | None = "en") -> None:
        self.heard: list[tuple[str, str | None]] = []
        self.ends = 0
        self.feed = SegmentFeed(language, SegmentRules(), self._take, self._end)

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.heard).strip()

    def _take(self, segment: Segment, language: str | None) -> None:
        assert self.ends == 0
        self.heard.append((segment.text, language))

    def _end(self) -> None:
        self.ends += 1


def committed(text: str, start: float = 0.0) -> WordsCommitted:
    return WordsCommitted(1, (Word(f" {text}", start, start + 0.4),))


def test_a_feed_gives_each_segment_once_and_the_open_one_at_the_end() -> None:
    listener = Listener()
    listener.feed.receive([committed("one"), PartialUpdated(1, (Word(" maybe", 0.5, 0.9),))])
    listener.feed.receive([UtteranceEnded(1, 1.0), committed("two", 1.0)])
    assert listener.heard == [(" one", "en")]
    listener.feed.end(Ending.COMPLETE)

    assert listener.heard == [(" one", "en"), (" two", "en")]
    assert listener.ends == 1


def test_a_feed_knows_the_language_once_it_is_detected() -> None:
    listener = Listener(language=None)
    listener.feed.receive([committed("one"), UtteranceEnded(1, 1.0)])
    listener.feed.receive([LanguageDetected("de", 0.9), committed("zwei"), UtteranceEnded(1, 2.0)])

    assert listener.heard == [(" one", None), (" zwei", "de")]


@in_virtual_time
async def test_observers_hear_what_the_client_reads_and_are_told_of_the_end() -> None:
    bench, first, second = Bench(), Listener(), Listener()
    bench.say(spoken(WORDS))
    bench.socket.put(b"END_OF_AUDIO")
    await bench.live.run([first.feed, second.feed])

    assert first.text == second.text == bench.text == TEXT
    assert first.ends == second.ends == 1


@in_virtual_time
async def test_what_a_client_said_before_it_vanished_is_heard() -> None:
    bench, listener = Bench(takes_s=0.5), Listener()
    events: list[object] = []
    bench.say(spoken(WORDS))
    noting = Noting(events)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.live.run([listener.feed, noting]))
        await asyncio.sleep(0.7)
        assert listener.heard == []
        bench.socket.vanish()

    assert running.result() == Outcome(Ending.GONE)
    assert isinstance(events[-1], SessionEnded)
    assert events[-1].account.received == len(spoken(WORDS))
    assert events[-1].account.gap == 0
    assert listener.text == TEXT
    assert listener.ends == 1
    assert noting.endings == [Ending.GONE]


@pytest.mark.parametrize(
    ("last_message", "ending"),
    [
        pytest.param(b"END_OF_AUDIO", Ending.COMPLETE, id="the client said so"),
        pytest.param(None, Ending.OVERTIME, id="its time was over"),
        pytest.param("nonsense", Ending.FAILED, id="its input was refused"),
    ],
)
@in_virtual_time
async def test_observers_are_told_why_the_input_ended(
    last_message: str | bytes | None, ending: Ending
) -> None:
    bench, noting = Bench(deadline=10.0), Noting([])
    bench.say(spoken(WORDS))
    if last_message is not None:
        bench.socket.put(last_message)
    outcome = await bench.live.run([noting])

    assert bench.live.account is not None
    assert bench.live.account.gap == 0  # which alone says nothing of the end
    assert outcome.ending is ending
    assert noting.endings == [ending]


@in_virtual_time
async def test_who_ends_its_audio_and_leaves_has_said_everything() -> None:
    bench, noting = Bench(takes_s=0.5), Noting([])
    bench.say(spoken(WORDS))
    bench.socket.put(b"END_OF_AUDIO")
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.live.run([noting]))
        await asyncio.sleep(0.2)
        bench.socket.vanish()

    assert running.result() == Outcome(Ending.GONE)
    assert noting.endings == [Ending.COMPLETE]


@in_virtual_time
async def test_a_vanished_client_is_not_decoded_for_ever() -> None:
    bench = Bench(takes_s=100.0, limits=LimitSettings(drain_timeout_s=5.0))
    listener, events = Listener(), list[object]()
    bench.say(spoken(WORDS))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.live.run([listener.feed, Noting(events)]))
        await asyncio.sleep(1.0)
        bench.socket.vanish()
        began = asyncio.get_running_loop().time()

    assert asyncio.get_running_loop().time() - began == pytest.approx(5.0)
    assert running.result() == Outcome(Ending.GONE)
    gaps = [event for event in events if isinstance(event, AudioGap)]
    assert [gap.reason for gap in gaps] == [GapReason.OUT_OF_TIME]
    assert listener.ends == 1


@in_virtual_time
async def test_a_client_that_does_not_read_keeps_nothing_from_the_observers() -> None:
    bench = Bench(socket=MemorySocket(deaf=True), limits=LimitSettings(max_pending_messages=10))
    listener, words = Listener(), [f"word{index}" for index in range(60)]
    bench.say(spoken(words, gap_s=1.0))
    outcome = await bench.live.run([listener.feed])

    assert outcome.ending is Ending.FAILED
    assert isinstance(outcome.error, SlowConsumer)
    assert bench.socket.sent == []
    assert bench.live.account is not None
    received = (bench.live.account.received + SAMPLE_RATE) // round(1.4 * SAMPLE_RATE)
    assert 0 < received < len(words)
    assert listener.text.split() == words[:received]


@in_virtual_time
async def test_observers_are_told_of_the_end_of_a_session_that_breaks() -> None:
    bench, listener, noting = Bench(), Listener(), Noting([])
    bench.decoder.error = RuntimeError("a bug")  # type: ignore[assignment]
    bench.say(spoken(WORDS))
    with pytest.RaisesGroup(RuntimeError):
        await bench.live.run([listener.feed, noting])

    assert listener.ends == 1
    assert noting.endings == [Ending.FAILED]


class Noting:
    """An observer of events, and of the end."""

    def __init__(self, events: list[object]) -> None:
        self.endings: list[Ending] = []
        self._events = events

    def receive_audio(self, samples: object) -> None: ...

    def receive(self, events: object) -> None:
        assert isinstance(events, list | tuple)
        self._events.extend(events)

    def end(self, ending: Ending) -> None:
        self.endings.append(ending)
