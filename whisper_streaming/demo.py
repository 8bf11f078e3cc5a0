"""The demo: a bundled recording, live through the real server and client, then the numbers."""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console

from whisper_streaming.backends import create_backend
from whisper_streaming.backends.base import DEMO
from whisper_streaming.backends.model_store import DEMO_PATH
from whisper_streaming.cli_flags import FlagParser, print_any_text, print_text
from whisper_streaming.client import TranscriptionClient, TranscriptionResult, TranscriptSegment
from whisper_streaming.client.display import Display, LiveCaptions, PlainCaptions
from whisper_streaming.config import BackendSettings, LimitSettings, ServerConfig
from whisper_streaming.core.audio import FloatArray, samples_of, seconds
from whisper_streaming.core.hypothesis import DecodeOptions
from whisper_streaming.engine.whole import decode_whole
from whisper_streaming.errors import WhisperStreamingError
from whisper_streaming.evaluate import CaptionLog, percentile, spoken_words, word_errors
from whisper_streaming.local_server import LOCAL_HOST, local_server
from whisper_streaming.media import decode_media
from whisper_streaming.vad import create_vad

MAX_ERROR_RATIO: Final = 2.0
"""The live transcript may have so many times the errors of the offline one."""

_CHUNK_S: Final = 0.1
_FAILED: Final = 1
_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording and, if it is known, what was said in it and when each word ended."""

    samples: FloatArray
    language: str | None
    text: str | None
    words: tuple[tuple[str, float], ...]


@dataclass(slots=True)
class Performance:
    """One live transcription and what was seen of it when."""

    captions: CaptionLog = field(default_factory=CaptionLog)
    started: float = 0.0
    result: TranscriptionResult | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The table, and what is wrong with it."""

    rows: tuple[tuple[str, str], ...]
    faults: tuple[str, ...]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; returns 0 if nothing was lost and the live transcript is good enough."""
    arguments = _parser().parse_args(argv)
    print_any_text()
    console = Console()
    display: Display = LiveCaptions(console) if console.is_terminal else PlainCaptions()
    try:
        recording = load_recording(arguments.audio)
        display.notify("Starting the server with the embedded model ...")
        config = ServerConfig(
            backend=BackendSettings(models=(DEMO,)), limits=LimitSettings(calibration_s=0)
        )
        with local_server(config) as port:
            performance = perform(recording, port, display, realtime=not arguments.fast)
        offline = transcribe_offline(recording, config)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except WhisperStreamingError as error:
        sys.stderr.write(f"demo: error: {error}\n")
        return error.exit_status
    verdict = judge(recording, performance, offline, is_paced=not arguments.fast)
    _show(performance, verdict)
    return _FAILED if verdict.faults else 0


def load_recording(path: Path) -> Recording:
    """The recording ``path`` with the truth of the JSON file beside it, if there is one.

    Raises:
        MediaError: If it cannot be read.
    """
    samples = np.concatenate(list(decode_media(path)))
    truth_path = path.with_suffix(".json")
    if not truth_path.is_file():
        return Recording(samples, language=None, text=None, words=())
    truth = json.loads(truth_path.read_text(encoding="utf-8"))
    words = tuple((word["word"], float(word["end"])) for word in truth["words"])
    return Recording(samples, truth["language"], truth["text"], words)


def perform(recording: Recording, port: int, display: Display, *, realtime: bool) -> Performance:
    """Stream the recording to the server at ``port`` and show the captions.

    Raises:
        ClientError: If the session fails.
    """
    performance = Performance()

    def receive(text: str, segments: list[TranscriptSegment]) -> None:
        _note(performance, segments)
        display(text, segments)

    client = TranscriptionClient(
        LOCAL_HOST,
        port,
        language=recording.language,
        model=DEMO,
        transcription_callback=receive,
        notice_callback=display.notify,
        realtime=realtime,
    )
    with display:
        performance.result = client(_chunks(recording.samples, performance))
    return performance


def transcribe_offline(recording: Recording, config: ServerConfig) -> str:
    """What the same model hears when it may hear everything first.

    Raises:
        BackendError: If the model fails.
    """
    speech_probs = create_vad("silero").open_stream().process(recording.samples)
    options = DecodeOptions(language=recording.language)
    with closing(create_backend(config.backend)) as backend:
        return decode_whole(backend, recording.samples, speech_probs, options)


def judge(
    recording: Recording, performance: Performance, offline: str, *, is_paced: bool
) -> Verdict:
    """Compare a performance with the truth and with the offline transcript."""
    assert performance.result is not None
    rows: list[tuple[str, str]] = []
    faults: list[str] = []
    if recording.text is not None:
        live_rate = word_errors(recording.text, performance.result.text).rate
        offline_rate = word_errors(recording.text, offline).rate
        rows.append(("word error rate, live", f"{live_rate:.1%}"))
        rows.append(("word error rate, offline", f"{offline_rate:.1%}"))
        if live_rate > MAX_ERROR_RATIO * offline_rate:
            faults.append(f"over {MAX_ERROR_RATIO:g} times the word errors of the offline decode")
    if is_paced and recording.words:
        latencies = performance.captions.latencies(spoken_words(recording.words))
        rows.append(("first partial, after the word ended", _latency(latencies.first)))
        rows.append(("final, after the word ended", _latency(latencies.commit)))
    more_rows, more_faults = _account(recording, performance.result)
    return Verdict((*rows, *more_rows), (*faults, *more_faults))


def _account(
    recording: Recording, result: TranscriptionResult
) -> tuple[list[tuple[str, str]], list[str]]:
    """Where the samples went."""
    summary = result.summary
    if summary is None:
        return [], ["the server gave no account of the audio"]
    rows = [
        ("real-time factor", f"{summary.decode_s / seconds(len(recording.samples)):.2f}"),
        (
            "audio received = decoded + silence + gaps",
            f"{seconds(summary.received):.2f} = {seconds(summary.decoded):.2f} + "
            f"{seconds(summary.silence):.2f} + {seconds(summary.gap):.2f} s",
        ),
    ]
    faults = []
    if summary.received != len(recording.samples):
        faults.append("the server did not receive every sample")
    if summary.received != summary.decoded + summary.silence + summary.gap:
        faults.append("the server cannot account for every sample")
    if summary.gap:
        faults.append("audio was lost")
    if not result.complete:
        faults.append("the transcript is not complete")
    return rows, faults


def _parser() -> argparse.ArgumentParser:
    parser = FlagParser(
        prog="whisper-streaming demo",
        description="Stream a recording in real time through the real server and client on this "
        "machine, show the captions, then print how good and how fast they were. The embedded "
        "model understands synthetic voices only.",
    )
    parser.add_argument(
        "--audio",
        type=Path,
        default=DEMO_PATH / "demo.flac",
        metavar="FILE",
        help="another recording; NAME.json beside it holds text and word times, if known",
    )
    parser.add_argument(
        "--fast", action="store_true", help="as fast as it goes instead of in real time"
    )
    return parser


def _chunks(samples: FloatArray, performance: Performance) -> Iterator[FloatArray]:
    """The recording as a microphone would give it; notes when the first sample is spoken."""
    performance.started = time.monotonic()
    step = samples_of(_CHUNK_S)
    for start in range(0, len(samples), step):
        yield samples[start : start + step]


def _note(performance: Performance, segments: list[TranscriptSegment]) -> None:
    at = time.monotonic() - performance.started
    committed = [
        segment["text"] if segment["completed"] else segment.get("committed_text", "")
        for segment in segments
    ]
    shown = [segment["text"] for segment in segments]
    performance.captions.add(at, " ".join(committed), " ".join(shown))


def _latency(values: Sequence[float]) -> str:
    if not values:
        return "no word is right"
    return f"p50 {percentile(values, 50):.2f} s, p95 {percentile(values, 95):.2f} s"


def _show(performance: Performance, verdict: Verdict) -> None:
    assert performance.result is not None
    lines = ["", "Transcript:", f"  {performance.result.text}", ""]
    width = max(len(name) for name, _ in verdict.rows) if verdict.rows else 0
    lines += [f"  {name:<{width}}  {value}" for name, value in verdict.rows]
    lines += ["", *(f"FAULT: {fault}" for fault in verdict.faults)]
    if not verdict.faults:
        lines.append("ok: every sample is accounted for.")
    print_text("\n".join(lines) + "\n")
