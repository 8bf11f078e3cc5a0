"""Queries, times and states of /asr."""

import pytest

from whisper_streaming.errors import InvalidMessage
from whisper_streaming.wire.whisper_live_kit_messages import (
    SILENCE_SPEAKER,
    AsrQuery,
    FrontData,
    Line,
    format_time,
    parse_query,
)


@pytest.mark.parametrize(
    ("time_s", "text"),
    [
        (0, "0:00:00.00"),
        (3.4, "0:00:03.40"),
        (9.999, "0:00:10.00"),
        (59.996, "0:01:00.00"),
        (3599.999, "1:00:00.00"),
        (11 * 3600 + 2 * 60 + 3.456, "11:02:03.46"),
    ],
)
def test_times_have_hours_minutes_seconds_and_hundredths(time_s: float, text: str) -> None:
    assert format_time(time_s) == text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", AsrQuery()),
        ("language=fr", AsrQuery(language="fr")),
        ("language=&mode=&token=", AsrQuery()),
        ("language=fr&language=de", AsrQuery(language="de")),
        (
            "mode=diff&target_language=de&token=s%20t&other=1",
            AsrQuery(mode="diff", target_language="de", token="s t"),
        ),
        (
            "prompt=Dear+Ada&hotwords=Sowerby%2C%20Ma%C3%A7ka",
            AsrQuery(prompt="Dear Ada", hotwords="Sowerby, Maçka"),
        ),
    ],
)
def test_reads_queries(query: str, expected: AsrQuery) -> None:
    assert parse_query(query) == expected


def test_tokens_are_not_shown() -> None:
    assert "secret" not in repr(parse_query("token=secret"))


def test_prompt_and_hotwords_are_wishes() -> None:
    wishes = AsrQuery(prompt="Dear Ada", hotwords="Sowerby").wishes()

    assert (wishes.prompt, wishes.hotwords) == ("Dear Ada", "Sowerby")


@pytest.mark.parametrize("target", ["de", "pt-BR", "fra_Latn", "zh_Hans", "yue"])
def test_takes_language_codes_as_target(target: str) -> None:
    assert AsrQuery(target_language=target).wishes().language is None


@pytest.mark.parametrize("target", ["d", "english", "de;", "e" * 100])
def test_refuses_other_targets(target: str) -> None:
    with pytest.raises(InvalidMessage, match=rf"^target_language '{target[:40]}' is no language"):
        AsrQuery(target_language=target).wishes()


def test_lines_leave_out_what_is_not_known() -> None:
    assert Line(0.12, 3.4, " Hello world.").to_dict() == {
        "speaker": 1,
        "text": " Hello world.",
        "start": "0:00:00.12",
        "end": "0:00:03.40",
    }


def test_lines_tell_language_and_translation() -> None:
    fields = Line(0, 1, " Hallo.", 2, "de", " Hello.").to_dict()

    assert fields["speaker"] == 2
    assert fields["translation"] == " Hello."
    assert fields["detected_language"] == "de"


def test_an_unknown_speaker_is_the_first() -> None:
    assert Line(0, 1, " so", speaker=-1).to_dict()["speaker"] == 1


def test_a_state_as_it_travels() -> None:
    silence = Line(3.4, 9.8, speaker=SILENCE_SPEAKER)
    front = FrontData(
        status="active_transcription",
        lines=[Line(0, 1, ""), Line(1, 3.4, " so"), silence],
        buffer_transcription=" And you",
        remaining_time_transcription=1.2,
        remaining_time_transcription_processing=0.4,
        remaining_time_transcription_policy=0.8,
    )

    assert front.to_dict() == {
        "status": "active_transcription",
        "lines": [
            {"speaker": 1, "text": " so", "start": "0:00:01.00", "end": "0:00:03.40"},
            {"speaker": -2, "text": "", "start": "0:00:03.40", "end": "0:00:09.80"},
        ],
        "buffer_transcription": " And you",
        "buffer_diarization": "",
        "buffer_translation": "",
        "remaining_time_transcription": 1.2,
        "remaining_time_transcription_processing": 0.4,
        "remaining_time_transcription_policy": 0.8,
        "remaining_time_diarization": 0.0,
    }


def test_error_and_warning_are_there_only_if_there_is_one() -> None:
    fields = FrontData(error="broken", warning="loud").to_dict()

    assert (fields["error"], fields["warning"]) == ("broken", "loud")
    assert not {"error", "warning"} & FrontData().to_dict().keys()
