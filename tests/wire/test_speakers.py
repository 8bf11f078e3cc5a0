"""Who speaks, and who spoke after all, on the way to clients of both protocols."""

import json
from collections.abc import Iterator, Sequence

import pytest

from tests.wire.live_kit_client import LiveKitClient
from whisper_streaming.client.conversation import ClientSession, SessionOptions
from whisper_streaming.core.events import (
    Event,
    SpeakersRevised,
    SpeakerTurn,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word, Words
from whisper_streaming.core.transcript import Segment, Transcript
from whisper_streaming.wire.base import Configure, Welcome
from whisper_streaming.wire.whisper_live import WhisperLiveServerCodec
from whisper_streaming.wire.whisper_live_kit import WhisperLiveKitCodec

A, B = "SPEAKER_00", "SPEAKER_01"


def words(text: str, start: float, speaker: str) -> Words:
    """Words of half a second each."""
    return tuple(
        Word(f" {piece}", start + n / 2, start + (n + 1) / 2, speaker=speaker)
        for n, piece in enumerate(text.split())
    )


def said(text: str, start: float, speaker: str) -> list[Event]:
    """An utterance that completes as one segment."""
    spoken = words(text, start, speaker)
    return [WordsCommitted(int(start), spoken), UtteranceEnded(int(start), spoken[-1].end)]


def revised(*turns: tuple[float, float, str]) -> SpeakersRevised:
    return SpeakersRevised(tuple(SpeakerTurn(*turn) for turn in turns))


def open_session(**options: object) -> tuple[ClientSession, WhisperLiveServerCodec]:
    """Our client and its codec on the server, ready."""
    session, codec = ClientSession(SessionOptions()), WhisperLiveServerCodec()
    codec.receive(json.dumps(json.loads(session.opening_message()) | options))
    tell(session, codec.welcome(Welcome("scripted", "model")))
    return session, codec


def tell(session: ClientSession, messages: Sequence[str]) -> None:
    for message in messages:
        session.receive(message)


def speakers(session: ClientSession) -> list[tuple[str, str | None]]:
    return [(each["text"], each.get("speaker")) for each in session.update().segments]


@pytest.mark.parametrize(
    ("span", "speaker"),
    [
        pytest.param((1.0, 2.0), B, id="all of it"),
        pytest.param((0.0, 2.0), B, id="half of it"),
        pytest.param((0.0, 2.5), None, id="less than half"),
        pytest.param((2.0, 3.0), None, id="only a border"),
        pytest.param((1.5, 1.5), B, id="no length"),
        pytest.param((3.0, 3.0), None, id="no length, outside"),
        pytest.param((3.0, 6.5), A, id="most of it, by several turns"),
    ],
)
def test_a_revision_holds_for_what_lies_in_its_turns(
    span: tuple[float, float], speaker: str | None
) -> None:
    revision = revised((1.0, 2.0, B), (4.0, 5.0, A), (5.0, 6.0, A), (7.0, 8.0, B))

    assert revision.speaker_of(*span) == speaker


def test_only_turns_nearby_are_looked_at() -> None:
    """After hours there are thousands, and each word of a second look asks."""
    looked_at = 0

    class Turns(tuple[SpeakerTurn, ...]):
        __slots__ = ()

        def __getitem__(self, index: int) -> SpeakerTurn:  # type: ignore[override]
            nonlocal looked_at
            looked_at += 1
            return super().__getitem__(index)

        def __iter__(self) -> Iterator[SpeakerTurn]:
            return (self[index] for index in range(len(self)))

    revision = SpeakersRevised(Turns(SpeakerTurn(n, n + 0.5, B) for n in range(1000)))

    assert [revision.speaker_of(n, n + 0.5) for n in (0, 500, 999)] == [B, B, B]
    assert looked_at < 60


def test_open_words_get_their_speaker_and_segments_end_where_it_changes() -> None:
    transcript = Transcript()
    transcript.apply(WordsCommitted(1, words("yes no yes", 0.0, A)))

    completed = transcript.apply(revised((0.5, 1.0, B)))

    assert [_named(segment) for segment in completed] == [(" yes", A), (" no", B)]
    assert transcript.open_segment is not None
    assert (transcript.open_segment.text, transcript.open_segment.speaker) == (" yes", A)


def test_completed_segments_stay_as_they_are() -> None:
    transcript = Transcript()
    for event in said("good morning", 0.0, A):
        transcript.apply(event)

    assert transcript.apply(revised((0.0, 1.0, B))) == ()
    assert [segment.speaker for segment in transcript.completed] == [A]


def test_our_client_learns_who_spoke_after_all() -> None:
    session, codec = open_session()
    tell(session, codec.encode([*said("good morning", 0, A), *said("good night", 2, A)]))
    before = session.update()

    tell(session, codec.encode([revised((2.0, 2.5, B), (2.5, 3.0, B))]))

    assert speakers(session) == [(" good morning", A), (" good night", B)]
    assert [each.get("speaker") for each in before.segments] == [A, A]
    # The server lists the segment again as it was; that is no news.
    tell(session, codec.encode(said("and so on", 4, B)))
    assert speakers(session) == [(" good morning", A), (" good night", B), (" and so on", B)]


def test_a_revision_follows_the_segments_that_it_is_about() -> None:
    session, codec = open_session()

    tell(session, codec.encode([*said("good morning", 0, A), revised((0.0, 1.0, B))]))

    assert speakers(session) == [(" good morning", B)]


def test_a_stock_client_keeps_what_it_was_told() -> None:
    codec = WhisperLiveServerCodec()
    codec.receive(json.dumps({"uid": "u"}))
    codec.encode(said("good morning", 0, A))

    assert codec.encode([revised((0.0, 1.0, B))]) == []


def test_a_client_says_that_it_wants_speakers_and_how_many() -> None:
    codec = WhisperLiveServerCodec()

    (command,) = codec.receive(
        json.dumps({"uid": "u", "enable_diarization": True, "max_speakers": 3})
    )

    assert isinstance(command, Configure)
    assert (command.wants_speakers, command.max_speakers) == (True, 3)


@pytest.mark.parametrize("query", ["", "mode=diff"])
def test_lines_change_their_speaker(query: str) -> None:
    codec, client = WhisperLiveKitCodec(query), LiveKitClient()
    messages = [
        *codec.encode([*said("good morning", 0, A), *said("good night", 2, A)]),
        *codec.encode([revised((2.0, 3.0, B))]),
        *codec.encode(said("and so on", 4, B)),
    ]
    for message in messages:
        client.on_message(json.loads(message))

    lines = [(line["text"].strip(), line["speaker"]) for line in client.state["lines"]]
    assert lines == [("good morning", 1), ("good night", 2), ("and so on", 2)]


def _named(segment: Segment) -> tuple[str, str | None]:
    return segment.text, segment.speaker
