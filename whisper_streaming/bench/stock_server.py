"""Runs the real WhisperLive server on a free port and prints the port.

A program of its own: ``python -m whisper_streaming.bench.stock_server PACKAGES MODEL [batch]``
with the folder of the unpacked wheel and the model folder; ``batch`` turns its batching on. What
the server imports and does not use for transcribing on a CPU (torch, the REST interface) is
replaced by names.
"""

import sys
from types import ModuleType, SimpleNamespace
from typing import Final

_NO_LIMIT: Final = 100_000


def stub(name: str, **attributes: object) -> None:
    """Make ``import name`` work without the package."""
    module = ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module


def stub_unused_imports() -> None:
    """Make the server importable without the packages that it does not use here."""
    stub("torch", cuda=SimpleNamespace(is_available=lambda: False))
    stub("uvicorn")
    rest = dict.fromkeys(("FastAPI", "UploadFile", "Form", "Request", "File"), object)
    stub("fastapi", **rest)
    stub("fastapi.middleware")
    stub("fastapi.middleware.cors", CORSMiddleware=object)
    stub("fastapi.responses", JSONResponse=object)
    stub("starlette")
    stub("starlette.responses", PlainTextResponse=object, StreamingResponse=object)


def main(wheel: str, model: str, mode: str = "") -> None:
    """Serve until the process is ended."""
    stub_unused_imports()
    # Last, so that faster-whisper and all it needs are those of this environment.
    sys.path.append(wheel)
    from whisper_live import server as whisper_live

    serve = whisper_live.serve

    def serve_and_tell(*args: object, **options: object) -> object:
        server = serve(*args, **options)
        sys.stdout.write(f"{server.socket.getsockname()[1]}\n")
        sys.stdout.flush()
        return server

    whisper_live.serve = serve_and_tell
    whisper_live.TranscriptionServer().run(
        "127.0.0.1",
        port=0,
        backend="faster_whisper",
        faster_whisper_custom_model_path=model,
        single_model=True,
        max_clients=_NO_LIMIT,
        max_connection_time=_NO_LIMIT,
        batch_enabled=mode == "batch",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
