"""Audio as FLAC while it comes."""

from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.audio.frame import AudioFrame

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.records.growing_file import GrowingFile

# RFC 9639, section 8.2: bytes 18 to 25 hold rate, channels and depth in 28 bits, then the number
# of samples in 36, which is 0 as long as nobody knows it.
_LENGTH_AT: Final = 18
_LENGTH_BITS: Final = 36
_FORMAT: Final = SAMPLE_RATE << 8 | (1 - 1) << 5 | (16 - 1)

_FULL_SCALE: Final = 32768.0


class AudioFile:
    """Writes 16-bit mono FLAC at 16 kHz, which can be played up to its last flush.

    Args:
        file: Gets the bytes.
    """

    def __init__(self, file: GrowingFile) -> None:
        self._file = file
        self._sink = _Sink(file)
        self._samples = 0
        self._container = av.open(
            self._sink, "w", format="flac", container_options={"flush_packets": "1"}
        )
        self._stream = self._container.add_stream("flac", rate=SAMPLE_RATE)
        self._stream.format = "s16"
        self._stream.layout = "mono"
        self._container.start_encoding()

    def append(self, samples: FloatArray) -> None:
        """Encode ``samples``: float32, shape (n,), mono, 16 kHz, in [-1, 1]."""
        if not len(samples):
            return
        whole = np.clip(np.rint(samples * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1)
        frame = AudioFrame.from_ndarray(
            whole.astype(np.int16).reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate = SAMPLE_RATE
        frame.pts = self._samples
        frame.time_base = Fraction(1, SAMPLE_RATE)
        self._samples += len(samples)
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Encode what is left. Nothing can be appended after it."""
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def note_length(self) -> None:
        """Write at the begin how long it is, for players that want to know. After the last flush.

        Raises:
            OSError: If it cannot be written.
        """
        length = min(self._samples, (1 << _LENGTH_BITS) - 1)
        self._file.patch(_LENGTH_AT, (_FORMAT << _LENGTH_BITS | length).to_bytes(8, "big"))


class _Sink:
    """What PyAV takes for a file: it can only be written to, so nothing is changed later."""

    def __init__(self, file: GrowingFile) -> None:
        self._file = file

    def write(self, content: bytes) -> int:
        self._file.append(bytes(content))
        return len(content)
