"""The microphone, with a stand-in for PyAudio, which needs a sound card."""

import sys
import threading
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from whisper_streaming.client import InputDevice, list_devices
from whisper_streaming.client import microphone as module
from whisper_streaming.client.microphone import Microphone
from whisper_streaming.client.source import SourceFormat, open_source
from whisper_streaming.errors import AudioSourceError

StreamCallback = Callable[[bytes, int, object, int], tuple[None, int]]

SPEAKERS = {"index": 0, "name": "Speakers", "maxInputChannels": 0, "defaultSampleRate": 48000.0}
HEADSET = {"index": 1, "name": "Headset", "maxInputChannels": 1, "defaultSampleRate": 44100.0}
WEBCAM = {"index": 4, "name": "Webcam", "maxInputChannels": 2, "defaultSampleRate": 16000.0}


class FakeStream:
    """Records a ramp as fast as it is asked to, in a thread as PortAudio does."""

    def __init__(self, callback: StreamCallback, frames: int, chunks: int, status: int) -> None:
        self.closed = False
        ramp = np.arange(frames, dtype=np.int16)

        def record() -> None:
            for _ in range(chunks):
                callback(ramp.tobytes(), frames, {}, status)

        self._thread = threading.Thread(target=record)
        self._thread.start()

    def close(self) -> None:
        self._thread.join()
        self.closed = True


class FakeSystem:
    """A sound system; stands in for the module and for ``PyAudio``."""

    def __init__(self) -> None:
        self.devices: list[dict[str, object]] = [SPEAKERS, HEADSET, WEBCAM]
        self.default: int | None = 4
        self.rates = {16_000, 44_100, 48_000}
        self.opened: list[dict[str, object]] = []
        self.streams: list[FakeStream] = []
        self.users = 0
        self.chunks = 5
        self.status = 0

    def start(self) -> "FakeSystem":
        self.users += 1
        return self

    def terminate(self) -> None:
        self.users -= 1

    def get_device_count(self) -> int:
        return len(self.devices)

    def get_device_info_by_index(self, position: int) -> dict[str, object]:
        return self.devices[position]

    def get_default_input_device_info(self) -> dict[str, object]:
        if self.default is None:
            raise OSError("No Default Input Device Available")
        return {"index": self.default}

    def open(self, *, stream_callback: StreamCallback, **settings: object) -> FakeStream:
        if settings["rate"] not in self.rates:
            raise OSError(-9997, "Invalid sample rate")
        self.opened.append(settings)
        frames = settings["frames_per_buffer"]
        assert isinstance(frames, int)
        self.streams.append(FakeStream(stream_callback, frames, self.chunks, self.status))
        return self.streams[-1]


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> FakeSystem:
    fake = FakeSystem()
    pyaudio = ModuleType("pyaudio")
    pyaudio.PyAudio = fake.start  # type: ignore[attr-defined]
    pyaudio.paInt16 = 8  # type: ignore[attr-defined]
    pyaudio.paContinue = 0  # type: ignore[attr-defined]
    pyaudio.paInputOverflow = 2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyaudio", pyaudio)
    return fake


def test_only_devices_that_record_are_listed(system: FakeSystem) -> None:
    assert list_devices() == [
        InputDevice(1, "Headset", 1, 44_100, is_default=False),
        InputDevice(4, "Webcam", 2, 16_000, is_default=True),
    ]
    assert system.users == 0


def test_the_default_microphone_records_at_16_khz(system: FakeSystem) -> None:
    source = open_source(None, SourceFormat(chunk_ms=50))
    assert source.is_live
    assert system.opened == []  # nothing is recorded before somebody listens

    chunks = iter(source)
    first = next(chunks)
    source.close()

    np.testing.assert_allclose(first, np.arange(800) / 32768.0)
    assert system.opened == [
        {
            "format": 8,
            "channels": 1,
            "rate": 16_000,
            "input": True,
            "input_device_index": 4,
            "frames_per_buffer": 800,
        }
    ]
    assert system.streams[0].closed
    assert system.users == 0


def test_a_device_that_cannot_do_16_khz_is_resampled(system: FakeSystem) -> None:
    system.rates = {44_100}

    source = open_source(None, SourceFormat(chunk_ms=100, device_index=1))
    chunk = next(iter(source))
    source.close()

    assert len(chunk) == 1_600
    assert system.opened[0]["rate"] == 44_100
    assert system.opened[0]["frames_per_buffer"] == 4_410
    assert system.opened[0]["input_device_index"] == 1


def test_without_a_default_the_first_microphone_is_taken(system: FakeSystem) -> None:
    system.default = None

    source = open_source(None, SourceFormat())
    next(iter(source))
    source.close()

    assert system.opened[0]["input_device_index"] == 1


def test_a_microphone_that_is_not_there_names_those_that_are(system: FakeSystem) -> None:
    with pytest.raises(AudioSourceError, match=r"no microphone 7; .* 1 \(Headset\), 4 \(Webcam\)"):
        open_source(None, SourceFormat(device_index=7))


def test_no_microphone_at_all_says_what_else_to_do(system: FakeSystem) -> None:
    system.devices = [SPEAKERS]

    with pytest.raises(AudioSourceError, match=r"there is no microphone: .*--audio-file"):
        open_source(None, SourceFormat())


def test_a_microphone_that_cannot_be_opened_says_why(system: FakeSystem) -> None:
    system.rates = set()
    source = open_source(None, SourceFormat())

    with pytest.raises(AudioSourceError, match=r"'Webcam' cannot be opened .*--list-devices"):
        next(iter(source))
    assert system.users == 0


def test_a_microphone_that_goes_silent_is_an_error(
    system: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STALL_TIMEOUT_S", 0.1)
    system.chunks = 2
    source = open_source(None, SourceFormat())

    with pytest.raises(AudioSourceError, match="delivered nothing"):
        list(source)
    assert system.streams[0].closed


def test_an_overflow_of_the_device_is_reported(
    system: FakeSystem, caplog: pytest.LogCaptureFixture
) -> None:
    system.status = 2
    source = open_source(None, SourceFormat())

    next(iter(source))
    source.close()

    assert "audio of the microphone was lost" in caplog.text


def test_what_nobody_reads_is_bounded_and_its_loss_reported(
    system: FakeSystem, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUFFER_S", 0.3)
    monkeypatch.setattr(module, "STALL_TIMEOUT_S", 0.1)
    system.chunks = 10
    samples = Microphone(1_600).samples()
    pieces = [next(samples)]  # recording starts; three chunks fit, the others are dropped
    system.streams[0]._thread.join()

    with pytest.raises(AudioSourceError):
        pieces.extend(samples)

    assert 3 <= len(pieces) < 10
    assert f"{10 - len(pieces)} times so far" in caplog.text


def test_a_missing_pyaudio_names_every_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyaudio", None)

    with pytest.raises(AudioSourceError) as caught:
        open_source(None, SourceFormat())

    for command in ('pip install "pyaudio"', 'pip install ".[mic]"', "apt install portaudio19-dev"):
        assert command in str(caught.value)
