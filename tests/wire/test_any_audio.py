"""Streams that say by their first bytes what they are."""

import numpy as np
import pytest

from tests.encoded_audio import encode, forged_wav, tone
from whisper_streaming.wire.any_audio import AnyAudioReader
from whisper_streaming.wire.base import Audio, Command, EncodedAudio
from whisper_streaming.wire.pcm import PcmReader


def read(*messages: bytes) -> list[Command]:
    reader = AnyAudioReader(PcmReader("int16"))
    commands = [command for message in messages for command in reader.read(message)]
    return [*commands, *reader.finish(), *reader.finish()]


def samples_of(commands: list[Command]) -> list[int]:
    return [
        round(sample * 32768)
        for command in commands
        if isinstance(command, Audio)
        for sample in command.samples
    ]


def test_a_container_passes_as_it_is() -> None:
    webm = encode("webm", tone(0.1))

    commands = read(webm[:1], webm[1:3], webm[3:900], webm[900:])

    assert commands == [EncodedAudio(webm[:900]), EncodedAudio(webm[900:])]


@pytest.mark.parametrize("first", [0, 1, -1, -1025, 0x4952])
def test_anything_else_is_samples(first: int) -> None:
    pcm = np.array([first, 5, -5, *range(2000)], dtype="<i2")
    data = pcm.tobytes()

    assert samples_of(read(data[:3], data[3:100], data[100:])) == pcm.tolist()


def test_samples_that_end_before_they_are_told_from_a_container_are_kept() -> None:
    assert samples_of(read(b"RIFF")) == [0x4952, 0x4646]


def test_the_middle_of_a_stream_decides_nothing() -> None:
    silence = bytes(100)

    commands = read(silence, forged_wav(b""))

    assert {type(command) for command in commands} == {Audio}
    assert read(forged_wav(b""), silence) == [EncodedAudio(forged_wav(b"")), EncodedAudio(silence)]
