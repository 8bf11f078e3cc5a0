"""``whisper-streaming transcribe FILE ...``: recordings to text, with no server to start first."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from whisper_streaming.cli_flags import FlagParser, print_any_text, stop_printing
from whisper_streaming.client import TranscriptionClient, TranscriptionResult
from whisper_streaming.client.caption_flags import add_caption_flags, caption_rules
from whisper_streaming.client.display import PlainCaptions
from whisper_streaming.client.subtitles import FORMATS, render
from whisper_streaming.config import load_config
from whisper_streaming.errors import ClientError, ConfigurationError, WhisperStreamingError
from whisper_streaming.local_server import LOCAL_HOST, local_server
from whisper_streaming.server.logs import setup_logging

EXIT_INCOMPLETE: Final = 3
EXIT_INTERRUPTED: Final = 130

# The limit protects a server from its clients; here both are the same person.
_NO_TIME_LIMIT_S: Final = 30 * 24 * 3600.0

_EPILOG: Final = """\
examples:
  %(prog)s talk.mp3                                 to the terminal
  %(prog)s *.wav --format srt --output-dir captions  captions/NAME.srt for each
  %(prog)s talk.mp3 --model medium --language auto
  %(prog)s talk.mp3 --url wss://captions.example.org  by a server that runs already

exit status: 0 all is transcribed, 1 a recording or the model failed, 2 wrong usage,
3 the server's time limit cut a recording short
"""


@dataclass(frozen=True, slots=True)
class _Address:
    """Where the server is."""

    host: str
    port: int
    url: str | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Transcribe the recordings one after the other; returns the exit status."""
    parser = _build_parser()
    arguments = parser.parse_args(argv)
    setup_logging("INFO" if arguments.verbose else "WARNING")
    print_any_text()
    try:
        _check_output(arguments.output_dir, arguments.files, arguments.format)
        with _server(arguments) as address:
            return max(_transcribe(file, address, arguments) for file in arguments.files)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        stop_printing()
        return 1
    except WhisperStreamingError as exc:
        sys.stderr.write(f"{parser.prog}: {exc}\n")
        return exc.exit_status


@contextmanager
def _server(arguments: argparse.Namespace) -> Iterator[_Address]:
    """The server that the user named, or one of our own while the context is open."""
    if arguments.url or arguments.host or arguments.port is not None:
        port = 9090 if arguments.port is None else arguments.port
        yield _Address(arguments.host or "localhost", port, arguments.url)
        return
    flags = {
        "backend.models": (arguments.model,) if arguments.model else None,
        "backend.device": arguments.device,
        "backend.compute_type": arguments.compute_type,
        "backend.beam_size": arguments.beam_size,
        "backend.threads": arguments.threads,
        "limits.max_connection_time_s": _NO_TIME_LIMIT_S,
        # One client, whose audio need not be kept up with: how fast the machine is does not matter.
        "limits.calibration_s": 0,
    }
    given = {name: value for name, value in flags.items() if value is not None}
    with local_server(load_config(flags=given, environ=os.environ)) as port:
        yield _Address(LOCAL_HOST, port)


def _transcribe(file: str, address: _Address, arguments: argparse.Namespace) -> int:
    """Transcribe one recording and write it; returns the status that it alone would give."""
    is_live = arguments.format == "txt" and arguments.output_dir is None
    if len(arguments.files) > 1 and arguments.output_dir is None:
        sys.stdout.write(f"== {file}\n")
    captions = PlainCaptions()
    client = TranscriptionClient(
        address.host,
        address.port,
        arguments.language,
        arguments.model or "small",
        arguments.translate,
        url=address.url,
        token=arguments.token,
        ca_file=arguments.ca_file,
        use_vad=arguments.use_vad,
        initial_prompt=arguments.initial_prompt,
        hotwords=arguments.hotwords,
        realtime=False,
        transcription_callback=captions if is_live else None,
        notice_callback=captions.notify,
    )
    try:
        result = client(file)
    except WhisperStreamingError as exc:
        sys.stderr.write(f"{file}: {exc}\n")
        heard = exc.result if isinstance(exc, ClientError) else None
        if isinstance(heard, TranscriptionResult) and heard.segments and not is_live:
            _write(heard, file, arguments)
        return exc.exit_status
    if is_live:
        captions(result.text, [{**segment, "completed": True} for segment in result.segments])
    else:
        _write(result, file, arguments)
    return _judge(result, file)


def _write(result: TranscriptionResult, file: str, arguments: argparse.Namespace) -> None:
    form, folder = arguments.format, arguments.output_dir
    text = render(result, form, caption_rules(arguments))
    if folder is None:
        sys.stdout.write(text)
        return
    path = _output_path(folder, file, form)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be written: {exc.strerror}") from exc
    sys.stderr.write(f"wrote {path}\n")


def _judge(result: TranscriptionResult, file: str) -> int:
    if result.complete:
        return 0
    reason = "the server's time limit cut it short" if result.is_overtime else "parts were lost"
    sys.stderr.write(f"{file}: the transcript is not complete: {reason}\n")
    return EXIT_INCOMPLETE if result.is_overtime else 1


def _check_output(folder: Path | None, files: Sequence[str], form: str) -> None:
    """Find out before the work what would fail after it."""
    if folder is None:
        return
    if not folder.is_dir():
        raise ConfigurationError(f"--output-dir {folder}: there is no such folder")
    paths = [_output_path(folder, file, form) for file in files]
    twice = {path.name for path in paths if paths.count(path) > 1}
    if twice:
        raise ConfigurationError(f"two recordings would both be written to {', '.join(twice)}")


def _output_path(folder: Path, file: str, form: str) -> Path:
    return folder / f"{Path(urlsplit(file).path).stem or 'transcript'}.{form}"


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
        help="spoken language as a Whisper code, or auto (default: %(default)s)",
    )
    group.add_argument("--translate", action="store_true", help="translate to English")
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


def _add_server_flags(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--host", help="its host (with --port: localhost)")
    group.add_argument("--port", type=int, help="its port (with --host: 9090)")
    group.add_argument("--url", help="its ws:// or wss:// address")
    group.add_argument("--token", help="sent as Authorization: Bearer TOKEN")
    group.add_argument("--ca-file", help="PEM file of the authority behind a wss:// server")


def _add_output_flags(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--format", choices=tuple(FORMATS), default="txt", help="(default: txt)")
    group.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="write DIR/NAME.FORMAT for each recording"
    )
    group.add_argument("--verbose", action="store_true", help="log what the server does")
