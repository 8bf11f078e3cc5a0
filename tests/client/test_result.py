"""Joining of segments to running text, and their form for programs."""

import pytest

from whisper_streaming.client.result import TranscriptionResult, join_texts, segment_fields
from whisper_streaming.wire.whisper_live_messages import WireSegment, WireWord


@pytest.mark.parametrize(
    ("texts", "joined"),
    [
        pytest.param([], "", id="nothing"),
        pytest.param([" Hello", " world."], "Hello world.", id="with leading spaces"),
        pytest.param(["Hello", "world."], "Hello world.", id="stripped by the server"),
        pytest.param([" Hello", ", world"], "Hello, world", id="closing punctuation"),
        pytest.param(["", " a", ""], "a", id="empty ones"),
        pytest.param(["今日は", "天気がいい。", "はい"], "今日は天気がいい。はい", id="Japanese"),
        pytest.param(["สวัสดี", "ครับ"], "สวัสดีครับ", id="Thai"),
        pytest.param(["안녕", "하세요"], "안녕 하세요", id="Korean has spaces"),
        pytest.param([" one ", " two"], "one  two", id="the server's spaces stay"),
    ],
)
def test_texts_join_to_running_text(texts: list[str], joined: str) -> None:
    assert join_texts(texts) == joined


def test_a_plain_segment_has_the_four_keys_only() -> None:
    fields = segment_fields(WireSegment(0.5, 1.5, " Hi.", completed=True))

    assert fields == {"start": 0.5, "end": 1.5, "text": " Hi.", "completed": True}


def test_what_the_server_adds_is_passed_on() -> None:
    fields = segment_fields(
        WireSegment(
            0.0,
            1.0,
            " Hi you",
            completed=False,
            committed_text=" Hi",
            words=(WireWord(" Hi", 0.0, 0.4, 0.9), WireWord(" you", 0.5, 0.6, 0.8, True)),
            speaker="SPEAKER_01",
        )
    )

    assert fields["committed_text"] == " Hi"
    assert fields["words"] == [
        {"word": " Hi", "start": 0.0, "end": 0.4, "probability": 0.9},
        {"word": " you", "start": 0.5, "end": 0.6, "probability": 0.8, "aligned": True},
    ]
    assert fields["speaker"] == "SPEAKER_01"


def test_the_string_of_a_result_is_its_text() -> None:
    assert str(TranscriptionResult(text="Hello.", segments=[], complete=True)) == "Hello."
