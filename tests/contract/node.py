"""Node with the browser's WebSocket."""

import subprocess
from functools import cache
from pathlib import Path

from tests.conftest import find_program

# Node has it since 22, behind a flag since 20.10; older ones, which distributions still ship, get
# ours.
_FLAGS = (
    (),
    ("--experimental-websocket",),
    ("--import", (Path(__file__).parent / "websocket.mjs").as_uri()),
)
MISSING = "Node 18.18 or newer is missing: apt install nodejs"


@cache
def find_node() -> tuple[str, ...] | None:
    """The command that starts Node with a global ``WebSocket``, or None if there is none."""
    path = find_program("node")
    if path is None:
        return None
    for flags in _FLAGS:
        command = (path, *flags)
        asked = subprocess.run(
            [*command, "--eval", "console.log(typeof WebSocket)"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        if asked.stdout.strip() == "function":
            return command
    return None
