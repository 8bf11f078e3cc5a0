"""A voice of Piper as a program that goes on: ``piper_program.py NAME.onnx``.

Reads lines of JSON, ``{"text": ...}``. Answers each with a line, ``{"samples": n}``, and n float32
samples behind it, or with ``{"error": ...}``. Ends with its input. Run as a file, in a process of
its own; it imports nothing of this package.
"""

import importlib
import json
import os
import sys
from typing import Any, BinaryIO


def main(model: str, questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there are no more questions."""
    voice: Any = None
    for line in questions:
        content = b""
        try:
            voice = voice or importlib.import_module("piper").PiperVoice.load(model)
            chunks = voice.synthesize(json.loads(line)["text"])
            content = b"".join(chunk.audio_float_array.astype("<f4").tobytes() for chunk in chunks)
            answer: dict[str, object] = {"samples": len(content) // 4}
        except Exception as exc:  # noqa: BLE001 - whatever it is, the other side has to know
            answer = {"error": f"{type(exc).__name__}: {exc}"[:200]}
        answers.write(json.dumps(answer).encode() + b"\n" + content)
        answers.flush()


if __name__ == "__main__":
    # What libraries print must not get between the answers.
    reserved = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    main(sys.argv[1], sys.stdin.buffer, reserved)
