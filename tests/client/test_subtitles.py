"""Transcripts as SRT, WebVTT, JSON and text."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whisper_streaming.captions import CaptionRules
from whisper_streaming.client.result import (
    Gap,
    TranscriptionResult,
    TranscriptSegment,
    TranscriptWord,
)
from whisper_streaming.client.subtitles import (
    render,
    to_json,
    to_jsonl,
    to_srt,
    to_text,
    to_tsv,
    to_vtt,
)
from whisper_streaming.wire.whisper_live_messages import Summary


def line(start: float, end: float, text: str) -> TranscriptSegment:
    return TranscriptSegment(start=start, end=end, text=text, completed=True)


def result(*segments: TranscriptSegment) -> TranscriptionResult:
    text = " ".join(segment["text"].strip() for segment in segments)
    return TranscriptionResult(text=text, segments=list(segments), complete=True)


TWO = result(line(0.0, 1.5, " Hello."), line(3661.0625, 3662.9996, " Good bye."))


def test_srt_numbers_its_cues_and_rounds_to_milliseconds() -> None:
    assert to_srt(TWO) == (
        "1\n00:00:00,000 --> 00:00:01,500\nHello.\n\n2\n01:01:01,062 --> 01:01:03,000\nGood bye.\n"
    )


def test_vtt_has_its_header_and_points() -> None:
    assert to_vtt(TWO) == (
        "WEBVTT\n"
        "\n"
        "00:00:00.000 --> 00:00:01.500\nHello.\n"
        "\n"
        "01:01:01.062 --> 01:01:03.000\nGood bye.\n"
    )


def test_text_has_one_line_per_segment() -> None:
    assert to_text(TWO) == "Hello.\nGood bye.\n"


def test_nothing_said_gives_valid_empty_files() -> None:
    empty = result()

    assert (to_srt(empty), to_vtt(empty), to_text(empty)) == ("", "WEBVTT\n", "")


def test_json_holds_everything() -> None:
    whole = TranscriptionResult(
        text="Grüße.",
        segments=[line(0.0, 1.0, " Grüße.")],
        complete=False,
        language="de",
        model="demo",
        notice="demo model",
        gaps=[Gap(1.0, 2.0, "decode failed")],
        samples_sent=32_000,
        summary=Summary(32_000, 16_000, 0, 16_000, 0.5),
    )

    text = to_json(whole)

    assert "Grüße" in text
    assert json.loads(text) == {
        "text": "Grüße.",
        "language": "de",
        "model": "demo",
        "notice": "demo model",
        "complete": False,
        "segments": [{"start": 0.0, "end": 1.0, "text": " Grüße.", "completed": True}],
        "gaps": [{"start": 1.0, "end": 2.0, "reason": "decode failed"}],
        "samples_sent": 32_000,
        "summary": {
            "received": 32_000,
            "decoded": 16_000,
            "silence": 0,
            "gap": 16_000,
            "decode_s": 0.5,
        },
    }


def test_json_lines_hold_the_session_its_segments_and_gaps_and_the_end() -> None:
    whole = TranscriptionResult(
        text="Grüße.",
        segments=[line(0.0, 1.0, " Grüße.")],
        complete=False,
        language="de",
        model="demo",
        gaps=[Gap(1.0, 2.0, "decode failed")],
    )

    assert [json.loads(row) for row in to_jsonl(whole).splitlines()] == [
        {"type": "session", "language": "de", "model": "demo"},
        {
            "type": "segment", "number": 1, "start": 0.0, "end": 1.0, "text": "Grüße.",
            "completed": True,
        },
        {"type": "gap", "start": 1.0, "end": 2.0, "reason": "decode failed"},
        {"type": "end", "complete": False, "account": None},
    ]  # fmt: skip
    assert "Grüße" in to_jsonl(whole)


def test_a_table_has_milliseconds_and_one_line_per_segment() -> None:
    tabs = result(line(0.0, 1.5, " a\tb\n"), line(2.0004, 3.0, " "))

    assert to_tsv(tabs) == "start\tend\ttext\n0\t1500\ta b\n"


def test_captions_are_written_by_the_rules_given() -> None:
    rules = CaptionRules(line_length=6)

    assert render(TWO, "srt", rules).splitlines()[6:] == ["Good", "bye."]
    assert render(TWO, "vtt", rules).splitlines()[6:] == ["Good", "bye."]
    assert render(TWO, "txt", rules) == to_text(TWO)


def test_times_of_words_decide_where_a_long_segment_is_cut() -> None:
    words = timed(0.0, 4.0, (" Ready", 0.0), (" steady", 3.0))
    rules = CaptionRules(line_length=8, max_lines=1)

    assert render(result(words), "srt", rules).splitlines() == [
        "1", "00:00:00,000 --> 00:00:01,000", "Ready", "",
        "2", "00:00:03,000 --> 00:00:04,000", "steady",
    ]  # fmt: skip


def test_an_arrow_in_the_text_is_no_time_line() -> None:
    arrows = result(line(0.0, 1.0, " a --> b & <c>"))

    assert to_srt(arrows).splitlines()[2] == "a → b & <c>"
    assert to_vtt(arrows).splitlines()[3] == "a --&gt; b &amp; &lt;c&gt;"


def test_line_breaks_in_the_text_do_not_end_the_cue() -> None:
    assert to_srt(result(line(0.0, 1.0, " a\n\nb"))).splitlines()[2:] == ["a b"]


def test_the_speaker_is_named() -> None:
    spoken = line(0.0, 1.0, " Hi.")
    spoken["speaker"] = "SPEAKER_00"

    assert "\nSPEAKER_00: Hi.\n" in to_srt(result(spoken))
    assert "<v SPEAKER_00>Hi." in to_vtt(result(spoken))


def timed(start: float, end: float, *words: tuple[str, float]) -> TranscriptSegment:
    """A segment whose words start at the given seconds."""
    segment = line(start, end, "".join(text for text, _ in words))
    segment["words"] = [
        TranscriptWord(word=text, start=at, end=at, probability=0.5) for text, at in words
    ]
    return segment


def test_vtt_gives_each_word_its_time_where_it_is_known() -> None:
    words = timed(1.0, 3.5, (" Ready", 1.0), (" &", 1.75), (" steady.", 2.0004))

    assert to_vtt(result(words)).splitlines()[3] == (
        "Ready <00:00:01.750>&amp; <00:00:02.000>steady."
    )
    assert to_srt(result(words)).splitlines()[2] == "Ready & steady."
    assert json.loads(to_json(result(words)))["segments"][0]["words"] == words["words"]


def test_words_that_are_not_the_text_are_left_out_of_vtt() -> None:
    other = timed(0.0, 2.0, (" one", 0.5), (" two", 1.0))
    other["text"] = " one and two"

    assert to_vtt(result(other)).splitlines()[3] == "one and two"


@given(
    st.lists(
        st.tuples(st.text(st.sampled_from(" ab<&\n"), max_size=4), st.floats(0, 5)), max_size=6
    )
)
def test_times_of_words_in_vtt_grow_inside_their_cue(words: list[tuple[str, float]]) -> None:
    segment = timed(1.0, 4.0, *words)
    plain = line(1.0, 4.0, segment["text"])

    cue = to_vtt(result(segment)).partition("\n\n")[2]

    stamps = [in_ms(clock.replace(".", ",")) for clock in re.findall(r"<([\d:.]+)>", cue)]
    assert stamps == sorted(set(stamps))
    assert all(1_000 < stamp < 4_000 for stamp in stamps)
    assert re.sub(r"<[\d:.]+>", "", cue) == to_vtt(result(plain)).partition("\n\n")[2]


@pytest.mark.parametrize(
    ("segments", "times"),
    [
        pytest.param(
            [line(1.0, 1.0, " a")], ["00:00:01,000 --> 00:00:02,000"], id="no length, alone"
        ),
        pytest.param(
            [line(1.0, 1.0, " a."), line(2.0, 2.0, " b")],
            ["00:00:01,000 --> 00:00:02,000", "00:00:02,000 --> 00:00:03,000"],
            id="no length, up to the next",
        ),
        pytest.param(
            [line(1.0, 0.5, " Yes."), line(1.0, 2.0, " b")],
            ["00:00:01,000 --> 00:00:01,001", "00:00:01,001 --> 00:00:02,001"],
            id="negative, no room",
        ),
        pytest.param(
            [line(1.0, 1.0004, " a")], ["00:00:01,000 --> 00:00:02,000"], id="rounds to nothing"
        ),
        pytest.param(
            [line(0.0, 1.0, "  "), line(1.0, 2.0, " b")],
            ["00:00:01,000 --> 00:00:02,000"],
            id="empty text",
        ),
    ],
)
def test_every_cue_has_text_and_lasts(segments: list[TranscriptSegment], times: list[str]) -> None:
    assert [row for row in to_srt(result(*segments)).splitlines() if "-->" in row] == times


@given(
    st.lists(st.tuples(st.floats(0, 400_000), st.floats(0, 400_000), st.text(max_size=20))),
)
def test_any_transcript_gives_cues_that_can_be_read_back(
    rows: list[tuple[float, float, str]],
) -> None:
    transcript = result(*(line(start, end, text) for start, end, text in rows))

    blocks = [block for block in to_srt(transcript).split("\n\n") if block]

    for number, block in enumerate(blocks, start=1):
        lines = block.rstrip("\n").split("\n")
        assert len(lines) in (3, 4)
        assert lines[0] == str(number)
        times = re.fullmatch(r"(\d{2,}:\d\d:\d\d,\d{3}) --> (\d{2,}:\d\d:\d\d,\d{3})", lines[1])
        assert times is not None
        assert in_ms(times[1]) < in_ms(times[2])
        assert "-->" not in " ".join(lines[2:])


def in_ms(clock: str) -> int:
    hours, minutes, rest = clock.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000 + int(rest.replace(",", ""))
