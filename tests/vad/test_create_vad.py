"""The factory of detectors."""

import pytest

from whisper_streaming.errors import ConfigurationError
from whisper_streaming.vad import create_vad
from whisper_streaming.vad.energy import EnergyVad
from whisper_streaming.vad.silero import SileroVad


def test_gives_the_detector_that_is_asked_for() -> None:
    assert isinstance(create_vad("silero"), SileroVad)
    assert isinstance(create_vad("energy"), EnergyVad)


def test_refuses_an_unknown_kind() -> None:
    with pytest.raises(ConfigurationError, match="silero or energy"):
        create_vad("webrtc")  # type: ignore[arg-type]
