"""States as what changed since the one before: WhisperLiveKit's diff mode.

A client keeps a list of lines. Of a ``snapshot`` it takes all of them. At a ``diff`` it drops
``lines_pruned`` lines from the front, appends ``new_lines``, and replaces everything else; then it
has ``n_lines`` lines. There is no way to change a line in the middle, so what the client keeps must
be a beginning of the new list. Where a line changed that it has, it drops all and gets all anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from whisper_streaming.wire.whisper_live_kit_messages import FrontData, Json, Line


@dataclass(slots=True)
class DiffTracker:
    """One client's messages in diff mode. Any history of states is reconstructed exactly.

    Messages are small as long as lines are only added at the end and dropped from the front.

    Attributes:
        seq: Number of the newest message; the first is 1.
    """

    seq: int = 0
    _shown: list[Line] | None = field(default=None, init=False, repr=False)  # by the client

    def to_message(self, front_data: FrontData) -> Json:
        """The next message: a snapshot first, then diffs."""
        self.seq += 1
        lines = front_data.visible_lines()
        shown, self._shown = self._shown, lines
        if shown is None:
            return {"type": "snapshot", "seq": self.seq, **front_data.to_dict()}
        message: Json = {
            "type": "diff",
            "seq": self.seq,
            "status": str(front_data.status),
            "n_lines": len(lines),
            **front_data.volatile_fields(),
        }
        dropped = _lines_to_drop(shown, lines)
        if dropped:
            message["lines_pruned"] = dropped
        if new_lines := lines[len(shown) - dropped :]:
            message["new_lines"] = [line.to_dict() for line in new_lines]
        return message

    def reset(self) -> None:
        """Begin anew: the next message is a snapshot with ``seq`` 1."""
        self.seq = 0
        self._shown = None


def _lines_to_drop(shown: Sequence[Line], wanted: Sequence[Line]) -> int:
    """The fewest lines to drop from the front of ``shown`` so that ``wanted`` begins with the rest.

    All of them if nothing else helps.
    """
    for dropped in range(max(0, len(shown) - len(wanted)), len(shown)):
        # The first line alone tells nearly always: comparing all for each costs too much.
        if _look_same(shown[dropped], wanted[0]):
            kept = shown[dropped:]
            if kept == wanted[: len(kept)] or all(map(_look_same, kept, wanted)):
                return dropped
    return len(shown)


def _look_same(one: Line, other: Line) -> bool:
    """Whether a client sees the same: a difference of a millisecond does not travel."""
    return one == other or one.to_dict() == other.to_dict()
