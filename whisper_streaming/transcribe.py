"""``whisper-streaming transcribe FILE ...``: recordings to text, with no server to start first."""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from whisper_streaming.cli_flags import (
    FlagParser,
    add_set_flag,
    print_any_text,
    print_text,
    stop_printing,
)
from whisper_streaming.client import TranscriptionClient, TranscriptionResult, TranscriptSegment
from whisper_streaming.client.caption_flags import add_caption_flags, caption_rules
from whisper_streaming.client.display import PlainCaptions
from whisper_streaming.client.outputs import Outputs
from whisper_streaming.client.result import join_texts
from whisper_streaming.client.subtitles import FORMATS, to_text
from whisper_streaming.errors import ClientError, ConfigurationError, WhisperStreamingError
from whisper_streaming.local_server import (
    LOCAL_HOST,
    local_server,
    own_config,
    refuse_own_settings,
)
from whisper_streaming.media import duration_s
from whisper_streaming.server.logs import setup_logging

EXIT_INCOMPLETE: Final = 3
EXIT_INTERRUPTED: Final = 130

_OWN_SERVER_FLAGS: Final = ("device", "compute_type", "beam_size", "threads", "set")

_EPILOG: Final = """\
examples:
  %(prog)s talk.mp3                                 to the terminal
  %(prog)s *.wav --format srt --output-dir captions  captions/NAME.srt for each
  %(prog)s *.wav --format txt,vtt,json --output-dir transcripts
  %(prog)s talk.mp3 --model medium --language auto
  %(prog)s talk.mp3 --set diarization.enabled=true  who speaks, too
  %(prog)s talk.mp3 --task translate --language tr  Turkish speech as English text
  %(prog)s talk.mp3 --url wss://captions.example.org  by a server that runs already

A recording that cannot be read does not keep the others. Ctrl-C writes what was heard so far.

exit status: 0 all is transcribed, 1 a recording or the model failed, 2 wrong usage,
3 the server's time limit cut a recording short, 130 interrupted
"""


@dataclass(frozen=True, slots=True)
class _Address:
    """Where the server is."""

    host: str
    port: int
    url: str | None = None


class _Interrupted(BaseException):
    """Ctrl-C: unlike ``KeyboardInterrupt``, the client does not wait for the last words then."""


def main(argv: Sequence[str] | None = None) -> int:
    """Transcribe the recordings one after the other; returns the exit status."""
    parser = _build_parser()
    arguments = parser.parse_args(argv)
    setup_logging("INFO" if arguments.verbose else "WARNING")
    print_any_text()
    try:
        outputs = _outputs(arguments)
        outputs.check(arguments.files)
        with _interruptible(), _server(arguments) as address, _progress(outputs) as progress:
            program = _Program(arguments, address, outputs, progress)
            return max(program.transcribe(file) for file in arguments.files)
    except (_Interrupted, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        stop_printing()
        return 1
    except WhisperStreamingError as exc:
        sys.stderr.write(f"{parser.prog}: {exc}\n")
        return exc.exit_status


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let the first Ctrl-C raise what ends a session at once; the second one is Python's own."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise _Interrupted

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _server(arguments: argparse.Namespace) -> Iterator[_Address]:
    """The server that the user named, or one of our own while the context is open."""
    if arguments.url or arguments.host or arguments.port is not None:
        refuse_own_settings(arguments, _OWN_SERVER_FLAGS)
        port = 9090 if arguments.port is None else arguments.port
        yield _Address(arguments.host or "localhost", port, arguments.url)
        return
    flags = {
        "backend.models": (arguments.model,) if arguments.model else None,
        "backend.device": arguments.device,
        "backend.compute_type": arguments.compute_type,
        "backend.beam_size": arguments.beam_size,
        "backend.threads": arguments.threads,
        # One client, whose audio need not be kept up with: how fast the machine is does not matter.
        "limits.calibration_s": 0,
    }
    with local_server(own_config(flags, arguments.set)) as port:
        yield _Address(LOCAL_HOST, port)


@contextmanager
def _progress(outputs: Outputs) -> Iterator[Progress | None]:
    """A bar for each recording, for a person who sees nothing else happen; None for others."""
    console = Console(stderr=True)
    is_terminal = sys.stdout.isatty()
    if not console.is_terminal or (is_terminal and _is_live(outputs)):
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    # What goes to a file or a pipe must not be moved to the terminal.
    with Progress(*columns, console=console, redirect_stdout=is_terminal) as progress:
        yield progress


def _is_live(outputs: Outputs) -> bool:
    """Whether lines are printed as they are heard: plain text need not wait for the end."""
    return outputs.formats == ("txt",) and outputs.folder is None


def _is_for_people(outputs: Outputs) -> bool:
    """Whether what is printed may have headings: programs that read JSON stumble over them."""
    return outputs.folder is None and not {"json", "jsonl"} & set(outputs.formats)


class _Program:
    """What the command does with each recording."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        address: _Address,
        outputs: Outputs,
        progress: Progress | None,
    ) -> None:
        self._arguments = arguments
        self._address = address
        self._outputs = outputs
        self._progress = progress
        self._is_live = _is_live(outputs)
        self._captions = PlainCaptions()
        self._segments: list[TranscriptSegment] = []
        self._model_notice: str | None = None

    def transcribe(self, file: str) -> int:
        """Transcribe one recording and write it; returns the status that it alone would give."""
        if len(self._arguments.files) > 1 and _is_for_people(self._outputs):
            print_text(f"== {file}\n")
        self._captions = PlainCaptions()
        self._segments = []
        bar = self._begin_bar(file)
        try:
            result = self._client(bar)(file)
        except _Interrupted:
            self._write_unfinished(file)
            raise
        except WhisperStreamingError as exc:
            sys.stderr.write(f"{_named(file, exc)}\n")
            heard = exc.result if isinstance(exc, ClientError) else None
            if isinstance(heard, TranscriptionResult) and heard.segments:
                self._write(heard, file)
            if self._progress is not None and bar is not None:
                self._progress.remove_task(bar)
            return exc.exit_status
        if self._progress is not None and bar is not None:
            self._progress.update(bar, total=1.0, completed=1.0)
        self._model_notice = result.notice
        # Lines that were printed while they came cannot be taken back.
        is_written = self._write(result if self._is_live else result.best, file)
        return max(_judge(result, file), 0 if is_written else 1)

    def _client(self, bar: TaskID | None) -> TranscriptionClient:
        arguments, address = self._arguments, self._address

        def receive(text: str, segments: list[TranscriptSegment]) -> None:
            self._segments = segments
            if self._is_live:
                self._captions(text, segments)
            if self._progress is not None and bar is not None and segments:
                self._progress.update(bar, completed=segments[-1]["end"])

        client = TranscriptionClient(
            address.host,
            address.port,
            arguments.language,
            arguments.model or "small",
            arguments.task == "translate",
            url=address.url,
            token=arguments.token,
            ca_file=arguments.ca_file,
            use_vad=arguments.use_vad,
            initial_prompt=arguments.initial_prompt,
            hotwords=arguments.hotwords,
            word_timestamps=self._outputs.needs_words,
            realtime=False,
            transcription_callback=receive,
            notice_callback=self._notify,
        )
        self._captions.on_gone = client.stop
        return client

    def _notify(self, notice: str) -> None:
        # What is said of the model holds for all recordings, and is said once.
        if notice != self._model_notice:
            self._captions.notify(notice)

    def _begin_bar(self, file: str) -> TaskID | None:
        if self._progress is None:
            return None
        total = duration_s(file) if Path(file).is_file() else None
        return self._progress.add_task(escape(file), total=total)

    def _write(self, result: TranscriptionResult, file: str) -> bool:
        """Print or write a transcript; returns whether it is where the user wants it."""
        if self._is_live:
            self._captions(
                result.text, [{**segment, "completed": True} for segment in result.segments]
            )
            self._captions.flush()
        elif self._outputs.folder is None:
            print_text(self._outputs.text(result))
        else:
            return self._write_files(result, file)
        return True

    def _write_files(self, result: TranscriptionResult, file: str) -> bool:
        try:
            paths = self._outputs.write(result, file)
        except ConfigurationError as exc:
            # The work is done: a disk that became full must not cost what came of it.
            sys.stderr.write(f"{exc}; here is the text\n")
            print_text(to_text(result))
            return False
        for path in paths:
            sys.stderr.write(f"wrote {path}\n")
        return True

    def _write_unfinished(self, file: str) -> None:
        segments = self._segments
        reached_s = segments[-1]["end"] if segments else 0.0
        sys.stderr.write(f"{file}: interrupted, it is transcribed up to {reached_s:.1f} s\n")
        if segments:
            text = join_texts([segment["text"] for segment in segments])
            self._write(TranscriptionResult(text, segments, complete=False), file)


def _named(file: str, error: WhisperStreamingError) -> str:
    """What went wrong with which recording; many errors begin with its name."""
    text = str(error)
    return text if text.startswith(file) else f"{file}: {text}"


def _judge(result: TranscriptionResult, file: str) -> int:
    if result.complete:
        return 0
    reason = "the server's time limit cut it short" if result.is_overtime else "parts were lost"
    sys.stderr.write(f"{file}: the transcript is not complete: {reason}\n")
    return EXIT_INCOMPLETE if result.is_overtime else 1


def _outputs(arguments: argparse.Namespace) -> Outputs:
    names = [name for names in arguments.format or ["txt"] for name in names.split(",")]
    for name in names:
        if name not in FORMATS:
            raise ConfigurationError(f"there is no format {name!r}; there are {', '.join(FORMATS)}")
    return Outputs(
        tuple(dict.fromkeys(names)),
        arguments.output_dir,
        caption_rules(arguments),
        word_times=arguments.word_times,
    )


def _build_parser() -> argparse.ArgumentParser:
    parser = FlagParser(
        prog="whisper-streaming transcribe",
        description="Transcribe recordings as fast as this machine can. Starts a server inside "
        "this process, unless one is named.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="file or URL, in any format")
    _add_speech_flags(parser.add_argument_group("speech"))
    _add_model_flags(parser.add_argument_group("model"))
    _add_server_flags(parser.add_argument_group("a server that runs already"))
    _add_output_flags(parser.add_argument_group("output"))
    add_caption_flags(parser.add_argument_group("captions in SRT and VTT files"))
    return parser


def _add_speech_flags(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--language",
        default="en",
        help="spoken language as a Whisper code, several with commas to detect it among them, or "
        "auto (default: %(default)s)",
    )
    group.add_argument(
        "--task",
        choices=("transcribe", "translate"),
        default="transcribe",
        help="transcribe, or translate to English (default: %(default)s)",
    )
    group.add_argument(
        "--translate",
        dest="task",
        action="store_const",
        const="translate",
        help="the same as --task translate",
    )
    group.add_argument("--initial-prompt", help="text before the audio: names, style")
    group.add_argument("--hotwords", help="words that are likely to be said")
    group.add_argument("--no-vad", dest="use_vad", action="store_false", help="decode silence too")


def _add_model_flags(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--model",
        help="demo (embedded), tiny ... large-v3, turbo, distil-*, a hub id, or a CTranslate2 "
        "folder (default: small if it can be had, else demo)",
    )
    group.add_argument("--device", help="auto, cpu or cuda")
    group.add_argument("--compute-type", metavar="TYPE", help="such as int8 or float16")
    group.add_argument("--beam-size", metavar="N", help="beam of the last decode of an utterance")
    group.add_argument("--threads", metavar="N", help="CPU threads (default: all)")
    add_set_flag(group)


def _add_server_flags(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--host", help="its host (with --port: localhost)")
    group.add_argument("--port", type=int, help="its port (with --host: 9090)")
    group.add_argument("--url", help="its ws:// or wss:// address")
    group.add_argument("--token", help="sent as Authorization: Bearer TOKEN")
    group.add_argument("--ca-file", help="PEM file of the authority behind a wss:// server")


def _add_output_flags(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--format",
        action="append",
        metavar="FORMAT",
        help=f"one of {', '.join(FORMATS)}; several with commas, or given again (default: txt)",
    )
    group.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="write DIR/NAME.FORMAT for each recording"
    )
    group.add_argument(
        "--word-times", action="store_true", help="times of words in vtt, json and jsonl"
    )
    group.add_argument("--verbose", action="store_true", help="log what the server does")
