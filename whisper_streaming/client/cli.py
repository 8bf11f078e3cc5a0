"""The client's command line: live captions of the microphone, a recording or a pipe."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final

from rich.console import Console

from whisper_streaming.captions import CaptionRules
from whisper_streaming.cli_flags import (
    FlagParser,
    print_any_text,
    print_text,
    program_name,
    stop_printing,
)
from whisper_streaming.client.base import AUTO_LANGUAGE
from whisper_streaming.client.caption_flags import add_caption_flags, caption_rules
from whisper_streaming.client.display import (
    CallbackReport,
    Display,
    LiveCaptions,
    PlainCaptions,
)
from whisper_streaming.client.microphone import list_devices
from whisper_streaming.client.outputs import write_file
from whisper_streaming.client.result import TranscriptionResult
from whisper_streaming.client.source import STANDARD_INPUT
from whisper_streaming.client.subtitles import FORMATS, render
from whisper_streaming.client.websocket_client import TranscriptionClient
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.errors import ClientError, ConfigurationError, WhisperStreamingError
from whisper_streaming.version import __version__

EXIT_INCOMPLETE: Final = 3
EXIT_INTERRUPTED: Final = 130  # what shells expect after Ctrl-C

_OUTPUTS: Final = (
    ("srt", "SubRip"),
    ("vtt", "WebVTT"),
    ("json", "JSON"),
    ("jsonl", "JSON lines"),
    ("tsv", "a table with tabs"),
    ("txt", "text"),
)

_EPILOG: Final = """\
examples:
  %(prog)s                                         captions of the microphone
  %(prog)s --audio-file talk.mp3                   a recording, at the pace it was spoken
  %(prog)s --audio-file talk.mp3 --fast --output-srt talk.srt
  %(prog)s --audio-file rtsp://camera.local/live   a stream
  %(prog)s --language tr --translate               Turkish speech as English captions
  %(prog)s --language tr --target-language en      both: Turkish captions and their translation
  %(prog)s --list-devices                          which microphones there are
  ffmpeg -i talk.mkv -f wav - | %(prog)s --audio-file -
  arecord -f S16_LE -r 16000 -t raw | %(prog)s --audio-file - --raw-format int16

Ctrl-C ends the audio; the last words are waited for and the files are written.
Start a server with: python run_websocket_server.py

exit status: 0 all is transcribed, 1 the server or the audio failed, 2 wrong usage,
3 the server's time limit cut the session short
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the client; returns the exit status."""
    return run(build_parser(), argv)


def run(
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None,
    prepare: Callable[[argparse.Namespace], AbstractContextManager[object]] = nullcontext,
) -> int:
    """Run the client with the flags of ``parser``; returns the exit status.

    Args:
        parser: Of :func:`build_parser`; may know more flags.
        argv: The arguments; None takes those of the process.
        prepare: Makes what the session needs while it runs, such as a server; may change the
            arguments when it is entered.
    """
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as exc:  # argparse has printed what is wrong, or the help
        return exc.code if isinstance(exc.code, int) else 2
    logging.basicConfig(
        level=arguments.log_level,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    print_any_text()
    try:
        if arguments.list_devices:
            return _print_devices()
        _check_raw_flags(arguments)
        with prepare(arguments):
            return _transcribe(arguments)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        stop_printing()
        return ClientError.exit_status
    except WhisperStreamingError as exc:
        sys.stderr.write(f"{parser.prog}: {exc}\n")
        return exc.exit_status


def _transcribe(arguments: argparse.Namespace) -> int:
    outputs, rules = _outputs(arguments), caption_rules(arguments)
    translation = _translation_output(arguments)
    display = _choose_display(arguments)
    client = TranscriptionClient(
        host=arguments.host,
        port=arguments.port,
        language=arguments.language,
        model=arguments.model,
        translate=arguments.translate,
        target_language=arguments.target_language,
        transcription_callback=display,
        translation_callback=display.translate,
        notice_callback=display.notify,
        use_vad=arguments.use_vad,
        url=arguments.url,
        token=arguments.token,
        ca_file=arguments.ca_file,
        initial_prompt=arguments.initial_prompt,
        hotwords=arguments.hotwords,
        word_timestamps=arguments.word_timestamps,
        chunk_ms=arguments.chunk_ms,
        realtime=arguments.realtime,
        device_index=arguments.device_index,
    )
    if isinstance(display, PlainCaptions) and not outputs and not translation:
        display.on_gone = client.stop
    try:
        with display:
            result = client(
                arguments.audio_file,
                sample_rate=_or(arguments.sample_rate, SAMPLE_RATE),
                channels=_or(arguments.channels, 1),
                raw_format=arguments.raw_format,
            )
            # Before the captions, which may go to a terminal or pipe that is gone by now.
            _write(result.best, outputs, rules)
            _write(result.translated(), translation, rules)
            # A server that cuts its last words short leaves them open until the very end.
            display(result.text, result.segments)
    except ClientError as exc:
        if isinstance(exc.result, TranscriptionResult):
            _write(exc.result, outputs, rules)
            _write(exc.result.translated(), translation, rules)
        raise
    return _judge(result)


def _or(given: int | None, default: int) -> int:
    return default if given is None else given


def _judge(result: TranscriptionResult) -> int:
    if result.is_overtime:
        sys.stderr.write(
            "the server's time limit ended the session; the rest of the audio is not "
            "transcribed (--max-connection-time of the server)\n"
        )
        return EXIT_INCOMPLETE
    if not result.complete:
        lost_s = sum(gap.end - gap.start for gap in result.gaps)
        sys.stderr.write(f"the transcript is not complete: {lost_s:.1f} s of audio were lost\n")
        return ClientError.exit_status
    return 0


def _outputs(arguments: argparse.Namespace) -> dict[str, Path]:
    """Where to write which format; checked now, since afterwards the transcript would be lost."""
    outputs: dict[str, Path] = {}
    for name in FORMATS:
        path: Path | None = getattr(arguments, f"output_{name}")
        if path is not None:
            check_folder(path, f"--output-{name}")
            outputs[name] = path
    return outputs


def _check_raw_flags(arguments: argparse.Namespace) -> None:
    """Refuse what would have no effect, before anything is started.

    Raises:
        ConfigurationError: If a flag of raw samples is given for another source.
    """
    if arguments.raw_format is not None and arguments.audio_file != STANDARD_INPUT:
        raise ConfigurationError(
            "--raw-format is for samples on standard input: add --audio-file - and pipe them in"
        )
    if arguments.raw_format is not None:
        return
    flags = {"--sample-rate": arguments.sample_rate, "--channels": arguments.channels}
    for flag, value in flags.items():
        if value is not None:
            raise ConfigurationError(
                f"{flag} is for raw samples only, with --audio-file - and --raw-format; "
                "a microphone or a recording with a header knows its own"
            )


def _translation_output(arguments: argparse.Namespace) -> dict[str, Path]:
    """Where to write the translation; its name says in which format."""
    path: Path | None = arguments.output_translation
    if path is None:
        return {}
    if arguments.target_language is None:
        raise ConfigurationError("--output-translation needs a --target-language")
    name = path.suffix.removeprefix(".")
    if name not in FORMATS:
        endings = ", ".join(f".{each}" for each in FORMATS)
        raise ConfigurationError(f"--output-translation {path} must end in one of {endings}")
    check_folder(path, "--output-translation")
    return {name: path}


def check_outputs(arguments: argparse.Namespace) -> None:
    """Find out before the work what would fail after it.

    Raises:
        ConfigurationError: If a file that is asked for cannot be there.
    """
    _outputs(arguments)
    _translation_output(arguments)


def check_folder(path: Path, flag: str) -> None:
    """Check the place of a file to be written.

    Raises:
        ConfigurationError: If there is no folder for it, or a folder in its place.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigurationError(f"{flag} {path}: there is no such folder")


def _write(result: TranscriptionResult, outputs: dict[str, Path], rules: CaptionRules) -> None:
    for name, path in outputs.items():
        write_file(path, render(result, name, rules))


def _choose_display(arguments: argparse.Namespace) -> Display:
    if arguments.use_callback:
        return CallbackReport()
    console = Console(highlight=False)
    return LiveCaptions(console) if console.is_terminal else PlainCaptions()


def _print_devices() -> int:
    devices = list_devices()
    for device in devices:
        mark = "*" if device.is_default else " "
        print_text(
            f"{mark} {device.index:>3}  {device.name}  ({device.channels} channels, "
            f"{device.sample_rate} Hz)\n"
        )
    if not devices:
        sys.stderr.write("there is no microphone\n")
    return 0 if devices else 1


def build_parser() -> argparse.ArgumentParser:
    """The flags of the client."""
    parser = FlagParser(
        prog=program_name("example_websocket_client.py", "listen"),
        description="Show live captions of what a transcription server hears.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"whisper-streaming {__version__}")
    _add_server_flags(parser.add_argument_group("server"))
    _add_speech_flags(parser.add_argument_group("speech"))
    _add_audio_flags(parser.add_argument_group("audio"))
    _add_output_flags(parser.add_argument_group("output"))
    add_caption_flags(parser.add_argument_group("captions in SRT and VTT files"))
    return parser


def _add_server_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--host", default="localhost", help="server host (default: localhost)")
    group.add_argument("--port", type=int, default=9090, help="its port (default: 9090)")
    group.add_argument("--url", help="ws:// or wss:// address, instead of host and port")
    group.add_argument("--token", help="sent as Authorization: Bearer TOKEN")
    group.add_argument("--ca-file", help="PEM file of the authority behind a wss:// server")


def _add_speech_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--language",
        default="en",
        help="spoken language as a Whisper code, several with commas to detect it among them, or "
        f"{AUTO_LANGUAGE} (default: %(default)s)",
    )
    group.add_argument("--model", default="small", help="model to ask for (default: small)")
    group.add_argument("--translate", action="store_true", help="translate to English")
    group.add_argument(
        "--target-language",
        metavar="CODE",
        help="also translate the words to this language, if the server can",
    )
    group.add_argument("--initial-prompt", help="text before the audio: names, style")
    group.add_argument("--hotwords", help="words that are likely to be said")
    group.add_argument(
        "--use-vad",
        dest="use_vad",
        action="store_true",
        default=True,
        help="withhold silence from the model (default)",
    )
    group.add_argument("--no-vad", dest="use_vad", action="store_false", help="decode all audio")


def _add_audio_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--audio-file", help="file, URL, or - for standard input (default: the microphone)"
    )
    group.add_argument("--list-devices", action="store_true", help="list microphones and exit")
    group.add_argument("--device-index", type=int, help="which microphone")
    group.add_argument(
        "--chunk-ms", type=int, default=100, help="length of one message (default: %(default)s)"
    )
    group.add_argument(
        "--fast",
        "--no-realtime",
        dest="realtime",
        action="store_false",
        help="send a recording as fast as the server takes it, not as it was spoken",
    )
    group.add_argument(
        "--raw-format",
        choices=("float32", "int16"),
        help="standard input holds raw samples of this type, without a header",
    )
    group.add_argument(
        "--sample-rate",
        type=int,
        metavar="HZ",
        help=f"of raw samples, only with --raw-format (default: {SAMPLE_RATE})",
    )
    group.add_argument(
        "--channels", type=int, help="of raw samples, only with --raw-format (default: 1)"
    )


def _add_output_flags(group: argparse._ArgumentGroup) -> None:
    for name, title in _OUTPUTS:
        group.add_argument(
            f"--output-{name}", type=Path, metavar="FILE", help=f"write the transcript as {title}"
        )
    group.add_argument(
        "--output-translation",
        type=Path,
        metavar="FILE",
        help="write the translation; the name ends in .srt, .vtt, .json, .jsonl, .tsv or .txt",
    )
    group.add_argument("--word-timestamps", action="store_true", help="ask for times of words")
    group.add_argument(
        "--use-callback", action="store_true", help="print every update as a callback gets it"
    )
    group.add_argument(
        "--log-level",
        type=str.upper,
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
        default="WARNING",
        help="(default: %(default)s)",
    )
