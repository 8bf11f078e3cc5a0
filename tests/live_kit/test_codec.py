"""The states that a program gets are those that ``/asr`` sends."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.event_histories import CJK, SPACED, UNHURRIED, History, histories
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import BackendError
from whisper_streaming.live_kit import FrontData
from whisper_streaming.live_kit.codec import FrontDataCodec
from whisper_streaming.wire.base import Audio, EncodedAudio, EndOfAudio, Welcome
from whisper_streaming.wire.diff_tracker import DiffTracker
from whisper_streaming.wire.whisper_live_kit import WhisperLiveKitCodec
from whisper_streaming.wire.whisper_live_kit_lines import Retention

HISTORIES = histories(SPACED, (None, "A", "B")) | histories(CJK)


def codec(pcm_input: bool | None = None) -> FrontDataCodec:
    return FrontDataCodec(SegmentRules(), for_diffs=False, retention=None, pcm_input=pcm_input)


@UNHURRIED
@given(
    history=HISTORIES,
    for_diffs=st.booleans(),
    retention=st.sampled_from([None, Retention(1.0)]),
    notice=st.sampled_from([None, "read this"]),
)
def test_the_states_are_those_of_asr(
    history: History, for_diffs: bool, retention: Retention | None, notice: str | None
) -> None:
    ours = FrontDataCodec(SegmentRules(), for_diffs=for_diffs, retention=retention, pcm_input=None)
    theirs = WhisperLiveKitCodec(f"mode={'diff' if for_diffs else 'full'}", retention=retention)
    tracker = DiffTracker() if for_diffs else None

    def sent(states: list[FrontData]) -> list[object]:
        return [each.to_dict() if tracker is None else tracker.to_message(each) for each in states]

    welcome = theirs.welcome(Welcome(engine="scripted", model="demo", notice=notice))
    assert sent(ours.begin([notice] if notice else [])) == [
        json.loads(each) for each in welcome[1:]
    ]
    for number, batch in enumerate(history.batches):
        messages = theirs.encode(batch, number / 10)
        assert sent(ours.encode(batch, number / 10)) == [json.loads(each) for each in messages]
    messages = theirs.fail(BackendError("secret"))
    assert sent(ours.fail(BackendError("secret"))) == [json.loads(each) for each in messages]


@pytest.mark.parametrize(
    ("pcm_input", "commands"),
    [(None, [Audio, EndOfAudio]), (True, [Audio, EndOfAudio]), (False, [EncodedAudio, EndOfAudio])],
)
def test_the_program_says_what_its_bytes_are(
    pcm_input: bool | None, commands: list[type[object]]
) -> None:
    reader = codec(pcm_input)

    assert [type(each) for each in [*reader.receive(b"ab"), *reader.receive(b"")]] == commands


def test_samples_may_be_cut_anywhere() -> None:
    reader = codec(pcm_input=True)

    assert reader.receive(b"\x00") == []
    (audio,) = reader.receive(b"\x40\x00")
    assert isinstance(audio, Audio)
    assert audio.samples.tolist() == [0.5]


def test_a_container_is_told_by_its_first_bytes() -> None:
    reader = codec()

    assert reader.receive(b"RI") == []
    assert reader.receive(b"FF1234WAVE") == [EncodedAudio(b"RIFF1234WAVE")]
