"""Sessions of minutes and hours over /asr, on the audio's clock."""

import json
import pickle
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.conversations import Step, conversation
from tests.wire.live_kit_client import Fields, LiveKitClient
from whisper_streaming.core.events import WordsCommitted
from whisper_streaming.core.hypothesis import join_words
from whisper_streaming.core.transcript import Transcript
from whisper_streaming.errors import InvalidMessage
from whisper_streaming.wire.base import Welcome
from whisper_streaming.wire.whisper_live_kit import WhisperLiveKitCodec
from whisper_streaming.wire.whisper_live_kit_lines import LineView, Retention

TEN_MINUTES_S = 600.0
HOUR_S = 3600.0
SHORT = Retention(max_age_s=60.0, max_lines=20)  # lines are dropped nearly all the time
WELCOME = Welcome("scripted", "demo")


def replay(
    codec: WhisperLiveKitCodec, steps: Iterator[Step]
) -> Iterator[tuple[Step, list[Fields]]]:
    """Each step with the messages that came of it."""
    for step in steps:
        yield step, [json.loads(message) for message in codec.encode(step.events, step.lag_s)]


def welcomed(mode: str, retention: Retention = SHORT) -> tuple[WhisperLiveKitCodec, LiveKitClient]:
    codec, client = WhisperLiveKitCodec(f"mode={mode}", retention=retention), LiveKitClient()
    _, first = codec.welcome(WELCOME)
    client.on_message(json.loads(first))
    return codec, client


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mode", ["full", "diff"])
def test_a_client_has_the_state_at_every_message_for_ten_minutes(mode: str, seed: int) -> None:
    codec, client = welcomed(mode)
    view = LineView(None, SHORT, has_open_line=mode == "full")
    seen = Counter[str]()

    for step, messages in replay(codec, conversation(seed, TEN_MINUTES_S)):
        view.apply(step.events)
        state = view.state(step.lag_s)
        for message in messages:
            client.on_message(message)
            seen["messages"] += 1
            seen["pruned"] += message.get("lines_pruned", 0)
            seen["warnings"] += "warning" in message
            seen.update(f"speaker {line['speaker']}" for line in client.state["lines"])
            expected = replace(state, warning=client.state.get("warning", ""))
            assert client.state == expected.to_dict()

    assert client.state["status"] == ("error" if seed % 2 else "active_transcription")
    assert client.state["buffer_transcription"] == ""
    # What the client had to cope with.
    assert {f"speaker {number}" for number in (-2, 1, 2, 3)} <= seen.keys()
    assert seen["messages"] > 300
    assert seen["warnings"] > 3
    assert (seen["pruned"] > 100) == (mode == "diff")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mode", ["full", "diff"])
def test_every_word_is_in_one_line_whatever_was_dropped(mode: str, seed: int) -> None:
    codec, client = welcomed(mode)
    said, kept = "", Transcript()
    lines: dict[str, str] = {}  # as last seen, by start: each begins after the one before

    for step, messages in replay(codec, conversation(seed, TEN_MINUTES_S)):
        for event in step.events:
            kept.apply(event)
            if isinstance(event, WordsCommitted):
                said += join_words(event.words)
        for message in messages:
            client.on_message(message)
            lines |= {line["start"]: line["text"] for line in client.state["lines"]}
            assert client.state["buffer_transcription"].endswith(join_words(kept.partial))

    assert "".join(lines.values()) == said


@pytest.mark.parametrize("mode", ["full", "diff"])
def test_an_error_of_the_client_is_the_last_state_after_its_words(mode: str) -> None:
    codec, client = welcomed(mode)
    for _, messages in replay(codec, conversation(0, 60.0)):
        for message in messages:
            client.on_message(message)
    words = [line["text"] for line in client.state["lines"]]

    (failure,) = codec.fail(InvalidMessage("so not"))
    client.on_message(json.loads(failure))

    assert (client.state["status"], client.state["error"]) == ("error", "so not")
    assert [line["text"] for line in client.state["lines"]] == words
    assert len(words) == SHORT.max_lines


@pytest.mark.parametrize("mode", ["full", "diff"])
def test_messages_and_memory_are_as_small_in_hour_three_as_in_hour_one(mode: str) -> None:
    codec = WhisperLiveKitCodec(f"mode={mode}")
    codec.welcome(WELCOME)
    largest, held = Counter[int](), Counter[int]()  # bytes, by hour

    for number, step in enumerate(conversation(2, 3 * HOUR_S)):
        hour = int(step.clock_s // HOUR_S)
        sizes = [len(message) for message in codec.encode(step.events, step.lag_s)]
        largest[hour] = max([largest[hour], *sizes])
        if number % 20 == 0:
            held[hour] = max(held[hour], len(pickle.dumps(codec)))

    assert step.clock_s > 3 * HOUR_S
    assert largest[2] <= 1.1 * largest[0]
    assert held[2] <= 1.1 * held[0]
    assert held[0] < 100_000
