"""Sessions with a stock WhisperLive server, which drops its last words unless it gets help."""

import asyncio
import logging
import queue
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tests.client.conftest import Transcribe, noise
from tests.client.scripted_server import Peer, running, stock_segment
from tests.fakes import FakeClock
from whisper_streaming.client import ConnectionLost, Patience, ServerRefused, base
from whisper_streaming.client.conversation import ClientSession
from whisper_streaming.core.audio import SAMPLE_RATE

SHORT = Patience(ready_s=30.0, finish_s=30.0, settle_s=1.0, settled_s=0.2)
# Where the server completes all it shows, a long wait for that costs nothing.
STEADY = replace(SHORT, settle_s=20.0)
SILENCE_SAMPLES = 2 * SAMPLE_RATE


async def hear_all_but_end(peer: Peer, samples: int) -> None:
    await peer.hear(samples / SAMPLE_RATE)
    assert not peer.has_ended


def test_silence_follows_the_audio_and_the_end_waits_until_the_partial_is_completed(
    transcribe: Transcribe,
) -> None:
    samples = noise(0.3)

    async def stock(peer: Peer) -> None:
        await peer.accept_stock()
        await hear_all_but_end(peer, len(samples) + SILENCE_SAMPLES)
        await peer.segments(stock_segment(0.0, 0.2, " Last wor", completed=False))
        await asyncio.sleep(0.4)  # longer than a settled server is waited for
        await peer.segments(stock_segment(0.0, 0.3, " Last words."))
        await peer.hear()
        # A stock server closes at once and flushes nothing.

    with running(stock) as server:
        result = transcribe(server, samples, patience=STEADY)

    assert result.text == "Last words."
    assert result.segments == [
        {"start": 0.0, "end": 0.3, "text": " Last words.", "completed": True}
    ]
    assert result.complete
    assert (result.summary, result.model) == (None, None)
    assert result.samples_sent == len(samples)
    np.testing.assert_array_equal(server.peer.samples[: len(samples)], samples)
    np.testing.assert_array_equal(
        server.peer.samples[len(samples) :], np.zeros(SILENCE_SAMPLES, np.float32)
    )


def test_a_partial_that_stops_changing_is_taken_as_final(transcribe: Transcribe) -> None:
    async def stock(peer: Peer) -> None:
        await peer.accept_stock()
        await hear_all_but_end(peer, 4_800 + SILENCE_SAMPLES)
        window = [
            stock_segment(0.0, 0.2, " First."),
            stock_segment(0.2, 0.3, " Never completed", completed=False),
        ]
        while not peer.has_ended:  # repeats itself, as WhisperLive does
            await peer.segments(*window)
            try:
                async with asyncio.timeout(0.05):
                    await peer.hear()
            except TimeoutError:
                pass

    with running(stock) as server:
        result = transcribe(server, noise(0.3), patience=SHORT)

    assert result.text == "First. Never completed"
    assert [segment["completed"] for segment in result.segments] == [True, True]
    assert result.complete


def test_a_partial_that_goes_on_changing_is_waited_for(
    transcribe: Transcribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the script moves the clock, so a slow machine wears nobody's patience out."""
    clock = FakeClock()
    monkeypatch.setattr(base, "ClientSession", partial(ClientSession, clock=clock))
    shown: queue.Queue[str] = queue.Queue()

    async def stock(peer: Peer) -> None:
        await peer.accept_stock()
        await hear_all_but_end(peer, 4_800 + SILENCE_SAMPLES)
        for index in range(9):  # longer in all than the client's patience for one
            await peer.segments(stock_segment(0.0, 0.3, f" Word {index}", completed=False))
            assert await asyncio.to_thread(shown.get, timeout=30) == f"Word {index}"
            clock.advance(0.8 * SHORT.settle_s)
        assert not peer.has_ended
        clock.advance(SHORT.settle_s)
        await peer.hear()

    with running(stock) as server:
        result = transcribe(
            server,
            noise(0.3),
            patience=SHORT,
            transcription_callback=lambda text, segments: shown.put(text),
        )

    assert result.text == "Word 8"


def test_silence_only_ends_after_the_clients_patience(transcribe: Transcribe) -> None:
    async def stock(peer: Peer) -> None:
        await peer.accept_stock()
        await peer.hear()

    with running(stock) as server:
        result = transcribe(server, noise(0.3), patience=SHORT)

    assert server.peer.has_ended
    assert (result.text, result.complete) == ("", True)


def test_a_stock_server_gets_audio_no_faster_than_it_was_spoken(transcribe: Transcribe) -> None:
    async def stock(peer: Peer) -> None:
        await peer.accept_stock()
        await peer.hear()

    started = time.monotonic()
    with running(stock) as server:
        transcribe(server, noise(1.0), patience=SHORT, realtime=False)

    due = started + np.arange(1, 11) * 0.1
    arrivals = [at for at, _ in server.peer.arrivals[:10]]  # silence follows
    assert all(at >= due_at for at, due_at in zip(arrivals, due, strict=True))


def test_overtime_of_a_stock_server_keeps_the_partial(transcribe: Transcribe) -> None:
    async def stock(peer: Peer) -> None:
        await peer.accept_stock()
        await peer.hear(0.2)
        await peer.segments(stock_segment(0.0, 0.2, " Cut of", completed=False))
        await peer.say(message="DISCONNECT")

    with running(stock) as server:
        result = transcribe(server, noise(20.0), patience=SHORT)

    assert result.text == "Cut of"
    assert result.is_overtime
    assert not result.complete


def test_texts_without_leading_spaces_do_not_run_together(transcribe: Transcribe) -> None:
    async def stock(peer: Peer) -> None:
        await peer.accept_stock()
        await hear_all_but_end(peer, 4_800 + SILENCE_SAMPLES)
        await peer.segments(
            stock_segment(0.0, 0.1, "Batch mode"), stock_segment(0.1, 0.3, "strips spaces.")
        )
        await peer.hear()

    with running(stock) as server:
        result = transcribe(server, noise(0.3), patience=STEADY)

    assert result.text == "Batch mode strips spaces."


def test_a_warning_before_ready_is_passed_on(
    transcribe: Transcribe, caplog: pytest.LogCaptureFixture
) -> None:
    async def stock(peer: Peer) -> None:
        await peer.take_options()
        await peer.say(status="WARNING", message="Reverting to available backend")
        await peer.say(message="SERVER_READY", backend="faster_whisper")
        await peer.hear()

    with running(stock) as server, caplog.at_level(logging.WARNING):
        result = transcribe(server, noise(0.1), patience=SHORT)

    assert "Reverting to available backend" in caplog.text
    assert result.complete


def test_a_model_that_does_not_load_is_a_refusal(transcribe: Transcribe) -> None:
    async def stock(peer: Peer) -> None:
        await peer.take_options()
        await peer.say(status="ERROR", message="Failed to load model: huge")

    with running(stock) as server, pytest.raises(ServerRefused, match="model: huge"):
        transcribe(server, noise(0.1), patience=SHORT)


def test_a_stock_server_that_breaks_off_while_settling_is_a_lost_connection(
    transcribe: Transcribe,
) -> None:
    async def stock(peer: Peer) -> None:
        await peer.accept_stock()
        await hear_all_but_end(peer, 4_800 + SILENCE_SAMPLES)
        peer.socket.transport.abort()

    with running(stock) as server, pytest.raises(ConnectionLost):
        transcribe(server, noise(0.3), patience=SHORT)
