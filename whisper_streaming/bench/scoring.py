"""From what clients received to numbers. The definitions are in docs/benchmarks.md."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from whisper_streaming.bench.job import Take
from whisper_streaming.bench.recordings import Recording
from whisper_streaming.bench.report import Value, percentiles
from whisper_streaming.errors import InvalidMessage
from whisper_streaming.evaluate import (
    CaptionLog,
    Latencies,
    WordErrors,
    spoken_words,
    word_errors,
)
from whisper_streaming.wire.whisper_live_messages import (
    Failure,
    Notice,
    Segments,
    Summary,
    parse_server_message,
)


@dataclass(frozen=True, slots=True)
class Score:
    """One transcription against what was said.

    Attributes:
        recording: Its name.
        audio_s: How long it is.
        errors: Of the final text against what was said.
        latencies: Of its words.
        erased: Words that were shown and then changed or taken back.
        final_words: Words of the final text.
        text: The final text.
        gaps: Stretches of audio that the server reported as lost.
        missing_samples: Samples that were sent and are not in the server's account, or lost; None
            if it gave none, as servers that are not ours.
        failure: Why the session is not whole; None if it is.
    """

    recording: str
    audio_s: float
    errors: WordErrors
    latencies: Latencies
    erased: int
    final_words: int
    text: str
    gaps: int = 0
    missing_samples: int | None = None
    failure: str | None = None


class Viewer:
    """Folds the messages of a WhisperLive server into what a viewer sees."""

    def __init__(self) -> None:
        self.captions = CaptionLog()
        self.gaps = 0
        self.summary: Summary | None = None
        self.failure: str | None = None
        self._completed: dict[float, str] = {}
        self._committed = ""
        self._shown = ""

    @property
    def committed(self) -> str:
        """The final text so far."""
        return self._committed

    @property
    def shown(self) -> str:
        """The whole text that is on the screen."""
        return self._shown

    def receive(self, at: float, message: str) -> None:
        """Take the next message, which came at ``at`` seconds from the first sample.

        Raises:
            InvalidMessage: If it is none.
        """
        match parse_server_message(message):
            case Segments() as segments:
                self._see(at, segments)
            case Notice(gap_start=float()):
                self.gaps += 1
            case Failure(message=reason):
                self.failure = reason
            case Summary() as summary:
                self.summary = summary

    def _see(self, at: float, segments: Segments) -> None:
        stable = rest = ""
        for segment in segments.segments:
            if segment.completed:
                # A message lists the newest segments only, each with the same start every time.
                self._completed[round(segment.start, 2)] = segment.text
            else:
                stable = segment.committed_text or ""
                rest = segment.text.removeprefix(stable)
        completed = " ".join(text for _, text in sorted(self._completed.items()))
        self._committed = f"{completed} {stable}"
        self._shown = f"{self._committed} {rest}"
        self.captions.add(at, self._committed, self._shown, completed)


def score_take(take: Take, recording: Recording, *, keeps_partial: bool = False) -> Score:
    """Judge one live session.

    Args:
        take: What its client received.
        recording: What was streamed.
        keeps_partial: The final text has what was shown last too, as WhisperLive's own client
            writes it to its files.
    """
    viewer = Viewer()
    failure = take.failure
    try:
        for at, message in take.messages:
            viewer.receive(at, message.decode())
    except (InvalidMessage, UnicodeDecodeError) as error:
        failure = failure or str(error)
    text = viewer.shown if keeps_partial else viewer.committed
    summary = viewer.summary
    missing = (
        None if summary is None else len(recording.samples) - summary.decoded - summary.silence
    )
    return score(
        recording,
        viewer.captions,
        text,
        gaps=viewer.gaps,
        missing_samples=missing,
        failure=failure or viewer.failure,
    )


def score(
    recording: Recording,
    captions: CaptionLog,
    text: str,
    *,
    gaps: int = 0,
    missing_samples: int | None = None,
    failure: str | None = None,
) -> Score:
    """Judge what a viewer saw, and the final text."""
    words = spoken_words([(word.text, word.end) for word in recording.words])
    return Score(
        recording=recording.name,
        audio_s=recording.duration_s,
        errors=word_errors([word.text for word in words], text),
        latencies=captions.latencies(words, recording.utterance_ends),
        erased=captions.erased,
        final_words=len(captions.final_words),
        text=text.strip(),
        gaps=gaps,
        missing_samples=missing_samples,
        failure=failure,
    )


def totals(scores: Sequence[Score]) -> dict[str, Value]:
    """Everything over all sessions, as values of a row."""
    missing = [s.missing_samples for s in scores if s.missing_samples is not None]
    return {
        **percentiles("commit", _all(score.latencies.commit for score in scores)),
        **percentiles("first", _all(score.latencies.first for score in scores)),
        **percentiles("complete", _all(score.latencies.complete for score in scores)),
        **percentiles("endpoint", _all(score.latencies.endpoint for score in scores)),
        "erasure": _ratio(sum(s.erased for s in scores), sum(s.final_words for s in scores)),
        "wer": _ratio(
            sum(s.errors.errors for s in scores), sum(s.errors.reference_words for s in scores)
        ),
        "deleted": sum(s.errors.deletions for s in scores),
        "lost_tail": sum(s.errors.lost_tail for s in scores),
        "gaps": sum(s.gaps for s in scores),
        "missing_samples": sum(missing) if missing else None,
        "failed": sum(s.failure is not None for s in scores),
    }


def wer_against(scores: Sequence[Score], texts: Mapping[str, str]) -> float:
    """Word errors of the sessions when ``texts``, by recording, are taken for the truth."""
    counted = [word_errors(texts[each.recording], each.text) for each in scores]
    return _ratio(sum(e.errors for e in counted), sum(e.reference_words for e in counted))


def score_details(scores: Sequence[Score]) -> list[dict[str, object]]:
    """Each session, for the details of a report."""
    return [
        {
            "recording": each.recording,
            "words": each.errors.reference_words,
            "substitutions": each.errors.substitutions,
            "insertions": each.errors.insertions,
            "deletions": each.errors.deletions,
            "lost_tail": each.errors.lost_tail,
            "erased": each.erased,
            "gaps": each.gaps,
            "missing_samples": each.missing_samples,
            "failure": each.failure,
            "text": each.text,
            "commit_s": _rounded(each.latencies.commit),
            "first_s": _rounded(each.latencies.first),
            "complete_s": _rounded(each.latencies.complete),
            "endpoint_s": _rounded(each.latencies.endpoint),
        }
        for each in scores
    ]


def _all(values: Iterable[Iterable[float]]) -> list[float]:
    return [value for each in values for value in each]


def _ratio(part: int, whole: int) -> float:
    return round(part / max(1, whole), 5)


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 3) for value in values]
