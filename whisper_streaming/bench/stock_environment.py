"""An environment of its own for the real WhisperLive, made once and kept."""

import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from whisper_streaming.errors import BenchmarkError

WHISPER_LIVE: Final = "0.10.0"

# Without their dependencies: the wheel asks for torch, OpenVINO and a sound library, and its
# client imports only these. The versions are ours, so that no later release breaks anything
# and the downloads of our own environment serve twice.
_BESIDE: Final = ("websocket-client", "numpy", "av")

_STAMP: Final = "installed"
_INSTALL_TIMEOUT_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class StockEnvironment:
    """Where the real WhisperLive is installed.

    Attributes:
        python: Its interpreter.
        packages: Its site-packages.
    """

    python: Path
    packages: Path


def provide_environment(folder: Path) -> StockEnvironment:
    """The environment in ``folder``, installed if it is not there yet.

    Raises:
        BenchmarkError: If the package index does not give what is needed.
    """
    requirements = [f"whisper-live=={WHISPER_LIVE}", *(f"{p}=={version(p)}" for p in _BESIDE)]
    contents = "\n".join([sys.prefix, sys.version, *requirements])
    stamp = folder / _STAMP
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != contents:
        shutil.rmtree(folder, ignore_errors=True)
        _install(folder, requirements)
        stamp.write_text(contents, encoding="utf-8")
    python = _python(folder)
    site = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([python, "-c", site], check=True, capture_output=True, text=True)
    return StockEnvironment(python, Path(found.stdout.strip()))


def _install(folder: Path, requirements: list[str]) -> None:
    venv.create(folder, with_pip=True)
    command = [str(_python(folder)), "-m", "pip", "install", "--quiet", "--no-deps", *requirements]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S)
    except subprocess.TimeoutExpired as exc:
        raise _missing(f"no answer within {_INSTALL_TIMEOUT_S:g} s") from exc
    if done.returncode != 0:
        raise _missing((done.stderr.strip().splitlines() or ["pip failed"])[-1])


def _missing(reason: str) -> BenchmarkError:
    return BenchmarkError(
        f"whisper-live {WHISPER_LIVE} cannot be had from the package index: {reason}"
    )


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
