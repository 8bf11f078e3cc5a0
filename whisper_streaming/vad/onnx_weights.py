"""Reads the weights out of an ONNX file, without a library that runs it.

An ONNX file is one protocol buffer; its fields are numbered in onnx.proto
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Of them we need five: the graph of the
model, the initializers of the graph, and the shape, the name and the bytes of each.
"""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.errors import ConfigurationError

_MODEL_GRAPH: Final = 7
_GRAPH_INITIALIZER: Final = 5
_TENSOR_DIMS: Final = 1
_TENSOR_DATA_TYPE: Final = 2
_TENSOR_NAME: Final = 8
_TENSOR_RAW_DATA: Final = 9
_FLOAT: Final = 1  # TensorProto.DataType

# Wire types of protocol buffers; in the order of their numbers: 0, 1, 2, 5.
_VARINT: Final = 0
_FIXED64: Final = 1
_BYTES: Final = 2
_FIXED32: Final = 5


def read_weights(file: bytes) -> dict[str, FloatArray]:
    """All float32 initializers of an ONNX file by name, read-only views of ``file``.

    Raises:
        ConfigurationError: If it is no ONNX file, or a damaged one.
    """
    weights = {}
    try:
        for number, graph in _fields(memoryview(file)):
            if number != _MODEL_GRAPH or isinstance(graph, int):
                continue
            for inner, tensor in _fields(graph):
                if inner == _GRAPH_INITIALIZER and not isinstance(tensor, int):
                    weights.update(_read_tensor(tensor))
    except (IndexError, ValueError) as exc:
        raise ConfigurationError(f"no weights can be read: {exc}") from exc
    if not weights:
        raise ConfigurationError("there are no weights in the file")
    return weights


def _read_tensor(tensor: memoryview) -> dict[str, FloatArray]:
    """The tensor under its name; empty if it is not of floats."""
    name, raw, data_type = "", memoryview(b""), 0
    shape: list[int] = []
    for number, value in _fields(tensor):
        if number == _TENSOR_DIMS:
            shape += [value] if isinstance(value, int) else _varints(value)
        elif number == _TENSOR_DATA_TYPE and isinstance(value, int):
            data_type = value
        elif number == _TENSOR_NAME and not isinstance(value, int):
            name = str(value, "utf-8")
        elif number == _TENSOR_RAW_DATA and not isinstance(value, int):
            raw = value
    if data_type != _FLOAT:
        return {}
    if len(raw) != 4 * math.prod(shape):
        raise ValueError(f"{name} has {len(raw)} bytes and the shape {shape}")
    return {name: np.frombuffer(raw, "<f4").reshape(shape)}


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field: a number, or the bytes of anything longer."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        wire_type = tag & 7
        value: int | memoryview
        if wire_type == _VARINT:
            value, position = _varint(message, position)
        elif wire_type in (_FIXED32, _FIXED64, _BYTES):
            size = {_FIXED32: 4, _FIXED64: 8}.get(wire_type)
            if size is None:
                size, position = _varint(message, position)
            value, position = message[position : position + size], position + size
        else:
            raise ValueError(f"byte {position} has the unknown wire type {wire_type}")
        if position > len(message):
            raise ValueError("the file is cut off")
        yield tag >> 3, value


def _varints(packed: memoryview) -> list[int]:
    values, position = [], 0
    while position < len(packed):
        value, position = _varint(packed, position)
        values.append(value)
    return values


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """The number at ``position``, 7 bits a byte with the lowest first, and what follows it."""
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
