"""Speech is saved and played, and other voices can be given."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from whisper_streaming.errors import SpeechError
from whisper_streaming.tts import Speech, play, save, synthesize

RATE = 8_000


class Loudspeaker:
    """A sound system that remembers; stands in for ``PyAudio`` and for its stream."""

    def __init__(self) -> None:
        self.opened: dict[str, object] = {}
        self.heard = b""
        self.pieces: list[int] = []
        self.calls: list[str] = []
        self.broken = False

    def start(self) -> "Loudspeaker":
        return self

    def open(self, **settings: object) -> "Loudspeaker":
        if self.broken:
            raise OSError(-9996, "Invalid output device (no default output device)")
        self.opened = settings
        return self

    def write(self, pcm: bytes) -> None:
        self.heard += pcm
        self.pieces.append(len(pcm) // 2)

    def stop_stream(self) -> None:
        self.calls.append("stop_stream")

    def close(self) -> None:
        self.calls.append("close")

    def terminate(self) -> None:
        self.calls.append("terminate")


@pytest.fixture
def loudspeaker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loudspeaker]:
    fake = Loudspeaker()
    pyaudio = ModuleType("pyaudio")
    pyaudio.PyAudio = fake.start  # type: ignore[attr-defined]
    pyaudio.paInt16 = 8  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyaudio", pyaudio)
    yield fake


def ramp(count: int = 2 * RATE) -> Speech:
    return Speech(np.linspace(-1.0, 1.0, count, dtype=np.float32), RATE)


class Echo:
    """A voice that says one sample for each letter."""

    def synthesize(self, text: str, language: str) -> Speech:
        assert language == "de"
        return Speech(np.zeros(len(text), dtype=np.float32), RATE)


def test_any_voice_may_speak() -> None:
    samples, rate = synthesize("hallo", "de", voice=Echo())

    assert (len(samples), rate) == (5, RATE)


def test_a_saved_file_holds_the_samples(tmp_path: Path) -> None:
    save(ramp(), tmp_path / "ramp.wav")

    samples, rate = soundfile.read(tmp_path / "ramp.wav", dtype="float32")
    assert rate == RATE
    assert np.abs(samples - ramp().samples).max() < 1 / 16_000


def test_samples_beyond_the_range_are_clipped(tmp_path: Path) -> None:
    save(Speech(np.array([-3.0, 3.0], dtype=np.float32), RATE), tmp_path / "loud.wav")

    samples, _ = soundfile.read(tmp_path / "loud.wav", dtype="int16")
    assert samples.tolist() == [-32767, 32767]


def test_what_is_no_number_is_saved_as_silence(tmp_path: Path) -> None:
    save(Speech(np.array([0.5, np.nan], dtype=np.float32), RATE), tmp_path / "gap.wav")

    samples, _ = soundfile.read(tmp_path / "gap.wav", dtype="int16")
    assert samples.tolist() == [16_384, 0]


def test_no_speech_is_a_file_without_samples(tmp_path: Path) -> None:
    save(ramp(0), str(tmp_path / "empty.wav"))

    assert soundfile.info(tmp_path / "empty.wav").frames == 0


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match=r"there/x\.wav cannot be written: No such file"):
        save(ramp(), tmp_path / "there" / "x.wav")


def test_speech_is_played_to_its_end_and_the_device_given_back(loudspeaker: Loudspeaker) -> None:
    play(ramp())

    assert loudspeaker.opened == {"format": 8, "channels": 1, "rate": RATE, "output": True}
    played = np.frombuffer(loudspeaker.heard, dtype="<i2") / 32767
    assert np.abs(played - ramp().samples).max() < 1 / 32767
    assert max(loudspeaker.pieces) == RATE // 10  # Ctrl-C is heard between two of them
    assert loudspeaker.calls == ["stop_stream", "close", "terminate"]


def test_without_a_loudspeaker_playing_is_an_error(loudspeaker: Loudspeaker) -> None:
    loudspeaker.broken = True

    with pytest.raises(SpeechError, match=r"the loudspeaker cannot be used: .*no default output"):
        play(ramp())
    assert loudspeaker.calls == ["terminate"]


def test_without_pyaudio_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyaudio", None)

    with pytest.raises(SpeechError, match='pip install "pyaudio"'):
        play(ramp())
