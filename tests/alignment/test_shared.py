"""One thread and a model per language for all sessions."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tests.alignment.letters import FRAME_SAMPLES, WrittenModel
from whisper_streaming.alignment.ctc import LogProbs
from whisper_streaming.alignment.models import MAX_HOLD_S, MIN_HOLD_S, RETRY_S, AlignModels
from whisper_streaming.alignment.shared import SharedAligner
from whisper_streaming.alignment.words import AlignModel
from whisper_streaming.core.audio import FloatArray, samples_of
from whisper_streaming.core.hypothesis import Word, Words
from whisper_streaming.errors import ModelLoadError

WORDS = (Word(" cat", 0.0, 0.1),)
TEXT = "__cat|____"
SAMPLES = np.zeros(len(TEXT) * FRAME_SAMPLES, dtype=np.float32)
PATIENCE_S = 10.0
TRIALS = 2
"""A model that was loaded hears something twice before it is used."""


class Loader:
    """Loads a model of ``TEXT`` for each language but ``unknown`` ones, when the test lets it."""

    def __init__(self, model: AlignModel | None = None) -> None:
        self.asked: list[str] = []
        self.may_go_on = threading.Event()
        self.unknown = {"xx"}
        self._model = model or WrittenModel(TEXT)

    def __call__(self, language: str) -> AlignModel:
        self.asked.append(language)
        assert self.may_go_on.wait(PATIENCE_S)
        if language in self.unknown:
            raise ModelLoadError("nobody speaks it")
        return self._model


def shared(
    loader: Loader,
    languages: Sequence[str] = (),
    clock: Callable[[], float] = time.monotonic,
) -> SharedAligner:
    models = AlignModels(loader, hold_s=PATIENCE_S, languages=languages, clock=clock)
    return SharedAligner(models, clock=clock)


async def align(
    aligner: SharedAligner, language: str = "en", within_s: float | None = None
) -> Words | None:
    return await aligner.align(language, WORDS, SAMPLES, 0, wanted=slice(0, 1), within_s=within_s)


async def loaded(aligner: SharedAligner, language: str) -> None:
    """Wait until the model is there, or known not to be."""
    async with asyncio.timeout(PATIENCE_S):
        while await align(aligner, language) is None and aligner.complaint(language) is None:
            await asyncio.sleep(0.001)


def test_models_of_the_first_languages_are_there_at_once() -> None:
    loader = Loader()
    loader.may_go_on.set()
    aligner = shared(loader, ["en"])

    aligned = asyncio.run(align(aligner))
    aligner.close()

    assert aligned is not None
    assert [word.is_aligned for word in aligned] == [True]
    assert aligner.describe()["aligned_words"] == 1


def test_a_first_language_that_cannot_be_loaded_is_an_error() -> None:
    loader = Loader()
    loader.may_go_on.set()

    with pytest.raises(ModelLoadError, match="nobody speaks it"):
        shared(loader, ["xx"])


async def test_other_languages_are_loaded_when_they_are_spoken_and_nobody_waits() -> None:
    loader = Loader()
    aligner = shared(loader)

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
    aligner = shared(loader)

    await loaded(aligner, "xx")
    assert await align(aligner, "xx") is None

    assert loader.asked == ["xx"]
    complaint = aligner.complaint("xx")
    assert complaint is not None
    assert "'xx'" in complaint
    assert "nobody speaks it" not in complaint
    aligner.close()


async def test_a_model_that_breaks_while_it_is_loaded_is_not_loaded_for_each_word() -> None:
    asked: list[str] = []

    def break_down(language: str) -> AlignModel:
        asked.append(language)
        raise ImportError("this torch was built for another machine")

    models = AlignModels(break_down, hold_s=None, languages=[])
    aligner = SharedAligner(models)

    await loaded(aligner, "de")
    assert await align(aligner, "de") is None

    assert asked == ["de"]
    aligner.close()


def test_a_first_model_that_breaks_while_it_is_loaded_is_an_error() -> None:
    def break_down(language: str) -> AlignModel:
        raise ImportError("this torch was built for another machine")

    with pytest.raises(ModelLoadError, match="'en' does not run: this torch was built"):
        AlignModels(break_down, hold_s=None, languages=["en"])


async def test_a_model_that_could_not_be_had_is_asked_for_again_later() -> None:
    now = 0.0
    loader = Loader()
    loader.may_go_on.set()
    aligner = shared(loader, clock=lambda: now)
    loader.unknown = {"de"}
    await loaded(aligner, "de")

    loader.unknown = set()
    now = RETRY_S
    assert await align(aligner, "de") is None
    assert loader.asked == ["de"]
    now += 1
    async with asyncio.timeout(PATIENCE_S):
        while await align(aligner, "de") is None:
            await asyncio.sleep(0.001)

    assert loader.asked == ["de", "de"]
    assert aligner.complaint("de") is None
    aligner.close()


async def test_words_do_not_wait_for_a_slow_model(caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()
    gate.set()
    model = WrittenModel(TEXT, before=lambda: gate.wait(PATIENCE_S) and None)
    loader = Loader(model)
    loader.may_go_on.set()
    aligner = shared(loader, ["en"])
    gate.clear()

    answers = [await align(aligner, within_s=0.0) for _ in range(30)]
    gate.set()
    aligner.close()

    assert answers == [None] * 30
    assert aligner.describe()["late_words"] == 30
    assert len(model.asked) <= TRIALS + 1
    assert caplog.text.count("too slow") == 1


async def test_nothing_piles_up_behind_a_model_that_hangs() -> None:
    now = 0.0
    gate, hangs = threading.Event(), threading.Event()
    gate.set()

    def hang() -> None:
        if not gate.is_set():
            hangs.set()
        assert gate.wait(PATIENCE_S)

    model = WrittenModel(TEXT, before=hang)
    loader = Loader(model)
    loader.may_go_on.set()
    aligner = shared(loader, ["en"], clock=lambda: now)
    gate.clear()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(align(aligner))
        assert await asyncio.to_thread(hangs.wait, PATIENCE_S)
        now = PATIENCE_S + 1

        assert [await align(aligner) for _ in range(3)] == [None] * 3
        aligner.close()  # returns although the thread hangs
        gate.set()

    assert first.result() is not None
    assert aligner.describe()["late_words"] == 3
    assert len(model.asked) == TRIALS + 1


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), KeyError("attention_mask")])
async def test_a_model_that_fails_costs_no_words(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    has_memory = threading.Event()
    has_memory.set()

    def fail() -> None:
        if not has_memory.is_set():
            raise error

    loader = Loader(WrittenModel(TEXT, before=fail))
    loader.may_go_on.set()
    aligner = shared(loader, ["en"])
    has_memory.clear()

    assert [await align(aligner), await align(aligner)] == [None, None]
    assert caplog.text.count(str(error)) == 1  # said once
    has_memory.set()
    assert await align(aligner) is not None
    aligner.close()


def test_a_model_that_does_not_run_is_an_error_at_the_start() -> None:
    def fail() -> None:
        raise TypeError("no such kernel")

    loader = Loader(WrittenModel(TEXT, before=fail))
    loader.may_go_on.set()

    with pytest.raises(ModelLoadError, match="does not run: no such kernel"):
        shared(loader, ["en"])


class WrongModel(WrittenModel):
    """Answers with ``answer`` to anything."""

    def __init__(self, answer: LogProbs) -> None:
        super().__init__("")
        self._answer = answer

    def hear(self, samples: FloatArray) -> LogProbs:
        return self._answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(np.zeros((5, 3)), "for 29 letters", id="letters that it does not hear"),
        pytest.param(np.zeros((0, 29)), "for 29 letters", id="nothing"),
        pytest.param(np.full((5, 29), np.nan), "no number", id="no numbers"),
    ],
)
def test_a_model_whose_answers_are_useless_is_an_error_at_the_start(
    answer: LogProbs, message: str
) -> None:
    loader = Loader(WrongModel(answer))
    loader.may_go_on.set()

    with pytest.raises(ModelLoadError, match=message):
        shared(loader, ["en"])


async def test_useless_answers_in_the_background_are_asked_for_once() -> None:
    loader = Loader(WrongModel(np.full((5, 29), np.nan)))
    loader.may_go_on.set()
    aligner = shared(loader)

    await loaded(aligner, "de")
    assert await align(aligner, "de") is None

    assert loader.asked == ["de"]
    assert aligner.complaint("de") is not None
    aligner.close()


@pytest.mark.parametrize(
    ("took_s", "hold_s", "expected"),
    [
        pytest.param(0.01, None, MIN_HOLD_S, id="quick"),
        pytest.param(0.4, None, 1.2, id="of the usual size, on a CPU"),
        pytest.param(1.4, None, MAX_HOLD_S, id="large, on a CPU"),
        pytest.param(0.4, 0.5, 0.5, id="as the operator says"),
    ],
)
def test_words_wait_as_long_as_the_model_needs(
    took_s: float, hold_s: float | None, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def hear() -> None:
        nonlocal now
        now += took_s

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    loader = Loader(WrittenModel(TEXT, before=hear))
    loader.may_go_on.set()

    timed = AlignModels(loader, hold_s=hold_s, languages=["en"]).get("en")

    assert timed is not None
    assert timed.hold_for(np.zeros(samples_of(0.5), np.float32)) == pytest.approx(expected)
    assert timed.hold_for(np.zeros(samples_of(6.0), np.float32)) == pytest.approx(3 * expected)


@pytest.mark.parametrize(("hold_s", "warns"), [(0.0, True), (PATIENCE_S, False)])
def test_a_model_that_is_slower_than_words_may_wait_is_told_of(
    hold_s: float, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    loader = Loader()
    loader.may_go_on.set()

    AlignModels(loader, hold_s=hold_s, languages=["en"])

    assert ("alignment.hold_s" in caplog.text) is warns
