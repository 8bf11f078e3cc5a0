"""Puts the extension and the modules that it shares with the captions page into one folder.

Nothing is compiled or changed: files are copied. ``make extension`` runs it; so does
``python browser-extension/assemble.py``. The folder is what "Load unpacked" takes, the archive
beside it is for sharing.
"""

import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
WEB = ROOT / "whisper_streaming" / "web"
TARGET = ROOT / "build" / "extension"

_OWN = ("*.json", "*.html", "*.css", "*.js", "icons/*.png")
# What a module imports or loads by its address, and what a page links.
_MODULE = re.compile(r"""(?:\bfrom |\bimport |new URL\()"\./([\w-]+\.js)\"""")
_SHARED = re.compile(r"""["']\.?/?web/([\w-]+\.(?:js|css))["']""")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file in the archive: equal files, equal archive


def own_files() -> list[Path]:
    """The files of the extension alone."""
    return sorted(path for pattern in _OWN for path in HERE.glob(pattern))


def shared_files() -> list[Path]:
    """The files of the captions page that the extension uses, directly or through one another."""
    texts = [path for path in own_files() if path.suffix in (".js", ".html")]
    waiting = {name for path in texts for name in _SHARED.findall(_code(path))}
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= set(_MODULE.findall(_code(WEB / name))) - found
    return [WEB / name for name in sorted(found)]


def assemble(target: Path = TARGET) -> Path:
    """Copy all files to ``target``, which is emptied first, and give the archive of them."""
    shutil.rmtree(target, ignore_errors=True)
    for name, source in _contents():
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    archive = target.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as writer:
        for name, source in _contents():
            entry = zipfile.ZipInfo(name, _EPOCH)
            writer.writestr(entry, source.read_bytes(), zipfile.ZIP_DEFLATED)
    return archive


def _contents() -> Iterator[tuple[str, Path]]:
    for path in own_files():
        yield path.relative_to(HERE).as_posix(), path
    for path in shared_files():
        yield f"web/{path.name}", path
    yield "LICENSE.txt", ROOT / "LICENSE"


def _code(path: Path) -> str:
    """Without comments, which name types of modules that are not loaded."""
    return _COMMENT.sub("", path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    made = assemble()
    sys.stdout.write(f"Load unpacked: {made.with_suffix('')}\nor share {made}\n")
