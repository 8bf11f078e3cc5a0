"""Live transcription in a program of your own, with nothing but asyncio and a WebSocket library.

    python examples/asyncio_server.py --model demo

Clients of WhisperLiveKit connect to ws://localhost:8000 (any path). Stop it with Ctrl-C or
SIGTERM: every client gets its last words first.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from whisper_streaming import AudioProcessor, DiffTracker, TranscriptionEngine
from whisper_streaming.errors import InvalidMessage, WhisperStreamingError
from whisper_streaming.live_kit import AsrQuery, parse_query


async def answer(
    socket: ServerConnection, engine: TranscriptionEngine, stopping: asyncio.Event
) -> None:
    """One connection, from its first message to its last."""
    assert socket.request is not None
    query = parse_query(urlsplit(socket.request.path).query)
    try:
        processor = AudioProcessor(
            transcription_engine=engine,
            language=query.language,
            target_language=query.target_language,
            mode="diff" if query.wants_diffs else "full",
        )
    except InvalidMessage as error:  # such as a language that the model does not know
        await send(socket, {"type": "error", "error": error.public_reason})
        await close(socket, 4400, error)
        return
    try:
        await transcribe(socket, processor, query, stopping)
    finally:
        await processor.cleanup()


async def transcribe(
    socket: ServerConnection, processor: AudioProcessor, query: AsrQuery, stopping: asyncio.Event
) -> None:
    """Send states while audio comes in; ends with the last words, or when the client leaves."""
    tracker = DiffTracker() if query.wants_diffs else None
    results = await processor.create_tasks()
    async with asyncio.TaskGroup() as tasks:
        receiving = tasks.create_task(receive(socket, processor))
        with contextlib.suppress(ConnectionClosed):
            await send(socket, {"type": "config", "useAudioWorklet": True, "mode": query.mode})
            async for state in results:
                await send(socket, tracker.to_message(state) if tracker else state.to_dict())
            if processor.error is not None:
                await close(socket, processor.error.close_code, processor.error)
            else:
                await send(socket, {"type": "ready_to_stop"})
                await close(socket, 1012 if stopping.is_set() else 1000)
        receiving.cancel()


async def receive(socket: ServerConnection, processor: AudioProcessor) -> None:
    """Pass on what the client sends; an empty message is the end of its audio."""
    with contextlib.suppress(ConnectionClosed):
        async for message in socket:
            if isinstance(message, bytes):  # text is not for us
                await processor.process_audio(message)
    await processor.cleanup()  # it left: no more states either


async def send(socket: ServerConnection, message: object) -> None:
    await socket.send(json.dumps(message))


async def close(
    socket: ServerConnection, code: int, error: WhisperStreamingError | None = None
) -> None:
    reason = "" if error is None else error.public_reason
    # No reason may have more than 123 bytes.
    await socket.close(code, reason.encode()[:123].decode(errors="ignore"))


async def run(model: str | None, language: str, port: int) -> None:
    engine = TranscriptionEngine(model=model, lan=language)  # once for all connections
    stopping = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C ends it at once there
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with (
        engine,
        serve(lambda each: answer(each, engine, stopping), "localhost", port) as server,
    ):
        print(f"listening on ws://localhost:{server.sockets[0].getsockname()[1]}", flush=True)
        await stopping.wait()
        server.close(close_connections=False)  # nobody new
        await engine.close()  # the last words of those who are here
        await server.wait_closed()  # they have got them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="default: small if it can be had, else the embedded demo")
    parser.add_argument("--language", default="auto", help="of clients that name none")
    parser.add_argument("--port", type=int, default=8000, help="0 picks a free one")
    arguments = parser.parse_args()
    try:
        asyncio.run(run(arguments.model, arguments.language, arguments.port))
    except KeyboardInterrupt:
        pass
    except OSError as error:
        sys.exit(f"cannot listen on port {arguments.port}: {error.strerror}")


if __name__ == "__main__":
    main()
