"""One session inside a program: the server's session, with a pipe in the place of a socket."""

import logging
from collections.abc import Sequence

from whisper_streaming.config import ServerConfig
from whisper_streaming.core.audio import seconds
from whisper_streaming.core.session import Session
from whisper_streaming.errors import WhisperStreamingError
from whisper_streaming.live.input_end import Ending
from whisper_streaming.live.live_session import LiveSession, Timing
from whisper_streaming.live.session_log import SessionLogger
from whisper_streaming.live.session_setup import SessionSetup
from whisper_streaming.live.stages import StageContext
from whisper_streaming.live_kit.codec import FrontDataCodec
from whisper_streaming.live_kit.pipe import Pipe
from whisper_streaming.live_kit.runtime import Runtime
from whisper_streaming.wire.base import Configure
from whisper_streaming.wire.whisper_live_kit_messages import FrontData

logger = logging.getLogger("whisper_streaming.session")


class ProgramSession:
    """Runs in a task of the engine. Knows nothing of the program's own objects, so that these can
    be forgotten while it runs.

    Args:
        runtime: What the sessions share.
        config: The engine's settings.
        wishes: What the program asked for.
        setup: What this session gets.
        codec: From bytes, to states.
        notices: What the program should be told first.

    Attributes:
        pipe: What the program puts audio into and takes states from.
        error: Why the session failed; None while it has not.
    """

    def __init__(
        self,
        runtime: Runtime,
        config: ServerConfig,
        wishes: Configure,
        setup: SessionSetup,
        codec: FrontDataCodec,
        notices: Sequence[str],
    ) -> None:
        self.pipe = Pipe()
        self.error: WhisperStreamingError | None = None
        self._codec = codec
        self._notices = notices
        self._ending = Ending.GONE  # as long as nothing else is known
        self._log = SessionLogger(logger, f"library {runtime.number_session()}")
        options = setup.session.options
        self._log.info(
            "opened model=%s language=%s task=%s vad=%s",
            setup.model.name,
            options.language or "detect",
            options.task,
            "on" if setup.uses_vad else "off",
        )
        self._live = LiveSession(
            self.pipe,
            codec,
            Session(setup.session),
            runtime.vad.open_stream(),
            runtime.media.open_stream(),
            runtime.decoder,
            limits=config.limits,
            # How long a session lasts, and how slowly it is read, is the program's own affair.
            timing=Timing(None, config.endpoint.idle_flush_s, send_timeout_s=None),
            log=self._log,
            stages=runtime.stages.create(
                StageContext(wishes, setup, runtime.decoder, self._log, runtime.closing)
            ),
        )

    async def run(self) -> None:
        """Serve the program to the end. Raises nothing but cancellation."""
        await self._tell(self._codec.begin(self._notices))
        await self._serve()
        self.pipe.audio.close()  # who still sends need not wait for who reads
        if self.error is not None:
            await self._tell(self._codec.fail(self.error))

    def close(self) -> None:
        """Let go who sends and who reads: :meth:`run` has ended, or will not begin."""
        self.pipe.close()
        account = self._live.account
        speech_s = seconds(account.decoded) if account is not None else 0.0
        self._log.info("ended %s %s", self._ending.value, self._live.stats.summary(speech_s))

    def stop(self) -> None:
        """End the audio because the engine closes; what was heard is still told."""
        self._live.end_input(Ending.STOPPED)

    async def _serve(self) -> None:
        try:
            outcome = await self._live.run()
        except Exception:  # noqa: BLE001 - the boundary: one session never harms another
            self._log.exception("! the session broke, which is a fault of this program")
            self._ending = Ending.FAILED
            self.error = WhisperStreamingError("the session broke; the log has the cause")
        else:
            self._ending, self.error = outcome.ending, outcome.error

    async def _tell(self, states: Sequence[FrontData]) -> None:
        for state in states:
            await self.pipe.send(state)
