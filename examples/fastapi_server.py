"""Live transcription in a FastAPI program of your own.

    pip install fastapi uvicorn
    python examples/fastapi_server.py --model demo

Clients of WhisperLiveKit connect to ws://localhost:8000/asr.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from whisper_streaming import AudioProcessor, DiffTracker, TranscriptionEngine
from whisper_streaming.errors import WhisperStreamingError


def create_app(model: str | None, language: str) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Once for all connections, in a thread: loading blocks.
        engine = await asyncio.to_thread(TranscriptionEngine, model=model, lan=language)
        async with engine:
            app.state.engine = engine
            yield

    app = FastAPI(lifespan=lifespan)

    @app.websocket("/asr")
    async def asr(socket: WebSocket, language: str | None = None, mode: str = "full") -> None:
        await socket.accept()
        try:
            processor = AudioProcessor(
                transcription_engine=app.state.engine, language=language, mode=mode
            )
        except WhisperStreamingError as error:  # such as a language that the model does not know
            await socket.send_json({"type": "error", "error": error.public_reason})
            await socket.close(4400)
            return
        try:
            await transcribe(socket, processor, mode)
        finally:
            await processor.cleanup()

    return app


async def transcribe(socket: WebSocket, processor: AudioProcessor, mode: str) -> None:
    """Send states while audio comes in; ends with the last words, or when the client leaves."""
    tracker = DiffTracker() if mode == "diff" else None
    results = await processor.create_tasks()
    try:
        async with asyncio.TaskGroup() as tasks:
            receiving = tasks.create_task(receive(socket, processor))
            await socket.send_json({"type": "config", "useAudioWorklet": True, "mode": mode})
            async for state in results:
                await socket.send_json(tracker.to_message(state) if tracker else state.to_dict())
            if processor.error is None:
                await socket.send_json({"type": "ready_to_stop"})
            receiving.cancel()
            await socket.close(1000 if processor.error is None else processor.error.close_code)
    except* WebSocketDisconnect:
        pass


async def receive(socket: WebSocket, processor: AudioProcessor) -> None:
    """Pass on what the client sends; an empty message is the end of its audio."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        if message.get("bytes") is not None:  # text is not for us
            await processor.process_audio(message["bytes"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="default: small if it can be had, else the embedded demo")
    parser.add_argument("--language", default="auto", help="of clients that name none")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    uvicorn.run(create_app(arguments.model, arguments.language), port=arguments.port)


if __name__ == "__main__":
    main()
