"""The features and the network of the package, without a session."""

from pathlib import Path

import numpy as np
import pytest

from tests.model.recordings import load
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.diarization.embedded import EmbeddedEmbedder
from whisper_streaming.diarization.features import BANDS, FRAMES, speech_features
from whisper_streaming.errors import ModelLoadError


def speech(start: float = 1.0, seconds: float = 1.6) -> FloatArray:
    return load("en-dialogue-2spk").cut(start, start + seconds)


def by_telephone(samples: FloatArray) -> FloatArray:
    """What is left of 300 to 3400 Hz."""
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    return np.asarray(np.fft.irfft(spectrum, len(samples)), np.float32)


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.7, 1.6, 1.7, 4.0])
def test_features_of_any_length_have_one_shape(seconds: float) -> None:
    features = speech_features(speech(seconds=seconds))

    assert (features.shape, features.dtype) == ((BANDS, FRAMES), np.float32)
    assert np.isfinite(features).all()


def test_features_do_not_depend_on_the_level() -> None:
    quiet, loud = speech_features(speech() * 0.1), speech_features(speech())

    np.testing.assert_allclose(quiet, loud, atol=0.01)


def test_digital_silence_has_features() -> None:
    assert np.isfinite(speech_features(np.zeros(8000, np.float32))).all()


def test_embeddings_have_length_one_and_do_not_depend_on_their_company() -> None:
    embedder = EmbeddedEmbedder()
    stretches = [speech(), speech(4.0, 0.4), np.zeros(1600, np.float32)]

    together = embedder.embed(stretches)
    alone = np.concatenate([embedder.embed([stretch]) for stretch in stretches])

    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_one_voice_is_nearer_to_itself_than_to_another() -> None:
    first, again, other = EmbeddedEmbedder().embed([speech(0.6), speech(8.5), speech(3.2)])

    assert first @ again > EmbeddedEmbedder.info.new_below > first @ other


def test_voices_are_told_apart_by_telephone() -> None:
    """To the network all voices without low sounds are alike: cosines of 0.8 and more."""
    stretches = [by_telephone(speech(start)) for start in (0.6, 8.5, 3.2)]

    first, again, other = EmbeddedEmbedder().embed(stretches)

    assert first @ again > EmbeddedEmbedder.info.new_below > first @ other


def test_a_damaged_or_missing_file_is_an_error_in_words(tmp_path: Path) -> None:
    broken = tmp_path / "speaker.onnx"
    broken.write_bytes(b"no network")

    for path in (broken, tmp_path / "none.onnx"):
        with pytest.raises(ModelLoadError, match=str(path)):
            EmbeddedEmbedder(path)
