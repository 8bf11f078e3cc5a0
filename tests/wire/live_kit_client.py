"""What a client of WhisperLiveKit makes of messages, by the rules that its documents give."""

from dataclasses import dataclass, field
from typing import Any

Fields = dict[str, Any]

# What a diff says besides what it does to the lines.
_ABOUT_THE_DIFF = ("type", "seq", "n_lines", "lines_pruned", "new_lines")


@dataclass
class LiveKitClient:
    """The state of one client; its ``state`` is what it shows."""

    state: Fields = field(default_factory=dict)
    seq: int = 0

    def on_message(self, message: Fields) -> None:
        match message.get("type"):
            case "snapshot":
                self._count(message)
                self.state = {k: v for k, v in message.items() if k not in ("type", "seq")}
            case "diff":
                self._count(message)
                self._apply(message)
            case None:
                self.state = dict(message)

    def _apply(self, diff: Fields) -> None:
        lines = list(self.state["lines"])
        assert diff.get("lines_pruned", 0) <= len(lines), "more is dropped than there is"
        del lines[: diff.get("lines_pruned", 0)]
        lines += diff.get("new_lines", [])
        assert len(lines) == diff["n_lines"], "out of step"
        self.state = {"lines": lines}
        self.state |= {key: value for key, value in diff.items() if key not in _ABOUT_THE_DIFF}

    def _count(self, message: Fields) -> None:
        expected = 1 if message["type"] == "snapshot" else self.seq + 1
        assert message["seq"] == expected, "a message is missing"
        self.seq = expected
