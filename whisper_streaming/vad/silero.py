"""Silero VAD v6, from the ONNX file that faster-whisper ships, with one state per stream.

faster-whisper's own ``SileroVADModel`` is for whole recordings: it starts from a zero state at
every call and writes zeros into the last samples of the caller's array. Here the state (an LSTM's
``h`` and ``c``, and the last 64 samples as context) lives in the stream, so that any split of the
audio gives the same probabilities.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.errors import ConfigurationError
from whisper_streaming.vad.base import FRAME_SAMPLES
from whisper_streaming.vad.framing import Framer

CONTEXT_SAMPLES: Final = 64
"""Samples before a frame that the network wants to see with it."""
STATE_SHAPE: Final = (1, 1, 128)
MAX_FRAMES_PER_RUN: Final = 256
"""Bounds the memory of one run (activations grow with the frames); 8 s of audio."""
SILENCE_RMS: Final = 10 ** (-70 / 20)
"""-70 dBFS. The quietest microphones hiss above it, so what is below is a muted or digital line."""
SETTLE_FRAMES: Final = 32  # 1 s, longer than the pauses inside an utterance
"""Silent frames in a row that the network still judges; after them it starts afresh.

Left running through long digital silence, the network drifts: after a minute of zeros it hears
speech up to half a second late (and a stream begun afresh does not).
"""

_ASSET: Final = ("assets", "silero_vad_v6.onnx")


class SileroVad:
    """The network, shared by all streams; its sessions may run in several threads at once."""

    def __init__(self, *, skips_silence: bool = True) -> None:
        """Load the network.

        Args:
            skips_silence: Give digital silence probability 0 without asking the network.

        Raises:
            ConfigurationError: If the model file is not installed.
        """
        options = onnxruntime.SessionOptions()
        # A frame is 0.1 ms of work: more threads would only wait for each other.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # The arena would keep the memory of the largest chunk ever seen.
        options.enable_cpu_mem_arena = False
        self._network = onnxruntime.InferenceSession(
            str(_model_file()), providers=["CPUExecutionProvider"], sess_options=options
        )
        self._skips_silence = skips_silence

    def open_stream(self) -> "SileroStream":
        return SileroStream(self._network, skips_silence=self._skips_silence)


class SileroStream:
    """State of one stream: the LSTM's state and the audio that the next frame needs."""

    def __init__(self, network: onnxruntime.InferenceSession, *, skips_silence: bool) -> None:
        self._network = network
        self._skips_silence = skips_silence
        self._framer = Framer()
        self._context: FloatArray = np.zeros(CONTEXT_SAMPLES, dtype=np.float32)
        self._silent_frames = 0
        self._forget()

    def process(self, samples: FloatArray) -> FloatArray:
        frames = self._framer.push(samples)
        if len(frames) == 0:
            return np.zeros(0, dtype=np.float32)
        rows = self._with_context(frames)
        probabilities = np.zeros(len(frames), dtype=np.float32)
        asks = self._asks_network(frames)
        if not asks[0]:
            self._forget()
        for first, last in _stretches(asks):
            probabilities[first:last] = self._run(rows[first:last])
            if last < len(frames):
                self._forget()
        return probabilities

    def _forget(self) -> None:
        self._h: FloatArray = np.zeros(STATE_SHAPE, dtype=np.float32)
        self._c: FloatArray = np.zeros(STATE_SHAPE, dtype=np.float32)

    def _with_context(self, frames: FloatArray) -> FloatArray:
        """Each frame with the samples before it: shape (k, 64 + 512)."""
        line = np.concatenate((self._context, frames.reshape(-1)))
        self._context = line[-CONTEXT_SAMPLES:].copy()
        rows: FloatArray = np.lib.stride_tricks.sliding_window_view(
            line, CONTEXT_SAMPLES + FRAME_SAMPLES
        )[::FRAME_SAMPLES]
        return rows

    def _asks_network(self, frames: FloatArray) -> npt.NDArray[np.bool_]:
        """Which frames the network has to judge: all but those deep inside silence."""
        asks = np.ones(len(frames), dtype=np.bool_)
        if not self._skips_silence:
            return asks
        is_silent = np.einsum("ij,ij->i", frames, frames) < SILENCE_RMS**2 * FRAME_SAMPLES
        for index, silent in enumerate(is_silent):
            self._silent_frames = self._silent_frames + 1 if silent else 0
            asks[index] = self._silent_frames <= SETTLE_FRAMES
        return asks

    def _run(self, rows: FloatArray) -> FloatArray:
        outputs = []
        for first in range(0, len(rows), MAX_FRAMES_PER_RUN):
            # The first dimension is time: the network carries its state from row to row.
            some = np.ascontiguousarray(rows[first : first + MAX_FRAMES_PER_RUN])
            output, self._h, self._c = self._network.run(
                None, {"input": some, "h": self._h, "c": self._c}
            )
            outputs.append(output)
        return np.concatenate(outputs)


def _stretches(flags: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """The half-open ranges over which ``flags`` is true."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        yield int(first), int(last)


def _model_file() -> Path:
    # find_spec, because importing faster_whisper takes a second and loads ctranslate2.
    spec = importlib.util.find_spec("faster_whisper")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "the Silero voice activity detector comes with faster-whisper, which is not installed"
        )
    path = Path(spec.origin).parent.joinpath(*_ASSET)
    if not path.is_file():
        raise ConfigurationError(
            f"this faster-whisper has no {path.name}: install faster-whisper 1.2 or newer"
        )
    return path
