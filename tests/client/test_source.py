"""Sources as chunks, and their pace."""

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.conftest import noise
from whisper_streaming.client.source import Pacer, SourceFormat, open_source
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.errors import AudioSourceError, ConfigurationError

RECORDING = Path(__file__).parent.parent / "data" / "lang-de.flac"


class FakeClock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


@given(lengths=st.lists(st.integers(0, 5_000), max_size=12), chunk_ms=st.integers(10, 200))
def test_chunks_have_one_length_and_lose_nothing(lengths: list[int], chunk_ms: int) -> None:
    pieces = [noise(length / SAMPLE_RATE, seed) for seed, length in enumerate(lengths)]

    chunks = list(open_source(iter(pieces), SourceFormat(chunk_ms=chunk_ms)))

    size = chunk_ms * 16
    assert all(len(chunk) == size for chunk in chunks[:-1])
    assert all(0 < len(chunk) <= size for chunk in chunks)
    np.testing.assert_array_equal(
        np.concatenate([np.zeros(0, np.float32), *chunks]),
        np.concatenate([np.zeros(0, np.float32), *pieces]),
    )


def test_an_endless_source_is_read_only_as_far_as_it_is_used() -> None:
    given_out = 0

    def endless() -> Iterator[FloatArray]:
        nonlocal given_out
        while True:
            given_out += 1
            yield noise(0.1)

    chunks = iter(open_source(endless(), SourceFormat()))
    for _ in range(5):
        next(chunks)

    assert given_out == 5


@pytest.mark.parametrize("make", [str, Path, lambda path: path.open("rb")])
def test_a_recording_is_read_from_a_path_or_an_open_file(make: object) -> None:
    assert callable(make)
    opened = make(RECORDING)
    source = open_source(opened, SourceFormat(chunk_ms=100))
    chunks = list(source)
    if isinstance(opened, io.IOBase):
        opened.close()

    assert not source.is_live
    assert {len(chunk) for chunk in chunks[:-1]} == {1_600}
    assert sum(len(chunk) for chunk in chunks) > 5 * SAMPLE_RATE


def test_standard_input_may_hold_a_recording_or_raw_samples() -> None:
    code = (
        "import sys, numpy as np\n"
        "from whisper_streaming.client.source import SourceFormat, open_source\n"
        "form = SourceFormat(raw_format=sys.argv[1] or None)\n"
        "print(sum(len(chunk) for chunk in open_source('-', form)))\n"
    )

    def read(content: bytes, raw_format: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", code, raw_format], input=content, capture_output=True, timeout=60
        )
        return int(done.stdout)

    expected = sum(len(chunk) for chunk in open_source(RECORDING, SourceFormat()))
    assert read(RECORDING.read_bytes(), "") == expected
    assert read(np.zeros(5_000, "<i2").tobytes(), "int16") == 5_000
    assert read(np.zeros(5_000, "<f4").tobytes(), "float32") == 5_000


def test_what_was_read_before_a_source_broke_is_given_first() -> None:
    broken = iter([noise(0.05), np.array([np.inf], np.float32)])
    chunks = iter(open_source(broken, SourceFormat(chunk_ms=100)))

    assert len(next(chunks)) == 800
    with pytest.raises(AudioSourceError, match="finite"):
        next(chunks)


def test_closing_a_source_closes_what_it_reads() -> None:
    closed = False

    def arrays() -> Iterator[FloatArray]:
        nonlocal closed
        try:
            while True:
                yield noise(0.1)
        finally:
            closed = True

    source = open_source(arrays(), SourceFormat())
    next(iter(source))
    source.close()
    source.close()

    assert closed


def test_a_file_that_is_no_recording_fails_when_it_is_opened() -> None:
    with pytest.raises(AudioSourceError, match="known format"):
        open_source(__file__, SourceFormat())


@pytest.mark.parametrize("chunk_ms", [9, 10_001])
def test_a_senseless_chunk_length_is_a_configuration_error(chunk_ms: int) -> None:
    with pytest.raises(ConfigurationError, match="chunk_ms must be between 10 and 10000"):
        SourceFormat(chunk_ms=chunk_ms)


def test_audio_is_due_when_a_microphone_would_have_recorded_it() -> None:
    clock = FakeClock()
    pacer = Pacer(clock)

    assert pacer.delay_s(1_600) == pytest.approx(0.1)
    clock.now += 0.1
    assert pacer.delay_s(1_600) == pytest.approx(0.1)


def test_delays_do_not_add_up() -> None:
    clock = FakeClock()
    pacer = Pacer(clock)
    for _ in range(1_000):
        clock.now += pacer.delay_s(1_600) + 0.003  # every wait takes a little too long

    assert clock.now - 50.0 == pytest.approx(100.0, abs=0.004)


def test_a_source_that_was_late_catches_up() -> None:
    clock = FakeClock()
    pacer = Pacer(clock)
    clock.now += pacer.delay_s(1_600)
    clock.now += 0.35

    assert [pacer.delay_s(1_600) for _ in range(4)] == pytest.approx([0.0, 0.0, 0.0, 0.05])
