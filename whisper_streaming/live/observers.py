"""Who else hears what a session says: forwarding to a service, and other ways out of the server."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.events import Event, LanguageDetected
from whisper_streaming.core.transcript import Segment, SegmentRules, Transcript
from whisper_streaming.live.input_end import Ending


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What is known of a session when it begins.

    Attributes:
        id: Unlike that of any other session, also of other servers and after a restart.
        uid: The client's own name for it; anything, of any length.
        model: The model that serves it.
        task: ``"transcribe"`` or ``"translate"``.
        language: The spoken language; None while it is to be detected.
        began: With its time zone.
    """

    id: str
    uid: str
    model: str
    task: str
    language: str | None
    began: datetime


class SessionObserver(Protocol):
    """Hears one session from its first event to its end.

    Called in the event loop, between the session's own steps: every call returns at once and
    raises nothing. What takes time belongs into a queue with a bound and a task of its own.
    """

    def receive_audio(self, samples: FloatArray) -> None:
        """The next samples, before any event about them.

        Args:
            samples: float32, shape (n,), mono, 16 kHz; silence in place of what was missing in a
                container comes, too, so that the samples make up the session's clock.
        """
        ...

    def receive(self, events: Sequence[Event]) -> None:
        """The next events, in order. The client may get them later, or never."""
        ...

    def end(self, ending: Ending) -> None:
        """Nothing follows. Called once, however the session ended.

        Args:
            ending: Why it took no more audio. A client that said its last word and left is
                ``COMPLETE`` here; a session that broke is ``FAILED``, and may have no terminal
                event.
        """
        ...


ObserveSession = Callable[[SessionFacts], SessionObserver]
"""Makes the observer of a session that begins."""


class SegmentFeed:
    """A session's events as completed segments: each once, in order, the open one at the end.

    The segments are those that the client sees, because the rules are the same.

    Args:
        language: The spoken language; None while it is to be detected.
        rules: When a segment is completed.
        take: Gets each segment, and the language as far as it is known.
        end: Called after the last one.
    """

    def __init__(
        self,
        language: str | None,
        rules: SegmentRules,
        take: Callable[[Segment, str | None], None],
        end: Callable[[], None] = lambda: None,
    ) -> None:
        self._language = language
        self._transcript = Transcript(rules, retain=1)
        self._take = take
        self._end = end

    def receive_audio(self, samples: FloatArray) -> None:
        """See :class:`SessionObserver`."""

    def receive(self, events: Sequence[Event]) -> None:
        """See :class:`SessionObserver`."""
        for event in events:
            if isinstance(event, LanguageDetected):
                self._language = event.language
            self._pass_on(self._transcript.apply(event))

    def end(self, ending: Ending) -> None:
        """See :class:`SessionObserver`."""
        self._pass_on(self._transcript.complete_open())
        self._end()

    def _pass_on(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            self._take(segment, self._language)
