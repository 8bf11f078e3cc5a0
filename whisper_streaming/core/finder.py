"""Where the utterances of a stream begin and end."""

from collections import deque
from collections.abc import Iterable

from whisper_streaming.core.audio import samples_of
from whisper_streaming.core.endpoint import Boundary, BoundaryKind, Endpointer, EndpointRules


class UtteranceFinder:
    """Queues the boundaries that the endpointer hears until the session gets to them.

    With ``withholds_silence`` an utterance is speech and some audio around it. Without it
    utterances follow each other without a pause, so that all audio is in one, and the
    endpointer only says where to cut.
    """

    def __init__(self, rules: EndpointRules, *, withholds_silence: bool) -> None:
        self.withholds_silence = withholds_silence
        self._endpointer = Endpointer(rules)
        self._boundaries: deque[Boundary] = deque()
        self._pre_roll = samples_of(rules.pre_roll_s)
        self._post_roll = samples_of(rules.post_roll_s)
        self._free_from = 0  # the next utterance may not reach back behind this sample

    @property
    def free_from(self) -> int:
        """Where the last utterance ended."""
        return self._free_from

    @property
    def has_candidate(self) -> bool:
        """Whether there is speech that is still too short to be an utterance."""
        return self._endpointer.candidate_start is not None

    @property
    def keeps_from(self) -> int:
        """While no utterance is open: first sample that one may still reach back to."""
        heard = self._endpointer.candidate_start
        if heard is None:
            heard = self._endpointer.heard_sample
        return max(self._free_from, heard - self._pre_roll)

    @property
    def speech_start(self) -> int | None:
        """Where speech begins behind the boundaries that were taken; None if it is not known."""
        if self._boundaries:
            first = self._boundaries[0]
            return first.sample if first.kind is BoundaryKind.START else None
        return self._endpointer.speech_start

    @property
    def quiet_from(self) -> int | None:
        """While open speech pauses, and long enough to be heard out: where that audio ends."""
        quiet = self._endpointer.speech_end
        if quiet is None:
            return None
        quiet += self._post_roll
        return quiet if self._endpointer.heard_sample >= quiet else None

    def receive(self, speech_probs: Iterable[float]) -> None:
        """Judge the next frames."""
        self._boundaries.extend(self._endpointer.receive(speech_probs))

    def end_here(self, received: int) -> None:
        """End open speech, however short, at ``received``; the endpointer starts anew."""
        start = self._endpointer.candidate_start
        if start is not None:
            self._boundaries.append(Boundary(BoundaryKind.START, start, received))
        if start is not None or self._endpointer.in_speech or not self.withholds_silence:
            speech_end = self._endpointer.speech_end
            end = received if speech_end is None or not self.withholds_silence else speech_end
            self._boundaries.append(Boundary(BoundaryKind.END, end, received))
        self._endpointer.reset()

    def next_start(self, received: int) -> tuple[int, int] | None:
        """Window start and speech start of the next utterance, if there is one.

        Args:
            received: Samples received so far.
        """
        if not self.withholds_silence:
            while self._boundaries and self._until(self._boundaries[0]) <= self._free_from:
                self._boundaries.popleft()
            return (self._free_from, self._free_from) if received > self._free_from else None
        start = self._next(BoundaryKind.START)
        if start is None:
            return None
        return max(self._free_from, start.sample - self._pre_roll), start.sample

    def next_end(self) -> int | None:
        """Where the open utterance ends, if that is known."""
        end = self._next(BoundaryKind.END)
        return None if end is None else self._until(end)

    def join_next(self, latest_start: int, latest_detection: int) -> bool:
        """Forget the start of the next utterance, so that the one before it goes on.

        Args:
            latest_start: An utterance that starts later is left alone.
            latest_detection: One that is known only later than this sample is left alone too.

        Returns:
            Whether there was such an utterance.
        """
        if not self._boundaries or self._boundaries[0].kind is BoundaryKind.END:
            return False
        start = self._boundaries[0]
        if start.sample > latest_start or start.detected_sample > latest_detection:
            return False
        return self._next(BoundaryKind.START) is not None

    def close(self, end: int) -> None:
        """The open utterance took the audio before ``end``."""
        self._free_from = end

    def _until(self, boundary: Boundary) -> int:
        """First sample for which ``boundary`` says nothing any more."""
        if boundary.kind is BoundaryKind.START:
            return boundary.detected_sample
        return min(boundary.sample + self._post_roll, boundary.detected_sample)

    def _next(self, kind: BoundaryKind) -> Boundary | None:
        while self._boundaries:
            boundary = self._boundaries.popleft()
            if boundary.kind is kind:
                return boundary
        return None
