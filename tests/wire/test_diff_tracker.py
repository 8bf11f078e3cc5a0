"""Diff mode: what the documented client makes of any history of states."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.live_kit_client import LiveKitClient
from whisper_streaming.wire.diff_tracker import DiffTracker
from whisper_streaming.wire.whisper_live_kit_messages import SILENCE_SPEAKER, FrontData, Json, Line

A, B, C, D = (Line(n, n + 1, f" {name}") for n, name in enumerate("abcd"))
HIDDEN = Line(0, 1, "")
SILENCE = Line(5, 15, speaker=SILENCE_SPEAKER)


def state(*lines: Line, **fields: str) -> FrontData:
    return FrontData(status="active_transcription", lines=list(lines), **fields)  # type: ignore[arg-type]


def messages(*states: FrontData) -> list[Json]:
    tracker = DiffTracker()
    return [tracker.to_message(each) for each in states]


def test_the_first_message_is_the_whole_state() -> None:
    (message,) = messages(state(A, B, buffer_transcription=" so"))

    assert message == {"type": "snapshot", "seq": 1, **state(A, B).to_dict()} | {
        "buffer_transcription": " so"
    }


def test_a_diff_has_everything_but_the_lines() -> None:
    _, diff = messages(state(A), state(A, buffer_transcription=" b", error="why", warning="oh"))

    assert diff == {
        "type": "diff",
        "seq": 2,
        "status": "active_transcription",
        "n_lines": 1,
        "buffer_transcription": " b",
        "buffer_diarization": "",
        "buffer_translation": "",
        "remaining_time_transcription": 0.0,
        "remaining_time_transcription_processing": 0.0,
        "remaining_time_transcription_policy": 0.0,
        "remaining_time_diarization": 0.0,
        "error": "why",
        "warning": "oh",
    }


@pytest.mark.parametrize(
    ("before", "after", "dropped", "new"),
    [
        pytest.param([], [A], None, [A], id="the first line"),
        pytest.param([A, B], [A, B], None, None, id="nothing new"),
        pytest.param([A, B], [A, B, C, D], None, [C, D], id="lines added"),
        pytest.param([A, B, C], [B, C], 1, None, id="front dropped"),
        pytest.param([A, B, C], [C, D], 2, [D], id="front dropped and lines added"),
        pytest.param([A, B], [], 2, None, id="all dropped"),
        pytest.param([A, B], [C, D], 2, [C, D], id="all new"),
        pytest.param([A, B], [A, C], 2, [A, C], id="last line changed: all again"),
        pytest.param([A, B, C], [A, D, C], 3, [A, D, C], id="middle changed: all again"),
        pytest.param([A, B, C], [A, B], 3, [A, B], id="last line taken back: all again"),
        pytest.param([A, A, B], [A, B], 1, None, id="as few dropped as can be"),
        pytest.param([A, B, A], [A, B, A, B], None, [B], id="repetition"),
        pytest.param([A, B], [Line(0, 1.001, " a"), B], None, None, id="as it travels, the same"),
        pytest.param([A], [A, HIDDEN, SILENCE], None, [SILENCE], id="empty lines do not count"),
    ],
)
def test_what_is_kept_is_a_beginning_of_the_new_lines(
    before: Sequence[Line], after: Sequence[Line], dropped: int | None, new: Sequence[Line] | None
) -> None:
    _, diff = messages(state(*before), state(*after))

    assert diff.get("lines_pruned") == dropped
    assert diff.get("new_lines") == (None if new is None else [line.to_dict() for line in new])


def test_reset_begins_with_a_snapshot() -> None:
    tracker = DiffTracker()
    tracker.to_message(state(A))
    tracker.to_message(state(A, B))

    tracker.reset()

    message = tracker.to_message(state(A))
    assert (message["type"], message["seq"], tracker.seq) == ("snapshot", 1, 1)


def test_a_caller_may_go_on_with_the_same_list() -> None:
    tracker, front = DiffTracker(), state(A)
    tracker.to_message(front)

    front.lines.append(B)

    assert tracker.to_message(front)["new_lines"] == [B.to_dict()]


LINES = st.builds(
    Line,
    start=st.sampled_from([0.0, 1.0, 1.0000001]),
    end=st.just(2.0),
    text=st.sampled_from([" a", " b", "", None]),
    speaker=st.sampled_from([1, 2, SILENCE_SPEAKER, -1]),
    translation=st.sampled_from([None, " t"]),
)
STATES = st.builds(
    FrontData,
    status=st.sampled_from(["active_transcription", "error"]),
    error=st.sampled_from(["", "broken"]),
    lines=st.lists(LINES, max_size=6),
    buffer_transcription=st.sampled_from(["", " so"]),
    remaining_time_transcription=st.sampled_from([0.0, 1.5]),
    warning=st.sampled_from(["", "look"]),
)


@given(states=st.lists(STATES, max_size=8), resets=st.sets(st.integers(0, 8)))
def test_any_states_are_reconstructed(states: list[FrontData], resets: set[int]) -> None:
    tracker, client = DiffTracker(), LiveKitClient()

    for number, each in enumerate(states):
        if number in resets:
            tracker.reset()
        client.on_message(json.loads(json.dumps(tracker.to_message(each))))

        assert client.state == each.to_dict()


@st.composite
def edited_states(draw: st.DrawFn) -> list[FrontData]:
    """States each made of the one before: a growing last line, new lines, pruning, re-cut lines."""
    lines: list[Line] = []
    states: list[FrontData] = []
    for step in range(draw(st.integers(1, 12))):
        match draw(st.sampled_from(["grow", "grow", "append", "append", "prune", "recut"])):
            case "grow" if lines:
                last = lines[-1]
                lines[-1] = Line(last.start, step, f"{last.text} more", last.speaker)
            case "prune":
                del lines[: draw(st.integers(0, len(lines)))]
            case "recut" if lines:
                at = draw(st.integers(0, len(lines) - 1))
                lines[at:] = [Line(step, step, " cut", 1), Line(step, step, " here", 2)]
            case _:
                lines.append(Line(step, step, f" {step}", draw(st.sampled_from([1, 2]))))
        states.append(FrontData(lines=list(lines)))
    return states


@given(states=edited_states())
def test_edited_states_are_reconstructed(states: list[FrontData]) -> None:
    tracker, client = DiffTracker(), LiveKitClient()

    for each in states:
        client.on_message(tracker.to_message(each))

        assert client.state == each.to_dict()
