"""The faster_whisper backend with the embedded model: batch keys, context, odd requests."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import ctranslate2
import numpy as np
import pytest
import soundfile

from whisper_streaming.backends.faster_whisper import FasterWhisperBackend
from whisper_streaming.backends.model_store import DEMO_PATH, ResolvedModel
from whisper_streaming.backends.whisper_model import Device, WhisperModel
from whisper_streaming.config import BackendSettings
from whisper_streaming.core.audio import SAMPLE_RATE, samples_of
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, Word, join_words
from whisper_streaming.errors import DecodeError

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def backend() -> Iterator[FasterWhisperBackend]:
    settings = BackendSettings(device="cpu", threads=1, beam_size=3)
    backend = FasterWhisperBackend(settings, [ResolvedModel("demo", DEMO_PATH)])
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def model() -> WhisperModel:
    return WhisperModel("demo", DEMO_PATH, Device("cpu", "int8", 1, 1))


@pytest.fixture
def window(recordings: Path) -> DecodeRequest:
    """Four seconds of English speech."""
    path = recordings / "en-1-slt.flac"
    samples, _ = soundfile.read(path, dtype="float32", frames=4 * SAMPLE_RATE)
    return DecodeRequest(np.asarray(samples), 0, DecodeOptions("en"))


def lasting(duration_s: float) -> DecodeRequest:
    return DecodeRequest(np.zeros(samples_of(duration_s), np.float32), 0, DecodeOptions("en"))


@pytest.mark.parametrize(
    ("duration_s", "bucket_s"),
    [(0.0, 3), (3.0, 3), (3.01, 5), (7.5, 10), (14.0, 15), (30.0, 30), (31.0, 30)],
)
def test_a_window_is_padded_to_the_next_bucket(
    model: WhisperModel, duration_s: float, bucket_s: float
) -> None:
    assert model.bucket_s(lasting(duration_s)) == bucket_s


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"options": DecodeOptions("de")}, id="language"),
        pytest.param({"options": DecodeOptions(None)}, id="detection"),
        pytest.param({"options": DecodeOptions("de", "translate")}, id="task"),
        pytest.param({"options": DecodeOptions("en", model="demo")}, id="default model by name"),
        pytest.param({"options": DecodeOptions("en", model="small")}, id="model that is not here"),
        pytest.param({"prefix": (Word(" the", 0.0, 0.1),)}, id="prefix"),
        pytest.param({"prompt": "few"}, id="context too short to count"),
        pytest.param({"max_new_tokens": 3}, id="bound on tokens"),
        pytest.param({"samples": np.zeros(72_000, np.float32)}, id="length in the same bucket"),
    ],
)
def test_what_differs_per_row_does_not_part_a_batch(
    backend: FasterWhisperBackend, window: DecodeRequest, change: dict[str, object]
) -> None:
    changed = replace(window, **change)  # type: ignore[arg-type]

    assert backend.batch_key(changed) == backend.batch_key(window)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"samples": np.zeros(96_000, np.float32)}, id="bucket"),
        pytest.param({"prompt": "word " * 20}, id="prompt length"),
        pytest.param({"options": DecodeOptions("en", hotwords="word " * 20)}, id="hotwords"),
        pytest.param({"is_last": True}, id="beam"),
    ],
)
def test_what_a_batch_must_share_parts_it(
    backend: FasterWhisperBackend, window: DecodeRequest, change: dict[str, object]
) -> None:
    changed = replace(window, **change)  # type: ignore[arg-type]

    assert backend.batch_key(changed) != backend.batch_key(window)


def test_models_do_not_share_batches(window: DecodeRequest) -> None:
    both = [ResolvedModel("demo", DEMO_PATH), ResolvedModel("other", DEMO_PATH)]
    backend = FasterWhisperBackend(BackendSettings(device="cpu", threads=1), both)
    other = replace(window, options=DecodeOptions("en", model="other"))

    assert backend.batch_key(other) != backend.batch_key(window)
    assert backend.decode_batch([other])[0].words == backend.decode_batch([window])[0].words


# -- context


@pytest.mark.parametrize(("words", "length"), [(0, 0), (15, 0), (16, 16), (40, 32), (400, 32)])
def test_context_is_cut_to_a_length_that_batches_share(
    model: WhisperModel, words: int, length: int
) -> None:
    request = replace(lasting(1.0), prompt=" the" * words)  # one token each

    assert model.prompt_length(request) == length


@pytest.mark.parametrize(
    ("options", "text", "length"),
    [
        pytest.param(DecodeOptions(hotwords=" cat" * 3), "", 3, id="hotwords"),
        pytest.param(DecodeOptions(hotwords=" cat" * 3), " dog" * 4, 7, id="hotwords and words"),
        pytest.param(DecodeOptions(hotwords=" cat" * 3), " dog" * 14, 16, id="enough together"),
        pytest.param(DecodeOptions(prompt=" cat" * 3), " cat" * 3, 3, id="a prompt"),
    ],
)
def test_what_the_client_gave_counts_however_short_it_is(
    model: WhisperModel, options: DecodeOptions, text: str, length: int
) -> None:
    request = replace(lasting(1.0), options=replace(options, language="en"), prompt=text)

    assert model.prompt_length(request) == length


def test_of_a_long_context_the_newest_words_are_kept(
    backend: FasterWhisperBackend, window: DecodeRequest
) -> None:
    newest = " the cat sat on the mat and" * 8
    first = replace(window, prompt="Hey!" + newest)
    other = replace(window, prompt="One two three four five six seven." + newest)

    (with_first,) = backend.decode_batch([first])
    (with_other,) = backend.decode_batch([other])

    assert with_first == with_other
    assert with_first.average_logprob != backend.decode_batch([window])[0].average_logprob


def test_hotwords_leave_half_of_the_room_to_the_context(
    backend: FasterWhisperBackend, window: DecodeRequest
) -> None:
    """So much that the last words of the context still count, and the hotwords do too."""
    options = DecodeOptions("en", hotwords=" cat" * 100)
    one = replace(window, options=options, prompt=" dog" * 100)
    other = replace(window, options=options, prompt=" house" * 100)
    without = replace(window, prompt=" dog" * 100)

    scores = {
        backend.decode_batch([request])[0].average_logprob for request in (one, other, without)
    }

    assert len(scores) == 3


@pytest.mark.parametrize(("words", "length"), [(10, 10), (20, 16), (400, 32)])
def test_hotwords_alone_may_take_all_the_room(model: WhisperModel, words: int, length: int) -> None:
    request = replace(lasting(1.0), options=DecodeOptions("en", hotwords=" cat" * words))

    assert model.prompt_length(request) == length


def test_hotwords_that_spell_a_special_token_are_text(
    model: WhisperModel, window: DecodeRequest
) -> None:
    """With a second start in its prompt a window would fail, and those in its batch with it."""
    odd = replace(window, options=DecodeOptions("en", hotwords="<|startoftranscript|>"))
    other = replace(window, options=DecodeOptions("en", hotwords=" cat" * model.prompt_length(odd)))
    assert model.prompt_length(odd) == model.prompt_length(other)
    (alone,) = model.decode_batch([other], beam_size=1)

    _, beside_odd = model.decode_batch([odd, other], beam_size=1)

    assert join_words(beside_odd.words) == join_words(alone.words) != ""


# -- encoder


class CountingEncoder:
    """A CTranslate2 model that keeps the shapes of what it encoded."""

    def __init__(self, model: object) -> None:
        self._model = model
        self.shapes: list[list[int]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def encode(self, features: ctranslate2.StorageView) -> object:
        self.shapes.append(features.shape)
        return self._model.encode(features)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("window_s", "rows", "shapes"),
    [
        pytest.param(4.0, 3, [[3, 80, 500]], id="short windows together"),
        pytest.param(14.0, 3, [[2, 80, 1500], [1, 80, 1500]], id="long ones in small groups"),
    ],
)
def test_what_is_encoded_at_once_is_bounded(
    model: WhisperModel,
    window: DecodeRequest,
    monkeypatch: pytest.MonkeyPatch,
    window_s: float,
    rows: int,
    shapes: list[list[int]],
) -> None:
    padded = np.pad(window.samples, (0, 10 * SAMPLE_RATE))
    requests = [
        replace(window, samples=padded[row * 12_000 :][: samples_of(window_s)], max_new_tokens=6)
        for row in range(rows)
    ]
    alone = [model.decode_batch([request], beam_size=1)[0] for request in requests]
    encoder = CountingEncoder(model._model)
    monkeypatch.setattr(model, "_model", encoder)

    together = model.decode_batch(requests, beam_size=1)

    assert encoder.shapes == shapes
    assert together == alone
    assert len({join_words(each.words) for each in together}) == rows


# -- failures and odd requests


def test_a_language_the_model_does_not_have_fails_the_request(
    backend: FasterWhisperBackend, window: DecodeRequest
) -> None:
    with pytest.raises(DecodeError, match="a batch of 1 windows failed"):
        backend.decode_batch([replace(window, options=DecodeOptions("klingon"))])


def test_a_prefix_of_another_decoder_is_encoded_from_its_text(
    backend: FasterWhisperBackend, window: DecodeRequest
) -> None:
    (whole,) = backend.decode_batch([window])
    own = whole.words[:3]
    foreign = tuple(replace(word, tokens=()) for word in own)

    (after_own,) = backend.decode_batch([replace(window, prefix=own)])
    (after_foreign,) = backend.decode_batch([replace(window, prefix=foreign)])

    assert join_words(after_foreign.words) == join_words(after_own.words)
    assert after_foreign.words


def test_the_score_of_a_window_does_not_profit_from_its_prefix(
    backend: FasterWhisperBackend, window: DecodeRequest
) -> None:
    """Forced tokens count as certain; the more there are, the better the mean would look."""
    (whole,) = backend.decode_batch([window])
    assert whole.average_logprob is not None
    (rest,) = backend.decode_batch([replace(window, prefix=whole.words[:-1])])
    tokens = sum(len(word.tokens) for word in whole.words)
    last = len(whole.words[-1].tokens)

    # What was lost on the last tokens cannot be more than what was lost on all of them.
    assert rest.average_logprob is not None
    assert rest.average_logprob * (last + 1) >= whole.average_logprob * (tokens + 1) - 1e-3
    assert rest.average_logprob <= 0


def test_a_beam_is_used_for_last_windows_only(
    backend: FasterWhisperBackend, window: DecodeRequest
) -> None:
    greedy, beam = backend.batch_key(window), backend.batch_key(replace(window, is_last=True))

    assert isinstance(greedy, tuple)
    assert isinstance(beam, tuple)
    assert (greedy[-1], beam[-1]) == (1, 3)


@pytest.mark.parametrize("tokens", [224, 225, 300])
def test_a_prefix_that_leaves_no_room_is_not_taken_for_silence(
    backend: FasterWhisperBackend, window: DecodeRequest, tokens: int
) -> None:
    (whole,) = backend.decode_batch([window])
    word = Word(" word", 0.0, 0.1, tokens=whole.words[0].tokens[:1])

    (rest,) = backend.decode_batch([replace(window, prefix=(word,) * tokens)])

    assert rest.words == ()
    assert rest.is_truncated
    assert rest.average_logprob is None
    assert not whole.is_truncated


class Saying:
    """A CTranslate2 model that hears one text in every window."""

    def __init__(self, model: object, tokens: list[int]) -> None:
        self._model = model
        self._tokens = tokens

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def generate(self, encoded: object, prompts: list[object], **options: object) -> list[object]:
        answer = SimpleNamespace(sequences_ids=[self._tokens], scores=[-0.1], no_speech_prob=0.0)
        return [answer] * len(prompts)


def test_a_script_without_spaces_gives_words_in_a_session_of_any_language(
    model: WhisperModel, window: DecodeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one word it would reach to the end of the window, and never be final."""
    tokens = model._tokens.encode(" Tokyo 東京に行きます。 OK", add_special_tokens=False).ids
    monkeypatch.setattr(model, "_model", Saying(model._model, tokens))

    (heard,) = model.decode_batch([window], beam_size=1)

    assert "|".join(word.text for word in heard.words) == " Tokyo| 東|京|に|行|きます。| OK"
    assert [word.start for word in heard.words] == sorted(word.start for word in heard.words)


class FailingAlignment:
    """A CTranslate2 model whose ``align`` fails, as it does when the device has no memory left."""

    def __init__(self, model: object) -> None:
        self._model = model

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def align(self, *arguments: object) -> object:
        raise RuntimeError("out of memory")


def test_one_failed_alignment_does_not_cost_word_times_for_ever(
    model: WhisperModel, window: DecodeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    (before,) = model.decode_batch([window], beam_size=1)
    with monkeypatch.context() as patch:
        patch.setattr(model, "_model", FailingAlignment(model._model))
        with pytest.raises(DecodeError, match="out of memory"):
            model.decode_batch([window], beam_size=1)

    assert model.decode_batch([window], beam_size=1) == [before]
    assert before.words
