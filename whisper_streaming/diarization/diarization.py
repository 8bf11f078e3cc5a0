"""Speaker labels for the sessions of a server or an engine."""

import math
from dataclasses import asdict, replace
from typing import Final

from whisper_streaming.config import DiarizationSettings
from whisper_streaming.diarization.embedder import Embedder
from whisper_streaming.diarization.embedder_thread import EmbedderThread
from whisper_streaming.diarization.stage import SpeakerStage
from whisper_streaming.diarization.voices import VoiceRules
from whisper_streaming.live.stages import StageContext

_PATIENCE_S: Final = 30.0
"""For the labels of one utterance; the embedder may be busy with live sessions."""


class Diarization:
    """Makes the stage of each session, around one embedder.

    Args:
        embedder: Loaded; used in a thread of its own from now on.
        settings: How many speakers, and how long words may wait.
    """

    def __init__(self, embedder: Embedder, settings: DiarizationSettings) -> None:
        self._info = embedder.info
        self._thread = EmbedderThread(embedder)
        self._settings = settings

    def create_stage(self, context: StageContext) -> SpeakerStage:
        """The stage of a session; a client may only lower how many speakers there can be."""
        return SpeakerStage(self._thread, self._rules(context), hold_s=self._settings.hold_s)

    def create_patient_stage(self, context: StageContext) -> SpeakerStage:
        """The stage of a recording that is there as a whole: it waits, and looks back over all."""
        rules = replace(self._rules(context), look_back_s=math.inf)
        return SpeakerStage(self._thread, rules, hold_s=_PATIENCE_S, is_live=False)

    def _rules(self, context: StageContext) -> VoiceRules:
        settings = self._settings
        most = min(settings.max_speakers, context.wishes.max_speakers or settings.max_speakers)
        return VoiceRules(
            new_below=self._info.new_below,
            same_above=self._info.same_above,
            min_speakers=min(settings.min_speakers, most),
            max_speakers=most,
            look_back_s=settings.look_back_s,
        )

    def describe(self) -> dict[str, object]:
        """For the status page."""
        return {"engine": self._info.name, **asdict(self._thread.stats())}

    def close(self) -> None:
        """End the thread. Returns at once. Idempotent."""
        self._thread.close()


def load_diarization(settings: DiarizationSettings) -> Diarization | None:
    """What the settings ask for, loaded; None if they ask for nothing. Blocking.

    Raises:
        ModelLoadError: If the embedder cannot be had; which and why.
    """
    if not settings.enabled:
        return None
    return Diarization(_create_embedder(settings), settings)


def _create_embedder(settings: DiarizationSettings) -> Embedder:
    if settings.model is not None:
        from whisper_streaming.diarization.pyannote import PyannoteEmbedder

        return PyannoteEmbedder(settings.model, device=settings.device)
    from whisper_streaming.diarization.embedded import EmbeddedEmbedder

    return EmbeddedEmbedder()
