"""What the comparison with the real WhisperLive says where that cannot be had."""

from pathlib import Path

import pytest

from whisper_streaming.bench.baseline import default_environment
from whisper_streaming.bench.cli import main


@pytest.mark.slow
def test_without_a_package_index_it_is_told_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    for name, value in {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",  # nobody listens on the discard port
        "PIP_RETRIES": "0",
    }.items():
        monkeypatch.setenv(name, value)

    assert main(["baseline", "--environment", str(tmp_path / "stock")]) == 1

    assert "whisper-live 0.10.0 cannot be had from the package index: " in capsys.readouterr().err


def test_it_is_kept_where_caches_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert default_environment().parent == tmp_path / "whisper-streaming"
    assert "whisper-live-0.10.0" in default_environment().name
