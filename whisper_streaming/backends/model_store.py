"""From what the operator calls a model to a folder that holds it.

A model is named by ``demo`` (embedded in the package), a faster-whisper name, a hub id
(``org/name``) or a folder in CTranslate2's format. A name wins over a folder of the same
name in the current directory; ``./small`` is always the folder.
"""

import logging
import re
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

# The table of names is private there, but the public function gives only its keys.
from faster_whisper.utils import _MODELS as HUB_IDS
from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

from whisper_streaming.backends.base import DEMO
from whisper_streaming.backends.download_progress import LoggedProgress
from whisper_streaming.errors import ModelLoadError

logger = logging.getLogger("whisper_streaming.backend")

Answer = TypeVar("Answer")

PREFERRED: Final = "small"
DEMO_PATH: Final = Path(__file__).parent.parent / "models" / "demo"

# Startup must not hang where a firewall or a name server drops packets.
PROBE_TIMEOUT_S: Final = 10.0

# What faster-whisper fetches of a repository, which may hold other formats of the model too.
_WANTED_FILES: Final = (
    "config.json",
    "preprocessor_config.json",
    "model.bin",
    "tokenizer.json",
    "vocabulary.*",
)
_REQUIRED_FILES: Final = ("config.json", "model.bin", "tokenizer.json", "vocabulary.*")
_HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_GGML: Final = re.compile(r"ggml-(?P<model>[\w.-]+?)(?:-q\d\w*)?\.bin", re.ASCII)

_SYNTHETIC_ONLY: Final = (
    "the embedded demo model understands synthetic voices only, not people "
    f"(for people: --model {PREFERRED})"
)


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model that is on this machine.

    Attributes:
        name: As the operator asked for it, or what was chosen for them.
        path: Folder with at least ``model.bin``, ``config.json``, ``tokenizer.json`` and a
            vocabulary.
        notice: What a user of this model has to know; None if nothing.
    """

    name: str
    path: Path
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class ModelListing:
    """One line of ``whisper-streaming models``; ``path`` is None if it is not on this machine."""

    name: str
    source: str
    path: Path | None


@dataclass(frozen=True, slots=True)
class Hub:
    """Where models are fetched from and kept. ``None`` is what the environment says.

    Attributes:
        endpoint: Address of the hub (``HF_ENDPOINT``).
        cache_dir: Folder of fetched models (``HF_HUB_CACHE``, ``HF_HOME``).
        probe_timeout_s: Time in which the hub must have answered whether it has a model.
    """

    endpoint: str | None = None
    cache_dir: Path | None = None
    probe_timeout_s: float = PROBE_TIMEOUT_S

    @property
    def address(self) -> str:
        return self.endpoint or str(constants.ENDPOINT)

    @property
    def cache_path(self) -> Path:
        return self.cache_dir or Path(constants.HF_HUB_CACHE)


class _HubUnavailable(Exception):
    """The hub did not give the model; the message says why, in one line."""


def resolve_models(names: Sequence[str], hub: Hub | None = None) -> tuple[ResolvedModel, ...]:
    """Resolve each name once, in order; with no name, the default model.

    Raises:
        ModelLoadError: If a named model cannot be had.
    """
    if not names:
        return (resolve_model(None, hub),)
    # Named twice it would be loaded twice, and measured twice.
    return tuple(resolve_model(name, hub) for name in dict.fromkeys(names))


def resolve_model(name: str | None, hub: Hub | None = None) -> ResolvedModel:
    """Find or fetch a model; this may take minutes and shows its progress.

    Without a name: ``small`` if it is cached or the hub gives it, else the embedded model with
    a notice. At most ``hub.probe_timeout_s`` are spent on finding out.

    Raises:
        ModelLoadError: If a named model cannot be had. The message says what was tried and
            what to do.
    """
    hub = hub or Hub()
    if name is None:
        return _resolve_default(hub)
    if name == DEMO:
        return ResolvedModel(DEMO, DEMO_PATH, f"{_SYNTHETIC_ONLY[0].upper()}{_SYNTHETIC_ONLY[1:]}.")
    if name in HUB_IDS:
        return _resolve_hub_model(name, HUB_IDS[name], hub)
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return _resolve_folder(name, folder)
    if ggml := _GGML.fullmatch(Path(name).name):
        raise ModelLoadError(
            f"{name!r} names a model of whisper.cpp, whose format this server does not read; take "
            f"--model {ggml['model'] if ggml['model'] in HUB_IDS else PREFERRED}"
        )
    if _HUB_ID.fullmatch(name) and not name.startswith("."):
        return _resolve_hub_model(name, name, hub)
    raise ModelLoadError(
        f"there is no model {name!r}: no folder has this path, and it is none of "
        f"{', '.join([DEMO, *HUB_IDS])} and no hub id (org/name)"
    )


def list_models(hub: Hub | None = None) -> tuple[ModelListing, ...]:
    """Every model that has a name, and where it is on this machine. Asks no network."""
    hub = hub or Hub()
    named = (ModelListing(name, repo, _cached(repo, hub)) for name, repo in HUB_IDS.items())
    return (ModelListing(DEMO, "embedded", DEMO_PATH), *named)


def missing_files(folder: Path) -> tuple[str, ...]:
    """Files that a model needs and ``folder`` lacks or holds empty."""
    return tuple(pattern for pattern in _REQUIRED_FILES if not _has_file(folder, pattern))


def within(limit_s: float, ask: Callable[[], Answer]) -> Answer | None:
    """What ``ask`` returns; None if it takes longer than ``limit_s``.

    A daemon thread asks, because no timeout of an HTTP client covers the name look-up; one
    that never returns neither holds us up nor keeps the process from ending.
    """
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(ask()), name="hub-probe", daemon=True)
    thread.start()
    thread.join(limit_s)
    return answers[0] if answers else None


def progress_class() -> type[LoggedProgress] | None:
    """How a download shows how far it is; None is the hub's own bars, which need a terminal.

    A log gets a line every few seconds instead.
    """
    return None if sys.stderr.isatty() else LoggedProgress


def _has_file(folder: Path, pattern: str) -> bool:
    # A cache links to its blobs; a link whose blob was removed is no file.
    return any(path.is_file() and path.stat().st_size > 0 for path in folder.glob(pattern))


def _resolve_default(hub: Hub) -> ResolvedModel:
    repo = HUB_IDS[PREFERRED]
    cached = _cached(repo, hub)
    if cached is not None:
        return ResolvedModel(PREFERRED, cached)
    try:
        return ResolvedModel(PREFERRED, _fetch(repo, hub))
    except _HubUnavailable as exc:
        notice = (
            f"The model {PREFERRED!r} is not on this machine and could not be fetched ({exc}); "
            f"{_SYNTHETIC_ONLY}. Reach {hub.address} once, or give a folder to --model."
        )
        return ResolvedModel(DEMO, DEMO_PATH, notice)


def _resolve_hub_model(name: str, repo: str, hub: Hub) -> ResolvedModel:
    cached = _cached(repo, hub)
    if cached is not None:
        return ResolvedModel(name, cached)
    try:
        return ResolvedModel(name, _fetch(repo, hub))
    except _HubUnavailable as exc:
        raise ModelLoadError(
            f"the model {name!r} cannot be had. Tried the cache {hub.cache_path}: it is not there "
            f"or not complete. Tried {repo} at {hub.address}: {exc}. Check the network and "
            "HF_HUB_OFFLINE, give the folder of a CTranslate2 model to --model, or use "
            f"--model {DEMO} (embedded, synthetic voices only)."
        ) from exc


def _resolve_folder(name: str, folder: Path) -> ResolvedModel:
    missing = missing_files(folder)
    if missing:
        raise ModelLoadError(
            f"the folder {folder} is not a complete CTranslate2 model: it lacks "
            f"{', '.join(missing)}. Convert a Whisper model with: ct2-transformers-converter "
            f"--model ID --output_dir {folder} --copy_files tokenizer.json "
            "preprocessor_config.json"
        )
    return ResolvedModel(name, folder.resolve())


def _cached(repo: str, hub: Hub) -> Path | None:
    """The complete snapshot of ``repo`` in the cache, or None."""
    try:
        folder = snapshot_download(
            repo,
            local_files_only=True,
            cache_dir=hub.cache_dir,
            allow_patterns=list(_WANTED_FILES),
        )
    except (LocalEntryNotFoundError, ValueError):  # not there; or no valid hub id
        return None
    path = Path(folder)
    return None if missing_files(path) else path


def _fetch(repo: str, hub: Hub) -> Path:
    """Download ``repo``, once the hub has said in time that it has it."""
    _probe(repo, hub)
    logger.info("fetching %s from %s into %s", repo, hub.address, hub.cache_path)
    try:
        folder = snapshot_download(
            repo,
            endpoint=hub.endpoint,
            cache_dir=hub.cache_dir,
            allow_patterns=list(_WANTED_FILES),
            tqdm_class=progress_class(),
        )
    # The library under the hub's client changes with its version (requests, httpx, httpx2) and
    # brings error types of its own, so that none can be named here.
    except Exception as exc:
        raise _HubUnavailable(f"the download failed: {_one_line(exc)}") from exc
    missing = missing_files(Path(folder))
    if missing:
        raise _HubUnavailable(f"the download lacks {', '.join(missing)}")
    logger.info("fetched %s", repo)
    return Path(folder)


def _probe(repo: str, hub: Hub) -> None:
    """Ask the hub for the files of ``repo``, with a limit on the whole question."""
    answer = within(hub.probe_timeout_s, lambda: (_ask(repo, hub),))
    if answer is None:
        raise _HubUnavailable(f"no answer within {hub.probe_timeout_s:g} s")
    if answer[0] is not None:
        raise answer[0]


def _ask(repo: str, hub: Hub) -> _HubUnavailable | None:
    try:
        info = HfApi(endpoint=hub.endpoint).model_info(repo, timeout=hub.probe_timeout_s)
    except OfflineModeIsEnabled:
        return _HubUnavailable("HF_HUB_OFFLINE is set, which forbids asking")
    except Exception as exc:  # noqa: BLE001  # as in _fetch
        return _HubUnavailable(_one_line(exc))
    names = {sibling.rfilename for sibling in info.siblings or ()}
    if "model.bin" not in names:
        return _HubUnavailable("it is there, but not in CTranslate2's format (no model.bin)")
    return None


def _one_line(exc: Exception) -> str:
    return f"{type(exc).__name__}: {' '.join(str(exc).split())}"[:300]
