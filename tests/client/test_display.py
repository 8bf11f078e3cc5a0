"""Captions in the terminal and in a pipe."""

import errno
import io

import pytest
from rich.console import Console
from rich.text import Text

from whisper_streaming.client.display import (
    CallbackReport,
    LiveCaptions,
    PlainCaptions,
    open_caption,
)
from whisper_streaming.client.result import TranscriptSegment
from whisper_streaming.errors import ClientError, OutputError


def done(start: float, text: str) -> TranscriptSegment:
    return TranscriptSegment(start=start, end=start + 1.0, text=text, completed=True)


def still_open(start: float, text: str, committed: str | None = None) -> TranscriptSegment:
    segment = TranscriptSegment(start=start, end=start + 1.0, text=text, completed=False)
    if committed is not None:
        segment["committed_text"] = committed
    return segment


STATES: list[list[TranscriptSegment]] = [
    [still_open(0.0, " Hel")],
    [still_open(0.0, " Hello wor", " Hello")],
    [done(0.0, " Hello world.")],
    [done(0.0, " Hello world."), still_open(1.0, " Good")],
    [done(0.0, " Hello world."), done(1.0, " Good bye.")],
]


def test_a_pipe_gets_completed_lines_only_and_each_once() -> None:
    captions, notices = io.StringIO(), io.StringIO()
    with PlainCaptions(captions, notices) as display:
        display.notify("demo model")
        for state in STATES:
            display("", state)

    assert captions.getvalue() == "Hello world.\nGood bye.\n"
    assert notices.getvalue() == "demo model\n"


def test_a_pipe_gets_a_line_as_soon_as_it_is_completed() -> None:
    captions = io.StringIO()
    display = PlainCaptions(captions, io.StringIO())

    display("", STATES[1])
    assert captions.getvalue() == ""
    display("", STATES[2])
    assert captions.getvalue() == "Hello world.\n"


@pytest.mark.parametrize("kind", [PlainCaptions, CallbackReport])
def test_a_reader_that_left_is_told_once_and_again_at_the_end(kind: type[PlainCaptions]) -> None:
    class Abandoned(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    left: list[str] = []
    display = kind(Abandoned(), io.StringIO())
    display.on_gone = lambda: left.append("left")

    with pytest.raises(BrokenPipeError), display:
        for state in STATES:
            display("", state)

    assert left == ["left"]


def test_a_reader_that_left_does_not_hide_why_the_session_failed() -> None:
    """Else nobody would write the files of what was heard until then."""

    class Abandoned(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    with pytest.raises(ClientError, match="gone"), PlainCaptions(Abandoned(), io.StringIO()):
        raise ClientError("the server is gone")


def test_a_full_disk_is_told_once_and_again_at_the_end() -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    left: list[str] = []
    display = PlainCaptions(Full(), io.StringIO())
    display.on_gone = lambda: left.append("left")

    with pytest.raises(OutputError, match="cannot be written: No space left"), display:
        for state in STATES:
            display("", state)

    assert left == ["left"]


def test_a_terminal_shows_completed_captions_once_and_clears_the_open_one() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=60, color_system=None)
    with LiveCaptions(console) as display:
        display.notify("demo model")
        for state in STATES:
            display("", state)

    screen = render(output.getvalue())
    assert screen == ["demo model", "Hello world.", "Good bye."]


def test_a_caption_is_never_on_the_screen_twice() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=60, color_system=None)
    with LiveCaptions(console) as display:
        display("", [still_open(0.0, " Hello world.")])
        display("", [done(0.0, " Hello world."), still_open(1.0, " Good")])

    written = output.getvalue()
    for end, character in enumerate(written):
        if character in "\r\n":
            assert render(written[:end]).count("Hello world.") <= 1
    assert render(written) == ["Hello world.", "Good"]


def test_the_words_of_a_session_that_was_cut_stay_on_the_screen() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=60, color_system=None)
    with LiveCaptions(console) as display:
        display("", STATES[3])

    assert render(output.getvalue()) == ["Hello world.", "Good"]


def test_a_caption_longer_than_the_terminal_leaves_no_trace() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=20, color_system=None)
    with LiveCaptions(console) as display:
        display("", [still_open(0.0, " one two three four five six seven")])
        display("", [still_open(0.0, " one two three four five six seven eight")])
        display("", [done(0.0, " one two.")])

    assert render(output.getvalue()) == ["one two."]


@pytest.mark.parametrize(
    ("segment", "solid", "dim"),
    [
        pytest.param(still_open(0, " Hello wor", " Hello"), "Hello", " wor", id="both"),
        pytest.param(still_open(0, " Hello"), "", "Hello", id="nothing committed"),
        pytest.param(still_open(0, " Hello", " Hello"), "Hello", "", id="all committed"),
        pytest.param(still_open(0, " Hello", ""), "", "Hello", id="committed is empty"),
    ],
)
def test_committed_words_are_solid_and_the_rest_is_dim(
    segment: TranscriptSegment, solid: str, dim: str
) -> None:
    caption = open_caption(segment)

    dimmed = "".join(
        caption.plain[span.start : span.end] for span in caption.spans if span.style == "dim"
    )
    assert caption.plain == solid + dim
    assert dimmed == dim


def test_the_speaker_stands_before_the_caption() -> None:
    captions = io.StringIO()
    segment = done(0.0, " Hi.")
    segment["speaker"] = "SPEAKER_01"

    PlainCaptions(captions, io.StringIO())("", [segment])

    assert captions.getvalue() == "[SPEAKER_01] Hi.\n"
    assert isinstance(open_caption(segment), Text)
    assert open_caption(segment).plain == "[SPEAKER_01] Hi."


def test_text_that_looks_like_markup_is_shown_as_it_is() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=60, color_system=None)
    with LiveCaptions(console) as display:
        display("", [done(0.0, " [bold]loud[/bold]")])

    assert render(output.getvalue()) == ["[bold]loud[/bold]"]


def test_the_callback_report_prints_every_update() -> None:
    captions = io.StringIO()
    report = CallbackReport(captions, io.StringIO())

    report("Hello world. Good", STATES[3])

    assert captions.getvalue() == (
        "Transcribed: Hello world. Good\n  [0.00s-1.00s]: Hello world.\n  [1.00s-2.00s]: Good ...\n"
    )


def render(output: str) -> list[str]:
    """The lines that a terminal shows after ``output``, without empty ones at the end."""
    lines, row, column = [""], 0, 0
    position = 0
    while position < len(output):
        character = output[position]
        position += 1
        if character == "\x1b":
            assert output[position] == "["
            end = position + 1
            while not output[end].isalpha():
                end += 1
            number = output[position + 1 : end]
            match output[end]:
                case "A":
                    row -= int(number or 1)
                case "K" if number == "2":
                    lines[row] = ""
                case "m" | "h" | "l":
                    pass  # colours, and hiding the cursor
                case other:
                    raise AssertionError(f"unknown control sequence {number}{other}")
            position = end + 1
        elif character == "\n":
            row, column = row + 1, 0
            if row == len(lines):
                lines.append("")
        elif character == "\r":
            column = 0
        else:
            lines[row] = lines[row][:column].ljust(column) + character + lines[row][column + 1 :]
            column += 1
    while lines and not lines[-1].strip():
        lines.pop()
    return [line.rstrip() for line in lines]
