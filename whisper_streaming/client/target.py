"""Which server to talk to, and what to tell the user when it does not answer."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from whisper_streaming.errors import ClientError, ConfigurationError, ConnectionLost, ServerRefused

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_FORBIDDEN_STATUSES: Final = (401, 403)
_UNKNOWN_HOST: Final = (socket.gaierror, UnicodeError)  # the latter: it cannot be a name


@dataclass(frozen=True, slots=True)
class Target:
    """A server's address, the token for it and the authority that vouches for it.

    Attributes:
        url: ``ws://`` or ``wss://``.
        token: Sent as ``Authorization: Bearer``; None sends nothing.
        ca_file: PEM file of a certificate authority for ``wss://``; None takes the system's.
    """

    url: str
    token: str | None = None
    ca_file: str | None = None

    @classmethod
    def of(
        cls, host: str, port: int, url: str | None, token: str | None, ca_file: str | None
    ) -> "Target":
        """Check what the user gave; ``url`` replaces ``host`` and ``port``.

        Raises:
            ConfigurationError: If that is no address, or a file is missing.
        """
        if ca_file is not None and not Path(ca_file).is_file():
            raise ConfigurationError(f"there is no CA file {ca_file}")
        if url is None:
            if not 0 < port < 65536:
                raise ConfigurationError(f"the port must be between 1 and 65535, not {port}")
            scheme = "wss" if ca_file is not None else "ws"
            bracketed = f"[{host}]" if ":" in host else host
            url = f"{scheme}://{bracketed}:{port}"
        target = cls(url, token, ca_file)
        target._check()
        return target

    @property
    def is_loopback(self) -> bool:
        """The server runs on this machine, so no proxy is between."""
        return urlsplit(self.url).hostname in LOOPBACK_HOSTS

    def headers(self) -> dict[str, str]:
        """Headers of the handshake."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def ssl_context(self) -> ssl.SSLContext | None:
        """How to check the server; None without TLS.

        Raises:
            ConfigurationError: If the CA file holds no certificate.
        """
        if not self.url.startswith("wss://"):
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (ssl.SSLError, OSError) as exc:
            raise ConfigurationError(f"{self.ca_file} holds no CA certificate: {exc}") from exc

    def refused(self, status: int, body: str) -> ClientError:
        """The error for a handshake that was answered with another HTTP status than 101."""
        if status in _FORBIDDEN_STATUSES:
            remedy = "the token is wrong" if self.token else "give the server's token with --token"
            return ServerRefused(f"{self.url} asks for authorization (HTTP {status}): {remedy}")
        said = f": {body.strip()[:200]}" if body.strip() else ""
        return ServerRefused(f"{self.url} answered HTTP {status} instead of a WebSocket{said}")

    def unreachable(self, cause: Exception) -> ClientError:
        """The error for a connection that could not be opened."""
        reason = str(cause) or type(cause).__name__
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ConnectionLost(
                f"the certificate of {self.url} is not trusted ({cause.verify_message}): give the "
                "authority's PEM file with --ca-file"
            )
        if isinstance(cause, ssl.SSLError):
            return ConnectionLost(f"{self.url} does not speak TLS ({reason}): try ws:// instead")
        parts = urlsplit(self.url)
        # The blocking library hides it behind an error of its own.
        if any(isinstance(each, _UNKNOWN_HOST) for each in (cause, cause.__context__)):
            return ConnectionLost(f"the host {parts.hostname!r} of {self.url} is not known here")
        if not isinstance(cause, OSError | ValueError) and self.url.startswith("ws://"):
            # Somebody took the connection and did not answer as a WebSocket server does.
            reason += "; a server that has a certificate is reached at wss:// only"
        return ConnectionLost(
            f"no server answers at {self.url} ({reason}): is it running? Start one with "
            f"python run_websocket_server.py --host {parts.hostname} --port {parts.port or 80}"
        )

    def _check(self) -> None:
        try:
            parts = urlsplit(self.url)
            is_usable = parts.scheme in ("ws", "wss") and bool(parts.hostname)
            _ = parts.port  # raises where it is no number
        except ValueError:
            is_usable = False
        if not is_usable:
            raise ConfigurationError(f"{self.url!r} is no ws:// or wss:// address of a server")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            # Such as the line break at the end of a file, which would break the handshake.
            raise ConfigurationError("the token may hold printable ASCII characters only")
