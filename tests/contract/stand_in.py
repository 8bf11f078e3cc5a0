"""What the names ``python``, ``pip``, ``make`` ... mean to a printed command under test.

Started as ``stand_in.py NAME ARGUMENT ...``. Our programs really run, with three changes:

- a server listens on a free port and, once it listens, is told to stop by SIGTERM;
- a model that would come from a hub is the embedded one, and what only a GPU has is left out;
- a client without an address finds the server under test, in ``CONTRACT_PORT``.

What would change the machine (``pip``, ``make``, ``git``, ``docker``, ``apt``, ``sudo``) does
nothing, and ``netstat`` knows of that server alone. Each call adds a line of JSON to the file
``CONTRACT_LOG``.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOREIGN = ("pip", "pip3", "make", "git", "docker", "apt", "apt-get", "sudo", "netstat", "brew")
# A demo is as long as its recording; it has tests of its own.
TOO_LONG = ("demo",)
# What the clone holds that printed commands name.
CLONED = ("*.py", "examples", "Makefile", "requirements.txt", "Dockerfile", "whisper_streaming")

_SERVERS = ("run_websocket_server.py", "serve", "examples/server.py")
_CHECKS = ("test_websocket_integration.py", "doctor")
_GPU_FLAGS = ("--device", "--compute-type")
_HELP = {"-h", "--help", "--version"}


def main(name: str, arguments: list[str]) -> int:
    """Do what ``name`` is asked for; returns the exit status."""
    if name in FOREIGN:
        return _pretend(name, arguments)
    if arguments[:1] == ["-m"] and arguments[1] in ("venv", "pip", "build", "pytest"):
        return _pretend(arguments[1], arguments[2:])
    if name == "whisper-streaming":
        arguments = ["-m", "whisper_streaming", *arguments]
    if arguments[:2] == ["-m", "whisper_streaming"] and len(arguments) > 2:
        return _run_ours(arguments[2], arguments[:3], arguments[3:])
    script = _our_script(arguments[0]) if arguments else None
    if script is not None:
        return _run_ours(script, [str(ROOT / script)], arguments[1:])
    return _record(name, arguments, [sys.executable, *arguments])


def _our_script(path: str) -> str | None:
    """The name of a script of the clone, relative to it, or None."""
    name = Path(path).name
    return next((each for each in (name, f"examples/{name}") if (ROOT / each).is_file()), None)


def _run_ours(program: str, start: list[str], given: list[str]) -> int:
    """Run one of our programs: ``start`` names it, ``given`` are its arguments."""
    command = [sys.executable, *start]
    if _HELP & set(given):
        return _record(program, given, [*command, *given])
    if program in TOO_LONG:
        return _note(program, given, 0, how="checked")
    if program in _SERVERS:
        return _serve(program, given, [*command, *with_embedded_model(given), "--port", "0"])
    if program == "transcribe":
        own = with_embedded_model(given)
        is_told = {"--url", "--host", "--port", "--model"} & _names(own)
        return _record(program, given, [*command, *own, *([] if is_told else ["--model", "demo"])])
    if program in _CHECKS and "--port" not in _names(given):
        # The port that it looks at may be taken on this machine.
        return _record(program, given, [*command, *given, "--port", "0"])
    if program == "models" or {"--port", "--url"} & _names(given):
        return _record(program, given, [*command, *given])
    address = ["--port", os.environ["CONTRACT_PORT"]]
    return _record(program, given, [*command, *given, *address])


def _serve(program: str, given: Sequence[str], command: Sequence[str]) -> int:
    """Start the server, see what it says of itself, end it with SIGTERM."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        first = process.stdout.readline()
        listening = re.fullmatch(r"listening on ws://(?P<host>.*):(?P<port>\d+)\n", first)
        status: object = None
        if listening:
            url = f"http://localhost:{listening['port']}/status"
            with urllib.request.urlopen(url, timeout=10) as answer:
                status = json.load(answer)
            process.send_signal(signal.SIGTERM)
        output = first + process.stdout.read()
        process.wait(timeout=30)
        log.seek(0)
        log_text = log.read()
    sys.stdout.write(output)
    sys.stderr.write(log_text)
    host = listening["host"] if listening else None
    return _note(
        program, given, process.returncode, how="ran", status=status, host=host, log=log_text
    )


def with_embedded_model(arguments: Sequence[str]) -> list[str]:
    """The arguments for a machine without hub and GPU."""
    changed: list[str] = []
    models = 0
    words = iter(_separated(arguments))
    for word in words:
        if word in ("-m", "--model"):
            model = next(words, "")
            models += 1
            if models == 1:  # a second model would be the embedded one again
                changed += [word, model if Path(model).is_dir() else "demo"]
        elif word in _GPU_FLAGS:
            next(words, None)
        else:
            changed.append(word)
    return changed


def _separated(arguments: Sequence[str]) -> list[str]:
    """``--flag=value`` as two words."""
    return [
        part
        for argument in arguments
        for part in (argument.split("=", 1) if argument.startswith("--") else [argument])
    ]


def _names(arguments: Sequence[str]) -> set[str]:
    return {word.replace("_", "-") for word in _separated(arguments) if word.startswith("--")}


def _pretend(name: str, arguments: list[str]) -> int:
    """Do as if it were done, so that the commands after it find what they expect."""
    if name == "netstat":
        print(f"tcp 0 0 127.0.0.1:{os.environ['CONTRACT_PORT']} 0.0.0.0:* LISTEN")
    if name == "git" and arguments[:1] == ["clone"]:
        target = [word for word in arguments[1:] if not word.startswith("-")]
        _link_clone(Path(target[-1]).name.removesuffix(".git"))
    if name == "venv":
        _make_environment(Path(arguments[-1]))
    if name == "make":
        known = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        unknown = [word for word in arguments if word not in known and "=" not in word]
        if unknown:
            sys.stderr.write(f"make has no target {', '.join(unknown)}\n")
            return _note(name, arguments, 2, how="checked")
    return _note(name, arguments, 0, how="checked")


def _link_clone(folder: str) -> None:
    Path(folder).mkdir(exist_ok=True)
    for pattern in CLONED:
        for path in ROOT.glob(pattern):
            link = Path(folder) / path.name
            if not link.exists():
                link.symlink_to(path)


def _make_environment(folder: Path) -> None:
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    (programs / "activate").touch()
    for path in Path(os.environ["CONTRACT_PROGRAMS"]).iterdir():
        link = programs / path.name
        if not link.exists():
            link.symlink_to(path)


def _record(name: str, given: Sequence[str], command: Sequence[str]) -> int:
    return _note(name, given, subprocess.run(command, check=False).returncode, how="ran")


def _note(name: str, given: Sequence[str], returncode: int, **more: object) -> int:
    line = {"name": name, "arguments": list(given), "returncode": returncode, **more}
    with Path(os.environ["CONTRACT_LOG"]).open("a") as file:
        file.write(json.dumps(line) + "\n")
    return returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
