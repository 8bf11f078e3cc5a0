"""Records a session, and sends a better transcript when it has ended."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from whisper_streaming.config import SecondPassSettings
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of
from whisper_streaming.core.events import (
    Event,
    LanguageDetected,
    SessionEnded,
    SessionNotice,
    TranscriptRevised,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Words
from whisper_streaming.errors import SlowConsumer, WhisperStreamingError
from whisper_streaming.live.stages import (
    NEWS_S,
    SECOND_LOOK_GOES_ON,
    CreateStage,
    Emit,
    EventSource,
    StageContext,
)
from whisper_streaming.second_pass.recording import Recording
from whisper_streaming.second_pass.reviser import Reviser, RevisionRules
from whisper_streaming.vad import Vad

_NOT_KEPT: Final = "the audio could not be kept"
_FLUSH_SAMPLES: Final = 5 * SAMPLE_RATE
"""Samples that wait in memory."""

CreateReviser = Callable[[Recording, Sequence[str]], Reviser]
"""Makes what looks at a recording again, in the languages that were spoken."""


@dataclass(slots=True)
class SecondPassStats:
    """What was done so far.

    Attributes:
        running: Second looks now.
        done: Sessions that got a better transcript.
        failed: Sessions that should have got one.
    """

    running: int = 0
    done: int = 0
    failed: int = 0


class SecondPass:
    """Makes the stage of each session.

    Args:
        settings: What is kept, and how long a second look may take.
        vad: Finds speech in recordings.
        knows_voices: Whether it tells a voice from other sound.
        relabel: Make the stages that align words and name speakers.
        is_recorded: Sessions are recorded, so that each of them gets a second look.
    """

    def __init__(
        self,
        settings: SecondPassSettings,
        vad: Vad,
        *,
        knows_voices: bool,
        relabel: Sequence[CreateStage],
        is_recorded: bool = False,
    ) -> None:
        self._settings = settings
        self._vad = vad
        self._knows_voices = knows_voices
        self._relabel = relabel
        self._is_recorded = is_recorded
        self._stats = SecondPassStats()

    def create_stage(self, context: StageContext) -> "SecondPassStage | None":
        """For a session that begins; None if nobody would see the result, and all would wait."""
        if not (context.wishes.takes_revision or self._is_recorded):
            return None
        return SecondPassStage(
            lambda recording, languages: self._create_reviser(context, recording, languages),
            self._settings,
            context,
            self._stats,
        )

    def describe(self) -> dict[str, object]:
        """For the status page."""
        return asdict(self._stats)

    def _create_reviser(
        self, context: StageContext, recording: Recording, languages: Sequence[str]
    ) -> Reviser:
        setup = context.setup
        options = replace(setup.session.options, language=next(reversed(languages), None))
        if setup.session.language.is_per_utterance and len(languages) > 1:
            options = replace(options, language=None, candidates=tuple(languages))
        context = replace(
            context,
            setup=replace(setup, session=replace(setup.session, options=options)),
        )
        stages = [create(context) for create in self._relabel]
        return Reviser(
            recording,
            RevisionRules(
                options=options,
                profile=setup.model.profile,
                endpoint=setup.session.endpoint,
                beam_size=self._settings.beam_size,
                knows_voices=self._knows_voices,
            ),
            context.decoder,
            self._vad.open_stream(),
            [stage for stage in stages if stage is not None],
        )


class SecondPassStage:
    """Holds the end of a session until the second look is done, or given up.

    Args:
        create_reviser: Makes what looks again.
        settings: The limits.
        context: Of the session.
        stats: Shared by all sessions.
    """

    def __init__(
        self,
        create_reviser: CreateReviser,
        settings: SecondPassSettings,
        context: StageContext,
        stats: SecondPassStats,
    ) -> None:
        self._create_reviser = create_reviser
        self._settings = settings
        self._log = context.log
        self._stopping = context.stopping
        self._stats = stats
        given = context.setup.session.options.language
        self._languages = [] if given is None else [given]  # the newest last
        self._has_words = False
        self._recording = Recording(samples_of(settings.max_audio_s))
        self._has_much = asyncio.Event()  # to write
        self._fault: str | None = None  # why the audio is not kept any more

    def receive_audio(self, samples: FloatArray) -> None:
        """See :class:`~whisper_streaming.live.stages.Stage`."""
        if self._fault is None:
            self._recording.append(samples)
            if self._recording.waiting >= _FLUSH_SAMPLES:
                self._has_much.set()

    async def run(self, source: EventSource, emit: Emit) -> None:
        """See :class:`~whisper_streaming.live.stages.Stage`."""
        keeping = asyncio.create_task(self._keep(), name="keep audio")
        try:
            while events := await source.take():
                for event in events:
                    self._note(event)
                    if isinstance(event, SessionEnded):
                        keeping.cancel()
                        await asyncio.wait({keeping})
                        await self._look_again(emit)
                    emit([event])
        finally:
            keeping.cancel()
            # It may have to wait for a disk that is slow at what another thread writes.
            await asyncio.to_thread(self._recording.close)

    def _note(self, event: Event) -> None:
        match event:
            case WordsCommitted():
                self._has_words = True
            case LanguageDetected(language=language):
                self._languages = [*(one for one in self._languages if one != language), language]

    async def _keep(self) -> None:
        """Write the audio while it comes."""
        try:
            while True:
                await self._has_much.wait()
                self._has_much.clear()
                await asyncio.to_thread(self._recording.flush)
        except OSError as error:
            self._log.warning("audio is not kept: %s", error)
            self._fault = _NOT_KEPT
            self._recording.close()

    async def _look_again(self, emit: Emit) -> None:
        if not self._recording.samples:
            return
        self._stats.running += 1
        try:
            utterances = await self._within_limits(emit)
        except SlowConsumer:  # of a sign of life
            raise
        except (_GivenUp, WhisperStreamingError) as error:
            self._log.warning("no second look at the session: %s", error)
            reason = error.public_reason if isinstance(error, WhisperStreamingError) else str(error)
            self._tell_failure(reason, emit)
        except Exception:  # noqa: BLE001 - the boundary: what was said live is complete without it
            self._log.exception("! a second look broke, which is a fault of this program")
            self._tell_failure("it failed", emit)
        else:
            self._stats.done += 1
            emit([TranscriptRevised(utterances, next(reversed(self._languages), None))])
        finally:
            self._stats.running -= 1

    def _tell_failure(self, reason: str, emit: Emit) -> None:
        self._stats.failed += 1
        emit([SessionNotice(f"there is no second look at this session: {reason}")])

    async def _within_limits(self, emit: Emit) -> tuple[Words, ...]:
        """Look again, with a sign of life now and then, until there is no time left.

        Raises:
            _GivenUp: Why there is no result.
            WhisperStreamingError: If the backend fails.
            SlowConsumer: If the client takes no sign of life.
            OSError: If the recording cannot be read.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + self._settings.timeout_s
        looking = asyncio.create_task(self._transcribe(), name="second look")
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while not looking.done():
                await asyncio.wait(
                    {looking, stopping},
                    timeout=max(0.0, min(NEWS_S, end - clock())),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if looking.done():
                    break
                if stopping.done():
                    raise _GivenUp("the server stops")
                if clock() >= end:
                    raise _GivenUp(f"it took longer than {self._settings.timeout_s:g} s")
                emit([SECOND_LOOK_GOES_ON])
            return looking.result()
        finally:
            looking.cancel()
            stopping.cancel()
            await asyncio.wait({looking, stopping})

    async def _transcribe(self) -> tuple[Words, ...]:
        if self._fault is not None:
            raise _GivenUp(self._fault)
        if not self._recording.is_whole:
            raise _GivenUp(f"it is longer than {self._settings.max_audio_s / 3600:g} hours")
        try:
            await asyncio.to_thread(self._recording.flush)
        except OSError as error:
            self._log.warning("audio is not kept: %s", error)
            raise _GivenUp(_NOT_KEPT) from error
        utterances = await self._create_reviser(self._recording, self._languages).utterances()
        if self._has_words and not any(utterances):
            raise _GivenUp("it heard nothing")  # which is no better transcript
        return utterances


class _GivenUp(Exception):
    """Why there is no second look, in words for the client."""
