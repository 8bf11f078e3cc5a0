"""The load generator against a real server, and what it says of sessions that fail."""

import asyncio
import pickle
import socket
from dataclasses import replace

import numpy as np
import pytest

from tests.server.peers import scripted_config, serving
from whisper_streaming.backends.scripted import spoken
from whisper_streaming.bench import sessions
from whisper_streaming.bench.generator import run
from whisper_streaming.bench.job import Job, Lane
from whisper_streaming.bench.live_run import run_job
from whisper_streaming.bench.scoring import Viewer
from whisper_streaming.bench.server_process import ServerUnderTest
from whisper_streaming.bench.sessions import (
    END_FRAME,
    OUR_OPTIONS,
    RAMP_S,
    as_track,
    generate,
    lanes_at_once,
    lanes_through_all,
    silence_track,
    starts,
)

WORDS = ["one", "two", "three"]
PIPE_BYTES = 64 * 1024
"""What a pipe takes before somebody reads it."""
TRACK = as_track("words", spoken(WORDS, word_s=0.15))


def job(port: int, *lanes: Lane) -> Job:
    url = f"ws://127.0.0.1:{port}"
    return Job(url, OUR_OPTIONS, ({"language": "en"},), (TRACK,), lanes, END_FRAME)


async def test_every_session_brings_all_words_and_the_account() -> None:
    async with serving() as server:
        outcome = await run(job(server.port, Lane(0.0, (0, 0)), Lane(0.05, (0,))))

    assert len(outcome.takes) == 3
    for take in outcome.takes:
        viewer = Viewer()
        for at, message in take.messages:
            viewer.receive(at, message.decode())
        assert take.failure is None
        assert take.close_s is not None
        assert len(take.late_s) == len(TRACK.frames)
        assert viewer.committed.split() == WORDS
        assert viewer.summary is not None
        assert viewer.summary.received == round(0.45 * 16_000)
    assert outcome.wall_s > 0.9, "the first lane streams twice"
    assert outcome.cpu_s > 0.0


async def test_a_generator_that_starts_slowly_gets_all_of_a_long_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "_POLL_S", 0.001)
    async with serving() as server:
        long = as_track("words", np.tile(spoken(WORDS, word_s=0.15), 5))
        whole = replace(job(server.port, Lane(0.0, (0,))), tracks=(long,))
        assert len(pickle.dumps(whole)) > PIPE_BYTES
        outcome = await asyncio.to_thread(generate, whole, "streaming")

    assert [take.failure for take in outcome.takes] == [None]


async def test_a_session_without_a_place_says_so() -> None:
    async with serving(scripted_config(max_clients=1)) as server:
        outcome = await run(job(server.port, Lane(0.0, (0,)), Lane(0.1, (0,))))

    failures = sorted(take.failure or "" for take in outcome.takes)
    assert failures == ["", "refused: WAIT, the server is full"]


async def test_audio_of_a_session_that_was_refused_is_not_counted() -> None:
    async with serving(scripted_config(max_clients=1)) as server:
        asked = job(server.port, Lane(0.0, (0,)), Lane(0.1, (0,)))
        under_test = ServerUnderTest(f"ws://127.0.0.1:{server.port}")
        takes, cost = await asyncio.to_thread(run_job, under_test, asked, "streaming")

    assert len(takes) == 2
    assert cost.audio_s == TRACK.duration_s


async def test_a_session_without_a_server_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    [take] = (await run(job(port, Lane(0.0, (0,))))).takes

    assert take.failure is not None
    assert take.failure.startswith("no connection")


async def test_a_session_that_is_cut_says_so() -> None:
    async with serving(scripted_config(max_connection_time_s=0.1)) as server:
        [take] = (await run(job(server.port, Lane(0.0, (0,))))).takes

    assert take.failure == "the server closed before the end of the audio"


def test_messages_are_due_when_their_last_sample_was_spoken() -> None:
    track = as_track("x", np.zeros(16_000 // 4, np.float32))

    assert track.due_s == (0.1, 0.2, 0.25)
    assert track.duration_s == 0.25


def test_a_long_silence_repeats_one_second() -> None:
    track = silence_track(60.0, 0.001)

    assert len(track.frames) == 600
    assert track.due_s[-1] == 60.0
    assert len(set(track.frames)) == 10


def test_lanes_stream_every_recording_once_or_in_turn() -> None:
    assert [lane.tracks for lane in lanes_through_all(2, 5)] == [(0, 2, 4), (1, 3)]
    assert [lane.tracks for lane in lanes_through_all(9, 2)] == [(0,), (1,)]
    assert [lane.tracks for lane in lanes_at_once(3, 2)] == [(0,), (1,), (0,)]


def test_no_two_sessions_begin_together_and_all_soon() -> None:
    assert starts(3) == [0.0, 0.37, 0.74]
    many = starts(100)
    assert len(set(many)) == 100
    assert many[-1] < RAMP_S
