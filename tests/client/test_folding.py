"""Folding of windows of segments into one transcript."""

from hypothesis import given
from hypothesis import strategies as st

from whisper_streaming.client.folding import TranscriptFold
from whisper_streaming.wire.whisper_live_messages import WireSegment


def captions(*texts: str) -> list[WireSegment]:
    """Completed segments of one second each, one after the other."""
    return [WireSegment(float(i), i + 1.0, text, completed=True) for i, text in enumerate(texts)]


def open_caption(start: float, text: str) -> WireSegment:
    return WireSegment(start, start + 0.5, text, completed=False)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[WireSegment], list[list[WireSegment]]]:
    """A transcript and the messages of a server that sends windows of its last N segments.

    Texts repeat often, messages repeat, and more than one segment may complete between two
    messages, though never more than a window holds.
    """
    window_size = draw(st.integers(1, 5))
    steps = draw(st.lists(st.integers(0, window_size), max_size=30))
    texts = st.sampled_from([" yes.", " no.", " yes. yes.", "はい"])
    transcript: list[WireSegment] = []
    messages: list[list[WireSegment]] = []
    for step in steps:
        for _ in range(step):
            start = transcript[-1].end if transcript else 0.0
            start += draw(st.sampled_from([0.0, 0.25]))
            transcript.append(WireSegment(start, start + 0.5, draw(texts), completed=True))
        message = transcript[-window_size:]
        if draw(st.booleans()):
            end = transcript[-1].end if transcript else 0.0
            message = [*message, open_caption(end, draw(texts))]
        messages.append(message)
    return transcript, messages


@given(histories())
def test_windows_yield_every_completed_segment_once_and_in_order(
    history: tuple[list[WireSegment], list[list[WireSegment]]],
) -> None:
    transcript, messages = history
    fold = TranscriptFold()
    shown_before: list[object] = []
    for message in messages:
        fold.receive(message)
        completed = [s for s in fold.update().segments if s["completed"]]
        # What was completed once stays where it is, and as it is.
        assert completed[: len(shown_before)] == shown_before
        shown_before = list(completed)

    segments = fold.update().segments
    open_ones = [s for s in segments if not s["completed"]]
    last_message_is_open = bool(messages) and any(not s.completed for s in messages[-1])

    assert [(s["start"], s["end"], s["text"]) for s in segments if s["completed"]] == [
        (s.start, s.end, s.text) for s in transcript
    ]
    assert len(open_ones) == int(last_message_is_open)
    assert segments[len(segments) - len(open_ones) :] == open_ones


def test_a_burst_longer_than_the_window_keeps_what_was_sent() -> None:
    every = captions(" a", " b", " c", " d", " e")
    fold = TranscriptFold()

    fold.receive(every[:1])
    fold.receive(every[3:])

    assert fold.update().text == "a d e"


def test_a_repeated_sentence_is_kept() -> None:
    fold = TranscriptFold()

    fold.receive(captions(" Yes.", " Yes.", " Yes."))

    assert fold.update().text == "Yes. Yes. Yes."


def test_a_server_that_changes_a_completed_segment_doubles_nothing() -> None:
    before = captions(" one", " two", " three")
    after = [*before[:2], WireSegment(2.0, 3.0, " Three!", completed=True)]
    fold = TranscriptFold()

    fold.receive(before)
    fold.receive(after)

    assert fold.update().text == "one two three"


def test_an_empty_message_withdraws_the_open_segment() -> None:
    fold = TranscriptFold()
    fold.receive([open_caption(0.0, " Hm")])
    assert fold.has_open_segment

    assert fold.receive([])

    assert not fold.has_open_segment
    assert fold.update().segments == []


def test_a_message_that_says_nothing_new_changes_nothing() -> None:
    window = [*captions(" a"), open_caption(1.0, " b")]
    fold = TranscriptFold()

    assert fold.receive(window)
    assert not fold.receive(window)


def test_an_open_segment_can_be_taken_as_final() -> None:
    fold = TranscriptFold()
    fold.receive([*captions(" a"), open_caption(1.0, " b")])

    fold.complete_open_segment()

    assert [s["completed"] for s in fold.update().segments] == [True, True]
    assert fold.update().text == "a b"


def test_the_list_of_an_update_is_the_receivers_own() -> None:
    fold = TranscriptFold()
    fold.receive(captions(" a"))

    fold.update().segments.clear()

    assert len(fold.update().segments) == 1
