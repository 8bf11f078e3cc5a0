"""The decoder process by itself."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict

import pytest

from tests.encoded_audio import encode, tone
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.media_frames import Answer, Frame, FrameReader, Request
from whisper_streaming.media_stream import StreamLimits
from whisper_streaming.media_worker import MODULE, DecoderProcess

COMMAND = [sys.executable, "-m", MODULE, "256", json.dumps(asdict(StreamLimits()))]


def test_it_answers_what_it_can_and_ends_with_its_input() -> None:
    wav = encode("wav", tone(1.0, SAMPLE_RATE), rate=SAMPLE_RATE)
    requests = [
        Frame(Request.OPEN, 7, b"WAV"),
        Frame(Request.FEED, 7, wav),
        Frame(Request.OPEN, 8, b"WAV"),
        Frame(Request.CLOSE, 8),
    ]
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"".join(frame.encode() for frame in requests))
        process.stdin.flush()
        reader, frames = FrameReader(), list[Frame]()
        while not frames:
            frames += reader.push(process.stdout.read1())
        process.stdin.close()
        rest = process.stdout.read()

    [answer] = frames
    assert (answer.kind, answer.stream, rest) == (Answer.DONE, 7, b"")
    assert len(answer.content) == 4 * SAMPLE_RATE
    assert process.returncode == 0


def test_a_stream_without_memory_for_its_thread_ends_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests, requesting = os.pipe()
    answering, answers = os.pipe()
    process = DecoderProcess(StreamLimits(), answers)
    frames = [
        Frame(Request.OPEN, 3, b"WAV"),
        Frame(Request.FEED, 3, b"RIFF"),
        Frame(Request.CLOSE, 3),
    ]
    os.write(requesting, b"".join(frame.encode() for frame in frames))
    os.close(requesting)

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    process.serve(requests)

    [answer] = FrameReader().push(os.read(answering, 1000))
    assert answer == Frame(Answer.BROKEN, 3, b"can't start new thread")
    for descriptor in (requests, answering, answers):
        os.close(descriptor)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems enforce less")
def test_memory_files_and_core_dumps_are_limited() -> None:
    code = """
import resource
from whisper_streaming.media_worker import limit_process
limit_process(200 * 2**20)
held = bytearray(50 * 2**20)
try:
    more = bytearray(180 * 2**20)
except MemoryError:
    print("enough", resource.getrlimit(resource.RLIMIT_CORE))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.stderr) == ("enough (0, 0)\n", "")


def test_it_loads_no_more_than_it_needs() -> None:
    code = f"import sys, {MODULE}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    loaded = set(done.stdout.split())

    assert {"av", "numpy"} < loaded
    assert not loaded & {"asyncio", "pydantic", "websockets", "faster_whisper", "ctranslate2"}
