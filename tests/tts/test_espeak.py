"""eSpeak NG as a program and as a library: both are held to the same."""

import sys
from pathlib import Path

import numpy as np
import pytest

from whisper_streaming.errors import SpeechError
from whisper_streaming.tts import EspeakVoice, synthesize, synthesize_turkish
from whisper_streaming.tts import espeak as module
from whisper_streaming.tts.espeak import find_espeak

LIBRARY = [sys.executable, "-P", str(Path(module.__file__).with_name("espeak_library.py"))]
TEXT = "Good morning, everybody."


@pytest.fixture(
    params=[
        pytest.param(["espeak-ng"], marks=pytest.mark.requires_espeak, id="program"),
        pytest.param(LIBRARY, id="library"),
    ]
)
def command(request: pytest.FixtureRequest) -> list[str]:
    command: list[str] = request.param
    return command


@pytest.fixture
def voice(command: list[str]) -> EspeakVoice:
    return EspeakVoice(command=command)


def failing(script: str, timeout_s: float = 30.0) -> EspeakVoice:
    """A voice whose program is a Python script."""
    return EspeakVoice(command=[sys.executable, "-c", script], timeout_s=timeout_s)


# --- what is spoken


def test_speech_is_float32_at_its_rate(voice: EspeakVoice) -> None:
    samples, rate = speech = voice.synthesize(TEXT, "en")

    assert rate == 22_050
    assert (samples.dtype, samples.ndim) == (np.dtype(np.float32), 1)
    assert 0.1 < np.abs(samples).max() <= 1.0
    assert speech.duration_s == len(samples) / rate > 1.0


def test_more_words_a_minute_take_less_time(command: list[str]) -> None:
    slow, fast = (
        EspeakVoice(words_per_minute=each, command=command).synthesize(TEXT, "en")
        for each in (175, 350)
    )

    assert fast.duration_s < 0.7 * slow.duration_s


def test_each_language_sounds_otherwise(voice: EspeakVoice) -> None:
    english, turkish = voice.synthesize(TEXT, "en"), voice.synthesize(TEXT, "tr")

    assert not np.array_equal(english.samples, turkish.samples)


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        pytest.param("en", "en-US", id="the language of most models"),
        pytest.param("de-CH", "de", id="a region without a voice"),
        pytest.param("pt_BR", "pt-br", id="written otherwise"),
        pytest.param("zh", "cmn", id="Whisper's Chinese"),
        pytest.param("no", "nb", id="Whisper's Norwegian"),
        pytest.param("nn", "nb", id="the other Norwegian"),
    ],
)
def test_languages_have_whispers_names(voice: EspeakVoice, asked: str, spoken: str) -> None:
    one, other = voice.synthesize("1 2 3", asked), voice.synthesize("1 2 3", spoken)

    assert np.array_equal(one.samples, other.samples)


def test_a_region_with_a_voice_is_heard(voice: EspeakVoice) -> None:
    british, american = voice.synthesize(TEXT, "en-GB"), voice.synthesize(TEXT, "en")

    assert not np.array_equal(british.samples, american.samples)


@pytest.mark.parametrize("text", ["", " \n", "...", "?! —"])
def test_nothing_to_say_is_no_audio(voice: EspeakVoice, text: str) -> None:
    samples, rate = voice.synthesize(text, "en")

    assert (len(samples), samples.dtype, rate) == (0, np.dtype(np.float32), 22_050)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        pytest.param("-v de --help", "- v de - -help", id="flags"),
        pytest.param("a\0b", "a b", id="a zero byte"),
        pytest.param("one\ntwo", "one two", id="lines"),
        pytest.param("[[h@l'oU]]", "[ [h@l'oU]]", id="phonemes"),
        pytest.param("a\ud800b", "a?b", id="half a character"),
    ],
)
def test_text_is_only_text(voice: EspeakVoice, text: str, plain: str) -> None:
    one, other = voice.synthesize(text, "en"), voice.synthesize(plain, "en")

    assert abs(one.duration_s - other.duration_s) < 0.25


def test_markup_is_read_and_not_obeyed(voice: EspeakVoice) -> None:
    marked = voice.synthesize('one <break time="20s"/> two', "en")

    assert marked.duration_s < 10.0


def test_turkish_has_a_name_of_its_own() -> None:
    said, same = synthesize_turkish("Merhaba dünya."), synthesize("Merhaba dünya.", "tr")

    assert len(said.samples) > said.rate / 2
    assert np.array_equal(said.samples, same.samples)


# --- what goes wrong


def test_an_unknown_language_is_an_error(voice: EspeakVoice) -> None:
    with pytest.raises(SpeechError, match="eSpeak NG does not speak the language 'xx-YY'"):
        voice.synthesize(TEXT, "xx-YY")


@pytest.mark.parametrize("language", ["", "-w", "en;ls", "../en", "e", "en+f2"])
def test_what_is_no_language_never_reaches_a_command_line(language: str) -> None:
    unused = failing("raise SystemExit('was run')")

    with pytest.raises(SpeechError, match="is no language code"):
        unused.synthesize(TEXT, language)


def test_a_program_that_fails_says_why() -> None:
    broken = failing("import sys; sys.stdin.read(); sys.exit('no sound data')")

    with pytest.raises(SpeechError, match="failed with status 1: no sound data"):
        broken.synthesize(TEXT, "en")


def test_a_program_that_says_nothing_has_a_status() -> None:
    broken = failing("import sys; sys.stdin.read(); sys.exit(7)")

    with pytest.raises(SpeechError) as caught:
        broken.synthesize(TEXT, "en")
    assert str(caught.value) == "eSpeak NG failed with status 7"


@pytest.mark.parametrize("words_per_minute", [-5, 79, 451, 10_000])
def test_a_speed_that_would_be_silence_is_an_error(words_per_minute: int) -> None:
    with pytest.raises(SpeechError, match="eSpeak NG speaks 80 to 450"):
        EspeakVoice(words_per_minute=words_per_minute)


def test_a_program_that_hangs_is_stopped() -> None:
    hanging = failing("import time; time.sleep(600)", timeout_s=0.3)

    with pytest.raises(SpeechError, match=r"was stopped after 0\.42 s"):
        hanging.synthesize(TEXT, "en")


@pytest.mark.parametrize(
    ("output", "complaint"),
    [
        pytest.param(b"", "gave no audio", id="nothing"),
        pytest.param(b"hello", "gave no audio", id="something else"),
        pytest.param(
            b"RIFF....WAVEdata\x00\x00\x00\x00", "no audio that can be read", id="no format"
        ),
    ],
)
def test_output_that_is_no_audio_is_an_error(output: bytes, complaint: str) -> None:
    strange = failing(f"import sys; sys.stdin.read(); sys.stdout.buffer.write({output!r})")

    with pytest.raises(SpeechError, match=complaint):
        strange.synthesize(TEXT, "en")


def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(SpeechError, match="no-such-program cannot be run: No such file"):
        EspeakVoice(command=["no-such-program"]).synthesize(TEXT, "en")


def test_without_any_espeak_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)

    with pytest.raises(SpeechError, match=r'apt install espeak-ng .* pip install "\.\[tts\]"'):
        synthesize(TEXT)


def test_the_library_stands_in_for_a_missing_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_espeak() == LIBRARY


@pytest.mark.requires_espeak
def test_the_program_is_taken_where_there_is_one() -> None:
    (program,) = find_espeak()

    assert Path(program).name == "espeak-ng"
