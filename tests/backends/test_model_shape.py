"""The shape of a model, from the head of its file."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.backends.shape_models import SHAPES, Shape, build
from whisper_streaming.backends.base import ModelShape
from whisper_streaming.backends.model_shape import read_shape
from whisper_streaming.backends.model_store import DEMO_PATH


def test_the_embedded_model_has_the_shape_of_its_card() -> None:
    assert read_shape(DEMO_PATH) == ModelShape(
        mels=80, width=256, encoder_layers=4, decoder_layers=3, vocabulary_size=51_865
    )


def test_any_whisper_model_has_one(tmp_path: Path) -> None:
    shape: Shape = replace(SHAPES[2], name="odd", encoder_layers=3, decoder_layers=1)

    assert read_shape(build(shape, tmp_path)) == ModelShape(
        mels=shape.mels,
        width=shape.width,
        encoder_layers=3,
        decoder_layers=1,
        vocabulary_size=shape.vocabulary_size,
    )


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x06\x00\x00\x00\xff\xff" + b"x" * 100, id="another format"),
        pytest.param((DEMO_PATH / "model.bin").read_bytes()[:1000], id="cut off"),
    ],
)
def test_a_file_of_another_kind_has_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.bin").write_bytes(content)

    assert read_shape(tmp_path) is None


def test_a_folder_without_a_model_has_none(tmp_path: Path) -> None:
    assert read_shape(tmp_path) is None
