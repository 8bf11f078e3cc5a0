"""Which states a WhisperLiveKit client is told, and when: over ``/asr``, and as Python objects."""

from collections.abc import Sequence
from dataclasses import replace

from whisper_streaming.core.events import AudioGap, Event, InputImpaired, SessionNotice
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.wire.input_notices import INPUT_NOTICES, describe_gap
from whisper_streaming.wire.whisper_live_kit_lines import (
    DIFF_RETENTION,
    FULL_RETENTION,
    LineView,
    Retention,
)
from whisper_streaming.wire.whisper_live_kit_messages import FrontData


class StateFeed:
    """Folds a session's events into states; gives each once, when something changed.

    Args:
        rules: When a line is completed.
        for_diffs: States that a client gets as diffs: no line is listed before it is completed,
            because a line that was sent in a diff can only be taken back together with all others.
        retention: Which lines are kept; None is as much as the mode needs.
    """

    def __init__(
        self,
        rules: SegmentRules | None,
        *,
        for_diffs: bool,
        retention: Retention | None = None,
    ) -> None:
        self._view = LineView(
            rules,
            retention or (DIFF_RETENTION if for_diffs else FULL_RETENTION),
            has_open_line=not for_diffs,
        )
        self._told: FrontData | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the client was told a state."""
        return self._told is not None

    def begin(self, notices: Sequence[str] = ()) -> FrontData:
        """The first state, without a word."""
        state = self._view.state()
        return self._tell(state, notices) or state

    def apply(self, events: Sequence[Event], lag_s: float = 0.0) -> FrontData | None:
        """The state after ``events``; None if it is the one that was told last.

        Args:
            events: Partials may be left out of them, everything else must come in order.
            lag_s: Seconds of received speech that wait to be decoded.
        """
        notices: list[str] = []
        self._view.apply(events)
        for event in events:
            match event:
                case AudioGap():
                    notices.append(describe_gap(event))
                case InputImpaired(fault=fault):
                    notices.append(INPUT_NOTICES[fault])
                case SessionNotice(text=text):
                    notices.append(text)
        return self._tell(self._view.state(lag_s), notices)

    def fail(self, reason: str) -> FrontData | None:
        """The state that says why there will be no more; None if that was told. The first stays."""
        self._view.fail(reason)
        return self._tell(self._view.state())

    def _tell(self, state: FrontData, notices: Sequence[str] = ()) -> FrontData | None:
        """``state`` if it is news; notices are told once."""
        if state == self._told and not notices:
            return None
        self._told = state
        return replace(state, warning="; ".join(notices)) if notices else state
