"""What a server says that cannot start with whisperx: before its port opens, with status 1."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.backends.test_hub_access import answering

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.requires_whisperx]

WHISPERX = ("--backend", "whisperx", "--model", "demo", "--port", "0")
PYANNOTE = (*WHISPERX, "--enable-diarization", "--huggingface-token")
GATED = (*WHISPERX, "--align-model", "someone/gated")


def error_of(
    arguments: tuple[str, ...], statuses: Mapping[str | None, int], folder: Path, repository: Path
) -> str:
    """What the server writes to stderr, with a hub that answers each token with a status."""
    with answering(statuses) as (hub, asked):
        environment = {
            **os.environ, "HF_ENDPOINT": hub.address, "HF_HOME": str(folder), "HF_TOKEN": "",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, repository / "run_websocket_server.py", *arguments],
            env=environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    assert asked
    assert done.returncode == 1
    assert "listening" not in done.stdout
    return done.stderr


@pytest.mark.parametrize(
    ("arguments", "statuses", "text"),
    [
        pytest.param(GATED, {None: 401}, "someone/gated is behind a login", id="no token"),
        pytest.param((*PYANNOTE, "T"), {"T": 401}, "does not know the token", id="unknown token"),
        pytest.param((*PYANNOTE, "T"), {"T": 403}, "accept its conditions", id="not accepted"),
        pytest.param((*PYANNOTE, "T"), {"T": 503}, "cannot be reached", id="ill hub"),
    ],
)
def test_the_hub_does_not_give_it(
    arguments: tuple[str, ...],
    statuses: Mapping[str | None, int],
    text: str,
    tmp_path: Path,
    repository: Path,
) -> None:
    assert text in error_of(arguments, statuses, tmp_path, repository)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        pytest.param("en=.", "cannot be loaded", id="a folder without a model"),
        pytest.param("no/such/folder", "no/such/folder", id="neither folder nor hub id"),
    ],
)
def test_an_align_model_that_is_none(
    model: str, text: str, tmp_path: Path, repository: Path
) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, repository / "run_websocket_server.py", *WHISPERX, "--align-model", model],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr
