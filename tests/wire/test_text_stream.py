"""The plain protocol of /stream."""

import uuid

import numpy as np
import pytest

from whisper_streaming.core.events import (
    AudioAccount,
    AudioGap,
    Event,
    GapReason,
    InputFault,
    InputImpaired,
    PartialUpdated,
    SessionFailed,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.errors import DecodeTimeout, InvalidMessage, UnsupportedAudio
from whisper_streaming.wire.base import Audio, Configure, EndOfAudio, Welcome
from whisper_streaming.wire.text_stream import TextStreamCodec

NOTHING = AudioAccount(received=0, decoded=0, silence=0, gap=0)


def test_configures_without_a_message() -> None:
    first, second = (TextStreamCodec().open() for _ in range(2))

    assert isinstance(first[0], Configure)
    assert first == [Configure(uid=str(uuid.UUID(first[0].uid)))]
    assert first != second


def test_configures_as_the_url_wishes() -> None:
    wishes = Configure(uid="a", language="tr", hotwords="Ada")

    assert TextStreamCodec(wishes=wishes).open() == [wishes]


@pytest.mark.parametrize(
    ("sample_format", "frame"),
    [
        pytest.param("f32", np.array([0.5, -0.5], dtype="<f4").tobytes(), id="f32"),
        pytest.param("s16", np.array([16384, -16384], dtype="<i2").tobytes(), id="s16"),
    ],
)
def test_the_first_message_is_audio(sample_format: str, frame: bytes) -> None:
    (command,) = TextStreamCodec(sample_format).receive(frame)

    assert isinstance(command, Audio)
    assert command.samples.tolist() == [0.5, -0.5]


def test_refuses_an_unknown_format() -> None:
    with pytest.raises(UnsupportedAudio, match="format 'mp3' is unknown: use f32 or s16"):
        TextStreamCodec("mp3")


@pytest.mark.parametrize("message", ["END_OF_AUDIO", '"END_OF_AUDIO"', b"END_OF_AUDIO"])
def test_ends_the_audio(message: str | bytes) -> None:
    codec = TextStreamCodec()

    assert codec.receive(message) == [EndOfAudio()]
    assert codec.receive(bytes(8)) == []


def test_refuses_other_text() -> None:
    with pytest.raises(InvalidMessage, match="the only text message understood is END_OF_AUDIO"):
        TextStreamCodec().receive('{"uid": "a"}')


def test_sends_each_completed_segment_as_text() -> None:
    codec = TextStreamCodec()
    words = tuple(Word(text, n, n + 0.9) for n, text in enumerate([" It", " is.", " So"]))

    assert codec.encode([WordsCommitted(1, words), PartialUpdated(1, words)]) == ["It is."]
    assert codec.encode([UtteranceEnded(1, 3.0)]) == ["So"]


def test_says_what_was_lost_and_why_it_ends() -> None:
    codec = TextStreamCodec()
    failed = SessionFailed(NOTHING, DecodeTimeout().public_reason)
    events: list[Event] = [AudioGap(1.0, 2.5, GapReason.DECODE_FAILED), failed]

    assert codec.encode(events) == [
        "WARNING: the audio from 1.00 s to 2.50 s was lost: decode failed",
        "ERROR: the transcription model did not answer in time",
    ]
    assert codec.fail(DecodeTimeout()) == []


def test_says_what_is_wrong_with_the_audio() -> None:
    assert TextStreamCodec().encode([InputImpaired(InputFault.CLIPPED, 3.0)]) == [
        "WARNING: the audio is too loud and clipped, which costs words: turn the input down"
    ]


def test_says_what_the_client_did_wrong() -> None:
    assert TextStreamCodec().fail(InvalidMessage("so not")) == ["ERROR: so not"]


def test_everything_but_text_is_marked() -> None:
    codec = TextStreamCodec()

    assert codec.welcome(Welcome(engine="scripted", model="demo", notice="read this")) == []
    assert codec.refuse_full(30.4) == ["ERROR: the server is full, try again in 30 s"]
    assert codec.overtime() == ["ERROR: the time of this connection is over"]
    assert codec.farewell(1.0) == []
