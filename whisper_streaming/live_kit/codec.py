"""A session's input and output as a program in the same process has them: bytes and states."""

from collections.abc import Sequence
from dataclasses import replace

from whisper_streaming.core.events import Event
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import WhisperStreamingError
from whisper_streaming.wire.any_audio import AnyAudioReader
from whisper_streaming.wire.base import Audio, Command, EncodedAudio, EndOfAudio
from whisper_streaming.wire.pcm import PcmReader
from whisper_streaming.wire.whisper_live_kit_lines import Retention
from whisper_streaming.wire.whisper_live_kit_messages import FrontData
from whisper_streaming.wire.whisper_live_kit_states import StateFeed


class FrontDataCodec:
    """What ``/asr`` sends as JSON, as objects that belong to the program.

    Args:
        rules: When a line is completed.
        for_diffs: For a program that sends diffs.
        retention: Which lines are kept; None is as much as the mode needs.
        pcm_input: Whether the bytes are raw samples, or a container; None tells by the first.
    """

    def __init__(
        self,
        rules: SegmentRules,
        *,
        for_diffs: bool,
        retention: Retention | None,
        pcm_input: bool | None,
    ) -> None:
        self._pcm_input = pcm_input
        self._pcm = PcmReader("int16")
        self._any = AnyAudioReader(self._pcm)
        self._feed = StateFeed(rules, for_diffs=for_diffs, retention=retention)

    def receive(self, message: str | bytes) -> list[Command]:
        assert isinstance(message, bytes)  # nobody else sends here
        if not message:
            return [*self._any.finish(), EndOfAudio()]
        match self._pcm_input:
            case None:
                return self._any.read(message)
            case False:
                return [EncodedAudio(message)]
        samples = self._pcm.read(message)
        return [Audio(samples)] if len(samples) else []

    def begin(self, notices: Sequence[str]) -> list[FrontData]:
        """The first state."""
        return [_copy(self._feed.begin(notices))]

    def encode(self, events: Sequence[Event], lag_s: float = 0.0) -> list[FrontData]:
        return _copies(self._feed.apply(events, lag_s))

    def fail(self, error: WhisperStreamingError) -> list[FrontData]:
        """The state that says why; none if it was told."""
        return _copies(self._feed.fail(error.public_reason))


def _copies(state: FrontData | None) -> list[FrontData]:
    return [] if state is None else [_copy(state)]


def _copy(state: FrontData) -> FrontData:
    # A program may change what it gets; what it was told is remembered.
    return replace(state, lines=[*state.lines])
