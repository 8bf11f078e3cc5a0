"""The load generator: many paced sessions from one small process.

Runs as ``python -m whisper_streaming.bench.generator``, with a pickled ``Job`` on standard input
and a pickled ``Outcome`` on standard output. It imports no NumPy and reads no message before the
run is over: whatever it costs is missing to the server on the same machine.
"""

import asyncio
import base64
import gc
import json
import os
import pickle
import ssl
import sys
import time
import uuid
from typing import Final
from urllib.parse import urlsplit

from whisper_streaming.bench.frames import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameReader,
    client_frame,
)
from whisper_streaming.bench.job import Job, Lane, Outcome, Take

_CONNECT_TIMEOUT_S: Final = 60.0
_LINGER_STEP_S: Final = 0.1
_HEAD_END: Final = b"\r\n\r\n"


async def run(job: Job) -> Outcome:
    """Stream everything; never raises for a session that fails: its take says so."""
    takes: list[Take] = []
    cpu_s, began = time.process_time(), time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for lane in job.lanes:
            tasks.create_task(_play_lane(job, lane, takes))
    return Outcome(tuple(takes), time.process_time() - cpu_s, time.monotonic() - began)


def main() -> None:
    """Read the job, run it, write the outcome."""
    # A process of its own: unpickles what its parent sent, nothing else can write to it.
    job = pickle.load(sys.stdin.buffer)
    gc.disable()  # no pauses that would be taken for the server's
    outcome = asyncio.run(run(job))
    pickle.dump(outcome, sys.stdout.buffer)


async def _play_lane(job: Job, lane: Lane, takes: list[Take]) -> None:
    await asyncio.sleep(lane.start_s)
    for track in lane.tracks:
        take = Take(track)
        takes.append(take)
        try:
            await _play(job, take)
        except (OSError, TimeoutError) as error:
            take.failure = f"no connection: {error or type(error).__name__}"


async def _play(job: Job, take: Take) -> None:
    loop = asyncio.get_running_loop()
    parts = urlsplit(job.url)
    context = ssl.create_default_context() if parts.scheme == "wss" else None
    session = _Session(job, take, loop)
    host, port = parts.hostname or "localhost", parts.port or (443 if context else 80)
    async with asyncio.timeout(_CONNECT_TIMEOUT_S):
        transport, _ = await loop.create_connection(lambda: session, host, port, ssl=context)
    try:
        await session.done
    finally:
        transport.abort()


class _Session(asyncio.Protocol):
    """One session: handshake, options, paced audio, end. Everything happens in callbacks."""

    def __init__(self, job: Job, take: Take, loop: asyncio.AbstractEventLoop) -> None:
        self.done: asyncio.Future[None] = loop.create_future()
        self._job = job
        self._take = take
        self._loop = loop
        self._track = job.tracks[take.track]
        self._reader = FrameReader()
        self._head: bytearray | None = bytearray()  # of the handshake; None once it is over
        self._transport: asyncio.WriteTransport | None = None
        self._began: float | None = None
        self._ended: float | None = None
        self._changed = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # -- callbacks of the transport ---------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        transport.write(_handshake(self._job.url))
        self._timer = self._loop.call_later(_CONNECT_TIMEOUT_S, self._fail, "it never got ready")

    def data_received(self, data: bytes) -> None:
        at = self._loop.time()
        if self._head is not None:
            self._head += data
            head, end, data = bytes(self._head).partition(_HEAD_END)
            if not end:
                return
            self._head = None
            status = head.split(b"\r\n")[0]
            if b" 101 " not in status:
                self._fail(f"no WebSocket: {status.decode(errors='replace')}")
                return
            self._write(client_frame(TEXT, self._options()))
        for opcode, payload in self._reader.feed(data):
            self._receive(at, opcode, payload)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._ended is not None:
            self._take.close_s = self._loop.time() - self._ended
        elif self._take.failure is None:
            self._take.failure = "the server closed before the end of the audio"
        if not self.done.done():
            self.done.set_result(None)

    # -- protocol ---------------------------------------------------------------------------

    def _options(self) -> bytes:
        own = self._job.track_options[self._take.track]
        return json.dumps({"uid": str(uuid.uuid4()), **self._job.options, **own}).encode()

    def _receive(self, at: float, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self._receive_text(at, payload)
        elif opcode == PING:
            self._write(client_frame(PONG, payload))
        elif opcode == CLOSE:
            self._write(client_frame(CLOSE, payload[:2]))
            if self._transport is not None:
                self._transport.close()

    def _receive_text(self, at: float, payload: bytes) -> None:
        if self._began is None:
            self._await_ready(payload)
            return
        messages = self._take.messages
        if not messages or messages[-1][1] != payload:
            self._changed = at
        messages.append((at - self._began, payload))

    def _await_ready(self, payload: bytes) -> None:
        message = json.loads(payload)
        if message.get("status") == "WAIT":
            self._fail("refused: WAIT, the server is full")  # for how long differs each time
        elif message.get("status") == "ERROR":
            self._fail(f"refused: ERROR {message.get('message')}")
        elif message.get("message") == "SERVER_READY":
            assert self._timer is not None
            self._timer.cancel()
            self._began = self._changed = self._loop.time()
            self._send_when_due(0)

    def _send_when_due(self, index: int) -> None:
        assert self._began is not None
        if index == len(self._track.frames):
            self._end_audio()
            return
        due = self._began + self._track.due_s[index]
        self._timer = self._loop.call_at(due, self._send, index, due)

    def _send(self, index: int, due: float) -> None:
        self._take.late_s.append(self._loop.time() - due)
        self._write(self._track.frames[index])
        self._send_when_due(index + 1)

    def _end_audio(self) -> None:
        now = self._loop.time()
        if self._ended is None:
            self._ended = now
        if now - max(self._changed, self._ended) < self._job.linger_s:
            self._timer = self._loop.call_later(_LINGER_STEP_S, self._end_audio)
            return
        self._write(self._job.end)
        self._timer = self._loop.call_later(
            self._job.wait_s, self._fail, f"not closed within {self._job.wait_s:g} s"
        )

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _fail(self, reason: str) -> None:
        if self._take.failure is None:
            self._take.failure = reason
        if self._transport is not None:
            self._transport.abort()


def _handshake(url: str) -> bytes:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


if __name__ == "__main__":
    main()
