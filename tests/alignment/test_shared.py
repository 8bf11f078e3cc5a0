"""One thread and a model per language for all sessions."""

import asyncio
import threading

import numpy as np
import pytest

from tests.alignment.letters import FRAME_SAMPLES, WrittenModel
from whisper_streaming.alignment.shared import SharedAligner
from whisper_streaming.alignment.words import AlignModel
from whisper_streaming.core.hypothesis import Word, Words
from whisper_streaming.errors import ModelLoadError

WORDS = (Word(" cat", 0.0, 0.1),)
TEXT = "__cat|____"
SAMPLES = np.zeros(len(TEXT) * FRAME_SAMPLES, dtype=np.float32)
PATIENCE_S = 10.0
TRIALS = 2
"""A model that was loaded hears something twice before it is used."""


class Loader:
    """Loads a model of ``TEXT`` for each language but ``"xx"``, when the test lets it."""

    def __init__(self, model: AlignModel | None = None) -> None:
        self.asked: list[str] = []
        self.may_go_on = threading.Event()
        self._model = model or WrittenModel(TEXT)

    def __call__(self, language: str) -> AlignModel:
        self.asked.append(language)
        assert self.may_go_on.wait(PATIENCE_S)
        if language == "xx":
            raise ModelLoadError("nobody speaks it")
        return self._model


async def align(
    aligner: SharedAligner, language: str = "en", within_s: float = PATIENCE_S
) -> Words | None:
    return await aligner.align(language, WORDS, SAMPLES, 0, within_s=within_s)


async def loaded(aligner: SharedAligner, language: str) -> None:
    """Wait until the model is there, or known not to be."""
    async with asyncio.timeout(PATIENCE_S):
        while await align(aligner, language) is None and aligner.complaint(language) is None:
            await asyncio.sleep(0.001)


def test_models_of_the_first_languages_are_there_at_once() -> None:
    loader = Loader()
    loader.may_go_on.set()
    aligner = SharedAligner(loader, hold_s=PATIENCE_S, languages=["en"])

    aligned = asyncio.run(align(aligner))
    aligner.close()

    assert aligned is not None
    assert [word.is_aligned for word in aligned] == [True]
    assert aligner.describe()["aligned_words"] == 1


def test_a_first_language_that_cannot_be_loaded_is_an_error() -> None:
    loader = Loader()
    loader.may_go_on.set()

    with pytest.raises(ModelLoadError, match="nobody speaks it"):
        SharedAligner(loader, hold_s=PATIENCE_S, languages=["xx"])


async def test_other_languages_are_loaded_when_they_are_spoken_and_nobody_waits() -> None:
    loader = Loader()
    aligner = SharedAligner(loader, hold_s=PATIENCE_S)

    assert await align(aligner, "de") is None
    assert await align(aligner, "de") is None
    loader.may_go_on.set()
    await loaded(aligner, "de")

    assert loader.asked == ["de"]
    assert aligner.complaint("de") is None
    aligner.close()


async def test_a_language_without_a_model_is_asked_for_once_and_complained_of() -> None:
    loader = Loader()
    loader.may_go_on.set()
    aligner = SharedAligner(loader, hold_s=PATIENCE_S)

    await loaded(aligner, "xx")
    assert await align(aligner, "xx") is None

    assert loader.asked == ["xx"]
    complaint = aligner.complaint("xx")
    assert complaint is not None
    assert "'xx'" in complaint
    assert "nobody speaks it" not in complaint
    aligner.close()


async def test_words_do_not_wait_for_a_slow_model() -> None:
    gate = threading.Event()
    gate.set()
    model = WrittenModel(TEXT, before=lambda: gate.wait(PATIENCE_S) and None)
    loader = Loader(model)
    loader.may_go_on.set()
    aligner = SharedAligner(loader, hold_s=PATIENCE_S, languages=["en"])
    gate.clear()

    answers = [await align(aligner, within_s=0.0) for _ in range(30)]
    gate.set()
    aligner.close()

    assert answers == [None] * 30
    assert aligner.describe()["late_words"] == 30
    assert len(model.asked) <= TRIALS + 1


async def test_a_model_that_fails_costs_no_words(caplog: pytest.LogCaptureFixture) -> None:
    has_memory = threading.Event()
    has_memory.set()

    def fail() -> None:
        if not has_memory.is_set():
            raise RuntimeError("out of memory")

    loader = Loader(WrittenModel(TEXT, before=fail))
    loader.may_go_on.set()
    aligner = SharedAligner(loader, hold_s=PATIENCE_S, languages=["en"])
    has_memory.clear()

    assert await align(aligner) is None
    assert "out of memory" in caplog.text
    aligner.close()


def test_a_model_that_does_not_run_is_an_error_at_the_start() -> None:
    def fail() -> None:
        raise RuntimeError("no such kernel")

    loader = Loader(WrittenModel(TEXT, before=fail))
    loader.may_go_on.set()

    with pytest.raises(ModelLoadError, match="does not run: no such kernel"):
        SharedAligner(loader, hold_s=PATIENCE_S, languages=["en"])


@pytest.mark.parametrize(("hold_s", "warns"), [(0.0, True), (PATIENCE_S, False)])
def test_a_model_that_is_slower_than_words_may_wait_is_told_of(
    hold_s: float, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    loader = Loader()
    loader.may_go_on.set()

    SharedAligner(loader, hold_s=hold_s, languages=["en"]).close()

    assert ("alignment.hold_s" in caplog.text) is warns
