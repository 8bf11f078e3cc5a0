"""The console command: ``whisper-streaming COMMAND ...``.

Each command is imported when it is called for, so that ``--version`` loads nothing.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from whisper_streaming.cli_flags import print_text, stop_printing
from whisper_streaming.errors import OutputError
from whisper_streaming.version import __version__

USAGE_ERROR: Final = 2
INTERRUPTED: Final = 130  # what shells expect after Ctrl-C


@dataclass(frozen=True, slots=True)
class Command:
    """One word after ``whisper-streaming``, and what it runs with the arguments that follow."""

    name: str
    summary: str
    run: Callable[[Sequence[str]], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:  # also while a command is still being imported
        return INTERRUPTED
    except BrokenPipeError:
        stop_printing()
        return 1
    except OutputError as error:
        sys.stderr.write(f"whisper-streaming: error: {error}\n")
        return error.exit_status


def _run(arguments: Sequence[str]) -> int:
    if not arguments:
        sys.stderr.write(_help())
        return USAGE_ERROR
    name, rest = arguments[0], arguments[1:]
    if name in ("-h", "--help", "help"):
        print_text(_help())
        return 0
    if name in ("-V", "--version"):
        print_text(f"whisper-streaming {__version__}\n")
        return 0
    command = next((command for command in COMMANDS if command.name == name), None)
    if command is None:
        names = ", ".join(command.name for command in COMMANDS)
        sys.stderr.write(f"whisper-streaming: there is no command {name!r}; there are: {names}\n")
        return USAGE_ERROR
    return command.run(rest)


def _help() -> str:
    lines = "".join(f"  {command.name:<12}{command.summary}\n" for command in COMMANDS)
    return f"""usage: whisper-streaming COMMAND [ARGUMENT ...]

Self-hosted live transcription: a WhisperLive-compatible server and its client.

commands:
{lines}
options:
  -h, --help    show this text
  -V, --version show the version

"whisper-streaming COMMAND --help" describes a command. No model at hand and no network?
"serve --model demo" loads the embedded one; it understands synthetic voices only.
"""


def _serve(argv: Sequence[str]) -> int:
    from whisper_streaming.server.cli import main as serve

    return serve(argv)


def _listen(argv: Sequence[str]) -> int:
    from whisper_streaming.listen import main as listen

    return listen(argv)


def _transcribe(argv: Sequence[str]) -> int:
    from whisper_streaming.transcribe import main as transcribe

    return transcribe(argv)


def _models(argv: Sequence[str]) -> int:
    from whisper_streaming.model_listing import main as models

    return models(argv)


def _demo(argv: Sequence[str]) -> int:
    from whisper_streaming.demo import main as demo

    return demo(argv)


def _doctor(argv: Sequence[str]) -> int:
    from whisper_streaming.doctor import main as doctor

    return doctor(argv)


def _bench(argv: Sequence[str]) -> int:
    from whisper_streaming.bench.cli import main as bench

    return bench(argv)


COMMANDS: Final = (
    Command("serve", "start the server", _serve),
    Command("listen", "show live captions of the microphone, in this terminal", _listen),
    Command(
        "transcribe", "transcribe recordings; starts a server of its own if need be", _transcribe
    ),
    Command("models", "list the models by name, and which are on this machine", _models),
    Command("demo", "stream a bundled recording through server and client, live", _demo),
    Command("doctor", "check this installation, one line each: ok or the fix", _doctor),
    Command("bench", "measure latency, load and what this machine can do", _bench),
)
