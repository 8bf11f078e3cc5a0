"""A sound card with a microphone and a loudspeaker, for programs that are run as they are printed.

The microphone plays the recording that ``MICROPHONE_RECORDING`` names (WAV, 16 kHz, mono, 16 bit)
into the program, faster than real time, and presses Ctrl-C when it is over, as a speaker would.
The loudspeaker is silent.
"""

import os
import signal
import threading
import wave
from collections.abc import Callable

paInt16 = 8
paContinue = 0
paInputOverflow = 2

SPEED = 4.0
PATIENCE_S = 1.0  # for a program on a busy machine to hear the end

_Callback = Callable[[bytes, int, object, int], tuple[None, int]]
_DEVICE: dict[str, str | int | float] = {
    "index": 0,
    "name": "Recorded microphone",
    "maxInputChannels": 1,
    "defaultSampleRate": 16000.0,
}


class Stream:
    """Delivers the recording from a thread, as PortAudio does."""

    def __init__(self, rate: int, frames: int, callback: _Callback) -> None:
        self._rate = rate
        self._frames = frames
        self._callback = callback
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _play(self) -> None:
        with wave.open(os.environ["MICROPHONE_RECORDING"], "rb") as recording:
            while samples := recording.readframes(self._frames):
                self._callback(samples, self._frames, None, 0)
                self._closed.wait(self._frames / self._rate / SPEED)
        if not self._closed.wait(PATIENCE_S):
            os.kill(os.getpid(), signal.SIGINT)


class Loudspeaker:
    """Takes samples as fast as they come."""

    def write(self, samples: bytes) -> None:
        """Nobody hears it."""

    def stop_stream(self) -> None:
        """All was played."""

    def close(self) -> None:
        """Nothing is held."""


class PyAudio:
    """The sound system."""

    def open(
        self,
        *,
        format: int,
        channels: int,
        rate: int,
        input: bool = False,
        output: bool = False,
        input_device_index: int | None = None,
        frames_per_buffer: int = 0,
        stream_callback: _Callback | None = None,
    ) -> Stream | Loudspeaker:
        if output:
            return Loudspeaker()
        if stream_callback is None or (format, channels, rate, input, input_device_index) != (
            paInt16,
            1,
            16000,
            True,
            0,
        ):
            raise OSError(-9997, "Invalid sample rate")
        return Stream(rate, frames_per_buffer, stream_callback)

    def get_device_count(self) -> int:
        return 1

    def get_device_info_by_index(self, index: int) -> dict[str, str | int | float]:
        return _DEVICE

    def get_default_input_device_info(self) -> dict[str, str | int | float]:
        return _DEVICE

    def terminate(self) -> None:
        """Nothing is held."""
