"""``whisper-streaming listen``: live captions in this terminal, with no server to start first."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from whisper_streaming.cli_flags import add_set_flag
from whisper_streaming.client.cli import build_parser, check_folder, check_outputs, run
from whisper_streaming.client.microphone import Microphone
from whisper_streaming.client.source import SourceFormat
from whisper_streaming.client.subtitles import FORMATS
from whisper_streaming.config import ServerConfig
from whisper_streaming.errors import ConfigurationError
from whisper_streaming.local_server import (
    LOCAL_HOST,
    local_server,
    own_config,
    refuse_own_settings,
)
from whisper_streaming.server.logs import setup_logging

_DEFAULT_HOST: Final = "localhost"
_DEFAULT_PORT: Final = 9090
_DEFAULT_MODEL: Final = "small"
_OWN_SERVER_FLAGS: Final = (
    "device", "compute_type", "threads", "set", "record_dir", "record_audio",
)  # fmt: skip

_EPILOG: Final = """\
examples:
  %(prog)s                                         captions of the microphone
  %(prog)s --save talk.srt --save talk.txt         and files of them at the end
  %(prog)s --model medium --language auto          another model, any language
  %(prog)s --record-dir records                    and files that grow while you speak
  %(prog)s --audio-file talk.mp3 --model demo      a recording, as it was spoken
  %(prog)s --set diarization.enabled=true          who speaks, too
  %(prog)s --port 9090                             by a server that runs already
  %(prog)s --list-devices                          which microphones there are

Without --host, --port or --url it starts a server of its own in this process, which nobody else can
reach. Ctrl-C ends the audio; the last words are waited for and the files are written.

exit status: 0 all is transcribed, 1 the model or the audio failed, 2 wrong usage,
3 the server's time limit cut the session short
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Listen until Ctrl-C or the end of the recording; returns the exit status."""
    return run(_build_parser(), argv, _serve)


@contextmanager
def _serve(arguments: argparse.Namespace) -> Iterator[None]:
    """Have a server: the one that the user named, or one of our own while the context is open."""
    _read_saves(arguments)
    has_server = arguments.url or arguments.host or arguments.port is not None
    if has_server:
        refuse_own_settings(arguments, _OWN_SERVER_FLAGS)
    check_outputs(arguments)
    config = None if has_server else _config(arguments)
    arguments.host = arguments.host or _DEFAULT_HOST
    arguments.port = _DEFAULT_PORT if arguments.port is None else arguments.port
    arguments.model = arguments.model or _DEFAULT_MODEL
    if config is None:
        yield
        return
    if arguments.audio_file is None:
        # Before the model, which may take a minute. It does not record yet.
        Microphone(SourceFormat(chunk_ms=arguments.chunk_ms).chunk_samples, arguments.device_index)
    setup_logging(arguments.log_level)
    sys.stderr.write("starting ...\n")
    with local_server(config) as port:
        arguments.host, arguments.port = LOCAL_HOST, port
        sys.stderr.write("listening, Ctrl-C ends it\n")
        yield


def _config(arguments: argparse.Namespace) -> ServerConfig:
    flags = {
        "backend.models": (arguments.model,) if arguments.model else None,
        "backend.device": arguments.device,
        "backend.compute_type": arguments.compute_type,
        "backend.threads": arguments.threads,
        "record.dir": arguments.record_dir,
        "record.audio": arguments.record_audio or None,
    }
    return own_config(flags, arguments.set)


def _read_saves(arguments: argparse.Namespace) -> None:
    """Turn each ``--save NAME.FORMAT`` into the flag that it stands for.

    Raises:
        ConfigurationError: If there is no such format or folder, or two files of one format.
    """
    for path in arguments.save:
        form = path.suffix.removeprefix(".")
        if form not in FORMATS:
            endings = ", ".join(f".{name}" for name in FORMATS)
            raise ConfigurationError(f"--save {path}: the name must end in one of {endings}")
        if getattr(arguments, f"output_{form}") is not None:
            raise ConfigurationError(f"--save {path}: there is another file of that format")
        check_folder(path, "--save")
        setattr(arguments, f"output_{form}", path)


def _build_parser() -> argparse.ArgumentParser:
    parser = build_parser()
    parser.prog = "whisper-streaming listen"
    parser.description = "Show live captions of what the microphone hears."
    parser.epilog = _EPILOG
    parser.set_defaults(host=None, port=None, model=None)
    parser.add_argument(
        "--save",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="write the transcript at the end, in the format of the name: .srt, .vtt, .txt, .json "
        "...; may be given several times",
    )
    group = parser.add_argument_group("a server of its own, where none is named")
    group.add_argument("--device", help="auto, cpu or cuda")
    group.add_argument("--compute-type", metavar="TYPE", help="such as int8 or float16")
    group.add_argument("--threads", metavar="N", help="CPU threads (default: all)")
    add_set_flag(group)
    group.add_argument(
        "--record-dir", metavar="DIR", help="write JSON lines, SRT and VTT there while it listens"
    )
    group.add_argument(
        "--record-audio", action="store_true", help="record the audio there, too, as FLAC"
    )
    return parser
