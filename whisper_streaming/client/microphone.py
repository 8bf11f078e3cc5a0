"""The microphone, through PyAudio, which is imported only when a microphone is asked for."""

import importlib
import logging
import queue
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Final, Protocol

import numpy as np

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of
from whisper_streaming.errors import AudioSourceError
from whisper_streaming.media import StreamResampler

# While the network stalls the recording waits here; beyond that, the newest audio is dropped.
BUFFER_S: Final = 60.0

# A microphone that is unplugged goes silent without an error.
STALL_TIMEOUT_S: Final = 10.0

logger = logging.getLogger("whisper_streaming.client")


_StreamCallback = Callable[[bytes | None, int, object, int], tuple[None, int]]
_DeviceInfo = Mapping[str, str | int | float]


class _Stream(Protocol):
    """What is used of ``pyaudio.Stream``, which has no types of its own."""

    def close(self) -> None: ...


class _Audio(Protocol):
    """What is used of ``pyaudio.PyAudio``."""

    def open(
        self,
        *,
        format: int,
        channels: int,
        rate: int,
        input: bool,
        input_device_index: int,
        frames_per_buffer: int,
        stream_callback: _StreamCallback,
    ) -> _Stream: ...

    def get_device_count(self) -> int: ...
    def get_device_info_by_index(self, index: int) -> _DeviceInfo: ...
    def get_default_input_device_info(self) -> _DeviceInfo: ...
    def terminate(self) -> None: ...


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A device that can record."""

    index: int
    name: str
    channels: int
    sample_rate: int
    is_default: bool


def list_devices() -> list[InputDevice]:
    """All devices that can record, in the system's order.

    Raises:
        AudioSourceError: If PyAudio is missing.
    """
    pyaudio = _import_pyaudio()
    audio: _Audio = pyaudio.PyAudio()
    try:
        default = _default_index(audio)
        infos = [audio.get_device_info_by_index(i) for i in range(audio.get_device_count())]
    finally:
        audio.terminate()
    return [
        InputDevice(
            index=int(info["index"]),
            name=str(info["name"]),
            channels=int(info["maxInputChannels"]),
            sample_rate=int(info["defaultSampleRate"]),
            is_default=int(info["index"]) == default,
        )
        for info in infos
        if int(info["maxInputChannels"]) > 0
    ]


class Microphone:
    """A microphone that records while its samples are read.

    Args:
        chunk_samples: How many samples at 16 kHz to ask the device for at a time.
        device_index: Which device; None is the system's default.

    Raises:
        AudioSourceError: If PyAudio is missing, or there is no such device.
    """

    def __init__(self, chunk_samples: int, device_index: int | None = None) -> None:
        self._pyaudio = _import_pyaudio()
        self._chunk_samples = chunk_samples
        self._device = self._find_device(device_index)
        chunks = max(1, samples_of(BUFFER_S) // chunk_samples)
        # Full when nobody sends for a minute: then the newest chunk is dropped and counted.
        self._recorded: queue.Queue[bytes] = queue.Queue(maxsize=chunks)
        self._dropped = 0

    def samples(self) -> Iterator[FloatArray]:
        """Record until the iterator is closed.

        Yields:
            float32, shape (n,), mono, 16 kHz, in [-1, 1].

        Raises:
            AudioSourceError: If the device cannot be opened or stops delivering.
        """
        audio: _Audio = self._pyaudio.PyAudio()
        try:
            stream, rate = self._open(audio)
            try:
                yield from self._read(StreamResampler(rate))
            finally:
                stream.close()
        finally:
            audio.terminate()

    def _find_device(self, device_index: int | None) -> InputDevice:
        devices = list_devices()
        if not devices:
            raise AudioSourceError(
                "there is no microphone: connect one and check that the system lists it, or "
                "transcribe a recording with --audio-file FILE"
            )
        if device_index is None:
            return next((device for device in devices if device.is_default), devices[0])
        for device in devices:
            if device.index == device_index:
                return device
        known = ", ".join(f"{device.index} ({device.name})" for device in devices)
        raise AudioSourceError(f"there is no microphone {device_index}; there are: {known}")

    def _open(self, audio: _Audio) -> tuple[_Stream, int]:
        """Open at 16 kHz, else at the device's own rate: many devices know only one."""
        failure: OSError | None = None
        for rate in dict.fromkeys((SAMPLE_RATE, self._device.sample_rate)):
            try:
                stream = audio.open(
                    format=self._pyaudio.paInt16,
                    channels=1,
                    rate=rate,
                    input=True,
                    input_device_index=self._device.index,
                    frames_per_buffer=self._chunk_samples * rate // SAMPLE_RATE,
                    stream_callback=self._receive,
                )
            except OSError as exc:
                failure = exc
            else:
                return stream, rate
        raise AudioSourceError(
            f"the microphone {self._device.name!r} cannot be opened ({failure}): is another "
            "program using it? --list-devices shows the others"
        ) from failure

    def _receive(
        self, recorded: bytes | None, _frames: int, _times: object, status: int
    ) -> tuple[None, int]:
        """Called by PortAudio's thread, which must never wait."""
        if status & self._pyaudio.paInputOverflow:
            self._dropped += 1
        try:
            self._recorded.put_nowait(recorded or b"")
        except queue.Full:
            self._dropped += 1
        return None, self._pyaudio.paContinue

    def _read(self, resampler: StreamResampler) -> Iterator[FloatArray]:
        reported = 0
        while True:
            try:
                recorded = self._recorded.get(timeout=STALL_TIMEOUT_S)
            except queue.Empty as exc:
                raise AudioSourceError(
                    f"the microphone {self._device.name!r} delivered nothing for "
                    f"{STALL_TIMEOUT_S:.0f} s: is it still connected?"
                ) from exc
            if self._dropped > reported:
                reported = self._dropped
                logger.warning("audio of the microphone was lost, %d times so far", reported)
            samples = np.frombuffer(recorded, dtype=np.int16).astype(np.float32) / 32768.0
            yield resampler.resample(samples)


def _default_index(audio: _Audio) -> int | None:
    try:
        return int(audio.get_default_input_device_info()["index"])
    except OSError:  # PyAudio's way to say that there is none
        return None


def _import_pyaudio() -> ModuleType:
    try:
        return importlib.import_module("pyaudio")
    except ImportError as exc:
        raise AudioSourceError(
            'the microphone needs PyAudio: run pip install "pyaudio", or pip install ".[mic]" in '
            "the clone; on Debian and Ubuntu run apt install portaudio19-dev before"
        ) from exc
