"""What clients make of random sessions, whatever the server drained in one go."""

import json
import re
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.event_histories import CJK, SPACED, UNHURRIED, History, histories
from tests.wire.stock_client import StockClient
from tests.word_output import WordWatch
from whisper_streaming.core.events import SpeechStarted, UtteranceEnded, WordsCommitted
from whisper_streaming.core.hypothesis import Word, join_words
from whisper_streaming.core.transcript import Segment, Transcript
from whisper_streaming.wire.base import Welcome
from whisper_streaming.wire.whisper_live import WhisperLiveServerCodec
from whisper_streaming.wire.whisper_live_messages import (
    Segments,
    WireSegment,
    parse_server_message,
)

LIMITS = st.sampled_from([0, 1, 2, 10])


def messages_of(history: History, **options: object) -> list[list[str]]:
    """What the server sends for each batch of the history."""
    codec = WhisperLiveServerCodec()
    codec.receive(json.dumps({"uid": "u", **options}))
    return [codec.encode(batch) for batch in history.batches]


def segments_of(history: History) -> list[Segment]:
    transcript = Transcript()
    return [segment for event in history.events for segment in transcript.apply(event)]


def fold(messages: Sequence[str]) -> tuple[list[WireSegment], WireSegment | None]:
    """Completed segments by their start, and the open one, as our client keeps them."""
    completed: dict[float, WireSegment] = {}
    opened: WireSegment | None = None
    for text in messages:
        message = parse_server_message(text)
        assert isinstance(message, Segments)
        opened = None
        for segment in message.segments:
            if not segment.completed:
                opened = segment
                continue
            # As observers do that know a segment by its start in hundredths.
            known = completed.setdefault(round(segment.start, 2), segment)
            assert known == segment, "a completed segment changed"
    return [completed[start] for start in sorted(completed)], opened


@UNHURRIED
@given(history=histories(SPACED) | histories(CJK), limit=LIMITS)
def test_a_stock_client_ends_with_every_segment_and_no_stale_cue(
    history: History, limit: int
) -> None:
    codec = WhisperLiveServerCodec()
    codec.receive(json.dumps({"uid": "u", "send_last_n_segments": limit}))
    client = StockClient(uid="u")
    for message in codec.welcome(Welcome(engine="scripted", model="demo")):
        client.on_message(message)

    for batch in history.batches:
        for message in codec.encode(batch):
            client.on_message(message)

    texts = [segment.text.strip() for segment in segments_of(history)]
    assert [str(segment["text"]).strip() for segment in client.transcript] == texts
    # With nothing said at all, a withdrawn guess leaves an empty cue at worst.
    assert [text.strip() for text in client.subtitles() if text] == texts


@UNHURRIED
@given(history=histories(SPACED) | histories(CJK), limit=LIMITS)
def test_our_client_ends_with_every_segment_and_nothing_open(history: History, limit: int) -> None:
    options = {"numeric_times": True, "summary": True, "send_last_n_segments": limit}

    batches = messages_of(history, **options)

    completed, opened = fold([message for batch in batches for message in batch])
    expected = segments_of(history)
    assert [(s.start, s.end) for s in completed] == [(s.start, s.end) for s in expected]
    assert [s.text.strip() for s in completed] == [s.text.strip() for s in expected]
    assert opened is None
    for batch, events in zip(batches, history.batches, strict=True):
        words = sum(len(event.words) for event in events if isinstance(event, WordsCommitted))
        # One message tells of a batch, unless it completes more segments than a message may list.
        assert len(batch) <= 1 or words + 1 >= limit


@UNHURRIED
@given(
    history=histories(SPACED),
    limit=LIMITS,
    summary=st.booleans(),
    word_timestamps=st.booleans(),
)
def test_what_is_committed_only_grows(
    history: History, limit: int, summary: bool, word_timestamps: bool
) -> None:
    options = {"summary": summary, "word_timestamps": word_timestamps}
    batches = messages_of(history, send_last_n_segments=limit, **options)
    words = [e.words for b in history.batches for e in b if isinstance(e, WordsCommitted)]
    said = "".join(join_words(spoken) for spoken in words)
    sent: list[str] = []
    stable = ""

    for message in (message for batch in batches for message in batch):
        sent.append(message)
        completed, opened = fold(sent)
        assert all(segment.text for segment in completed)
        newest = "".join(segment.text for segment in completed)
        if opened is not None:
            assert opened.committed_text is not None
            assert opened.text.startswith(opened.committed_text)
            newest += opened.committed_text
        # Glued text at the start of a segment may get a space before it.
        assert re.sub(" ", "", newest).startswith(re.sub(" ", "", stable))
        assert re.sub(" ", "", said).startswith(re.sub(" ", "", newest))
        stable = newest

    assert re.sub(" ", "", stable) == re.sub(" ", "", said)


@UNHURRIED
@given(history=histories(SPACED) | histories(CJK), limit=LIMITS, summary=st.booleans())
def test_messages_are_well_formed(history: History, limit: int, summary: bool) -> None:
    batches = messages_of(
        history, send_last_n_segments=limit, summary=summary, word_timestamps=True
    )
    messages = [message for batch in batches for message in batch]

    for message in messages:
        fields = json.loads(message)
        assert list(fields) == ["uid", "segments"]
        assert fields["segments"] or summary
        assert all(segment["completed"] for segment in fields["segments"][:-1])
        clock = 0.0
        for segment in fields["segments"]:
            assert re.fullmatch(r"\d+\.\d{3}", segment["start"])
            assert float(segment["start"]) >= clock
            clock = float(segment["end"])
    assert all(a != b for a, b in pairwise(messages))


@UNHURRIED
@given(
    history=histories(SPACED) | histories(CJK),
    limit=LIMITS,
    summary=st.booleans(),
    numeric_times=st.booleans(),
)
def test_words_keep_their_promises_in_every_message(
    history: History, limit: int, summary: bool, numeric_times: bool
) -> None:
    batches = messages_of(
        history,
        send_last_n_segments=limit,
        summary=summary,
        numeric_times=numeric_times,
        word_timestamps=True,
    )
    watch = WordWatch()

    for message in (message for batch in batches for message in batch):
        watch.receive(message)

    said = [e.words for b in history.batches for e in b if isinstance(e, WordsCommitted)]
    text = "".join(join_words(words) for words in said)
    assert "".join(word.word.strip() for word in watch.committed) == text.replace(" ", "")


def test_a_list_of_one_never_takes_committed_words_back() -> None:
    """They are shown as open ones; then two segments complete at once, and only one is listed."""
    texts = [" one", " two", " three", " four,", " five", " six", " seven"]
    spoken = tuple(Word(text, 0.9 * n, 0.9 * (n + 1)) for n, text in enumerate(texts))
    shown = (SpeechStarted(1, 0.0), WordsCommitted(1, spoken[:6]))
    rest = (WordsCommitted(1, spoken[6:]), UtteranceEnded(1, 6.3))
    history = History((*shown, *rest), (shown, rest))
    first, second = messages_of(history, send_last_n_segments=1, word_timestamps=True)
    watch = WordWatch()

    for message in (*first, *second):
        watch.receive(message)

    assert len(segments_of(history)) == 2
    assert len(second) > 1
    assert len(watch.committed) == 7
