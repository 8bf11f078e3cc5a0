"""The modules of the pages that need no page, under Node."""

import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MODULES = (
    "captions", "client", "export", "kept-audio", "resample", "save", "status", "transcript",
)  # fmt: skip


@pytest.mark.requires_node
@pytest.mark.parametrize("name", MODULES)
def test_module_under_node(name: str, node: str) -> None:
    file = HERE / f"{name}.test.mjs"

    done = subprocess.run([node, "--test", str(file)], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stdout
    # Else a file without tests would pass.
    assert "# pass 0" not in done.stdout
    assert "# fail 0" in done.stdout
