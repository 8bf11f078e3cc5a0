"""Live transcription in a program of your own, with nothing but asyncio and a WebSocket library.

    python examples/asyncio_server.py --model demo

Clients of WhisperLiveKit connect to ws://localhost:8000 (any path).
"""

import argparse
import asyncio
import contextlib
import json
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from whisper_streaming import AudioProcessor, DiffTracker, TranscriptionEngine
from whisper_streaming.errors import WhisperStreamingError


async def answer(socket: ServerConnection, engine: TranscriptionEngine) -> None:
    """One connection, from its first message to its last."""
    assert socket.request is not None
    query = parse_qs(urlsplit(socket.request.path).query)
    language, mode = query.get("language", [None])[-1], query.get("mode", ["full"])[-1]
    try:
        processor = AudioProcessor(transcription_engine=engine, language=language, mode=mode)
    except WhisperStreamingError as error:  # such as a language that the model does not know
        await send(socket, {"type": "error", "error": error.public_reason})
        await socket.close(4400)
        return
    try:
        await transcribe(socket, processor, mode)
    finally:
        await processor.cleanup()


async def transcribe(socket: ServerConnection, processor: AudioProcessor, mode: str) -> None:
    """Send states while audio comes in; ends with the last words, or when the client leaves."""
    tracker = DiffTracker() if mode == "diff" else None
    results = await processor.create_tasks()
    async with asyncio.TaskGroup() as tasks:
        receiving = tasks.create_task(receive(socket, processor))
        with contextlib.suppress(ConnectionClosed):
            await send(socket, {"type": "config", "useAudioWorklet": True, "mode": mode})
            async for state in results:
                await send(socket, tracker.to_message(state) if tracker else state.to_dict())
            if processor.error is None:
                await send(socket, {"type": "ready_to_stop"})
            await socket.close(1000 if processor.error is None else processor.error.close_code)
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


async def run(model: str | None, language: str, port: int) -> None:
    # Once for all connections.
    engine = TranscriptionEngine(model=model, lan=language)
    async with engine, serve(lambda socket: answer(socket, engine), "localhost", port) as server:
        print(f"listening on ws://localhost:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="default: small if it can be had, else the embedded demo")
    parser.add_argument("--language", default="auto", help="of clients that name none")
    parser.add_argument("--port", type=int, default=8000, help="0 picks a free one")
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(arguments.model, arguments.language, arguments.port))


if __name__ == "__main__":
    main()
