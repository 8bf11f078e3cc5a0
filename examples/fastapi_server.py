"""Live transcription in a FastAPI program of your own.

    pip install fastapi uvicorn
    python examples/fastapi_server.py --model demo

Clients of WhisperLiveKit connect to ws://localhost:8000/asr. Stop it with Ctrl-C or SIGTERM:
every client gets its last words first.
"""

import argparse
import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from whisper_streaming import AudioProcessor, DiffTracker, TranscriptionEngine
from whisper_streaming.errors import InvalidMessage, WhisperStreamingError
from whisper_streaming.live_kit import AsrQuery, parse_query


def create_app(model: str | None, language: str) -> FastAPI:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Once for all connections, in a thread: loading blocks.
        engine = await asyncio.to_thread(TranscriptionEngine, model=model, lan=language)
        async with engine:
            app.state.engine = engine
            app.state.is_stopping = False
            app.state.conversations = set()
            yield

    app = FastAPI(lifespan=lifespan)

    @app.websocket("/asr")
    async def asr(client: WebSocket) -> None:
        conversation = asyncio.current_task()
        app.state.conversations.add(conversation)
        try:
            await answer(client)
        finally:
            app.state.conversations.discard(conversation)

    return app


class Server(uvicorn.Server):
    """Lets clients have their last words before it closes their connections."""

    def __init__(self, app: FastAPI, port: int) -> None:
        super().__init__(uvicorn.Config(app, port=port))
        self.state = app.state

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()  # nobody new
        self.state.is_stopping = True
        await self.state.engine.close()  # the last words of those who are here
        if self.state.conversations:
            await asyncio.wait(self.state.conversations, timeout=10)  # until they have got them
        await super().shutdown(sockets)


async def answer(client: WebSocket) -> None:
    """One connection, from its first message to its last."""
    await client.accept()
    query = parse_query(client.url.query)
    try:
        processor = AudioProcessor(
            transcription_engine=client.app.state.engine,
            language=query.language,
            target_language=query.target_language,
            mode="diff" if query.wants_diffs else "full",
        )
    except InvalidMessage as error:  # such as a language that the model does not know
        await client.send_json({"type": "error", "error": error.public_reason})
        await close(client, 4400, error)
        return
    try:
        await transcribe(client, processor, query)
    finally:
        await processor.cleanup()


async def transcribe(client: WebSocket, processor: AudioProcessor, query: AsrQuery) -> None:
    """Send states while audio comes in; ends with the last words, or when the client leaves."""
    tracker = DiffTracker() if query.wants_diffs else None
    results = await processor.create_tasks()
    try:
        async with asyncio.TaskGroup() as tasks:
            receiving = tasks.create_task(receive(client, processor))
            config = {"type": "config", "useAudioWorklet": True, "mode": query.mode}
            await client.send_json(config)
            async for state in results:
                await client.send_json(tracker.to_message(state) if tracker else state.to_dict())
            if processor.error is None:
                await client.send_json({"type": "ready_to_stop"})
            receiving.cancel()
            if processor.error is not None:
                await close(client, processor.error.close_code, processor.error)
            else:
                await close(client, 1012 if client.app.state.is_stopping else 1000)
    except* WebSocketDisconnect:
        pass


async def receive(client: WebSocket, processor: AudioProcessor) -> None:
    """Pass on what the client sends; an empty message is the end of its audio."""
    while True:
        message = await client.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        if message.get("bytes") is not None:  # text is not for us
            await processor.process_audio(message["bytes"])


async def close(client: WebSocket, code: int, error: WhisperStreamingError | None = None) -> None:
    reason = "" if error is None else error.public_reason
    # No reason may have more than 123 bytes.
    await client.close(code, reason.encode()[:123].decode(errors="ignore"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="default: small if it can be had, else the embedded demo")
    parser.add_argument("--language", default="auto", help="of clients that name none")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    server = Server(create_app(arguments.model, arguments.language), arguments.port)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(1)


if __name__ == "__main__":
    main()
