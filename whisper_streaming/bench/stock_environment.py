"""Environments of their own for the real peers, made once and kept."""

import platform
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from whisper_streaming.errors import BenchmarkError

_STAMP: Final = "installed"
_INSTALL_TIMEOUT_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Release:
    """A release of a peer, installed without its dependencies.

    Attributes:
        name: On the package index.
        version: Of the release.
        beside: What its client imports of what the wheel asks for. The versions are ours, so that
            no later release breaks anything and the downloads of our own environment serve twice.
    """

    name: str
    version: str
    beside: tuple[str, ...]

    @property
    def folder_name(self) -> str:
        """Of a folder that holds it for this Python."""
        return f"{self.name}-{self.version}-python-{platform.python_version()}"


# Their wheels ask for torch, sound libraries and web servers.
WHISPER_LIVE: Final = Release("whisper-live", "0.10.0", ("websocket-client", "numpy", "av"))
WHISPER_LIVE_KIT: Final = Release("whisperlivekit", "0.2.26", ("websockets",))


@dataclass(frozen=True, slots=True)
class StockEnvironment:
    """Where a real peer is installed.

    Attributes:
        python: Its interpreter.
        packages: Its site-packages.
    """

    python: Path
    packages: Path


def provide_environment(folder: Path, release: Release = WHISPER_LIVE) -> StockEnvironment:
    """The environment in ``folder``, installed if it is not there yet.

    Raises:
        BenchmarkError: If the package index does not give what is needed.
    """
    beside = (f"{package}=={version(package)}" for package in release.beside)
    requirements = [f"{release.name}=={release.version}", *beside]
    contents = "\n".join([sys.prefix, sys.version, *requirements])
    stamp = folder / _STAMP
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != contents:
        shutil.rmtree(folder, ignore_errors=True)
        _install(folder, release, requirements)
        stamp.write_text(contents, encoding="utf-8")
    python = _python(folder)
    site = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([python, "-c", site], check=True, capture_output=True, text=True)
    return StockEnvironment(python, Path(found.stdout.strip()))


def _install(folder: Path, release: Release, requirements: list[str]) -> None:
    # Our own pip, if there is one: half of the time goes into making another.
    has_pip = find_spec("pip") is not None
    venv.create(folder, with_pip=not has_pip)
    python = str(_python(folder))
    pip = [sys.executable, "-m", "pip", "--python", python] if has_pip else [python, "-m", "pip"]
    command = [*pip, "install", "--quiet", "--no-deps", *requirements]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S)
    except subprocess.TimeoutExpired as exc:
        raise _missing(release, f"no answer within {_INSTALL_TIMEOUT_S:g} s") from exc
    if done.returncode != 0:
        raise _missing(release, (done.stderr.strip().splitlines() or ["pip failed"])[-1])


def _missing(release: Release, reason: str) -> BenchmarkError:
    return BenchmarkError(
        f"{release.name} {release.version} cannot be had from the package index: {reason}"
    )


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
