"""What streaming costs in words and time, without the machine: decodes take no time here.

    python -m benchmarks.streaming --model demo

Feeds recordings to sessions as a server would, in messages of 0.1 s, and compares the text with
that of the same model when each utterance is decoded once, at its end ("offline"). Latencies are
on the audio clock: what the policy alone costs. ``benchmarks.clients`` measures the real thing.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.progress import track

from benchmarks import report
from benchmarks.recordings import Recording, load_all
from whisper_streaming.backends import create_backend
from whisper_streaming.backends.base import Backend
from whisper_streaming.config import BackendSettings, ServerConfig
from whisper_streaming.core.events import PartialUpdated, UtteranceEnded, WordsCommitted
from whisper_streaming.core.hypothesis import join_words
from whisper_streaming.core.session import SessionConfig
from whisper_streaming.engine.offline import run_session
from whisper_streaming.evaluate import CaptionLog, percentile, spoken_words, word_errors
from whisper_streaming.server.session_setup import set_up_session
from whisper_streaming.vad import create_vad
from whisper_streaming.wire.base import Configure

NO_PARTIALS_S = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="demo")
    parser.add_argument("--match", default="en-[1-6]*", help="recordings of tests/data")
    parser.add_argument("--ticks", nargs="+", type=float, default=[0.3, 0.6, 1.0])
    parser.add_argument("--beam-size", type=int, default=1, help="of the last decodes")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    recordings = load_all(arguments.match)
    settings = BackendSettings(models=(arguments.model,), workers=1, beam_size=arguments.beam_size)
    backend = create_backend(settings)
    config = set_up_session(Configure("bench", language="en"), ServerConfig(), backend.info).session
    rows = [_measure(backend, config, recordings, tick) for tick in [*arguments.ticks, None]]
    report.write(rows, arguments.json)


def _measure(
    backend: Backend, config: SessionConfig, recordings: Sequence[Recording], tick_s: float | None
) -> report.Row:
    """The table's row for one interval between updates; None decodes each utterance once."""
    config = replace(config, min_chunk_s=tick_s or NO_PARTIALS_S)
    commit: list[float] = []
    first: list[float] = []
    errors = words = erased = 0
    for recording in track(recordings, description=f"tick {tick_s}", transient=True):
        log, text, taken_back = _stream(backend, config, recording)
        result = word_errors(recording.text, text)
        errors, words = errors + result.errors, words + result.reference_words
        erased += taken_back
        latencies = log.latencies(spoken_words(recording.words))
        commit += latencies.commit
        first += latencies.first
    return {
        "Update every": f"{tick_s} s" if tick_s else "offline",
        "Word error rate": f"{errors / words:.1%}",
        "Commit p50 / p95": _pair(commit),
        "First partial p50 / p95": _pair(first),
        "Erased per word": f"{erased / words:.2f}",
    }


def _stream(
    backend: Backend, config: SessionConfig, recording: Recording
) -> tuple[CaptionLog, str, int]:
    """What a viewer saw, the final text, and how many words were taken back."""
    log, committed, partial, erased = CaptionLog(), "", "", 0
    probs = create_vad("silero").open_stream().process(recording.samples)
    for emission in run_session(backend, config, recording.samples, probs):
        before = (committed + partial).split()
        for event in emission.events:
            match event:
                case WordsCommitted(words=words):
                    committed, partial = committed + join_words(words), ""
                case PartialUpdated(words=words):
                    partial = join_words(words)
                case UtteranceEnded():
                    partial = ""
        now = (committed + partial).split()
        kept = next((i for i, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), None)
        erased += len(before) - (min(len(before), len(now)) if kept is None else kept)
        log.add(emission.audio_s, committed, committed + partial)
    return log, committed, erased


def _pair(values: Sequence[float]) -> str:
    return f"{percentile(values, 50):.2f} / {percentile(values, 95):.2f} s"


if __name__ == "__main__":
    main()
