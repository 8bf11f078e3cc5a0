"""The real client code of WhisperLiveKit, from its wheel, with our messages and our server.

The long runs are made of events on the audio's clock, so ten minutes take no time; the sessions
go over sockets, with the embedded model.
"""

import asyncio
import html
import json
import re
import wave
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conversations import conversation
from tests.interop.live_kit_peer import LiveKitPeer, Task
from tests.interop.recordings import Excerpt, words_of
from tests.server.peers import WORDS, scripted_config, serving
from tests.wire.live_kit_client import LiveKitClient
from whisper_streaming.backends.scripted import spoken
from whisper_streaming.bench.stock_environment import StockEnvironment
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.live_kit import DiffTracker, FrontData
from whisper_streaming.wire.base import Welcome
from whisper_streaming.wire.whisper_live_kit import WhisperLiveKitCodec
from whisper_streaming.wire.whisper_live_kit_lines import LineView, Retention

pytestmark = [pytest.mark.interop, pytest.mark.slow]

Fields = dict[str, Any]

TEN_MINUTES_S = 600.0
SEEDS = range(4)
RETENTION = Retention(max_age_s=60.0, max_lines=20)  # lines are dropped nearly all the time
SPEED = 2.0  # of the sessions over sockets
# What its client does not keep of a diff.
NOT_KEPT = {"error", "warning"}


@pytest.fixture(scope="module")
def peer(live_kit: StockEnvironment, tmp_path_factory: pytest.TempPathFactory) -> LiveKitPeer:
    return LiveKitPeer(live_kit, tmp_path_factory.mktemp("live-kit"))


def states(seed: int, *, has_open_line: bool) -> list[FrontData]:
    """Our states in ten minutes of conversation; only those with an open line ever change one."""
    view = LineView(None, RETENTION, has_open_line=has_open_line)
    told = [view.state()]
    for step in conversation(seed, TEN_MINUTES_S):
        view.apply(step.events)
        told.append(view.state(step.lag_s))
    return told


def diffs(seed: int) -> list[tuple[Fields, Fields]]:
    """Our messages of such a conversation in diff mode, each with the state that it tells."""
    codec = WhisperLiveKitCodec("mode=diff", retention=RETENTION)
    view = LineView(None, RETENTION, has_open_line=False)
    told = [(codec.welcome(Welcome("scripted", "demo"))[1], view.state())]
    for step in conversation(seed, TEN_MINUTES_S):
        view.apply(step.events)
        state = view.state(step.lag_s)
        told += [(message, state) for message in codec.encode(step.events, step.lag_s)]
    return [(json.loads(message), state.to_dict()) for message, state in told]


async def test_its_client_has_our_state_at_every_message_for_ten_minutes(
    peer: LiveKitPeer,
) -> None:
    told = [diffs(seed) for seed in SEEDS]
    tasks = [{"kind": "reconstruct", "messages": [m for m, _ in each]} for each in told]

    outcomes = await peer.run("reconstruct", tasks)

    for ours, theirs in zip(told, outcomes, strict=True):
        for (message, expected), state in zip(ours, theirs, strict=True):
            assert len(state["lines"]) == message.get("n_lines", 0)
            kept = expected.keys() - NOT_KEPT
            assert {key: state[key] for key in kept} == {key: expected[key] for key in kept}
        assert len(ours) > 300
        assert sum(message.get("lines_pruned", 0) for message, _ in ours) > 100


async def test_its_tracker_agrees_wherever_its_client_understands_it(peer: LiveKitPeer) -> None:
    histories = [
        states(seed, has_open_line=has_open_line)
        for seed in SEEDS
        for has_open_line in (False, True)
    ]
    tasks = [{"kind": "track", "states": [_as_theirs(s) for s in each]} for each in histories]

    outcomes = await peer.run("track", tasks)

    faults = []
    for history, theirs in zip(histories, outcomes, strict=True):
        tracker, client = DiffTracker(), LiveKitClient()
        faults.append(0)
        before: list[Fields] = []
        for state, message in zip(history, theirs, strict=True):
            ours = tracker.to_message(state)
            client.on_message(ours)
            assert client.state == state.to_dict()
            if _kept_by(message, before) == client.state["lines"]:
                assert message == ours
            else:
                faults[-1] += 1
            before = client.state["lines"]
    assert set(faults[::2]) == {0}, "states in which lines are only added and dropped"
    assert min(faults[1::2]) > 50, "its fault is a line that grows: else this shows nothing"


def _as_theirs(state: FrontData) -> Fields:
    """The fields of its ``FrontData``."""
    fields = asdict(state)
    del fields["warning"]
    return fields


def _kept_by(message: Fields, lines: list[Fields]) -> list[Fields]:
    """The lines of a client after a message."""
    if message["type"] == "snapshot":
        return list(message["lines"])
    return lines[message.get("lines_pruned", 0) :] + message.get("new_lines", [])


# -- over sockets


@pytest.fixture(scope="module")
def sessions(peer: LiveKitPeer, our_port: int, english: Excerpt) -> dict[str, Fields]:
    """What its test client got of the same recording in each mode, both at the same time."""

    async def run() -> dict[str, Fields]:
        async with asyncio.TaskGroup() as group:
            runs = {
                mode: group.create_task(peer.run(mode, [_session(our_port, english.path, mode)]))
                for mode in ("full", "diff")
            }
        return {mode: run.result()[0] for mode, run in runs.items()}

    return asyncio.run(run())


def _session(port: int, audio: Path, mode: str) -> Task:
    return {
        "kind": "transcribe",
        "audio": str(audio),
        "url": f"ws://127.0.0.1:{port}/asr?language=en",
        "options": {"mode": mode, "speed": SPEED, "chunk_duration": 0.25},
    }


def assert_heard(text: str, excerpt: Excerpt) -> None:
    """No word is missing, and none is there twice."""
    heard, said = words_of(text), words_of(excerpt.text)
    assert len(heard) == len(said)
    # On a machine that is busy just then a word may be final before the sound after it is heard.
    assert sum(one != other for one, other in zip(heard, said, strict=True)) <= 1


@pytest.mark.model
@pytest.mark.parametrize("mode", ["full", "diff"])
def test_its_test_client_gets_every_word(
    sessions: dict[str, Fields], mode: str, english: Excerpt
) -> None:
    session = sessions[mode]
    last = session["responses"][-1]

    assert_heard(session["committed_text"], english)
    assert session["text"] == session["committed_text"]
    assert (last["status"], last["buffer_transcription"]) == ("active_transcription", "")
    assert last["remaining_time_transcription"] == 0.0
    buffers = {response["buffer_transcription"] for response in session["responses"]}
    assert buffers - {""}, "words are shown before they are final"


@pytest.mark.model
def test_in_diff_mode_it_stays_in_step(sessions: dict[str, Fields]) -> None:
    counts = sessions["diff"]["counts"]

    assert [expected for expected, _ in counts] == [kept for _, kept in counts]
    assert counts[-1][0] == len(sessions["diff"]["lines"]) > 2
    assert len(counts) > 3


@pytest.mark.model
@pytest.mark.requires_node
async def test_its_page_shows_each_state_and_closes_at_the_end(
    sessions: dict[str, Fields], peer: LiveKitPeer, node: str, english: Excerpt
) -> None:
    responses = sessions["full"]["responses"]
    config = {"type": "config", "useAudioWorklet": False, "mode": "full"}

    page = await peer.show_page(node, [config, *responses, {"type": "ready_to_stop"}])

    assert len(page["shown"]) == len(responses)
    for shown, response in zip(page["shown"], responses, strict=True):
        if response["status"] == "active_transcription":
            texts = [line["text"] for line in response["lines"] or [{"text": ""}]]
            texts[-1] += response["buffer_transcription"]
            assert _texts(shown) == texts
        else:
            assert "No audio detected..." in shown
    assert_heard(" ".join(_texts(page["last"])), english)
    assert page["url"] == "ws://localhost:9090/asr"
    assert page["closed"]
    assert page["sent"][:2] == [len("a fragment"), 0]


def _texts(shown: str) -> list[str]:
    """The text of each line on the page."""
    lines = re.findall(r"<div class='textcontent'>(.*?)</div></p>", shown, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]+>", "", line)) for line in lines]


async def test_it_sends_its_file_as_it_is_where_it_is_not_asked_for_samples(
    peer: LiveKitPeer, tmp_path: Path
) -> None:
    recording = tmp_path / "speech.wav"
    with wave.open(str(recording), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.round(spoken(WORDS) * 32767).astype("<i2").tobytes())
    config = scripted_config()
    asr = config.asr.model_copy(update={"pcm_input": False})

    async with serving(config.model_copy(update={"asr": asr})) as server:
        (session,) = await peer.run("container", [_session(server.port, recording, "diff")])

    assert session["committed_text"].split() == WORDS
