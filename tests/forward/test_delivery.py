"""From the audio of a client to a real HTTP service, through the real server."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.forward.builders import facts
from tests.forward.receiver import (
    Behaviour,
    Receiver,
    hang_up,
    hang_up_after_accepting,
    is_signed,
    receiving,
    status,
    when,
)
from tests.live.test_live_session import TEXT, Bench
from tests.live.test_live_session import WORDS as SHORT
from tests.live.virtual_time import run_virtual
from tests.server.peers import TIMEOUT_S, WORDS, scripted_config, serving, session, transcribe
from whisper_streaming.backends.scripted import ScriptedBackend, spoken
from whisper_streaming.config import ForwardSettings, ServerConfig
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import ForwardingError
from whisper_streaming.forward import Forwarder
from whisper_streaming.forward.payload import Post
from whisper_streaming.forward.sender import Answer
from whisper_streaming.server import WhisperStreamingServer

GAP_S = 1.0  # ends an utterance, so that each word is a segment


def forwarding_to(receiver: Receiver, **settings: object) -> ServerConfig:
    forward = ForwardSettings.model_validate(
        {"url": receiver.url, "retry_min_s": 0.01, "retry_max_s": 0.05, **settings}
    )
    return scripted_config().model_copy(update={"forward": forward})


def stats(server: WhisperStreamingServer) -> dict[str, object]:
    section = server.client_manager.get_status()["forwarding"]
    assert isinstance(section, dict)
    return section


async def say_apart(server: WhisperStreamingServer, **options: object) -> str:
    """The text of a session in which each word is a segment of its own."""
    async with session(server, **options) as peer:
        await peer.send_audio(spoken(WORDS, gap_s=GAP_S))
        return await peer.finish()


async def test_a_session_is_posted_with_its_facts_while_it_runs() -> None:
    async with receiving() as receiver, serving(forwarding_to(receiver)) as server:
        async with session(server, uid="meeting") as peer:
            await peer.send_audio(spoken(WORDS[:2], gap_s=GAP_S))
            await receiver.wait_until(lambda: len(receiver.accepted) == 1)
            first = receiver.accepted[0].content
            assert await peer.finish() == "one two"
        await receiver.wait_until(lambda: len(receiver.accepted) == 2)

    assert first["session"]["uid"] == "meeting"
    assert (first["session"]["model"], first["session"]["task"]) == ("scripted", "transcribe")
    segment = first["segments"][0]
    assert (segment["text"], segment["number"], segment["language"]) == ("one", 1, "en")
    assert segment["start"] == pytest.approx(0.0, abs=0.02)
    assert segment["end"] == pytest.approx(0.4, abs=0.02)
    assert list(receiver.segments.values()) == ["one", "two"]


async def test_segments_are_collected_and_the_rest_comes_at_the_end() -> None:
    async with receiving() as receiver:
        config = forwarding_to(receiver, max_messages=4, interval_s=600, secret="key")
        async with serving(config) as server:
            await say_apart(server)

    assert [len(request.texts) for request in receiver.requests] == [4, 4, 2]
    assert [text for request in receiver.requests for text in request.texts] == WORDS
    assert all(is_signed(request, "key") for request in receiver.requests)


async def test_fewer_come_when_the_interval_is_over() -> None:
    async with receiving() as receiver:
        config = forwarding_to(receiver, max_messages=100, interval_s=0.05)
        async with serving(config) as server, session(server) as peer:
            await peer.send_audio(spoken(WORDS[:2], gap_s=GAP_S))
            await receiver.wait_until(lambda: len(receiver.accepted) > 0)
            assert receiver.accepted[0].texts[0] == "one"


FAULTS: dict[str, list[Behaviour]] = {
    "status 500": [status(500)] * 5,
    "status 404 while it starts": [status(404)] * 3,
    "hangs": [when(asyncio.Event())] * 2,
    "hangs up": [hang_up] * 5,
    "takes posts without an answer": [hang_up_after_accepting] * 5,
    "all in turn": [status(503), hang_up, status(429), hang_up_after_accepting, status(500)] * 2,
}


@pytest.mark.parametrize("behaviours", FAULTS.values(), ids=FAULTS)
async def test_a_faulty_service_gets_every_segment_and_doubles_have_the_same_id(
    behaviours: list[Behaviour],
) -> None:
    async with receiving(*behaviours) as receiver:
        config = forwarding_to(receiver, timeout_s=0.3, flush_timeout_s=60)
        async with serving(config) as server:
            assert await say_apart(server) == " ".join(WORDS)

    assert len(receiver.requests) > len(WORDS)
    bodies = {request.id: request.body for request in receiver.requests}
    assert len(bodies) == len(WORDS)
    assert all(bodies[request.id] == request.body for request in receiver.requests)
    assert list(receiver.segments.values()) == WORDS


async def test_a_service_that_restarts_gets_every_segment_in_order() -> None:
    async with receiving() as receiver:
        config = forwarding_to(receiver, flush_timeout_s=60)
        async with serving(config) as server:
            async with session(server) as peer:
                await peer.send_audio(spoken(WORDS[:5], gap_s=GAP_S))
                await receiver.wait_until(lambda: len(receiver.accepted) >= 2)
                await receiver.stop()
                await peer.send_audio(spoken(WORDS[5:], gap_s=GAP_S))
                assert await peer.finish() == " ".join(WORDS)
            assert len(receiver.segments) < len(WORDS)
            await receiver.start()
            await receiver.wait_until(lambda: len(receiver.segments) == len(WORDS))

    assert list(receiver.segments.values()) == WORDS


async def test_sessions_side_by_side_keep_their_order() -> None:
    async with receiving(*[status(500), hang_up] * 5) as receiver:
        config = forwarding_to(receiver, flush_timeout_s=60)
        async with serving(config) as server, asyncio.TaskGroup() as tasks:
            for name in "abcd":
                tasks.create_task(say_apart(server, uid=name))

    for name in "abcd":
        mine = [each for each in receiver.accepted if each.content["session"]["uid"] == name]
        ids = dict.fromkeys(segment["id"] for each in mine for segment in each.content["segments"])
        assert [receiver.segments[one] for one in ids] == WORDS
    assert len({each.content["session"]["id"] for each in receiver.accepted}) == 4


async def test_a_service_that_hangs_holds_up_no_session_and_drops_are_in_the_status() -> None:
    gate = asyncio.Event()
    async with receiving(*[when(gate)] * 4) as receiver:
        config = forwarding_to(receiver, timeout_s=600, max_pending=3, flush_timeout_s=60)
        async with serving(config) as server:
            # It ends while nothing of it was accepted.
            assert await say_apart(server) == " ".join(WORDS)
            assert receiver.accepted == []
            assert await transcribe(server) == " ".join(WORDS)
            found = stats(server)
            gate.set()

    # Of each session one is under way; the second one's came when three others waited.
    assert (found["forwarded"], found["in_flight"], found["waiting"]) == (0, 2, 2)
    assert found["dropped"] == 7
    assert sorted(receiver.segments.values()) == ["nine", "one", " ".join(WORDS), "ten."]


async def test_a_client_that_vanishes_loses_nothing_that_was_final() -> None:
    async with receiving() as receiver, serving(forwarding_to(receiver)) as server:
        async with session(server) as peer:
            await peer.send_audio(spoken(WORDS))
            await peer.read_until_shown("four")
            peer.socket.transport.abort()
        await receiver.wait_until(lambda: len(receiver.accepted) > 0)

    (text,) = receiver.segments.values()
    assert " ".join(WORDS).startswith(text)


class Hanging:
    """A service that never answers."""

    def __init__(self) -> None:
        self.posts = 0

    async def send(self, post: Post) -> Answer:
        self.posts += 1
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def close(self) -> None: ...


async def session_beside(service: Hanging | None) -> tuple[float, list[str]]:
    """When a session in virtual time ended, and what was sent to its client."""
    bench = Bench(takes_s=0.5)
    bench.say(spoken(SHORT, gap_s=GAP_S))
    bench.socket.put(b"END_OF_AUDIO")
    observers = []
    async with AsyncExitStack() as stack:
        if service is not None:
            forwarding = Forwarder(ForwardSettings(flush_timeout_s=0), SegmentRules(), service)
            forwarding.open()
            stack.push_async_callback(forwarding.close)
            observers.append(forwarding.observe(facts()))
        await bench.live.run(observers)
        assert bench.text == TEXT
        return asyncio.get_running_loop().time(), bench.socket.sent


def test_a_session_sends_the_same_at_the_same_time_beside_a_service_that_hangs() -> None:
    hanging = Hanging()

    assert run_virtual(session_beside(hanging)) == run_virtual(session_beside(None))
    assert hanging.posts == 1


async def test_a_second_stop_waits_for_no_service() -> None:
    async with receiving(when(asyncio.Event())) as receiver:
        config = forwarding_to(receiver, timeout_s=600, flush_timeout_s=600)
        async with serving(config) as server:
            await transcribe(server)
            await receiver.wait_until(lambda: len(receiver.requests) == 1)
            async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as tasks:
                stopping = tasks.create_task(server.stop())
                await asyncio.sleep(0.1)
                assert not stopping.done()
                await server.stop(drain=False)

    assert receiver.accepted == []


@pytest.mark.parametrize("url", ["localhost:8080/completion", "ftp://host/", "http://host:x/"])
async def test_a_bad_url_ends_the_start_before_anything_else(url: str) -> None:
    config = scripted_config().model_copy(
        update={"forward": ForwardSettings.model_validate({"url": url})}
    )
    loaded: list[object] = []

    def load(settings: object) -> ScriptedBackend:
        loaded.append(settings)
        return ScriptedBackend()

    server = WhisperStreamingServer(config, backend_factory=load)
    with pytest.raises(ForwardingError, match="cannot forward to"):
        await server.start()

    assert loaded == []


async def test_without_a_url_the_status_has_no_section() -> None:
    async with serving() as server:
        assert "forwarding" not in server.client_manager.get_status()
