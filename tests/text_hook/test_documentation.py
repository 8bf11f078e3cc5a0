"""docs/text-hook.md: its hook, in a server."""

import re
from pathlib import Path

import pytest

from tests.server.peers import scripted_config, serving, transcribe
from whisper_streaming.config import TextHookSettings
from whisper_streaming.text_hook import TextFacts


async def test_the_hook_of_the_documentation_works(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (repository / "docs" / "text-hook.md").read_text(encoding="utf-8")
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "my_hooks.py").write_text("\n\n".join(programs), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    [flag] = re.findall(r"--text-hook (my_hooks:\w+)", page)
    words = ["we", "use", "Cube", "flow", "4111", "1111", "1111", "1111"]

    settings = TextHookSettings(name=flag, timeout_s=30.0)
    config = scripted_config().model_copy(update={"text_hook": settings})
    async with serving(config) as server:
        assert await transcribe(server, words) == "we use Kubeflow [card]"

    import my_hooks  # type: ignore[import-not-found]

    facts = TextFacts("ann", "de", None, is_final=True)
    assert my_hooks.by_language("Die Strasse", facts) == "Die Straße"
