"""Who may have a model behind a login, and what the others are told."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.backends.fake_hub import FakeHub, serving
from whisper_streaming.backends.hub_access import check_access, fetch_repository
from whisper_streaming.backends.model_store import Hub
from whisper_streaming.errors import ModelLoadError

REPO = "speakers/pipeline"


@contextmanager
def answering(statuses: Mapping[str | None, int]) -> Iterator[tuple[Hub, list[str]]]:
    """A hub that answers a token with its status; gives the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            header = self.headers["Authorization"]
            self.send_response(statuses[header and header.removeprefix("Bearer ")])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Hub(endpoint=f"http://127.0.0.1:{server.server_port}", probe_timeout_s=5.0), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _no_token_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))


def refusal(statuses: Mapping[str | None, int], token: str | None) -> str:
    with answering(statuses) as (hub, _), pytest.raises(ModelLoadError) as refused:
        check_access(REPO, token, hub)
    return str(refused.value)


def test_who_may_have_it_is_told_nothing() -> None:
    with answering({"good": 200, None: 401}) as (hub, asked):
        check_access(REPO, "good", hub)

    assert asked == [f"/api/models/{REPO}/auth-check"]


def test_without_a_token_it_says_how_to_get_one() -> None:
    for status in (401, 403):
        text = refusal({None: status}, None)

        assert f"{REPO} is behind a login" in text
        assert "--huggingface-token or HF_TOKEN" in text


def test_an_unknown_token_is_told_from_one_without_permission() -> None:
    unknown, forbidden = refusal({"T": 401}, "T"), refusal({"T": 403}, "T")

    assert "does not know the token" in unknown
    assert "/settings/tokens" in unknown
    assert "may not have" in forbidden
    assert "accept its conditions" in forbidden
    assert "T" not in unknown.replace("HF_TOKEN", "")  # a token is a secret


def test_what_a_file_puts_around_a_token_is_no_part_of_it() -> None:
    with answering({"good": 200, None: 401}) as (hub, _):
        check_access(REPO, " good\n", hub)

    assert "is behind a login" in refusal({None: 401}, " \n")


@pytest.mark.parametrize("token", ["my secret", "secret\nX: y", "secr\u015ft", "secr\u00e9t"])
def test_what_cannot_be_a_token_is_said_and_not_repeated(token: str) -> None:
    for ask in (
        lambda: check_access(REPO, token),
        lambda: fetch_repository(REPO, token, is_complete=Path.is_dir),
    ):
        with pytest.raises(ModelLoadError, match="is no token") as refused:
            ask()

        assert "secr" not in str(refused.value)


def test_a_repository_that_is_not_there() -> None:
    assert f"has no {REPO}" in refusal({"T": 404}, "T")


def test_a_hub_that_is_ill_counts_as_unreachable() -> None:
    text = refusal({None: 503}, None)

    assert "cannot be reached: it answers with status 503" in text


def test_an_unreachable_hub_is_named() -> None:
    with answering({}) as (hub, _):
        pass  # its port is closed now

    with pytest.raises(ModelLoadError, match=r"cannot be reached: URLError") as refused:
        check_access(REPO, "T", hub)

    assert hub.address in str(refused.value)
    assert "or give a folder" in str(refused.value)


def test_offline_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with (
        answering({None: 200}) as (hub, asked),
        pytest.raises(ModelLoadError, match="HF_HUB_OFFLINE"),
    ):
        check_access(REPO, None, hub)

    assert asked == []


def test_what_was_fetched_once_is_not_asked_for_again(tmp_path: Path) -> None:
    files = {"config.json": b"{}", "model.bin": b"weights", "flax_model.msgpack": b"other"}
    with serving(FakeHub({REPO: files})) as fake:
        hub = Hub(endpoint=fake.endpoint, cache_dir=tmp_path / "cache")
        folder = fetch_repository(REPO, None, hub, is_complete=has_weights, unwanted=["*.msgpack"])
        asked = len(fake.requests)
        again = fetch_repository(REPO, None, hub, is_complete=has_weights, unwanted=["*.msgpack"])

    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.bin"]
    assert again == folder
    assert len(fake.requests) == asked


def test_what_a_cut_off_download_left_is_completed(tmp_path: Path) -> None:
    files = {"config.json": b"{}", "model.bin": b"weights"}
    with serving(FakeHub({REPO: files})) as fake:
        hub = Hub(endpoint=fake.endpoint, cache_dir=tmp_path / "cache")
        # Before 1.0, as whisperx wants it, the hub's client takes any folder of its cache for all.
        half = fetch_repository(REPO, None, hub, is_complete=Path.is_dir, unwanted=["model.bin"])
        assert not has_weights(half)

        whole = fetch_repository(REPO, None, hub, is_complete=has_weights)

    assert (whole / "model.bin").read_bytes() == b"weights"


def has_weights(folder: Path) -> bool:
    return (folder / "model.bin").is_file()
