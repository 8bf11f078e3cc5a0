"""Streams recordings to a server at the pace of speech, by a load generator of its own process."""

import contextlib
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO, Final

import numpy as np

from whisper_streaming.bench.frames import BINARY, client_frame
from whisper_streaming.bench.job import Job, Lane, Outcome, Track
from whisper_streaming.bench.progress import progress_bar
from whisper_streaming.bench.recordings import Recording
from whisper_streaming.core.audio import FloatArray, samples_of, seconds
from whisper_streaming.errors import BenchmarkError
from whisper_streaming.wire.whisper_live_messages import END_OF_AUDIO

CHUNK_S: Final = 0.1
MAX_STAGGER_S: Final = 0.37
RAMP_S: Final = 8.0
"""All sessions have begun after this long, so that they all stream at the same time after it."""

END_FRAME: Final = client_frame(BINARY, END_OF_AUDIO.encode())
OUR_OPTIONS: Final[Mapping[str, object]] = {"summary": True}

_POLL_S: Final = 1.0
_WAIT_S: Final = 60.0


def as_track(name: str, samples: FloatArray) -> Track:
    """Audio as the binary messages of a client: float32 samples, 0.1 s each."""
    step = samples_of(CHUNK_S)
    starts = range(0, len(samples), step)
    chunks = [samples[start : start + step] for start in starts]
    frames = (client_frame(BINARY, chunk.astype("<f4").tobytes()) for chunk in chunks)
    due_s = (seconds(start + len(chunk)) for start, chunk in zip(starts, chunks, strict=True))
    return Track(name, tuple(frames), tuple(due_s))


def silence_track(duration_s: float, level: float) -> Track:
    """Silence as a microphone gives it: noise of the amplitude ``level``; 0 is digital silence.

    One second is repeated, so that a long silence takes little memory.
    """
    noise = np.random.default_rng(0).normal(0, 1, samples_of(1.0)).astype(np.float32) * level
    second = as_track("silence", noise.astype(np.float32))
    count = round(duration_s / CHUNK_S)
    frames = tuple(second.frames[index % len(second.frames)] for index in range(count))
    return Track("silence", frames, tuple(CHUNK_S * (index + 1) for index in range(count)))


def recordings_job(
    url: str,
    recordings: Sequence[Recording],
    lanes: Sequence[Lane],
    *,
    options: Mapping[str, object] = OUR_OPTIONS,
    linger_s: float = 0.0,
) -> Job:
    """A job that streams ``recordings`` as ``lanes`` say, each in its own language."""
    return Job(
        url=url,
        options=options,
        track_options=tuple({"language": each.language} for each in recordings),
        tracks=tuple(as_track(each.name, each.samples) for each in recordings),
        lanes=tuple(lanes),
        end=END_FRAME,
        linger_s=linger_s,
        wait_s=_WAIT_S,
    )


def lanes_through_all(count: int, recordings: int) -> list[Lane]:
    """Every recording once, ``count`` sessions at a time."""
    lanes = min(count, recordings)
    return [
        Lane(start, tuple(range(i, recordings, lanes))) for i, start in enumerate(starts(lanes))
    ]


def lanes_at_once(count: int, recordings: int) -> list[Lane]:
    """``count`` sessions at the same time, recordings in turn."""
    return [Lane(start, (i % recordings,)) for i, start in enumerate(starts(count))]


def starts(count: int) -> list[float]:
    """When ``count`` sessions begin, in seconds: never two at once, all within ``RAMP_S``."""
    stagger_s = min(MAX_STAGGER_S, RAMP_S / max(1, count))
    return [index * stagger_s for index in range(count)]


def generate(
    job: Job, description: str, *, each_second: Callable[[], None] = lambda: None
) -> Outcome:
    """Run the load generator.

    Args:
        job: What it does.
        description: For the progress bar.
        each_second: Called about once a second while it runs.

    Raises:
        BenchmarkError: If the generator itself fails.
    """
    total_s = max(
        lane.start_s + sum(job.tracks[track].duration_s for track in lane.tracks)
        for lane in job.lanes
    )
    # No proxy between, no environment needed: a plain child with the job on its standard input.
    # That is a file: communicate() that is called again does not write the rest of a long message.
    command = [sys.executable, "-m", "whisper_streaming.bench.generator"]
    with (
        progress_bar(description, total_s) as advance,
        _file_of(job) as file,
        subprocess.Popen(
            command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child,
    ):
        try:
            written, errors = _communicate(child, advance, each_second)
        finally:
            child.kill()
    if child.returncode != 0:
        # A group of exceptions ends with a line that is only drawn.
        said = [line for line in errors.decode(errors="replace").splitlines() if line.strip(" |+-")]
        raise BenchmarkError(f"the load generator failed: {' '.join(said[-1:]).strip(' |')}")
    outcome = pickle.loads(written)
    assert isinstance(outcome, Outcome)
    return outcome


@contextlib.contextmanager
def _file_of(job: Job) -> Iterator[BinaryIO]:
    """A file that holds the job, to be read from its start."""
    with tempfile.TemporaryFile() as file:
        pickle.dump(job, file)
        file.seek(0)
        yield file


def _communicate(
    child: "subprocess.Popen[bytes]",
    advance: Callable[[float], None],
    each_second: Callable[[], None],
) -> tuple[bytes, bytes]:
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.communicate(timeout=_POLL_S)
        advance(_POLL_S)
        each_second()
