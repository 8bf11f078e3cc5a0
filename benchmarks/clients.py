"""Memory, processor time and latency of a server with 1, 4 and 10 clients.

    python -m benchmarks.clients --clients 1 4 10

Starts the real server in a process of its own and streams recordings in real time through the
real client. Word error rate and latencies are those of the clients; memory and processor time
are those of the server's process.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import Progress

from benchmarks import report
from benchmarks.recordings import Recording, load_all
from whisper_streaming.client import AsyncTranscriptionClient, TranscriptSegment
from whisper_streaming.core.audio import FloatArray, samples_of, seconds
from whisper_streaming.evaluate import CaptionLog, percentile, spoken_words, word_errors

CHUNK_S = 0.1
STAGGER_S = 0.37
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Measured:
    """What the clients of one run saw, all together."""

    commit: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    errors: int = 0
    words: int = 0
    failed: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 4, 10])
    parser.add_argument("--model", default="demo")
    parser.add_argument("--match", default="en-[1-6]*", help="recordings of tests/data to stream")
    parser.add_argument("--server-flags", default="", help="more flags for the server")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    recordings = load_all(arguments.match)
    rows = []
    with Progress(transient=True) as progress:
        task = progress.add_task("clients", total=len(arguments.clients))
        for count in arguments.clients:
            with server(arguments.model, arguments.server_flags.split()) as (process, port):
                rows.append(asyncio.run(measure(count, recordings, process.pid, port)))
            progress.advance(task)
    report.write(rows, arguments.json)


@contextmanager
def server(model: str, flags: Sequence[str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server on a free port."""
    command = [sys.executable, "run_websocket_server.py", "--model", model, "--port", "0"]
    process = subprocess.Popen(
        [*command, "--max-clients", "1000", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if match := re.search(r"ws://\S+:(\d+)", line):
                yield process, int(match[1])
                return
        raise SystemExit("the server did not start: run the same command by hand")
    finally:
        process.terminate()
        process.wait()


async def measure(count: int, recordings: Sequence[Recording], pid: int, port: int) -> report.Row:
    """The table's row of ``count`` clients at once."""
    measured = Measured()
    cpu_before, began = _cpu_s(pid), time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for index in range(count):
            recording = recordings[index % len(recordings)]
            tasks.create_task(_client(index, recording, port, measured))
    wall_s, cpu_s = time.monotonic() - began, _cpu_s(pid) - cpu_before
    audio_s = sum(seconds(len(recordings[i % len(recordings)].samples)) for i in range(count))
    return {
        "Clients": count,
        "Memory": f"{_peak_memory_mb(pid)} MB",
        "CPU (of one core)": f"{cpu_s / wall_s:.0%}",
        "CPU per audio second": f"{cpu_s / audio_s:.3f} s",
        "Commit p50 / p95": _pair(measured.commit),
        "First partial p50 / p95": _pair(measured.first),
        "Word error rate": f"{measured.errors / max(1, measured.words):.1%}",
        "Failed": measured.failed,
    }


async def _client(index: int, recording: Recording, port: int, measured: Measured) -> None:
    await asyncio.sleep(index * STAGGER_S)
    log, started = CaptionLog(), [0.0]

    def note(text: str, segments: list[TranscriptSegment]) -> None:
        final = "".join(
            s["text"] if s["completed"] else s.get("committed_text", "") for s in segments
        )
        log.add(time.monotonic() - started[0], final, "".join(s["text"] for s in segments))

    async def paced() -> AsyncIterator[FloatArray]:
        step = samples_of(CHUNK_S)
        started[0] = time.monotonic()
        for start in range(0, len(recording.samples), step):
            chunk = recording.samples[start : start + step]
            due = started[0] + seconds(start + len(chunk))
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            yield chunk

    client = AsyncTranscriptionClient(
        "127.0.0.1", port, transcription_callback=note, notice_callback=lambda notice: None
    )
    result = await client.transcribe(paced())
    errors = word_errors(recording.text, result.text)
    latencies = log.latencies(spoken_words(recording.words))
    measured.commit += latencies.commit
    measured.first += latencies.first
    measured.errors += errors.errors
    measured.words += errors.reference_words
    measured.failed += not result.complete


def _peak_memory_mb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1]) // 1024


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def _pair(values: Sequence[float]) -> str:
    return f"{percentile(values, 50):.2f} / {percentile(values, 95):.2f} s"


if __name__ == "__main__":
    main()
