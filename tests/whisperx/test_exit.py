"""A server that stops while torch computes ends as it would otherwise."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.requires_whisperx]

# So much speech keeps the embedded model busy after the words were given up.
PROGRAM = """
import asyncio
import numpy as np
from whisper_streaming.alignment.loading import DEMO_PATH
from whisper_streaming.alignment.models import AlignModels
from whisper_streaming.alignment.shared import SharedAligner
from whisper_streaming.alignment.whisperx_model import WhisperXModel
from whisper_streaming.core.hypothesis import Word

async def main():
    models = AlignModels(
        lambda language: WhisperXModel(language, str(DEMO_PATH), device="cpu"),
        hold_s=None, languages=["en"],
    )
    aligner = SharedAligner(models)
    samples = np.zeros(40 * 16_000, np.float32)
    word = Word(" hello", 0.0, 1.0)
    await aligner.align("en", (word,), samples, 0, wanted=slice(0, 1), within_s=0.05)
    aligner.close()

asyncio.run(main())
"""


def test_the_process_ends_well_while_words_are_aligned(repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=repository, capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
