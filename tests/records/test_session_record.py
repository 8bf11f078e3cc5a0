"""The files of one session: what is in them, at every moment."""

import json
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given

from tests.event_histories import SPACED, UNHURRIED, History, histories
from tests.records.limits import full_disk
from whisper_streaming.captions import CaptionRules, captions, passage_of
from whisper_streaming.captions.formats import VTT_HEADER, srt_block, vtt_block
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.events import (
    AudioAccount,
    AudioGap,
    Event,
    GapReason,
    InputFault,
    InputImpaired,
    LanguageDetected,
    PartialUpdated,
    SessionEnded,
    SessionFailed,
    SessionNotice,
    SpeakersRevised,
    SpeakerTurn,
    SpeechStarted,
    TranscriptRevised,
    TranslationCommitted,
    TranslationUpdated,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.core.transcript import Segment, Transcript
from whisper_streaming.live.input_end import Ending
from whisper_streaming.live.observers import SessionFacts
from whisper_streaming.records import revision
from whisper_streaming.records.session_record import RecordRules, SessionRecord, record_name

BEGAN = datetime(2026, 11, 21, 9, 30, 0, 250_000, tzinfo=UTC)
FACTS = SessionFacts("6f" * 16, "meeting room", "demo", "transcribe", None, BEGAN)
NAME = "20261121T093000Z-" + "6f" * 16


class Bench:
    """A record, its files, and what was given up."""

    def __init__(
        self, folder: Path, *, audio: bool = False, facts: SessionFacts = FACTS,
        captions: CaptionRules | None = None,
    ) -> None:  # fmt: skip
        self.given_up: list[tuple[str, str]] = []
        rules = RecordRules(folder, audio, captions=captions or CaptionRules())
        self.record = SessionRecord(facts, rules, self._give_up)
        self._base = folder / record_name(facts)

    def path(self, ending: str) -> Path:
        return self._base.with_name(f"{self._base.name}.{ending}")

    def text(self, ending: str) -> str:
        return self.path(ending).read_text(encoding="utf-8")

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text("jsonl").splitlines()]

    def hear(self, *events: Event) -> None:
        self.record.receive(events)
        self.record.flush()

    def _give_up(self, path: Path, reason: str) -> None:
        self.given_up.append((path.suffix, reason))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, audio=True)


def said(text: str, start: float, *, utterance_id: int = 1) -> list[Event]:
    """An utterance whose words take a quarter of a second each."""
    words = text.split()
    committed = tuple(
        Word(f" {word}", start + index / 4, start + (index + 1) / 4, 0.87654)
        for index, word in enumerate(words)
    )
    end = start + len(words) / 4
    return [WordsCommitted(utterance_id, committed), UtteranceEnded(utterance_id, end)]


def decoded(path: Path) -> FloatArray:
    with av.open(str(path)) as container:
        pieces = [frame.to_ndarray().ravel() for frame in container.decode(audio=0)]
    return np.concatenate(pieces).astype(np.float32) / 32768 if pieces else np.zeros(0, np.float32)


ACCOUNT = AudioAccount(received=100, decoded=60, silence=40, gap=0)


def test_the_name_is_the_time_in_utc_and_the_id(bench: Bench, tmp_path: Path) -> None:
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{NAME}.{ending}" for ending in ("flac", "jsonl", "srt", "vtt")
    ]


def test_captions_grow_and_the_last_one_stays_until_the_next_one_comes(bench: Bench) -> None:
    bench.hear(*said("Hello there.", 1.0))
    assert bench.text("srt") == "1\n00:00:01,000 --> 00:00:02,000\nHello there.\n"
    bench.hear(*said("Is anybody in?", 1.75, utterance_id=2))

    assert bench.text("srt") == (
        "1\n00:00:01,000 --> 00:00:01,750\nHello there.\n"
        "\n2\n00:00:01,750 --> 00:00:02,750\nIs anybody in?\n"
    )
    assert bench.text("vtt") == (
        "WEBVTT\n"
        "\n00:00:01.000 --> 00:00:01.750\nHello <00:00:01.250>there.\n"
        "\n00:00:01.750 --> 00:00:02.750\nIs <00:00:02.000>anybody <00:00:02.250>in?\n"
    )


def test_translations_have_captions_of_their_own(bench: Bench) -> None:
    bench.hear(*said("Merhaba.", 1.0))
    assert not bench.path("en.srt").exists()
    bench.hear(
        TranslationCommitted(1.0, 1.25, "Hello.", "en"),
        *said("Tamam mı?", 2.0, utterance_id=2),
        TranslationCommitted(2.0, 2.5, None, "en"),
        *said("Evet.", 4.0, utterance_id=3),
        TranslationCommitted(4.0, 4.25, " Yes <it is>.", "en"),
    )
    bench.record.end(Ending.COMPLETE)

    assert bench.text("en.srt") == (
        "1\n00:00:01,000 --> 00:00:02,000\nHello.\n"
        "\n2\n00:00:04,000 --> 00:00:05,000\nYes <it is>.\n"
    )
    assert bench.text("en.vtt") == (
        "WEBVTT\n"
        "\n00:00:01.000 --> 00:00:02.000\nHello.\n"
        "\n00:00:04.000 --> 00:00:05.000\nYes &lt;it is&gt;.\n"
    )
    assert "Hello" not in bench.text("srt")
    assert bench.given_up == []


def test_a_language_of_somebodys_own_is_no_name_of_a_file(bench: Bench, tmp_path: Path) -> None:
    bench.hear(TranslationCommitted(1.0, 1.25, "Yo!", "../pirate"))
    bench.record.end(Ending.COMPLETE)

    assert bench.text("translation.srt").endswith("\nYo!\n")
    assert len(list(tmp_path.iterdir())) == 6


def test_captions_of_a_translation_that_cannot_be_begun_are_given_up_once(bench: Bench) -> None:
    bench.path("en.vtt").mkdir()
    bench.hear(*said("Bir.", 1.0), TranslationCommitted(1.0, 1.25, "One.", "en"))
    bench.hear(TranslationCommitted(2.0, 2.25, "Two.", "en"))
    bench.record.end(Ending.COMPLETE)

    assert bench.given_up == [(".en", "File exists")]
    assert [line["text"] for line in bench.lines[1:4]] == ["Bir.", "One.", "Two."]


def test_captions_are_cut_by_the_rules(tmp_path: Path) -> None:
    bench = Bench(tmp_path, captions=CaptionRules(line_length=6, max_lines=1))
    bench.hear(*said("Hello there.", 1.0))

    assert [line for line in bench.text("srt").splitlines() if line.isalpha()] == ["Hello"]
    assert "\nthere.\n" in bench.text("srt")


def test_every_event_worth_keeping_has_a_line(bench: Bench) -> None:
    bench.hear(
        SpeechStarted(1, 0.9),
        LanguageDetected("en", 0.98765),
        PartialUpdated(1, (Word(" Hi", 1.0, 1.25),)),
        *said("Hi.", 1.0),
        AudioGap(2.00049, 3.0, GapReason.DECODE_FAILED),
        InputImpaired(InputFault.CLIPPED, 3.5),
        SessionNotice("The translation is late."),
        SpeakersRevised((SpeakerTurn(1.00049, 1.25, "SPEAKER_01"),)),
        TranslationUpdated(1.0, 1.25, "Sal", "tr"),
        TranslationCommitted(1.0, 1.25, "Selam.", "tr"),
        SessionEnded(ACCOUNT),
    )
    bench.record.end(Ending.COMPLETE)

    assert bench.lines == [
        {
            "type": "session", "id": "6f" * 16, "uid": "meeting room",
            "began": "2026-11-21T09:30:00.250+00:00", "model": "demo", "task": "transcribe",
            "language": None,
        },
        {"type": "language", "language": "en", "probability": 0.988},
        {
            "type": "segment", "number": 1, "start": 1.0, "end": 1.25, "text": "Hi.",
            "language": "en", "speaker": None,
            "words": [{"word": " Hi.", "start": 1.0, "end": 1.25, "probability": 0.877}],
        },
        {"type": "gap", "start": 2.0, "end": 3.0, "reason": "decode failed"},
        {"type": "input", "fault": "clipped", "at": 3.5},
        {"type": "notice", "text": "The translation is late."},
        {
            "type": "speakers",
            "turns": [{"start": 1.0, "end": 1.25, "speaker": "SPEAKER_01"}],
        },
        {"type": "translation", "start": 1.0, "end": 1.25, "text": "Selam.", "language": "tr"},
        {
            "type": "end", "ended": "complete", "complete": True,
            "account": {"received": 100, "decoded": 60, "silence": 40, "gap": 0},
        },
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("last", "ending", "line"),
    [
        pytest.param(
            SessionEnded(AudioAccount(3, 2, 1, 0)),
            Ending.OVERTIME,
            {
                "ended": "overtime", "complete": True,
                "account": {"received": 3, "decoded": 2, "silence": 1, "gap": 0},
            },
            id="before all was said",
        ),
        pytest.param(
            SessionEnded(AudioAccount(3, 1, 1, 1)),
            Ending.COMPLETE,
            {
                "ended": "complete", "complete": False,
                "account": {"received": 3, "decoded": 1, "silence": 1, "gap": 1},
            },
            id="with a gap",
        ),
        pytest.param(
            SessionFailed(AudioAccount(3, 1, 1, 1), "the model failed"),
            Ending.FAILED,
            {
                "ended": "failed", "complete": False,
                "account": {"received": 3, "decoded": 1, "silence": 1, "gap": 1},
                "reason": "the model failed",
            },
            id="failed",
        ),
        pytest.param(
            None,
            Ending.GONE,
            {"ended": "gone", "complete": False, "account": None, "reason": "cut off"},
            id="cut off",
        ),
    ],
)  # fmt: skip
def test_the_last_line_tells_how_it_ended(
    bench: Bench, last: Event | None, ending: Ending, line: dict[str, object]
) -> None:
    bench.hear(WordsCommitted(1, (Word(" Hi", 1.0, 1.25),)), *([last] if last else []))
    bench.record.end(ending)

    assert bench.lines[-1] == {"type": "end", **line}
    assert bench.lines[-2]["text"] == "Hi"  # the open words, which nothing completed


def test_the_audio_is_what_was_received(bench: Bench) -> None:
    samples = np.random.default_rng(1).integers(-32768, 32767, 20_000).astype(np.float32) / 32768
    for start in range(0, len(samples), 1600):
        bench.record.receive_audio(samples[start : start + 1600])
    bench.record.flush()
    unfinished = decoded(bench.path("flac"))
    bench.record.receive_audio(np.array([2.0, -2.0], np.float32))
    bench.record.receive_silence(1_000_000)
    bench.record.end(Ending.COMPLETE)

    assert len(unfinished) > 16_000
    assert np.array_equal(unfinished, samples[: len(unfinished)])
    whole = decoded(bench.path("flac"))
    assert np.array_equal(whole[:20_000], samples)
    assert whole[20_000:20_002].tolist() == [32767 / 32768, -1.0]
    assert len(whole) == 1_020_002
    assert not whole[20_002:].any()


def test_players_are_told_how_long_the_audio_is(bench: Bench) -> None:
    bench.record.receive_audio(np.zeros(24_000, np.float32))
    bench.record.end(Ending.COMPLETE)

    with av.open(str(bench.path("flac"))) as container:
        stream = container.streams.audio[0]
        assert (stream.rate, stream.channels) == (16_000, 1)
        assert stream.duration * stream.time_base == 1.5


def test_without_audio_there_is_no_audio_file(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.record.receive_audio(np.zeros(16_000, np.float32))
    bench.record.end(Ending.COMPLETE)

    assert not bench.path("flac").exists()


def test_what_the_disk_refused_is_written_later(bench: Bench) -> None:
    bench.hear(*said("one", 1.0))
    before = bench.text("srt")
    bench.record.receive(said("two", 3.0, utterance_id=2))
    with full_disk(60), pytest.raises(OSError, match="too large"):
        bench.record.flush()
    assert bench.text("srt").startswith(before[: len(before) - 20])
    assert bench.record.flush()
    bench.record.end(Ending.COMPLETE)

    assert [line["type"] for line in bench.lines] == ["session", "segment", "segment", "end"]
    assert bench.text("srt").count(" --> ") == 2
    assert bench.given_up == []


def test_what_the_disk_refuses_to_the_end_is_given_up_in_words(bench: Bench) -> None:
    bench.hear(*said("one", 1.0))
    bench.record.receive(said("two", 3.0, utterance_id=2))
    with full_disk(60), pytest.raises(OSError, match="too large"):
        bench.record.end(Ending.COMPLETE)

    assert (".jsonl", "the session ended (File too large)") in bench.given_up


def test_audio_that_a_full_disk_cut_off_can_be_played_up_to_there(bench: Bench) -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 32_000).astype(np.float32)
    bench.record.receive_audio(noise)
    with full_disk(20_000), pytest.raises(OSError, match="too large"):
        bench.record.end(Ending.COMPLETE)

    heard = decoded(bench.path("flac"))
    assert 0 < len(heard) < len(noise)
    assert np.abs(heard - noise[: len(heard)]).max() <= 1 / 32768


def test_a_removed_file_is_given_up_and_the_others_go_on(bench: Bench) -> None:
    bench.hear(*said("one", 1.0))
    bench.path("srt").unlink()
    bench.hear(*said("two", 3.0, utterance_id=2))
    bench.hear(*said("three", 5.0, utterance_id=3))
    bench.record.end(Ending.COMPLETE)

    assert bench.given_up == [(".srt", "it was removed")]
    assert not bench.path("srt").exists()
    assert bench.text("vtt").count(" --> ") == 3


def test_a_record_that_cannot_be_begun_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.vtt").write_text("of somebody else")

    with pytest.raises(FileExistsError):
        Bench(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}.vtt"]


def test_nothing_of_a_hostile_client_reaches_a_name_or_breaks_a_line(tmp_path: Path) -> None:
    uid = "../../etc/passwd\n\ud800" + "x" * 1_000_000
    bench = Bench(tmp_path, facts=SessionFacts("a" * 32, uid, "demo", "transcribe", "en", BEGAN))
    bench.record.end(Ending.COMPLETE)

    assert [path.name for path in tmp_path.glob("*.jsonl")] == [
        f"20261121T093000Z-{'a' * 32}.jsonl"
    ]
    assert len(bench.lines) == 2
    assert bench.lines[0]["uid"] == uid[:200].replace("\ud800", "?")


def test_speakers_that_are_found_out_later_are_in_the_captions_at_the_end(bench: Bench) -> None:
    first, second = said("Hello there my friend.", 1.0), said("Yes.", 4.0, utterance_id=2)
    bench.hear(*first, *second)
    bench.hear(SpeakersRevised((SpeakerTurn(1.5, 2.0, "B"), SpeakerTurn(4.0, 4.25, "A"))))
    bench.hear(SpeakersRevised((SpeakerTurn(1.0, 1.5, "A"),)))
    assert "A: " not in bench.text("srt")
    bench.record.end(Ending.COMPLETE)

    blocks = bench.text("srt").split("\n\n")
    assert [block.splitlines()[2] for block in blocks] == [
        "A: Hello there", "B: my friend.", "A: Yes.",
    ]  # fmt: skip
    assert bench.text("vtt").startswith("WEBVTT\n\n00:00:01.000 --> 00:00:01.500\n<v A>Hello ")
    assert [line["type"] for line in bench.lines].count("speakers") == 2


def test_a_second_look_takes_the_place_of_the_captions(bench: Bench) -> None:
    bench.hear(*said("Wreck a nice beach and more.", 1.0))
    recognised = tuple(
        Word(f" {text}", 1.0 + index / 4, 1.25 + index / 4, 0.9, is_aligned=index == 0)
        for index, text in enumerate(["Recognise", "speech."])
    )
    bench.hear(TranscriptRevised((recognised, ()), "en"), SessionEnded(ACCOUNT))
    assert "beach" in bench.text("srt")
    bench.record.end(Ending.COMPLETE)

    assert bench.text("srt") == "1\n00:00:01,000 --> 00:00:02,000\nRecognise speech.\n"
    assert bench.text("vtt").count(" --> ") == 1
    _, live, second, _ = bench.lines
    assert live["text"] == "Wreck a nice beach and more."
    assert (second["type"], second["language"]) == ("revision", "en")
    assert second["segments"] == [
        {
            "number": 1, "start": 1.0, "end": 1.5, "text": "Recognise speech.", "language": "en",
            "speaker": None,
            "words": [
                {
                    "word": " Recognise", "start": 1.0, "end": 1.25, "probability": 0.9,
                    "aligned": True,
                },
                {"word": " speech.", "start": 1.25, "end": 1.5, "probability": 0.9},
            ],
        }
    ]  # fmt: skip


def test_a_session_without_end_keeps_the_captions_that_were_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revision, "MAX_SEGMENTS", 1)
    bench.hear(*said("one", 1.0), *said("two", 3.0, utterance_id=2))
    bench.hear(SpeakersRevised((SpeakerTurn(3.0, 4.0, "A"),)))
    bench.record.end(Ending.COMPLETE)

    assert "A: " not in bench.text("srt")


@UNHURRIED
@given(histories(SPACED, (None, "A", "B")))
def test_the_files_are_those_of_the_whole_transcript_at_every_moment(
    tmp_path_factory: pytest.TempPathFactory, history: History
) -> None:
    bench = Bench(tmp_path_factory.mktemp("record"))
    transcript = Transcript()
    segments: list[Segment] = []
    for batch in history.batches:
        bench.hear(*batch)
        segments += [segment for event in batch for segment in transcript.apply(event)]
        cues = captions(filter(None, map(passage_of, segments)))
        blocks = [srt_block(number, cue) for number, cue in enumerate(cues, start=1)]
        assert bench.text("srt") == "\n".join(blocks)
        assert bench.text("vtt") == "\n".join([VTT_HEADER, *map(vtt_block, cues)])
        lines = [line["text"] for line in bench.lines if line["type"] == "segment"]
        assert lines == [segment.text.strip() for segment in segments]
    bench.record.end(Ending.COMPLETE)
