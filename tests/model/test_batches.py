"""A window decoded in a batch says what it says alone.

The int8 kernels of some processors round differently for batches of different sizes, and then
two tokens that score the same may change places. A row may therefore differ where there was such
a tie, and only there; how many may is bounded too.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import pytest

from tests.model.recordings import ENGLISH, OTHER_LANGUAGES, Recording, load
from tests.model.ties import margin, tokens_of
from whisper_streaming.backends.base import Backend
from whisper_streaming.backends.model_store import DEMO_PATH
from whisper_streaming.backends.whisper_model import Device, WhisperModel
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, Hypothesis, Word

pytestmark = [pytest.mark.model, pytest.mark.slow]

LARGEST_BATCH: Final = 8
TIE: Final = 0.25
"""A tie differs in its logits by less than this: the better token is 1.3 times as likely."""
MOST_TIES: Final = 0.02
"""Share of the rows that may be ties."""
FRAME_S: Final = 0.02

# Words of context: none, and enough for each prompt length of the embedded model.
CONTEXTS: Final = (0, 14, 120)
PREFIXES: Final = (0, 1, 4)
DURATIONS_S: Final = (3.0, 6.5, 12.0)
TOKENS: Final = (6, 40, 120)
"""So few that some rows are cut short while their neighbours go on."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One window, and what it says alone and in a batch."""

    request: DecodeRequest
    alone: Hypothesis
    together: Hypothesis
    batch_size: int


def windows() -> Iterator[DecodeRequest]:
    """Windows cut at random places, with all lengths of context and prefix."""
    rng = random.Random(20)
    for _, context, prefix, duration_s in product(range(4), CONTEXTS, PREFIXES, DURATIONS_S):
        recording = load(rng.choice((*ENGLISH, *OTHER_LANGUAGES)))
        yield window(recording, rng, context, prefix, duration_s * rng.uniform(0.75, 1.0))


def window(
    recording: Recording, rng: random.Random, context: int, prefix: int, duration_s: float
) -> DecodeRequest:
    start = rng.uniform(0.0, len(recording.samples) / SAMPLE_RATE - duration_s)
    said = [word for word in recording.words if start <= word.start <= start + duration_s / 2]
    is_english = recording.language == "en"
    return DecodeRequest(
        samples=recording.cut(start, start + duration_s),
        start_sample=round(start * SAMPLE_RATE),
        options=DecodeOptions(
            language=rng.choice((recording.language, recording.language, None)),
            task="transcribe" if is_english else rng.choice(("transcribe", "translate")),
        ),
        prefix=tuple(Word(f" {word.text}", word.start, word.end) for word in said[:prefix]),
        prompt=" ".join((recording.text * 3).split()[:context]),
        max_new_tokens=rng.choice(TOKENS),
    )


def batches(backend: Backend, requests: Sequence[DecodeRequest]) -> Iterator[list[DecodeRequest]]:
    """Batches of 2 to 8 requests that may share one; what is left alone is left out."""
    rng = random.Random(14)
    groups: dict[Hashable, list[DecodeRequest]] = defaultdict(list)
    for request in requests:
        groups[backend.batch_key(request)].append(request)
    for group in groups.values():
        while len(group) > 1:
            size = rng.randint(2, LARGEST_BATCH)
            yield group[:size]
            del group[:size]


@pytest.fixture(scope="module")
def pairs(backend: Backend) -> list[Pair]:
    with ThreadPoolExecutor(backend.info.workers) as pool:
        decoded = pool.map(
            lambda batch: decode_both_ways(backend, batch), batches(backend, list(windows()))
        )
        return [pair for pairs_of_batch in decoded for pair in pairs_of_batch]


def decode_both_ways(backend: Backend, batch: list[DecodeRequest]) -> list[Pair]:
    return [
        Pair(request, backend.decode_batch([request])[0], together, len(batch))
        for request, together in zip(batch, backend.decode_batch(batch), strict=True)
    ]


@pytest.fixture(scope="module")
def model() -> WhisperModel:
    """The same model, for scores that no backend gives."""
    return WhisperModel("demo", DEMO_PATH, Device("cpu", "int8", 1, 1))


def test_the_batches_are_of_every_size_and_mixed(pairs: list[Pair]) -> None:
    assert len(pairs) > 80
    assert {pair.batch_size for pair in pairs} == set(range(2, LARGEST_BATCH + 1))
    assert {pair.request.options.task for pair in pairs} == {"transcribe", "translate"}
    assert any(pair.alone.is_truncated for pair in pairs)
    assert sum(1 for pair in pairs if pair.alone.words) > 0.7 * len(pairs)


def test_a_row_of_a_batch_has_the_tokens_it_has_alone(
    pairs: list[Pair], model: WhisperModel, record_property: Callable[[str, object], None]
) -> None:
    differing = [pair for pair in pairs if tokens_of(pair.alone) != tokens_of(pair.together)]
    record_property("rows", len(pairs))
    record_property("ties", len(differing))

    for pair in differing:
        assert gap(model, pair.request, pair.alone, tokens_of(pair.together)) < TIE
    assert len(differing) <= MOST_TIES * len(pairs)


def gap(model: WhisperModel, request: DecodeRequest, alone: Hypothesis, other: list[int]) -> float:
    known = replace(request, options=replace(request.options, language=alone.language))
    return margin(model, known, tokens_of(alone), other)


def test_the_score_of_a_tie_tells_a_right_token_from_a_wrong_one(
    pairs: list[Pair], model: WhisperModel
) -> None:
    """Without it, a difference that is no tie could pass as one."""
    clear = 0
    spoken = [pair for pair in pairs if len(tokens_of(pair.alone)) > 3][:20]
    for pair in spoken:
        tokens = tokens_of(pair.alone)
        clear += gap(model, pair.request, pair.alone, [*tokens[:2], tokens[0]]) > TIE

    assert clear == len(spoken)


def test_a_batch_changes_nothing_else(pairs: list[Pair]) -> None:
    for pair in pairs:
        alone, together = pair.alone, pair.together
        if tokens_of(alone) != tokens_of(together):
            continue
        assert together.language == alone.language
        assert together.is_truncated == alone.is_truncated
        assert together.language_probability == pytest.approx(alone.language_probability, abs=0.01)
        assert together.no_speech_probability == pytest.approx(
            alone.no_speech_probability, abs=0.01
        )
        assert not pair.request.prefix or together.no_speech_probability == 0.0
        assert [word.text for word in together.words] == [word.text for word in alone.words]
        for one, other in zip(alone.words, together.words, strict=True):
            assert other.start == pytest.approx(one.start, abs=1.5 * FRAME_S)
            assert other.end == pytest.approx(one.end, abs=1.5 * FRAME_S)


def test_a_row_is_not_judged_by_words_beyond_its_own(pairs: list[Pair]) -> None:
    """The batch decodes on while its neediest row does; what is cut off must not count."""
    for pair in pairs:
        if tokens_of(pair.alone) == tokens_of(pair.together):
            assert pair.together.average_logprob == pytest.approx(
                pair.alone.average_logprob, abs=0.01
            )
