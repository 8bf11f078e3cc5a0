"""The shape of a CTranslate2 Whisper model, read from its file without its weights."""

import logging
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from whisper_streaming.backends.base import ModelShape

logger = logging.getLogger("whisper_streaming.backend")

_LAYER: Final = re.compile(r"(encoder|decoder)/layer_(\d+)/")
_MAX_NAME: Final = 4096  # longer ones mean that this is no such file

Dimensions = tuple[int, ...]


def read_shape(folder: Path) -> ModelShape | None:
    """The shape of the model in ``folder``; None if its file is laid out in an unknown way."""
    try:
        with (folder / "model.bin").open("rb") as file:
            return _shape(dict(_variables(file)))
    except (OSError, ValueError, KeyError, struct.error) as exc:
        logger.debug("the shape of the model in %s is unknown: %s", folder, exc)
        return None


def _shape(variables: dict[str, Dimensions]) -> ModelShape:
    layers = {"encoder": 0, "decoder": 0}
    for name in variables:
        if found := _LAYER.match(name):
            layers[found[1]] = max(layers[found[1]], int(found[2]) + 1)
    width, mels, _ = variables["encoder/conv1/weight"]
    return ModelShape(
        mels=mels,
        width=width,
        encoder_layers=layers["encoder"],
        decoder_layers=layers["decoder"],
        vocabulary_size=variables["decoder/embeddings/weight"][0],
    )


def _variables(file: BinaryIO) -> Iterator[tuple[str, Dimensions]]:
    """Names and dimensions; the weights are skipped.

    The layout is that of ``ctranslate2.specs.ModelSpec.save``: version, name and revision of the
    specification, the number of variables; of each its name, dimensions, type and bytes.
    """
    _unpack(file, "<I")
    _text(file)
    _unpack(file, "<I")
    for _ in range(_unpack(file, "<I")):
        name = _text(file)
        dimensions = tuple(_unpack(file, "<I") for _ in range(_unpack(file, "<B")))
        _unpack(file, "<B")
        yield name, dimensions
        file.seek(_unpack(file, "<I"), 1)


def _text(file: BinaryIO) -> str:
    length = _unpack(file, "<H")
    if length > _MAX_NAME:
        raise ValueError(f"a name of {length} bytes")
    return file.read(length).rstrip(b"\0").decode()


def _unpack(file: BinaryIO, layout: str) -> int:
    value: int = struct.unpack(layout, file.read(struct.calcsize(layout)))[0]
    return value
