"""Models of all real shapes go through load, batches, streaming and word times."""

import ast
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
import soundfile

from tests.backends.conformance import decode
from tests.backends.shape_models import SHAPES, Shape, build
from whisper_streaming.backends import create_backend
from whisper_streaming.backends.base import Backend
from whisper_streaming.config import BackendSettings
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.core.events import SessionEnded, WordsCommitted
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, Words
from whisper_streaming.core.session import Session, SessionConfig
from whisper_streaming.vad.energy import EnergyVad

pytestmark = pytest.mark.model

WINDOW_S = 4.0
START_SAMPLE = 3 * SAMPLE_RATE


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folder of the model of each shape."""
    folder = tmp_path_factory.mktemp("models")
    return {shape.name: build(shape, folder) for shape in SHAPES}


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: shape.name)
def shape(request: pytest.FixtureRequest) -> Shape:
    assert isinstance(request.param, Shape)
    return request.param


@pytest.fixture(scope="module")
def backend(shape: Shape, folders: dict[str, Path]) -> Iterator[Backend]:
    settings = BackendSettings(models=(str(folders[shape.name]),), device="cpu", threads=1)
    backend = create_backend(settings)
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def speech() -> FloatArray:
    samples, _ = soundfile.read("tests/data/en-1-slt.flac", dtype="float32", frames=8 * SAMPLE_RATE)
    return np.asarray(samples)


@pytest.fixture
def window(speech: FloatArray) -> DecodeRequest:
    samples = speech[: round(WINDOW_S * SAMPLE_RATE)]
    return DecodeRequest(samples, START_SAMPLE, DecodeOptions("en"), max_new_tokens=16)


def load(folder: Path) -> ctranslate2.models.Whisper:
    return ctranslate2.models.Whisper(str(folder), device="cpu", intra_threads=1)


def tokens_of(words: Words) -> list[int]:
    return [token for word in words for token in word.tokens]


def check_times(words: Words, request: DecodeRequest) -> None:
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] >= request.start
    assert times[-1] <= request.end


def test_the_models_have_the_shapes_they_stand_for(shape: Shape, folders: dict[str, Path]) -> None:
    model = load(folders[shape.name])

    assert model.n_mels == shape.mels
    assert model.is_multilingual == shape.is_multilingual
    if shape.is_multilingual:
        assert model.num_languages == shape.languages


def test_only_the_model_without_alignment_heads_cannot_align(
    shape: Shape, folders: dict[str, Path]
) -> None:
    model = load(folders[shape.name])
    mel = np.zeros((1, shape.mels, 1000), dtype=np.float32)
    encoded = model.encode(ctranslate2.StorageView.from_array(mel))
    if shape.has_alignment_heads:
        (alignment,) = model.align(encoded, [0], [[1, 2, 3]], 400)
        assert alignment.alignments
    else:
        with pytest.raises(RuntimeError):
            model.align(encoded, [0], [[1, 2, 3]], 400)


def test_loads_and_warms_up(shape: Shape, backend: Backend) -> None:
    backend.warm_up()
    (model,) = backend.info.models

    assert model.is_multilingual == shape.is_multilingual
    assert len(model.languages) == max(1, shape.languages)
    assert len(set(model.languages)) == len(model.languages)
    assert "en" in model.languages
    assert ("yue" in model.languages) == (shape.languages == 100)


def test_places_words_in_the_window(backend: Backend, window: DecodeRequest) -> None:
    words = decode(backend, window).words

    assert len(words) >= 2
    check_times(words, window)


def test_gives_no_special_token_as_text(backend: Backend, window: DecodeRequest) -> None:
    text = "".join(word.text for word in decode(backend, window).words)

    assert "<|" not in text


def test_a_batch_equals_single_decodes(
    backend: Backend, window: DecodeRequest, speech: FloatArray
) -> None:
    windows = [
        replace(window, samples=speech[offset : offset + len(window.samples)])
        for offset in (0, 20_000, 60_000)
    ]
    assert len({backend.batch_key(each) for each in windows}) == 1

    together = backend.decode_batch(windows)

    assert [[word.tokens for word in each.words] for each in together] == [
        [word.tokens for word in decode(backend, each).words] for each in windows
    ]


def test_mixed_languages_and_tasks_share_a_batch(backend: Backend, window: DecodeRequest) -> None:
    options = [DecodeOptions("en"), DecodeOptions("de"), DecodeOptions("de", task="translate")]
    windows = [replace(window, options=each) for each in options]
    assert len({backend.batch_key(each) for each in windows}) == 1

    hypotheses = backend.decode_batch(windows)

    is_multilingual = backend.info.models[0].is_multilingual
    expected = ["en", "de", "de"] if is_multilingual else ["en", "en", "en"]
    assert [each.language for each in hypotheses] == expected
    for hypothesis in hypotheses:
        check_times(hypothesis.words, window)


def test_detects_a_language_or_knows_the_only_one(
    shape: Shape, backend: Backend, window: DecodeRequest
) -> None:
    hypothesis = decode(backend, replace(window, options=DecodeOptions(language=None)))

    assert hypothesis.language in backend.info.models[0].languages
    assert (hypothesis.language_probability < 1.0) == shape.is_multilingual


def test_goes_on_after_a_prefix_and_a_prompt(backend: Backend, window: DecodeRequest) -> None:
    words = decode(backend, window).words
    for prompt in ("", "What was said before the window is its context. " * 4):
        request = replace(window, prefix=words[:1], prompt=prompt)

        rest = decode(backend, request).words

        assert all(word.start >= words[0].end for word in rest)
        if not prompt:
            # Only the first ones: the bound on new tokens does not count those of the prefix.
            assert tokens_of(rest)[:5] == tokens_of(words[1:])[:5]


@pytest.mark.parametrize("duration_s", [0.0, 0.01, 9.9, 10.0, 30.0])
def test_decodes_windows_of_every_length(backend: Backend, duration_s: float) -> None:
    noise = np.random.default_rng(3).normal(0, 0.1, round(duration_s * SAMPLE_RATE))
    request = DecodeRequest(noise.astype(np.float32), 0, DecodeOptions("en"), max_new_tokens=8)

    for word in decode(backend, request).words:
        assert 0 <= word.start <= word.end <= duration_s


def test_without_alignment_heads_word_times_are_estimated_once_warned(
    folders: dict[str, Path], window: DecodeRequest, caplog: pytest.LogCaptureFixture
) -> None:
    folder = folders["no-alignment-heads"]
    backend = create_backend(BackendSettings(models=(str(folder),), device="cpu", threads=1))

    with caplog.at_level(logging.WARNING, "whisper_streaming.backend"):
        words = decode(backend, window).words
        decode(backend, window)

    assert len([each for each in caplog.records if "word times" in each.message]) == 1
    check_times(words, window)
    assert words[0].start < words[-1].start


def test_streams_a_recording_and_accounts_for_every_sample(
    backend: Backend, speech: FloatArray
) -> None:
    window = backend.info.models[0].profile.window
    session = Session(SessionConfig(options=DecodeOptions("en"), window=window))
    vad = EnergyVad().open_stream()
    events = []
    for piece in np.array_split(speech, 16):
        session.receive_audio(piece, vad.process(piece))
        while (request := session.decode_to_run()) is not None:
            session.receive_hypothesis(decode(backend, replace(request, max_new_tokens=12)))
        events += session.events_to_send()
    session.receive_eof()
    while (request := session.decode_to_run()) is not None:
        session.receive_hypothesis(decode(backend, replace(request, max_new_tokens=12)))
    events += session.events_to_send()

    committed = [word for e in events if isinstance(e, WordsCommitted) for word in e.words]
    assert committed
    assert [word.start for word in committed] == sorted(word.start for word in committed)
    ended = events[-1]
    assert isinstance(ended, SessionEnded)
    assert ended.account.received == len(speech)
    assert ended.account.decoded + ended.account.silence == len(speech)
    assert ended.account.gap == 0


def test_no_token_id_is_written_as_a_number_in_the_package(repository: Path) -> None:
    smallest_special = min(shape.vocabulary_size for shape in SHAPES) - 2_000
    largest = max(shape.vocabulary_size for shape in SHAPES)
    found = [
        f"{path.name}:{node.lineno}"
        for path in sorted((repository / "whisper_streaming").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and type(node.value) is int
        and smallest_special <= node.value <= largest
    ]

    assert found == []
