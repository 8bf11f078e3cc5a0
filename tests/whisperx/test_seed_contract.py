"""What the guide promises of the whisperx backend: its blocks run as they are printed."""

from pathlib import Path

import pytest

from tests.backends.fake_hub import FakeHub, serving
from tests.contract.command_lines import check_python, parse_arguments, split_mixed
from tests.contract.seeds import WITH_WHISPERX, read_seeds
from tests.contract.workshop import Workshop
from tests.whisperx.test_speakers import save_embedding
from whisper_streaming.backends.hub_access import fetch_repository
from whisper_streaming.backends.model_store import Hub
from whisper_streaming.config import load_config
from whisper_streaming.server import cli as server_cli
from whisper_streaming.stage_set import PYANNOTE

pytestmark = [
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.requires_whisperx,
    pytest.mark.filterwarnings("ignore"),
]

SERVER = "run_websocket_server.py"
ELEMENTS = {element.key: element.text for element in read_seeds() if element.key in WITH_WHISPERX}


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A folder of a user who has fetched pyannote's pipeline before."""
    embedding, cache = tmp_path / "pipeline", tmp_path / "cache"
    embedding.mkdir()
    save_embedding(embedding)
    weights = (embedding / "embedding" / "pytorch_model.bin").read_bytes()
    with serving(FakeHub({PYANNOTE: {"pytorch_model.bin": weights}})) as hub:
        hub_of_test = Hub(endpoint=hub.endpoint, cache_dir=cache)
        fetch_repository(PYANNOTE, "T", hub_of_test, is_complete=Path.is_dir)
    folder = tmp_path / "clone"
    folder.mkdir()
    # The align model of whisperx would come over the network, as a Whisper model would.
    align_model = {"WHISPER_STREAMING__ALIGNMENT__MODELS": "demo"}
    return Workshop(folder, 9, {"HF_HUB_CACHE": str(cache), **align_model})


@pytest.mark.parametrize("key", sorted(WITH_WHISPERX))
def test_the_printed_command_serves(key: str, workshop: Workshop) -> None:
    shell = ELEMENTS[key]
    if key.endswith("/python"):
        python, shell, items = split_mixed(shell)
        check_python(python)
        assert items

    outcome, done = workshop.run_shell(shell)

    outcome.expect_success()
    assert [each.name for each in done] == [SERVER]
    config = load_config(
        flags=server_cli.flags_of(parse_arguments(server_cli.main, done[0].arguments))
    )
    assert config.diarization.enabled
    status = done[0].status
    assert status is not None
    assert status["engine"] == config.backend.kind == "whisperx"
    has_token = config.hub.token is not None
    assert status["diarization"]["engine"] == ("pyannote" if has_token else "embedded")  # type: ignore[index]
    assert status["alignment"]["languages"] == ["en"]  # type: ignore[index]
