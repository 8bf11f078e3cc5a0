"""Captions in the terminal. Each display is a ``transcription_callback`` and a context manager.

Final translations follow their captions, each on a line of its own.
"""

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from whisper_streaming.cli_flags import stop_printing
from whisper_streaming.client.result import TranscriptSegment, TranslatedSegment
from whisper_streaming.client.subtitles import one_line
from whisper_streaming.errors import OutputError


class Display(Protocol):
    """Shows a transcript while it grows."""

    def __enter__(self) -> "Display": ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def __call__(self, text: str, segments: list[TranscriptSegment]) -> None:
        """Show the newest state of the transcript."""
        ...

    def translate(self, text: str, translations: list[TranslatedSegment]) -> None:
        """Show the newest state of the translation; a ``translation_callback``."""
        ...

    def notify(self, notice: str) -> None:
        """Show something that is no part of the transcript."""
        ...


class LiveCaptions:
    """Captions that grow in place: words that may change are dim, final ones are solid.

    Completed captions scroll up; below them stands the open one.

    Args:
        console: A terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, transient=True, auto_refresh=False)
        self._shown = 0
        self._shown_translations = 0
        self._open = Text()

    def __enter__(self) -> "LiveCaptions":
        self._live.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()
        if self._open:  # a session that was cut: its last words stay on the screen
            self._console.print(self._open)

    def __call__(self, text: str, segments: list[TranscriptSegment]) -> None:
        completed = [segment for segment in segments if segment["completed"]]
        still_open = segments[len(completed) :]
        self._open = open_caption(still_open[-1]) if still_open else Text()
        # Replaced before printing, which draws it again: the old one would flash up below its
        # own completed form.
        self._live.update(self._open, refresh=True)
        for segment in completed[self._shown :]:
            self._console.print(Text(_caption(segment)))
        self._shown = len(completed)

    def translate(self, text: str, translations: list[TranslatedSegment]) -> None:
        for line in _new_translations(translations, self._shown_translations):
            self._console.print(Text(line, style="cyan"))
        self._shown_translations = _count_final(translations)

    def notify(self, notice: str) -> None:
        self._console.print(Text(notice, style="yellow"))


class PlainCaptions:
    """One line per completed caption, for pipes and files; nothing is overwritten.

    A reader who goes away (``| head``), or a full disk, ends no session, whose transcript may be
    wanted elsewhere, too: ``on_gone`` is called, and :meth:`flush` tells it in the end.

    Args:
        captions: Where captions go.
        notices: Where everything else goes.

    Attributes:
        on_gone: Called once when nobody gets the captions any more.
    """

    def __init__(self, captions: TextIO | None = None, notices: TextIO | None = None) -> None:
        self.on_gone: Callable[[], object] = lambda: None
        self._captions = captions or sys.stdout
        self._notices = notices or sys.stderr
        self._failure: OSError | None = None
        self._shown = 0
        self._shown_translations = 0

    def __enter__(self) -> "PlainCaptions":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is None:  # else it would hide what went wrong, and what was heard until then
            self.flush()

    def __call__(self, text: str, segments: list[TranscriptSegment]) -> None:
        completed = [segment for segment in segments if segment["completed"]]
        for segment in completed[self._shown :]:
            self._print(_caption(segment))
        self._shown = len(completed)

    def translate(self, text: str, translations: list[TranslatedSegment]) -> None:
        for line in _new_translations(translations, self._shown_translations):
            self._print(line)
        self._shown_translations = _count_final(translations)

    def notify(self, notice: str) -> None:
        self._notices.write(f"{notice}\n")
        self._notices.flush()

    def flush(self) -> None:
        """See to it that all is printed.

        Raises:
            BrokenPipeError: If nobody reads it.
            OutputError: If it cannot be written.
        """
        match self._failure:
            case None:
                self._captions.flush()
            case BrokenPipeError():
                raise self._failure
            case failure:
                raise OutputError(failure) from failure

    def _print(self, line: str) -> None:
        if self._failure is not None:
            return
        try:
            self._captions.write(f"{line}\n")
            self._captions.flush()
        except OSError as exc:
            self._failure = exc
            if self._captions is sys.stdout:
                stop_printing()
            self.on_gone()


class CallbackReport(PlainCaptions):
    """What a program's callback gets, printed on every update: the text and its segments."""

    def __call__(self, text: str, segments: list[TranscriptSegment]) -> None:
        lines = [f"Transcribed: {text}"]
        for segment in segments:
            mark = "" if segment["completed"] else " ..."
            times = f"[{segment['start']:.2f}s-{segment['end']:.2f}s]"
            lines.append(f"  {times}: {one_line(segment)}{mark}")
        self._print("\n".join(lines))

    def translate(self, text: str, translations: list[TranslatedSegment]) -> None:
        self._print(f"Translated: {text}")


def open_caption(segment: TranscriptSegment) -> Text:
    """An open caption with its committed words solid and the rest dim."""
    committed = segment.get("committed_text", "")
    caption = Text(f"[{segment['speaker']}] " if segment.get("speaker") else "")
    caption.append(committed.lstrip())
    rest = segment["text"].removeprefix(committed)
    caption.append(rest if committed else rest.lstrip(), style="dim")
    return caption


def _caption(segment: TranscriptSegment) -> str:
    speaker = segment.get("speaker")
    return f"[{speaker}] {one_line(segment)}" if speaker else one_line(segment)


def _count_final(translations: list[TranslatedSegment]) -> int:
    return sum(each["completed"] for each in translations)


def _new_translations(translations: list[TranslatedSegment], shown: int) -> list[str]:
    """Final translations after the ``shown`` first ones, each with its language."""
    final = [each for each in translations if each["completed"]]
    return [f"  [{each['target_language']}] {each['text']}" for each in final[shown:]]
