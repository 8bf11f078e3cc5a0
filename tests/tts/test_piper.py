"""The real Piper with a voice that sings: see data/make_tone.py. No real voice is tested here."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from whisper_streaming.errors import SpeechError
from whisper_streaming.tts import PiperVoice, synthesize
from whisper_streaming.tts import piper as module

TONE = Path(__file__).parent / "data" / "tone.onnx"
SAMPLES_OF_PHONEME = 256


@pytest.fixture(scope="module")
def voice() -> Iterator[PiperVoice]:
    with PiperVoice(TONE) as voice:
        yield voice


def copy_voice(folder: Path, **changes: object) -> Path:
    """The voice with other words in its JSON file."""
    description = json.loads(TONE.with_name("tone.onnx.json").read_text(encoding="utf-8"))
    model = folder / "copy.onnx"
    shutil.copy(TONE, model)
    (folder / "copy.onnx.json").write_text(json.dumps({**description, **changes}))
    return model


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script in the place of the one that runs Piper; empty at first."""
    path = tmp_path / "piper_program.py"
    path.touch()
    monkeypatch.setattr(module, "__file__", str(tmp_path / "piper.py"))
    return path


def test_all_sentences_are_one_piece_of_audio(voice: PiperVoice) -> None:
    one = voice.synthesize("Hello there.", "en")
    two = synthesize("Hello there. Hello there.", "en", voice=voice)

    assert one.rate == 16_000
    assert one.samples.dtype == np.float32
    assert np.abs(one.samples).max() == 1.0
    assert len(one.samples) > 10 * SAMPLES_OF_PHONEME
    assert len(one.samples) % SAMPLES_OF_PHONEME == 0
    assert np.array_equal(two.samples, np.concatenate([one.samples, one.samples]))


def test_a_voice_is_loaded_once(voice: PiperVoice) -> None:
    voice.synthesize("One.", "en")
    process = voice._process
    voice.synthesize("Two.", "en-GB")

    assert process is not None
    assert voice._process is process


def test_nothing_to_say_is_no_audio(voice: PiperVoice) -> None:
    samples, rate = voice.synthesize("...", "en")

    assert (len(samples), rate) == (0, 16_000)


def test_a_voice_speaks_its_own_language_only(voice: PiperVoice) -> None:
    with pytest.raises(SpeechError, match=r"tone\.onnx speaks 'en', not 'tr'"):
        voice.synthesize("Merhaba.", "tr")


def test_a_closed_voice_ends_its_process_and_can_speak_again() -> None:
    voice = PiperVoice(TONE)
    voice.synthesize("One.", "en")
    process = voice._process
    assert process is not None

    voice.close()
    voice.close()

    assert process.returncode is not None
    assert len(voice.synthesize("Two.", "en").samples) > 0
    voice.close()


def test_a_voice_that_piper_cannot_load_is_an_error_with_its_reason(tmp_path: Path) -> None:
    model = copy_voice(tmp_path)
    model.write_bytes(b"no model")

    with (
        PiperVoice(model) as voice,
        pytest.raises(SpeechError, match=r"cannot speak with copy\.onnx: \w+: .*copy\.onnx"),
    ):
        voice.synthesize("Hello.", "en")


def test_a_missing_voice_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match=r"there is no voice .*nobody"):
        PiperVoice(tmp_path / "nobody.onnx")


def test_a_voice_without_its_description_is_an_error(tmp_path: Path) -> None:
    shutil.copy(TONE, tmp_path)

    with pytest.raises(SpeechError, match=r"tone\.onnx\.json, which belongs to the voice, cannot"):
        PiperVoice(tmp_path / "tone.onnx")


def test_a_description_without_a_rate_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        SpeechError, match=r"copy\.onnx\.json, .* audio\.sample_rate: Field required"
    ):
        PiperVoice(copy_voice(tmp_path, audio={}))


def test_without_piper_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "piper", None)

    with pytest.raises(SpeechError, match=r'pip install "\.\[piper\]"'):
        PiperVoice(TONE)


def test_a_process_that_ends_is_an_error_and_the_next_text_starts_another(program: Path) -> None:
    program.write_text("raise SystemExit(3)")
    voice = PiperVoice(TONE)

    with pytest.raises(SpeechError, match=r"Piper broke off \(status"):
        voice.synthesize("Hello.", "en")

    program.write_text('input(); print(\'{"samples": 1}\\n\' + 4 * chr(0), end="")')
    assert voice.synthesize("Hello.", "en").samples.tolist() == [0.0]
    voice.close()


def test_an_interrupted_text_is_not_heard_with_the_next_one(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.write_text('input(); print(\'{"samples": 1}\\n\' + 4 * chr(0), end="")')
    voice = PiperVoice(TONE)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_read_exactly", interrupt)
        with pytest.raises(KeyboardInterrupt):
            voice.synthesize("Hello.", "en")

    assert voice._process is None
    assert voice.synthesize("Hello.", "en").samples.tolist() == [0.0]
    voice.close()


def test_audio_that_breaks_off_is_an_error(program: Path) -> None:
    program.write_text("input(); print('{\"samples\": 100}\\nabcd')")

    with pytest.raises(SpeechError, match="Piper broke off"):
        PiperVoice(TONE).synthesize("Hello.", "en")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("import time; time.sleep(600)", id="that does not read"),
        pytest.param(
            "import time; print('{\"samples\": 9}', flush=True); time.sleep(600)",
            id="that answers by half",
        ),
    ],
)
def test_a_process_that_hangs_is_stopped(
    program: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TIME_PER_CHARACTER_S", 1e-6)
    program.write_text(script)
    more_than_a_pipe_takes = "a" * 200_000

    with pytest.raises(SpeechError, match=r"Piper did not answer in 0\.3 s"):
        PiperVoice(TONE, timeout_s=0.1).synthesize(more_than_a_pipe_takes, "en")
