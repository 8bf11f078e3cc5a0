"""Where posts go: the operator's URL, checked, and without its secrets where it is shown."""

from dataclasses import dataclass
from typing import Final, Literal

import httpx2

from whisper_streaming.config import ForwardSettings
from whisper_streaming.errors import ForwardingError

Template = Literal["json", "llama_completion"]

_MAX_PORT: Final = 65535
_COMPLETION_PATH: Final = "/completion"
_MAX_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Target:
    """A service that takes posts.

    Attributes:
        url: Without name and password.
        auth: Name and password of the URL, for basic authentication; None without them.
        template: What it wants to read.
        shown: The URL for log lines, as far as it cannot hold a secret.
    """

    url: httpx2.URL
    auth: tuple[str, str] | None
    template: Template
    shown: str


def read_target(settings: ForwardSettings) -> Target | None:
    """The target of the settings; None if nothing is to be forwarded.

    Raises:
        ForwardingError: If the URL is none that can be posted to.
    """
    if settings.url is None:
        return None
    given = settings.url.get_secret_value().strip()
    url = _parse(given)
    bare = url.copy_with(userinfo=b"", fragment=None)
    return Target(
        url=bare,
        auth=(url.username, url.password) if url.userinfo else None,
        template=settings.template or _template_of(bare),
        # Paths and queries hold tokens, too.
        shown=f"{bare.scheme}://{bare.netloc.decode('ascii')}",
    )


def _parse(given: str) -> httpx2.URL:
    # What may hold a password is not repeated, not even as the cause of an error.
    quoted = "what is given" if "@" in given or "?" in given else repr(given[:_MAX_SHOWN])
    refusal = ForwardingError(
        f"cannot forward to {quoted}: a URL such as http://localhost:8080/path or "
        "https://example.com/path is needed (--forward-url, forward.url)"
    )
    try:
        url = httpx2.URL(given)
    except httpx2.InvalidURL:
        raise refusal from None
    port_is_good = url.port is None or 0 < url.port <= _MAX_PORT
    if url.scheme not in ("http", "https") or not url.host or "%" in url.host or not port_is_good:
        raise refusal
    return url


def _template_of(url: httpx2.URL) -> Template:
    """What a service expects at ``url``: llama.cpp's own path names it."""
    is_llama = url.path.rstrip("/").endswith(_COMPLETION_PATH)
    return "llama_completion" if is_llama else "json"
