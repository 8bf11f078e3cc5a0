"""The network of Silero VAD v6 in NumPy, for many streams at once.

Its ONNX graph takes the frames of one stream and convolves them one by one, so onnxruntime needs
60 to 100 us of processor time a frame however many wait. Here one matrix product of each layer is
taken over the frames of all streams, and one of the LSTM over the streams: 57 us a frame for a
single message of 0.1 s, 24 to 29 us in batches of five such messages or more (one core).

A frame of 512 samples, with 64 before it and 64 mirrored behind it, gives four spectra of 129
magnitudes. Four convolutions over time, three taps each, shrink them to one vector of 128 values,
the LSTM carries 128 along, and their weighted sum is the odds of speech.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.errors import ConfigurationError
from whisper_streaming.vad.base import FRAME_SAMPLES

CONTEXT_SAMPLES: Final = 64
"""Samples before a frame that the network wants to see with it."""
STATE_SIZE: Final = 128
MAX_FRAMES_PER_RUN: Final = 64
"""Bounds the memory of the convolutions, 15 kB a frame; more at once gives nothing."""

_ROW_SAMPLES: Final = CONTEXT_SAMPLES + FRAME_SAMPLES
_MIRRORED: Final = 64
_WINDOW: Final = 256
_HOP: Final = 128
_SPECTRA: Final = 4  # windows in a row, mirrored samples included
_BINS: Final = _WINDOW // 2 + 1
_GATES: Final = 4 * STATE_SIZE  # input, output, forget, cell: the order of ONNX
_SIGMOID_GATES: Final = 3 * STATE_SIZE

_BASIS: Final = "encoder.feature_extractor.forward_basis_buffer"
_SHAPES: Final[Mapping[str, tuple[int, ...]]] = {
    _BASIS: (2 * _BINS, 1, _WINDOW),
    "encoder.conv_layers.0.weight": (128, _BINS, 3),
    "encoder.conv_layers.0.bias": (128,),
    "encoder.conv_layers.1.weight": (64, 128, 3),
    "encoder.conv_layers.1.bias": (64,),
    "encoder.conv_layers.2.weight": (64, 64, 3),
    "encoder.conv_layers.2.bias": (64,),
    "encoder.conv_layers.3.weight": (128, 64, 3),
    "encoder.conv_layers.3.bias": (128,),
    "onnx::LSTM_209": (1, _GATES, 128),
    "onnx::LSTM_210": (1, _GATES, STATE_SIZE),
    "onnx::LSTM_211": (1, 2 * _GATES),
    "decoder.conv1d.weight": (1, STATE_SIZE, 1),
    "decoder.conv1d.bias": (1,),
}


@dataclass(slots=True, eq=False)
class Memory:
    """What the LSTM carries along for some streams.

    Attributes:
        h: Its output: float32, shape (streams, ``STATE_SIZE``).
        c: Its cells: the same shape.
    """

    h: FloatArray
    c: FloatArray

    @classmethod
    def blank(cls, streams: int) -> "Memory":
        """Of streams that heard nothing yet."""
        shape = (streams, STATE_SIZE)
        return cls(np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32))


@dataclass(frozen=True, slots=True)
class _Layer:
    """``x @ weight + bias`` of float32 rows."""

    weight: FloatArray
    bias: FloatArray

    def __call__(self, rows: FloatArray) -> FloatArray:
        result: FloatArray = rows @ self.weight
        result += self.bias
        return result

    def rectified(self, rows: FloatArray) -> FloatArray:
        result = self(rows)
        return np.maximum(result, 0, out=result)


class SileroNetwork:
    """Stateless: may be used by several threads at once."""

    def __init__(self, weights: Mapping[str, FloatArray]) -> None:
        """Lay the weights out for matrix products.

        Raises:
            ConfigurationError: If they are those of another network.
        """
        _check(weights)
        kernels = [weights[f"encoder.conv_layers.{n}.weight"] for n in range(4)]
        biases = [weights[f"encoder.conv_layers.{n}.bias"] for n in range(4)]
        self._basis = _columns(weights[_BASIS][:, 0])
        self._first = _Layer(_columns(_taps_first(kernels[0])), biases[0])
        # What is left of a frame is four steps, then two, then one, with a zero on either side:
        # each layer is one product of all its steps with a matrix that has zeros where no tap is.
        self._rest = (
            _Layer(_unrolled(kernels[1], steps=4, stride=2), np.tile(biases[1], 2)),
            _Layer(_unrolled(kernels[2], steps=2, stride=2), biases[2]),
            _Layer(_unrolled(kernels[3], steps=1, stride=1), biases[3]),
        )
        # sigmoid(x) = (tanh(x / 2) + 1) / 2, so that one tanh serves all gates.
        scale = np.ones((_GATES, 1), dtype=np.float32)
        scale[:_SIGMOID_GATES] = 0.5
        bias = weights["onnx::LSTM_211"][0].reshape(2, _GATES).sum(axis=0)
        self._input_gates = _Layer(
            _columns(weights["onnx::LSTM_209"][0] * scale), bias * scale[:, 0]
        )
        self._state_gates = _columns(weights["onnx::LSTM_210"][0] * scale)
        self._odds = _Layer(
            weights["decoder.conv1d.weight"][0, :, 0], weights["decoder.conv1d.bias"]
        )

    def gates(self, rows: FloatArray) -> FloatArray:
        """What frames mean to the LSTM, each by itself.

        Args:
            rows: float32, shape (n, 64 + 512): frames with the samples before them.

        Returns:
            float32, shape (n, 512).
        """
        result = np.empty((len(rows), _GATES), dtype=np.float32)
        for first in range(0, len(rows), MAX_FRAMES_PER_RUN):
            some = slice(first, first + MAX_FRAMES_PER_RUN)
            values = self._first.rectified(_with_neighbours(self._spectra(rows[some])))
            values = values.reshape(-1, _SPECTRA * 128)
            for layer in self._rest:
                values = layer.rectified(values)
            result[some] = self._input_gates(values)
        return result

    def remember(self, gates: FloatArray, memory: Memory, streams: int) -> None:
        """Take one frame of each of the first ``streams`` streams into ``memory``.

        Args:
            gates: float32, shape (streams, 512), as of :meth:`gates`; overwritten.
            memory: Changed in place.
            streams: How many of its streams have a frame now.
        """
        h, c = memory.h[:streams], memory.c[:streams]
        gates += h @ self._state_gates
        np.tanh(gates, out=gates)
        sigmoids = gates[:, :_SIGMOID_GATES]
        sigmoids += 1
        sigmoids *= 0.5
        entry, exit_, keep = (
            sigmoids[:, n : n + STATE_SIZE] for n in range(0, _SIGMOID_GATES, 128)
        )
        c *= keep
        c += np.multiply(entry, gates[:, _SIGMOID_GATES:], out=entry)
        np.multiply(exit_, np.tanh(c), out=h)

    def probabilities(self, outputs: FloatArray) -> FloatArray:
        """The speech probability after each frame.

        Args:
            outputs: float32, shape (n, ``STATE_SIZE``): ``h`` of the memory then.

        Returns:
            float32, shape (n,).
        """
        odds = self._odds(np.maximum(outputs, 0))
        result: FloatArray = np.tanh(odds * np.float32(0.5)) * np.float32(0.5) + np.float32(0.5)
        return result

    def _spectra(self, rows: FloatArray) -> FloatArray:
        """Magnitudes over time between two zeros: float32, shape (n, 6, 129)."""
        count = len(rows)
        mirrored = np.empty((count, _ROW_SAMPLES + _MIRRORED), dtype=np.float32)
        mirrored[:, :_ROW_SAMPLES] = rows
        mirrored[:, _ROW_SAMPLES:] = rows[:, -2 : -2 - _MIRRORED : -1]
        windows = _sliding(mirrored, _SPECTRA, _HOP, _WINDOW)
        parts = windows.reshape(count * _SPECTRA, _WINDOW) @ self._basis
        parts *= parts
        parts = parts.reshape(count, _SPECTRA, 2 * _BINS)
        spectra = np.zeros((count, _SPECTRA + 2, _BINS), dtype=np.float32)
        inner = spectra[:, 1:-1]
        np.add(parts[:, :, :_BINS], parts[:, :, _BINS:], out=inner)
        np.sqrt(inner, out=inner)
        return spectra


def _with_neighbours(spectra: FloatArray) -> FloatArray:
    """Each spectrum with the one before and the one after it: shape (n * 4, 3 * 129)."""
    flat = spectra.reshape(len(spectra), -1)
    return _sliding(flat, _SPECTRA, _BINS, 3 * _BINS).reshape(-1, 3 * _BINS)


def _sliding(rows: FloatArray, count: int, hop: int, width: int) -> FloatArray:
    """A view of ``count`` overlapping windows of each contiguous row: shape (n, count, width)."""
    assert rows.flags.c_contiguous
    assert (count - 1) * hop + width <= rows.shape[1]
    row, item = rows.strides
    return np.lib.stride_tricks.as_strided(
        rows, (len(rows), count, width), (row, hop * item, item), writeable=False
    )


def _columns(matrix: FloatArray) -> FloatArray:
    """The matrix for products from the right."""
    return np.ascontiguousarray(matrix.T)


def _taps_first(kernel: FloatArray) -> FloatArray:
    """Shape (out, in, taps) as (out, taps * in): the order in which neighbours lie in memory."""
    return kernel.transpose(0, 2, 1).reshape(len(kernel), -1)


def _unrolled(kernel: FloatArray, *, steps: int, stride: int) -> FloatArray:
    """A convolution of three taps with a zero on either side as one matrix of all its steps.

    Args:
        kernel: Shape (out, in, 3).
        steps: Steps of time that come in.
        stride: Of these, one in so many comes out.

    Returns:
        Shape (steps * in, steps / stride * out); the first step first.
    """
    channels_out, channels_in, taps = kernel.shape
    steps_out = -(-steps // stride)
    matrix = np.zeros((steps, channels_in, steps_out, channels_out), dtype=np.float32)
    for step_out in range(steps_out):
        for tap in range(taps):
            step = step_out * stride + tap - 1
            if 0 <= step < steps:
                matrix[step, :, step_out] = kernel[:, :, tap].T
    return matrix.reshape(steps * channels_in, steps_out * channels_out)


def _check(weights: Mapping[str, FloatArray]) -> None:
    for name, shape in _SHAPES.items():
        if name not in weights or weights[name].shape != shape:
            raise ConfigurationError(
                f"this Silero network is not the known one: {name} should be of shape {shape}"
            )
