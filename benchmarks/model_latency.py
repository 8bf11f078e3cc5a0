"""Compute time of one decode by model, with random weights of the real shapes.

Not part of ``whisper-streaming bench``, because it builds models with the tools of the tests.

    python -m benchmarks.model_latency --models tiny base small medium

The weights of real models are not needed to measure how long they compute: the shapes decide,
and how many tokens are decoded. So nothing here says anything of accuracy. Each model gets the
windows that it would get from a live session:

- partial: one update of the captions, a window of 8 s, 12 committed words in front, 4 new tokens;
- final: the last look at an utterance of 8 s, 24 new tokens. With ``--backend whisperx``, in its
  environment, its last words are aligned, too: 3 s, by a Wav2Vec2 of the usual size (base).
"""

import argparse
import json
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.progress import track

from tests.backends.shape_models import Shape, build
from whisper_streaming.alignment import align
from whisper_streaming.alignment.loading import DEMO_PATH
from whisper_streaming.backends.faster_whisper import choose_device
from whisper_streaming.backends.whisper_model import WhisperModel
from whisper_streaming.bench.argument_types import whole_number
from whisper_streaming.bench.output_file import check_output_file
from whisper_streaming.bench.report import Column, Report, Row
from whisper_streaming.config import BackendSettings
from whisper_streaming.core.audio import samples_of
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, Word
from whisper_streaming.errors import ConfigurationError
from whisper_streaming.evaluate import percentile

WINDOW_S = 8.0
ALIGNED_S = 3.0
LIVE_UPDATES_PER_SECOND = 1 / 0.3

_MULTILINGUAL = Shape("multilingual", 51_865, 80, 99)
SHAPES = {
    "tiny": replace(
        _MULTILINGUAL, name="tiny", width=384, heads=6, encoder_layers=4, decoder_layers=4
    ),
    "base": replace(
        _MULTILINGUAL, name="base", width=512, heads=8, encoder_layers=6, decoder_layers=6
    ),
    "small": replace(
        _MULTILINGUAL, name="small", width=768, heads=12, encoder_layers=12, decoder_layers=12
    ),
    "medium": replace(
        _MULTILINGUAL, name="medium", width=1024, heads=16, encoder_layers=24, decoder_layers=24
    ),
    "turbo": Shape(
        "turbo", 51_866, 128, 100, width=1280, heads=20, encoder_layers=32, decoder_layers=4
    ),
}

COLUMNS = (
    Column("Model", "{model}"),
    Column("Backend", "{backend}"),
    Column("Weights", "{weights}"),
    Column("Partial p50", "{partial_p50_s:.3f} s"),
    Column("Partial p95", "{partial_p95_s:.3f} s"),
    Column("Final p50", "{final_p50_s:.3f} s"),
    Column("Final p95", "{final_p95_s:.3f} s"),
    Column("Sessions updated every 0.3 s", "{sessions:.1f}"),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=SHAPES, default=["tiny", "base", "small"])
    parser.add_argument(
        "--runs", type=whole_number, default=15, metavar="N", help="decodes of each kind"
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write everything that was measured"
    )
    parser.add_argument(
        "--backend", choices=["faster_whisper", "whisperx"], default="faster_whisper"
    )
    arguments = parser.parse_args()
    if arguments.json is not None:
        try:
            check_output_file(arguments.json, "JSON file")
        except ConfigurationError as error:
            parser.error(str(error))
    aligning = _create_aligning() if arguments.backend == "whisperx" else None
    rows = [measure(name, arguments.runs, arguments.device, aligning) for name in arguments.models]
    command = shlex.join(["python", "-m", "benchmarks.model_latency", *sys.argv[1:]])
    report = Report("Latency by model, random weights", COLUMNS, rows, command=command)
    print(report.as_text())
    if arguments.json is not None:
        arguments.json.write_text(report.as_json(), encoding="utf-8")


def measure(
    name: str, runs: int, device_name: str, aligning: Callable[[], object] | None = None
) -> Row:
    """The table's row of one model; ``aligning`` follows a final decode."""
    with tempfile.TemporaryDirectory() as folder:
        path = build(SHAPES[name], Path(folder))
        settings = BackendSettings(device=device_name, workers=1)
        model = WhisperModel(name, path, choose_device(settings, [path]))
    partial = _times(model, _partial_request(), runs, f"{name}, partial")
    final = _times(model, _final_request(), runs, f"{name}, final", aligning)
    middle = percentile(partial, 50)
    return {
        "model": name,
        "backend": "faster_whisper" if aligning is None else "whisperx",
        "weights": "random, int8: compute only",
        "partial_p50_s": middle,
        "partial_p95_s": percentile(partial, 95),
        "final_p50_s": percentile(final, 50),
        "final_p95_s": percentile(final, 95),
        "sessions": 1 / (middle * LIVE_UPDATES_PER_SECOND),
    }


def _times(
    model: WhisperModel,
    request: DecodeRequest,
    runs: int,
    what: str,
    then: Callable[[], object] | None = None,
) -> list[float]:
    model.decode_batch([request], beam_size=1)
    times = []
    for _ in track(range(runs), description=what, transient=True):
        began = time.perf_counter()
        model.decode_batch([request], beam_size=1)
        if then is not None:
            then()
        times.append(time.perf_counter() - began)
    return times


def _create_aligning() -> Callable[[], object]:
    """Aligns the last words of a window, with random weights of the usual size."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    from whisper_streaming.alignment.whisperx_model import WhisperXModel

    torch.set_num_threads(1)  # as alignment.threads
    letters = len(json.loads((DEMO_PATH / "vocab.json").read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(
            DEMO_PATH, folder, ignore=shutil.ignore_patterns("*.safetensors"), dirs_exist_ok=True
        )
        Wav2Vec2ForCTC(Wav2Vec2Config(vocab_size=letters)).save_pretrained(folder)
        model = WhisperXModel("en", folder, device="cpu")
    words = _partial_request().prefix[:6]
    samples = _final_request().samples[: samples_of(ALIGNED_S)]
    align(model, words, samples, 0)
    return lambda: align(model, words, samples, 0)


def _final_request() -> DecodeRequest:
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.05, samples_of(WINDOW_S)).astype(np.float32)
    options = DecodeOptions(language="en")
    return DecodeRequest(samples, 0, options, is_last=True, max_new_tokens=24)


def _partial_request() -> DecodeRequest:
    said = "we looked at every one of the numbers before the meeting began"
    words = tuple(
        Word(f" {text}", 0.5 * index, 0.5 * index + 0.4) for index, text in enumerate(said.split())
    )
    return replace(_final_request(), prefix=words, is_last=False, max_new_tokens=4)


if __name__ == "__main__":
    main()
