"""The real client code of WhisperLiveKit as a program beside the tests."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from whisper_streaming.bench.stock_environment import StockEnvironment

_HERE = Path(__file__).parent
_PROGRAM = _HERE / "live_kit_program.py"
_PAGE = _HERE / "live_kit_page.mjs"
_TIMEOUT_S = 90.0

Task = Mapping[str, object]


class LiveKitPeer:
    """Runs tasks, which ``live_kit_program.py`` describes; ``folder`` is for their files."""

    def __init__(self, environment: StockEnvironment, folder: Path) -> None:
        self._environment = environment
        self._folder = folder

    async def run(self, name: str, tasks: Sequence[Task]) -> list[Any]:
        """The outcome of each task; ``name`` is new."""
        files = [self._folder / f"{name}-{kind}.json" for kind in ("tasks", "outcome")]
        files[0].write_text(json.dumps(tasks), encoding="utf-8")
        await _run(str(self._environment.python), str(_PROGRAM), *map(str, files))
        outcomes: list[Any] = json.loads(files[1].read_text(encoding="utf-8"))
        return outcomes

    async def show_page(self, node: str, messages: Sequence[Mapping[str, object]]) -> Any:
        """What its web page makes of a session, as ``live_kit_page.mjs`` describes it."""
        script = self._environment.packages / "whisperlivekit" / "web" / "live_transcription.js"
        file = self._folder / "page.json"
        file.write_text(json.dumps(messages), encoding="utf-8")
        return json.loads(await _run(node, str(_PAGE), str(script), str(file)))


async def _run(*command: str) -> str:
    """What a program prints; it must end well."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(_TIMEOUT_S):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()
