"""What a client understands of a server's messages, ours or a stock one's."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.event_histories import UNHURRIED
from whisper_streaming.errors import InvalidMessage
from whisper_streaming.wire.whisper_live_messages import (
    Disconnect,
    Failure,
    Language,
    Notice,
    Ready,
    Segments,
    ServerMessage,
    Summary,
    Unknown,
    Wait,
    WireSegment,
    WireWord,
    is_end_of_audio,
    parse_server_message,
    peek_uid,
)

SUMMARY = {"received": 4, "decoded": 2, "silence": 1, "gap": 1, "decode_s": 0.5}
SEGMENT = {"start": "0.000", "end": "1.500", "text": " Hi", "completed": True}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(
            {"message": "SERVER_READY", "backend": "faster_whisper"},
            Ready("faster_whisper", None, None, None),
            id="stock ready",
        ),
        pytest.param(
            {"message": "SERVER_READY", "backend": "b", "engine": "e", "model": "m", "notice": 7},
            Ready("b", "e", "m", None),
            id="a notice that is no text",
        ),
        pytest.param(
            {"message": "SERVER_READY", "backend": "b", "rtf": 2, "largest_live_model": "base"},
            Ready("b", None, None, None, rtf=2.0, largest_live_model="base"),
            id="what the server measured",
        ),
        pytest.param({"status": "WAIT", "message": 2.5}, Wait(2.5), id="wait"),
        pytest.param({"status": "ERROR", "message": "no"}, Failure("no"), id="error"),
        pytest.param({"status": "WARNING", "message": "hm"}, Notice("hm"), id="stock warning"),
        pytest.param(
            {"status": "WARNING", "message": "lost", "gap": {"start": 1.0, "end": 2.0}},
            Notice("lost", 1.0, 2.0),
            id="gap",
        ),
        pytest.param({"status": "OTHER"}, Unknown(), id="unknown status"),
        pytest.param({"message": "DISCONNECT"}, Disconnect(), id="disconnect"),
        pytest.param(
            {"message": "SESSION_SUMMARY", **SUMMARY}, Summary(4, 2, 1, 1, 0.5), id="summary"
        ),
        pytest.param(
            {"language": "fr", "language_prob": 0.97}, Language("fr", 0.97), id="language"
        ),
        pytest.param({"language": "fr"}, Language("fr", 0.0), id="language without probability"),
        pytest.param({"segments": []}, Segments(()), id="nothing open"),
        pytest.param(
            {"segments": [SEGMENT]}, Segments((WireSegment(0.0, 1.5, " Hi", True),)), id="stock"
        ),
        pytest.param(
            {
                "segments": [
                    {
                        "start": 0,
                        "end": 1.5,
                        "text": " Hi",
                        "committed_text": " H",
                        "speaker": "A",
                        "words": [
                            {"word": " Hi", "start": "0.1", "end": 1, "probability": 0.5},
                            {"word": "", "start": 1, "end": 1, "aligned": True},
                        ],
                    }
                ]
            },
            Segments(
                (
                    WireSegment(
                        0.0,
                        1.5,
                        " Hi",
                        False,
                        " H",
                        (WireWord(" Hi", 0.1, 1.0, 0.5), WireWord("", 1.0, 1.0, 1.0, True)),
                        "A",
                    ),
                )
            ),
            id="everything",
        ),
        pytest.param({"message": "NEW"}, Unknown(), id="unknown message"),
        pytest.param({}, Unknown(), id="nothing known"),
    ],
)
def test_understands(fields: dict[str, object], expected: ServerMessage) -> None:
    assert parse_server_message(json.dumps({"uid": "u", **fields})) == expected


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("no JSON", id="no JSON"),
        pytest.param("[]", id="a list"),
        pytest.param("null", id="null"),
        pytest.param("true", id="a boolean"),
        pytest.param("1", id="a number"),
        pytest.param('{"status": "WAIT", "message": null}', id="wait without minutes"),
        pytest.param('{"status": "WARNING", "message": "", "gap": [1]}', id="gap is a list"),
        pytest.param('{"message": "SESSION_SUMMARY"}', id="summary without numbers"),
        pytest.param(
            json.dumps({"message": "SESSION_SUMMARY", **SUMMARY, "gap": float("inf")}),
            id="endless gap",
        ),
        pytest.param('{"segments": 1}', id="segments are a number"),
        pytest.param('{"segments": ["a"]}', id="segment is a string"),
        pytest.param(json.dumps({"segments": [SEGMENT | {"start": "soon"}]}), id="no time"),
        pytest.param(json.dumps({"segments": [SEGMENT | {"end": float("nan")}]}), id="NaN"),
    ],
)
def test_refuses_what_a_server_cannot_mean(message: str) -> None:
    with pytest.raises(InvalidMessage):
        parse_server_message(message)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_KEYS = ["status", "message", "language", "segments", "gap", "start", "end", "text", "words"]
_VALUES = st.sampled_from(["WAIT", "WARNING", "SERVER_READY", "SESSION_SUMMARY"]) | _JSON


@UNHURRIED
@given(
    fields=st.dictionaries(st.sampled_from(_KEYS), _VALUES),
    segment=st.dictionaries(st.sampled_from(_KEYS), _VALUES),
)
def test_any_message_is_understood_or_invalid(
    fields: dict[str, object], segment: dict[str, object]
) -> None:
    for message in (fields, fields | {"segments": [segment]}):
        try:
            parse_server_message(json.dumps(message))
        except InvalidMessage:
            continue


@pytest.mark.parametrize(
    ("message", "uid"),
    [
        pytest.param('{"uid": "u", "task": 3}', "u", id="another field is wrong"),
        pytest.param('{"uid": "' + "u" * 300 + '"}', "u" * 256, id="cut"),
        pytest.param('{"uid": 3}', None, id="no text"),
        pytest.param("[]", None, id="no object"),
        pytest.param("{", None, id="no JSON"),
        pytest.param("[" * 100_000, None, id="deep"),
        pytest.param(b"\xff\xfe\x00", None, id="binary"),
    ],
)
def test_finds_the_uid_of_a_broken_message(message: str | bytes, uid: str | None) -> None:
    assert peek_uid(message) == uid


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"END_OF_AUDIO", True),
        (b'"END_OF_AUDIO"', True),
        ("END_OF_AUDIO", True),
        (' "END_OF_AUDIO"\n', True),
        (b"END_OF_AUDIO\x00", False),
        ("end_of_audio", False),
        ("", False),
        (b"", False),
    ],
)
def test_knows_the_end_of_audio(message: str | bytes, expected: bool) -> None:
    assert is_end_of_audio(message) is expected
