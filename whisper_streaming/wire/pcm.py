"""Raw audio frames of any length to checked samples."""

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.errors import UnsupportedAudio

PcmFormat = Literal["float32", "int16", "uint8"]

# Loud float audio passes 1.0 and a badly scaled microphone 10.0; beyond this it is no audio.
_ABSURD_LEVEL: Final = 100.0
_MAX_BAD_SHARE: Final = 0.01
# Smaller frames are judged together: one broken sample of a 10-sample frame proves nothing.
_MIN_JUDGED_SAMPLES: Final = 1600

_SAMPLE_BYTES: Final[dict[PcmFormat, int]] = {"float32": 4, "int16": 2, "uint8": 1}


class PcmReader:
    """Turns one stream's little-endian frames into float32 samples in [-1, 1].

    A frame may end anywhere; the bytes of an unfinished sample wait for the next frame.
    """

    def __init__(self, audio_format: PcmFormat) -> None:
        self._format = audio_format
        self._sample_bytes = _SAMPLE_BYTES[audio_format]
        self._unfinished = b""
        self._judged = 0
        self._bad = 0

    def read(self, frame: bytes) -> FloatArray:
        """The samples that are complete by now: float32, shape (n,), in [-1, 1]; n may be 0.

        Read-only: they may be the bytes of ``frame`` themselves.

        A few samples that are not finite or absurdly large become 0 and the rest is clipped.

        Raises:
            UnsupportedAudio: If over 1 % of the samples are such: the audio is in another format.
        """
        stream = self._unfinished + frame
        usable = len(stream) - len(stream) % self._sample_bytes
        stream, self._unfinished = stream[:usable], stream[usable:]
        match self._format:
            case "int16":
                return np.frombuffer(stream, "<i2").astype(np.float32) / np.float32(32768)
            case "uint8":
                centred = np.frombuffer(stream, np.uint8).astype(np.float32) - np.float32(128)
                return centred / np.float32(128)
        return self._checked(np.frombuffer(stream, "<f4"))

    def _checked(self, raw: FloatArray) -> FloatArray:
        peak = float(np.abs(raw).max(initial=0))  # NaN if any sample is
        # Nearly every frame is fine as it is, and used without a copy.
        is_fine = peak <= 1
        self._judge(len(raw), 0 if is_fine else _count_bad(raw))
        if is_fine:
            return raw
        return np.clip(np.where(_is_bad(raw), np.float32(0), raw), np.float32(-1), np.float32(1))

    def _judge(self, samples: int, bad: int) -> None:
        self._judged += samples
        self._bad += bad
        if self._bad > _MAX_BAD_SHARE * max(self._judged, _MIN_JUDGED_SAMPLES):
            raise UnsupportedAudio(
                f"{self._bad} of the last {self._judged} samples are not finite or far outside "
                "[-1, 1], so this is not float32 audio: send 16-bit audio as int16 "
                '("audio_format": "int16" in the options, ?format=s16 on /stream)'
            )
        if self._judged >= _MIN_JUDGED_SAMPLES:
            self._judged = self._bad = 0


def _is_bad(raw: FloatArray) -> npt.NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):  # a signalling NaN warns in the comparison
        return ~(np.abs(raw) <= _ABSURD_LEVEL)  # not >, which lets NaN pass


def _count_bad(raw: FloatArray) -> int:
    return int(np.count_nonzero(_is_bad(raw)))
