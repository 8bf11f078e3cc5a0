"""Posts over HTTP: one attempt, and what its answer means."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Final

import httpx2

from whisper_streaming.config import ForwardSettings
from whisper_streaming.forward.payload import Post, render
from whisper_streaming.forward.target import Target
from whisper_streaming.version import __version__

ID_HEADER: Final = "Idempotency-Key"
TIMESTAMP_HEADER: Final = "X-Whisper-Streaming-Timestamp"
SIGNATURE_HEADER: Final = "X-Whisper-Streaming-Signature"

_MAX_ANSWER_BYTES: Final = 65_536
"""Read of an answer, so that its connection can be used again; the rest costs the connection."""

_PASSING: Final = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
)


class Result(Enum):
    """What became of one attempt."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # the same post would be refused again, unless the service is changed
    FAILED = "failed"  # it may be accepted later


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one attempt.

    Attributes:
        result: What became of it.
        detail: Why, for the log.
        retry_after_s: When the service wants the next attempt, if it says.
    """

    result: Result
    detail: str = ""
    retry_after_s: float | None = None


class HttpSender:
    """Posts to one target. Close it with :meth:`close`.

    Making one reads the system's certificates, which takes a moment.
    """

    def __init__(
        self,
        target: Target,
        settings: ForwardSettings,
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._target = target
        self._settings = settings
        self._wall_clock = wall_clock
        self._client = httpx2.AsyncClient(
            auth=target.auth,
            headers={"User-Agent": f"whisper-streaming/{__version__}"},
            follow_redirects=False,  # the operator named one place, and no service may name another
            timeout=settings.timeout_s,
            limits=httpx2.Limits(max_connections=settings.connections),
        )

    async def send(self, post: Post) -> Answer:
        """One attempt; raises nothing but cancellation, after which the post may have arrived."""
        body = render(post, self._target.template, self._settings.n_predict)
        headers = self._headers(post, body)
        answer: Answer | None = None
        try:
            # The library's time-outs are for each read: a service could dribble for ever.
            async with asyncio.timeout(self._settings.timeout_s):
                posting = self._client.stream(
                    "POST", self._target.url, content=body, headers=headers
                )
                async with posting as response:
                    answer = _read_answer(response)
                    await _skip_body(response)
        # Once there is a status, whatever goes wrong with the rest does not change it.
        except (TimeoutError, httpx2.TimeoutException):
            detail = f"no answer in {self._settings.timeout_s:g} s"
            return answer or Answer(Result.FAILED, detail)
        except (httpx2.HTTPError, OSError) as exc:
            detail = f"{type(exc).__name__}: {' '.join(str(exc).split())}"
            return answer or Answer(Result.FAILED, detail)
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _headers(self, post: Post, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", ID_HEADER: post.id}
        if self._settings.secret is not None:
            # Of each attempt its own, so that a receiver can refuse what somebody recorded.
            timestamp = str(int(self._wall_clock()))
            headers[TIMESTAMP_HEADER] = timestamp
            secret = self._settings.secret.get_secret_value()
            headers[SIGNATURE_HEADER] = sign(secret, timestamp, body)
        return headers


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature of a post: ``sha256=`` and the HMAC of ``timestamp.body`` in hexadecimal."""
    signed = timestamp.encode() + b"." + body
    return f"sha256={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def _read_answer(response: httpx2.Response) -> Answer:
    status = response.status_code
    if response.is_success:
        return Answer(Result.ACCEPTED)
    detail = f"status {status}"
    if response.is_redirect:
        return Answer(Result.REFUSED, f"{detail}, and redirects are not followed")
    if response.is_client_error and status not in _PASSING:
        return Answer(Result.REFUSED, detail)
    return Answer(Result.FAILED, detail, _retry_after_s(response))


def _retry_after_s(response: httpx2.Response) -> float | None:
    """RFC 9110, section 10.2.3, in seconds; the form with a date is ignored."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None


async def _skip_body(response: httpx2.Response) -> None:
    """Read a short answer to its end."""
    size = 0
    async for piece in response.aiter_raw():
        size += len(piece)
        if size > _MAX_ANSWER_BYTES:
            return
