"""One live transcription inside a program: bytes in, states out."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Final, NoReturn

from whisper_streaming.errors import InvalidMessage, SessionStateError, WhisperStreamingError
from whisper_streaming.live.session_setup import retention, segment_rules, set_up_session
from whisper_streaming.live_kit.codec import FrontDataCodec
from whisper_streaming.live_kit.engine import TranscriptionEngine
from whisper_streaming.live_kit.pipe import Slot
from whisper_streaming.live_kit.runtime import when_gone
from whisper_streaming.live_kit.session import ProgramSession
from whisper_streaming.wire.whisper_live_kit_messages import AsrQuery, FrontData

_PIECE_BYTES: Final = 2**18
_MODES: Final = ("full", "diff")

logger = logging.getLogger("whisper_streaming.session")


class AudioProcessor:
    """Transcribes one stream of audio. One event loop; make it anywhere, for each connection.

    ::

        processor = AudioProcessor(transcription_engine=engine)
        results = await processor.create_tasks()
        # one task: await processor.process_audio(data) for what comes, and b"" in the end
        # another:  async for state in results: ...
        await processor.cleanup()  # in a finally

    A processor that is forgotten without :meth:`cleanup` ends its audio.

    Args:
        transcription_engine: The loaded model.
        language: Whisper code, ``"auto"`` to detect it, or None (or empty) for the engine's.
        target_language: Language to translate the words to, beside the words, or None (or empty)
            for the engine's.
        prompt: Text that precedes the session, such as names; None for the engine's.
        hotwords: Words to favour.
        mode: ``"full"``: the last line of a state may grow; ``"diff"``: lines are listed when they
            are complete, so that a :class:`DiffTracker` has little to send.
        pcm_input: Whether the bytes are raw samples (16 bit, little-endian, 16 kHz, mono), or a
            container such as WebM; None for the engine's, which tells by the first bytes of
            each session unless it was told otherwise.

    Raises:
        InvalidMessage: If the model does not know the language, nothing translates to the target,
            or an argument is wrong; its text is fit for a client.
        TypeError: If the engine is none, or an argument is of another type.
    """

    def __init__(
        self,
        *,
        transcription_engine: TranscriptionEngine,
        language: str | None = None,
        target_language: str | None = None,
        prompt: str | None = None,
        hotwords: str | None = None,
        mode: str = "full",
        pcm_input: bool | None = None,
    ) -> None:
        if not isinstance(transcription_engine, TranscriptionEngine):
            raise TypeError(
                "transcription_engine must be a TranscriptionEngine, not "
                f"{type(transcription_engine).__name__}; make one for the whole program: "
                "engine = TranscriptionEngine(...), "
                "processor = AudioProcessor(transcription_engine=engine)"
            )
        for name, wish in (("language", language), ("target_language", target_language)):
            if wish is not None and not isinstance(wish, str):
                raise TypeError(f"{name} must be text such as 'en', or None, not {wish!r}")
        for name, wish in (("prompt", prompt), ("hotwords", hotwords)):
            if wish is not None and not isinstance(wish, str):
                raise TypeError(f"{name} must be text or None, not {wish!r}")
        if pcm_input is not None and not isinstance(pcm_input, bool):
            raise TypeError(f"pcm_input must be True, False or None, not {pcm_input!r}")
        if mode not in _MODES:
            raise InvalidMessage(f"mode {str(mode)[:40]!r} is neither 'full' nor 'diff'")
        self._engine = transcription_engine
        self._pcm_input = transcription_engine.options.pcm_input if pcm_input is None else pcm_input
        query = AsrQuery(
            language=language or None,
            target_language=target_language or None,
            prompt=transcription_engine.options.prompt if prompt is None else prompt,
            hotwords=hotwords,
            mode=mode,
        )
        self._wishes = query.wishes()
        config, backend = transcription_engine.config, transcription_engine.backend
        self._query = query
        self._setup = set_up_session(self._wishes, config, backend)
        transcription_engine.check(self._wishes, self._setup)
        self._session: ProgramSession | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_over = False
        self._piece_bytes = min(_PIECE_BYTES, config.limits.max_message_bytes)
        self._has_warned = False

    @property
    def error(self) -> WhisperStreamingError | None:
        """Why the session failed; None while it has not. The last state says it, too."""
        return None if self._session is None else self._session.error

    async def create_tasks(self) -> AsyncGenerator[FrontData, None]:
        """Begin, and give the states: the first at once, the others as something changes.

        They end after the last words, or after a state with ``status`` ``"error"``; nothing is
        raised. A cancelled wait for a state loses nothing. States that are not read wait, and
        with them the session.

        Raises:
            SessionStateError: If it was called before, or after :meth:`cleanup`, or the engine
                cannot be used here.
        """
        if self._session is not None or self._is_over:
            raise SessionStateError("an AudioProcessor is for one session; make another one")
        runtime = self._engine.runtime()
        session = ProgramSession(
            runtime,
            self._engine.config,
            self._wishes,
            self._setup,
            self._create_codec(),
            self._notices(),
        )
        self._session, self._task = session, runtime.start(session)
        results = _Results(session.pipe.states, self._task, self._engine)
        # Programs forget: nobody can send any more, or nobody can read any more.
        when_gone(self, runtime.loop, session.pipe.audio.close)
        when_gone(results, runtime.loop, self._task.cancel)
        return results

    async def process_audio(self, message: bytes | bytearray | memoryview | None) -> None:
        """Take the next bytes, as long or short as they are; empty ones, or None, end the audio.

        Waits while the session has enough to do, so that a program that sends faster than the
        model decodes is slowed down. Audio after the end of the session, or of the audio, is
        dropped. A cancelled call may have taken a part of a long message.

        Raises:
            SessionStateError: Before :meth:`create_tasks`.
            TypeError: If these are no bytes.
        """
        audio = _to_bytes(message)
        if self._is_over:
            return
        if self._session is None:
            raise SessionStateError("call create_tasks() before process_audio()")
        pipe = self._session.pipe.audio
        if not audio:
            pipe.close()
            return
        for begin in range(0, len(audio), self._piece_bytes):
            if not await pipe.put(audio[begin : begin + self._piece_bytes]):
                self._warn_of_loss()
                return

    async def cleanup(self) -> None:
        """End the session at once, if it runs; words that were not read are lost. Idempotent.

        Who waits for a state gets the one that is ready, or the end.
        """
        self._is_over = True
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})

    def _create_codec(self) -> FrontDataCodec:
        config, for_diffs = self._engine.config, self._query.wants_diffs
        return FrontDataCodec(
            segment_rules(config.segment),
            for_diffs=for_diffs,
            retention=self._engine.options.retention or retention(config.asr, for_diffs=for_diffs),
            pcm_input=self._pcm_input,
        )

    def _notices(self) -> list[str]:
        return [] if self._setup.notice is None else [self._setup.notice]

    def _warn_of_loss(self) -> None:
        if not self._has_warned:
            logger.warning("audio after the end of a session is dropped")
            self._has_warned = True


def _to_bytes(message: bytes | bytearray | memoryview | None) -> bytes:
    """A copy of what the program may change while the session waits."""
    if message is None:
        return b""
    if not isinstance(message, bytes | bytearray | memoryview):
        # An array's own bytes would be taken, too, and float samples heard as noise.
        raise TypeError(
            "process_audio takes bytes (16-bit samples, or a container such as WebM), not "
            f"{type(message).__name__}; of an array of float samples in [-1, 1] they are "
            "(samples * 32767).astype('<i2').tobytes()"
        )
    return bytes(message)


class _Results(AsyncGenerator[FrontData, None]):
    """The states of a session. No generator function, because that ends with a cancelled wait."""

    def __init__(
        self, states: Slot[FrontData], task: asyncio.Task[None], engine: TranscriptionEngine
    ) -> None:
        self._states = states
        self._task = task
        self._engine = engine  # an engine that is forgotten closes: not while somebody reads

    async def asend(self, value: None) -> FrontData:
        state = await self._states.take()
        if state is None:
            raise StopAsyncIteration
        return state

    async def athrow(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
    ) -> NoReturn:
        """Close: nobody will read, so the session ends."""
        self._task.cancel()
        raise typ
