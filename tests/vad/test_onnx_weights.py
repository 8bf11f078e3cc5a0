"""Weights out of protocol buffers that are written here by hand."""

from collections.abc import Iterable

import numpy as np
import pytest

from whisper_streaming.errors import ConfigurationError
from whisper_streaming.vad.onnx_weights import read_weights


def varint(value: int) -> bytes:
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F)
    return bytes([digit | 0x80 for digit in digits[:-1]] + [digits[-1]])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def nested(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def tensor(name: str, shape: Iterable[int], raw: bytes, *, data_type: int = 1) -> bytes:
    dims = b"".join(number(1, size) for size in shape)
    return dims + number(2, data_type) + nested(8, name.encode()) + nested(9, raw)


def model(*tensors: bytes) -> bytes:
    """With a version, a graph of a name and the tensors, and fields of other wire types."""
    graph = nested(2, b"a graph") + b"".join(nested(5, each) for each in tensors)
    fixed = varint(90 << 3 | 1) + bytes(8) + varint(91 << 3 | 5) + bytes(4)
    return number(1, 8) + fixed + nested(7, graph) + nested(8, b"opset")


VALUES = np.arange(600, dtype="<f4")


def test_reads_every_tensor_of_floats_by_its_name() -> None:
    file = model(
        tensor("a", (2, 300), VALUES.tobytes()),
        tensor("sizes", (1,), bytes(8), data_type=7),  # int64
        tensor("b", (), VALUES[3:4].tobytes()),
    )

    weights = read_weights(file)

    assert weights.keys() == {"a", "b"}
    np.testing.assert_array_equal(weights["a"], VALUES.reshape(2, 300))
    assert weights["b"].shape == ()
    assert weights["b"] == 3.0


def test_a_shape_may_be_packed() -> None:
    packed = nested(1, varint(2) + varint(300))

    weights = read_weights(model(packed + tensor("a", (), VALUES.tobytes())))

    assert weights["a"].shape == (2, 300)


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(model(), id="no tensors"),
        pytest.param(model(tensor("a", (600,), VALUES.tobytes()))[:-100], id="cut off"),
        pytest.param(model(tensor("a", (601,), VALUES.tobytes())), id="a wrong shape"),
        pytest.param(b"<html>not found</html>", id="another file"),
        pytest.param(b"\x80", id="a number without an end"),
    ],
)
def test_refuses_what_is_no_whole_file(file: bytes) -> None:
    with pytest.raises(ConfigurationError):
        read_weights(file)
