"""In place of PyAudio: a loudspeaker that nobody hears, and a recording as the microphone.

The microphone gives the WAV file named by ``STUB_MICROPHONE``, then silence until ``ctrl_c`` is
set, which somebody presses then. Without the variable there is none.
"""

import os
import threading
import time
import wave

paInt16 = 8

_BYTES_PER_SAMPLE = 2
_RATE = 16_000
_START_S = 0.5  # what looking for sound devices takes on a desktop
_LONGEST_SILENCE_S = 45.0  # nobody waits longer for words that do not come

ctrl_c = threading.Event()


class PyAudio:
    def __init__(self) -> None:
        time.sleep(_START_S)

    def open(self, *, output: bool = False, **_: object) -> "_Stream":
        if output:
            return _Stream(b"")
        path = os.environ.get("STUB_MICROPHONE")
        if path is None:
            raise OSError("No Default Input Device Available")
        with wave.open(path, "rb") as recording:
            heard = recording.readframes(recording.getnframes())
        silence = bytes(round(_LONGEST_SILENCE_S * _RATE) * _BYTES_PER_SAMPLE)
        return _Stream(heard + silence)

    def get_format_from_width(self, width: int) -> int:
        assert width == _BYTES_PER_SAMPLE
        return paInt16

    def terminate(self) -> None:
        pass


class _Stream:
    """Takes the time that playing or recording takes."""

    def __init__(self, heard: bytes) -> None:
        self._heard = heard
        self._due = time.monotonic()

    def write(self, data: bytes) -> None:
        self._pace(len(data))

    def read(self, samples: int, exception_on_overflow: bool = True) -> bytes:
        size = samples * _BYTES_PER_SAMPLE
        data, self._heard = self._heard[:size], self._heard[size:]
        if not data or ctrl_c.is_set():
            raise KeyboardInterrupt
        self._pace(len(data))
        return data

    def stop_stream(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _pace(self, size: int) -> None:
        self._due = max(self._due, time.monotonic() - 1.0) + size / _BYTES_PER_SAMPLE / _RATE
        time.sleep(max(0.0, self._due - time.monotonic()))
