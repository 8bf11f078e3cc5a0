"""What clients of /asr make of random sessions, whatever the server drained in one go."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.event_histories import CJK, SPACED, UNHURRIED, History, histories
from tests.wire.live_kit_client import Fields, LiveKitClient
from whisper_streaming.core.events import AudioGap, Event, GapReason, WordsCommitted
from whisper_streaming.core.hypothesis import join_words
from whisper_streaming.core.transcript import Transcript
from whisper_streaming.errors import InvalidMessage
from whisper_streaming.wire.base import Welcome
from whisper_streaming.wire.input_notices import describe_gap
from whisper_streaming.wire.whisper_live_kit import WhisperLiveKitCodec
from whisper_streaming.wire.whisper_live_kit_lines import LineView, Retention

SPEAKERS = (None, "A", "B")
HISTORIES = histories(SPACED, SPEAKERS) | histories(CJK)
MODES = st.sampled_from(["full", "diff"])
# The first two drop lines all the time.
RETENTIONS = st.sampled_from([Retention(1.0), Retention(1e9, 2), Retention(1e9)])
FOREVER = Retention(1e9)
KEYS = ("language", "mode", "target_language", "token", "")


def talk(
    batches: tuple[tuple[Event, ...], ...], mode: str, retention: Retention
) -> Iterator[tuple[tuple[Event, ...], list[Fields]]]:
    """Each batch of events, with the messages that came of it. The first batch is the welcome."""
    codec = WhisperLiveKitCodec(f"mode={mode}", retention=retention)
    _, first = codec.welcome(Welcome(engine="scripted", model="demo"))
    yield (), [json.loads(first)]
    for number, batch in enumerate(batches):
        yield batch, [json.loads(message) for message in codec.encode(batch, number / 10)]


@UNHURRIED
@given(history=HISTORIES, mode=MODES, retention=RETENTIONS, gap_at=st.integers(0, 20))
def test_a_client_has_exactly_the_state_at_every_message(
    history: History, mode: str, retention: Retention, gap_at: int
) -> None:
    gap = AudioGap(1.0, 2.0, GapReason.DECODE_FAILED)
    batches = (*history.batches[:gap_at], (gap,), *history.batches[gap_at:])
    view = LineView(None, retention, has_open_line=mode == "full")
    client = LiveKitClient()

    for number, (batch, messages) in enumerate(talk(batches, mode, retention), -1):
        view.apply(batch)
        for message in messages:
            client.on_message(message)

        state = view.state(max(0, number) / 10)
        warning = describe_gap(gap) if gap in batch else ""
        assert client.state == replace(state, warning=warning).to_dict()
        client.state.pop("warning", None)  # told once, with or without other news


@UNHURRIED
@given(history=HISTORIES, retention=RETENTIONS)
def test_diffs_send_each_line_of_the_full_states_once(
    history: History, retention: Retention
) -> None:
    sent: list[Fields] = []
    dropped = 0

    for _, messages in talk(history.batches, "diff", retention):
        for message in messages:
            dropped += message.get("lines_pruned", 0)
            sent += message.get("new_lines", message.get("lines", []))

            assert len(sent) - dropped == message.get("n_lines", 0)

    full = [message for _, batch in talk(history.batches, "full", FOREVER) for message in batch]
    assert sent == full[-1]["lines"]


@UNHURRIED
@given(history=HISTORIES, mode=MODES)
def test_lines_and_buffer_are_all_that_was_said_at_every_message(
    history: History, mode: str
) -> None:
    transcript, client = Transcript(), LiveKitClient()
    final = ""

    for batch, messages in talk(history.batches, mode, FOREVER):
        for event in batch:
            transcript.apply(event)
            if isinstance(event, WordsCommitted):
                final += join_words(event.words)
        for message in messages:
            client.on_message(message)

        shown = "".join(line["text"] for line in client.state["lines"])
        buffer = client.state["buffer_transcription"]
        assert shown + buffer == final + join_words(transcript.partial)
        if mode == "full":  # what is in a line is final, and what is final is in a line
            assert shown == final

    assert client.state["buffer_transcription"] == ""
    assert client.state["remaining_time_transcription_policy"] == 0.0


@UNHURRIED
@given(history=HISTORIES)
def test_only_the_last_line_of_a_full_state_changes(history: History) -> None:
    fixed: list[Fields] = []

    for _, messages in talk(history.batches, "full", FOREVER):
        for message in messages:
            assert message["lines"][: len(fixed)] == fixed
            check_lines(message["lines"])
            # The newest line may be cut in two when a word does not fit.
            fixed = message["lines"][:-1]


def check_lines(lines: list[Fields]) -> None:
    """Their times are in order; silences have no text and are long, others have some."""
    clock = 0.0
    for line in lines:
        start, end = (seconds(line[key]) for key in ("start", "end"))
        assert clock <= start <= end
        assert (line["speaker"] == -2) == (line["text"] == "")
        assert line["speaker"] != -2 or end - start >= 5.0
        clock = end


def seconds(text: str) -> float:
    matched = re.fullmatch(r"(\d+):(\d\d):(\d\d\.\d\d)", text)
    assert matched is not None
    hours, minutes, rest = matched.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


@given(query=st.text(st.characters(exclude_categories=())), key=st.sampled_from(KEYS))
def test_any_query_is_answered_in_text_that_can_travel(query: str, key: str) -> None:
    codec = WhisperLiveKitCodec(f"{key}={query}")
    try:
        codec.open()
    except InvalidMessage as error:
        messages = codec.fail(error)
        assert codec.close_code(error) == 4400
    else:
        messages = codec.welcome(Welcome(engine="scripted", model="demo"))

    for message in messages:
        assert json.loads(message.encode())
