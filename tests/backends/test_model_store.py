"""Names to model folders, with the real download code against a hub on this machine."""

import io
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.fake_hub import COMMIT, MODEL_FILES, FakeHub, serving
from whisper_streaming.backends import download_progress
from whisper_streaming.backends.download_progress import LoggedProgress
from whisper_streaming.backends.model_store import (
    DEMO_PATH,
    Hub,
    ResolvedModel,
    list_models,
    missing_files,
    resolve_model,
    resolve_models,
)
from whisper_streaming.errors import ModelLoadError

SMALL = "Systran/faster-whisper-small"
WANTED = set(MODEL_FILES) - {"README.md"}


@pytest.fixture
def fake_hub() -> Iterator[FakeHub]:
    with serving(FakeHub({SMALL: MODEL_FILES, "me/mine": MODEL_FILES})) as hub:
        yield hub


@pytest.fixture
def refusing_hub(tmp_path: Path) -> Hub:
    """A hub whose port nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    return Hub(f"http://127.0.0.1:{port}", tmp_path / "cache")


@pytest.fixture
def silent_hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        yield Hub(f"http://127.0.0.1:{port}", tmp_path / "cache", probe_timeout_s=0.3)


def make_folder(path: Path, *, without: str = "") -> Path:
    path.mkdir(parents=True)
    for name, content in MODEL_FILES.items():
        if name != without:
            (path / name).write_bytes(content)
    return path


def fill_cache(cache: Path, *, without: str = "") -> Path:
    """What the hub's client leaves in its cache after a download, with or without a break."""
    repo = cache / f"models--{SMALL.replace('/', '--')}"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    return make_folder(repo / "snapshots" / COMMIT, without=without)


def test_demo_is_the_embedded_model_and_says_what_it_understands() -> None:
    model = resolve_model("demo")

    assert model.path == DEMO_PATH
    assert missing_files(DEMO_PATH) == ()
    assert model.notice is not None
    assert "synthetic voices only" in model.notice
    assert "--model small" in model.notice


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mine")

    assert resolve_model(str(folder)) == ResolvedModel(str(folder), folder)


@pytest.mark.parametrize(
    "without", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"]
)
def test_an_incomplete_folder_is_refused_by_the_name_of_what_it_lacks(
    tmp_path: Path, without: str
) -> None:
    folder = make_folder(tmp_path / "mine", without=without)

    with pytest.raises(ModelLoadError, match=rf"lacks {without.partition('.')[0]}\.") as caught:
        resolve_model(str(folder))

    assert "ct2-transformers-converter" in str(caught.value)


def test_an_empty_file_does_not_count(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mine")
    (folder / "model.bin").write_bytes(b"")

    assert missing_files(folder) == ("model.bin",)


@pytest.mark.parametrize("name", ["smal", "", "no/such/folder", "./small", "a b/c"])
def test_what_can_be_neither_is_refused_without_asking_the_hub(name: str, tmp_path: Path) -> None:
    with serving(FakeHub({})) as hub, pytest.raises(ModelLoadError) as caught:
        resolve_model(name, Hub(hub.endpoint, tmp_path))

    assert repr(name) in str(caught.value)
    assert "large-v3" in str(caught.value)
    assert hub.requests == []


def test_a_name_is_downloaded_with_the_files_it_needs(fake_hub: FakeHub, tmp_path: Path) -> None:
    model = resolve_model("small", Hub(fake_hub.endpoint, tmp_path))

    assert (model.name, model.notice) == ("small", None)
    assert {path.name for path in model.path.iterdir()} == WANTED
    assert (model.path / "model.bin").read_bytes() == MODEL_FILES["model.bin"]


def test_a_cached_model_asks_no_network(fake_hub: FakeHub, tmp_path: Path) -> None:
    hub = Hub(fake_hub.endpoint, tmp_path)
    first = resolve_model("small", hub)
    asked = len(fake_hub.requests)
    assert asked > 0

    assert resolve_model("small", hub) == first
    assert resolve_model(None, hub) == first
    assert len(fake_hub.requests) == asked


def test_a_hub_id_is_downloaded(fake_hub: FakeHub, tmp_path: Path) -> None:
    model = resolve_model("me/mine", Hub(fake_hub.endpoint, tmp_path))

    assert model.name == "me/mine"
    assert missing_files(model.path) == ()


def test_large_means_large_v3(refusing_hub: Hub) -> None:
    with pytest.raises(ModelLoadError, match="Systran/faster-whisper-large-v3 at"):
        resolve_model("large", refusing_hub)


def test_several_models_keep_their_order(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mine")

    models = resolve_models([str(folder), "demo"])

    assert [model.name for model in models] == [str(folder), "demo"]


def test_a_model_that_is_named_twice_is_loaded_once(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mine")

    models = resolve_models(["demo", str(folder), "demo"])

    assert [model.name for model in models] == ["demo", str(folder)]


@pytest.mark.parametrize("without", ["model.bin", "tokenizer.json"])
def test_a_partial_cache_is_completed(fake_hub: FakeHub, tmp_path: Path, without: str) -> None:
    fill_cache(tmp_path, without=without)

    model = resolve_model("small", Hub(fake_hub.endpoint, tmp_path))

    assert fake_hub.requests != []
    assert missing_files(model.path) == ()


def test_a_partial_cache_without_a_hub_gives_the_embedded_model(refusing_hub: Hub) -> None:
    assert refusing_hub.cache_dir is not None
    fill_cache(refusing_hub.cache_dir, without="model.bin")

    assert resolve_model(None, refusing_hub).name == "demo"


def test_a_complete_cache_without_a_hub_gives_small(refusing_hub: Hub) -> None:
    assert refusing_hub.cache_dir is not None
    folder = fill_cache(refusing_hub.cache_dir)

    assert resolve_model(None, refusing_hub) == ResolvedModel("small", folder)


def test_without_a_name_small_is_downloaded(fake_hub: FakeHub, tmp_path: Path) -> None:
    model = resolve_models([], Hub(fake_hub.endpoint, tmp_path))[0]

    assert (model.name, model.notice) == ("small", None)
    assert missing_files(model.path) == ()


def test_without_a_name_and_a_hub_the_embedded_model_comes_with_a_notice(
    refusing_hub: Hub,
) -> None:
    model = resolve_model(None, refusing_hub)

    assert (model.name, model.path) == ("demo", DEMO_PATH)
    assert model.notice is not None
    assert "'small' is not on this machine" in model.notice
    assert "ConnectError" in model.notice or "ConnectionError" in model.notice
    assert "synthetic voices only" in model.notice


def test_without_a_name_a_download_that_breaks_gives_the_embedded_model(tmp_path: Path) -> None:
    with serving(FakeHub({SMALL: MODEL_FILES}, broken=frozenset({"model.bin"}))) as hub:
        model = resolve_model(None, Hub(hub.endpoint, tmp_path))

    assert model.name == "demo"
    assert model.notice is not None
    assert "the download failed" in model.notice


def test_a_silent_hub_costs_no_more_than_the_limit(silent_hub: Hub) -> None:
    started = time.monotonic()
    model = resolve_model(None, silent_hub)
    took_s = time.monotonic() - started

    assert model.name == "demo"
    assert model.notice is not None
    # 0.3 s is both our limit and that of the HTTP client inside it: either may come first.
    assert "no answer within 0.3 s" in model.notice or "Timeout" in model.notice
    assert took_s < 5.0


def test_a_hub_name_that_is_never_resolved_costs_no_more_than_the_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    release = threading.Event()

    def hang(*args: object, **kwargs: object) -> list[object]:
        release.wait(20)
        raise socket.gaierror("gave up")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    started = time.monotonic()
    model = resolve_model(None, Hub("http://hub.invalid", tmp_path, probe_timeout_s=0.3))
    took_s = time.monotonic() - started
    release.set()

    assert model.notice is not None
    assert "no answer within 0.3 s" in model.notice
    assert took_s < 10.0  # of 20


def test_a_named_model_without_a_hub_is_an_error_that_says_what_to_do(refusing_hub: Hub) -> None:
    with pytest.raises(ModelLoadError) as caught:
        resolve_model("small", refusing_hub)

    message = str(caught.value)
    assert str(refusing_hub.cache_dir) in message
    assert f"{SMALL} at {refusing_hub.endpoint}" in message
    assert "HF_HUB_OFFLINE" in message
    assert "--model demo" in message
    assert "\n" not in message


def test_an_unknown_hub_id_is_an_error(fake_hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="RepositoryNotFoundError"):
        resolve_model("no/such", Hub(fake_hub.endpoint, tmp_path))


def test_a_repository_in_another_format_is_refused_before_its_download(tmp_path: Path) -> None:
    files = {"config.json": b"{}", "model.safetensors": b"weights", "tokenizer.json": b"{}"}
    with (
        serving(FakeHub({"openai/whisper-small": files})) as hub,
        pytest.raises(ModelLoadError, match="not in CTranslate2's format"),
    ):
        resolve_model("openai/whisper-small", Hub(hub.endpoint, tmp_path))

    assert not any("/resolve/" in request for request in hub.requests)


def test_a_repository_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    files = {name: content for name, content in MODEL_FILES.items() if name != "tokenizer.json"}
    with (
        serving(FakeHub({"me/mine": files})) as hub,
        pytest.raises(ModelLoadError, match=r"the download lacks tokenizer\.json"),
    ):
        resolve_model("me/mine", Hub(hub.endpoint, tmp_path))


def run_resolve(name: str | None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Resolve in a process of its own: the hub's client reads its environment on import."""
    code = f"""
import logging
logging.basicConfig(level=logging.INFO, format="%(message)s")
from whisper_streaming.backends.model_store import resolve_model
model = resolve_model({name!r})
print(model.name, model.path, model.notice)
"""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_environment_names_hub_and_cache_and_a_log_shows_the_progress(
    fake_hub: FakeHub, tmp_path: Path
) -> None:
    fake_hub.delay_s = 1.0  # a bar that is updated too soon after its start is not drawn
    done = run_resolve(None, HF_ENDPOINT=fake_hub.endpoint, HF_HOME=str(tmp_path))

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"small {tmp_path / 'hub'}")
    assert done.stdout.endswith(" None\n")
    assert f"fetching {SMALL} from {fake_hub.endpoint} into {tmp_path / 'hub'}" in done.stderr
    assert "fetched 2 of 2 MB" in done.stderr
    assert "\r" not in done.stderr


def test_offline_in_the_environment_is_named_as_the_reason(
    fake_hub: FakeHub, tmp_path: Path
) -> None:
    environ = {"HF_ENDPOINT": fake_hub.endpoint, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    default = run_resolve(None, **environ)
    named = run_resolve("small", **environ)

    assert default.stdout.startswith(f"demo {DEMO_PATH} ")
    assert "HF_HUB_OFFLINE is set" in default.stdout
    assert named.returncode != 0
    assert "ModelLoadError" in named.stderr
    assert "HF_HUB_OFFLINE is set" in named.stderr
    assert fake_hub.requests == []


def test_the_listing_says_what_is_here(tmp_path: Path) -> None:
    folder = fill_cache(tmp_path)

    listing = {line.name: line for line in list_models(Hub(cache_dir=tmp_path))}

    assert listing["demo"].path == DEMO_PATH
    assert (listing["small"].source, listing["small"].path) == (SMALL, folder)
    assert listing["tiny"].path is None
    assert {"large", "large-v3", "turbo", "distil-large-v3"} <= listing.keys()


def test_progress_is_logged_at_most_once_per_interval(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 100.0
    monkeypatch.setattr(download_progress.time, "monotonic", lambda: now)
    monkeypatch.setattr(LoggedProgress, "_logged_at", float("-inf"))
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)

    with caplog.at_level(logging.INFO, "whisper_streaming.backend"):
        bar = LoggedProgress(total=10_000_000, unit="B")
        for n, at in [(1_000_000, 100.0), (1_000_000, 104.9), (3_000_000, 105.0)]:
            now = at
            bar.n += n
            bar.display()
        bar.close()

    assert [record.getMessage() for record in caplog.records] == [
        "fetched 1 of 10 MB",
        "fetched 5 of 10 MB",
    ]
    assert stderr.getvalue() == ""


@pytest.mark.parametrize(
    ("path", "better"),
    [
        ("./models/ggml-large-v3-turbo.bin", "large-v3-turbo"),
        ("models/ggml-medium.en-q5_0.bin", "medium.en"),
        ("ggml-my-own.bin", "small"),
    ],
)
def test_a_file_of_whisper_cpp_is_refused_with_the_name_to_take(path: str, better: str) -> None:
    with pytest.raises(ModelLoadError, match=rf"whisper\.cpp, .* take --model {better}$"):
        resolve_model(path)
