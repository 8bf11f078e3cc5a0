"""Models of the hub that may be behind a login: who is refused, and why."""

import logging
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Final

from huggingface_hub import constants, get_token, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from whisper_streaming.backends.model_store import Hub, progress_class, within
from whisper_streaming.errors import ModelLoadError

logger = logging.getLogger("whisper_streaming.backend")

_TOKEN_FLAG: Final = "--huggingface-token"  # the flag, no secret
_REFUSALS: Final = frozenset({401, 403})


def fetch_repository(
    repo: str,
    token: str | None,
    hub: Hub | None = None,
    *,
    is_complete: Callable[[Path], bool],
    unwanted: Sequence[str] = (),
) -> Path:
    """The folder of ``repo``: from the cache, or fetched; that may take minutes.

    Args:
        repo: ``org/name``.
        token: None is the one of the environment or of an earlier login, if there is one.
        hub: Where it is.
        is_complete: Whether a folder holds what will be read. One in the cache may not: a
            download that was cut off leaves one, too.
        unwanted: Patterns of files that are left there.

    Raises:
        ModelLoadError: If it cannot be had: no token, a token that is refused, no such
            repository, or a hub that does not answer; each in its own words.
    """
    hub, token, patterns = hub or Hub(), _checked(token), list(unwanted)
    try:
        cached = Path(
            snapshot_download(
                repo, local_files_only=True, cache_dir=hub.cache_dir, ignore_patterns=patterns
            )
        )
        if is_complete(cached):
            return cached
    except (LocalEntryNotFoundError, ValueError):  # not there; or no valid id
        pass
    check_access(repo, token, hub)
    logger.info("fetching %s from %s into %s", repo, hub.address, hub.cache_path)
    try:
        return Path(
            snapshot_download(
                repo,
                endpoint=hub.endpoint,
                cache_dir=hub.cache_dir,
                token=token,
                ignore_patterns=patterns,
                tqdm_class=progress_class(),
            )
        )
    # The library under the hub's client changes with its version and brings its own error types.
    except Exception as exc:
        raise ModelLoadError(
            f"the download of {repo} from {hub.address} failed: {type(exc).__name__}: {exc}"
        ) from exc


def check_access(repo: str, token: str | None, hub: Hub | None = None) -> None:
    """Check that the hub gives ``repo`` to who has ``token``.

    Raises:
        ModelLoadError: If not, or if the hub does not answer in ``hub.probe_timeout_s``.
    """
    hub, token = hub or Hub(), _checked(token) or get_token()
    if constants.HF_HUB_OFFLINE:
        raise ModelLoadError(
            f"{repo} is not on this machine, and HF_HUB_OFFLINE forbids to ask {hub.address} for it"
        )
    answer = within(hub.probe_timeout_s, lambda: _ask(repo, token, hub))
    page = f"{hub.address}/{repo}"
    if answer is None:
        raise _unreachable(repo, hub, f"no answer within {hub.probe_timeout_s:g} s")
    match answer:
        case str(reason):
            raise _unreachable(repo, hub, reason)
        case status if status in _REFUSALS and token is None:
            raise ModelLoadError(
                f"{repo} is behind a login: accept its conditions at {page}, make a token "
                f"there, and give it with {_TOKEN_FLAG} or HF_TOKEN"
            )
        case 401:
            raise ModelLoadError(
                f"{hub.address} does not know the token that {_TOKEN_FLAG} or HF_TOKEN gives; "
                f"make a new one at {hub.address}/settings/tokens"
            )
        case 403:
            raise ModelLoadError(
                f"the token is known, but may not have {repo}: accept its conditions at {page}, "
                "with the account that the token belongs to, and let the token read gated "
                "repositories"
            )
        case 404:
            raise ModelLoadError(f"{hub.address} has no {repo}, or none that the token may see")
        case status if status >= 400:
            raise _unreachable(repo, hub, f"it answers with status {status}")


def _checked(token: str | None) -> str | None:
    """``token`` without what a file or a shell put around it; None if nothing is left.

    Raises:
        ModelLoadError: If it cannot be a token. It is not repeated: it may hold one.
    """
    token = (token or "").strip()
    if not all("!" <= letter <= "~" for letter in token):
        raise ModelLoadError(
            f"what {_TOKEN_FLAG} gives is no token: there are spaces, line breaks or letters in it "
            "that no token has"
        )
    return token or None


def _ask(repo: str, token: str | None, hub: Hub) -> int | str:
    """The status that the hub answers with, or why it did not answer."""
    request = urllib.request.Request(f"{hub.address}/api/models/{repo}/auth-check")
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=hub.probe_timeout_s) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError, HTTPException) as error:
        return f"{type(error).__name__}: {error}"


def _unreachable(repo: str, hub: Hub, reason: str) -> ModelLoadError:
    return ModelLoadError(
        f"{repo} is not on this machine, and the hub {hub.address} cannot be reached: {reason}. "
        "Check the network and HF_ENDPOINT, or give a folder that holds the model: "
        "--align-model PATH, for speakers --set diarization.model=PATH"
    )
