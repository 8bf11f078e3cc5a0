"""Where every received sample went."""

from whisper_streaming.core.events import AudioAccount


class AudioLedger:
    """Books each sample once, in clock order: decoded, silence, or gap.

    Windows overlap and move forward, so one cursor is enough: what lies before it is booked.
    """

    def __init__(self) -> None:
        self._cursor = 0
        self._decoded = 0
        self._silence = 0
        self._gap = 0

    @property
    def cursor(self) -> int:
        """Clock position up to which all samples are booked."""
        return self._cursor

    def book_decoded(self, start: int, end: int) -> None:
        """[``start``, ``end``) was decoded; what was skipped before it is silence."""
        self.book_silence(start)
        self._decoded += max(0, end - self._cursor)
        self._cursor = max(self._cursor, end)

    def book_gap(self, start: int, end: int) -> tuple[int, int] | None:
        """[``start``, ``end``) could not be decoded; return the part that nobody decoded before."""
        self.book_silence(start)
        lost = (self._cursor, end)
        if lost[0] >= lost[1]:
            return None
        self._gap += lost[1] - lost[0]
        self._cursor = end
        return lost

    def book_silence(self, end: int) -> None:
        """Everything up to ``end`` that is not booked yet held no speech."""
        self._silence += max(0, end - self._cursor)
        self._cursor = max(self._cursor, end)

    def close(self, received: int) -> AudioAccount:
        """The account of a finished stream of ``received`` samples."""
        self.book_silence(received)
        return AudioAccount(received, self._decoded, self._silence, self._gap)
