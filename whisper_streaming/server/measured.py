"""What was measured at the start: how fast the models are here, and how many sessions fit."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np

from whisper_streaming.backends.base import Backend, BackendInfo, ModelInfo
from whisper_streaming.core.audio import samples_of
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.engine.calibration import Calibration, Speech, calibrate
from whisper_streaming.engine.capacity import Capacity
from whisper_streaming.engine.model_cost import largest_live_model
from whisper_streaming.engine.scheduler_stats import SchedulerStats
from whisper_streaming.media import decode_media

_RECORDING: Final = "models/demo/demo.flac"
_TRUTH: Final = "models/demo/demo.json"

logger = logging.getLogger("whisper_streaming.server")


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a model is on this machine.

    Attributes:
        model: Its name.
        rtf: Decode seconds per second of one live session's speech.
        largest_live_model: The largest stock model that would keep up here; None if none would,
            or if it is unknown.
    """

    model: str
    rtf: float
    largest_live_model: str | None

    @property
    def warning(self) -> str | None:
        """What a user of a model that is too slow has to know."""
        if self.rtf <= 1.0:
            return None
        text = (
            f"The model {self.model!r} is too slow for this machine (real-time factor "
            f"{self.rtf:.2f}): captions come about every {self.rtf:.2f} s."
        )
        if self.largest_live_model is None:
            return f"{text} No stock model is carried live here."
        return f"{text} {self.largest_live_model!r} is the largest model that it carries live."


class Measured:
    """The measurements of the loaded models, and the places that follow from them.

    Args:
        calibrations: Of each loaded model, the default one first.
        backend: What was measured.
        stats: What the scheduler has done up to now.
    """

    def __init__(
        self,
        calibrations: Mapping[str, Calibration],
        backend: BackendInfo,
        stats: Callable[[], SchedulerStats] = SchedulerStats,
    ) -> None:
        self._paces = {
            name: _pace(each, backend.model(name), backend) for name, each in calibrations.items()
        }
        self._calibration = calibrations[backend.model(None).name]
        self._capacity = Capacity(self._calibration, backend.max_batch, backend.cores, stats)

    @property
    def sessions(self) -> int:
        """Sessions of people who speak on that are carried live; at least 1."""
        return self._capacity.sessions

    @property
    def is_overloaded(self) -> bool:
        """Whether sessions wait too long for their decodes now."""
        return self._capacity.is_overloaded

    def pace(self, model: str) -> Pace:
        """How fast the loaded ``model`` is."""
        return self._paces[model]

    @property
    def summary(self) -> str:
        """One line for the log and the console, about the default model."""
        pace = self.pace(self._calibration.model)
        sizes = self._calibration.decode_s[self._calibration.windows[0].bucket_s]
        batches = ", ".join(f"{batch} in {took:.3f} s" for batch, took in sizes.items())
        return (
            f"{pace.model}: real-time factor {pace.rtf:.2f}, about {self.sessions} live "
            f"sessions (windows decoded together: {batches}; workers: "
            f"{self._calibration.workers}; largest live model: {pace.largest_live_model})"
        )

    def describe(self) -> dict[str, object]:
        """The section of the status, for the default model."""
        calibration = self._calibration
        pace = self.pace(calibration.model)
        return {
            "model": calibration.model,
            "decode_s": {
                f"{bucket:g}": {str(batch): round(took, 4) for batch, took in sizes.items()}
                for bucket, sizes in calibration.decode_s.items()
            },
            "workers": calibration.workers,
            "rtf": round(pace.rtf, 3),
            "largest_live_model": pace.largest_live_model,
            "estimated_sessions": self.sessions,
            "is_overloaded": self.is_overloaded,
        }


def measure(backend: Backend, budget_s: float) -> dict[str, Calibration]:
    """Calibrate each loaded model. Blocking: ``budget_s`` each, or one window if that is longer.

    Raises:
        DecodeError: If a model does not decode.
    """
    speech = bundled_speech()
    calibrations = {}
    for model in backend.info.models:
        logger.info("measuring how fast %s is on this machine ...", model.name)
        calibrations[model.name] = calibrate(backend, model, speech, budget_s=budget_s)
    return calibrations


def bundled_speech() -> Speech:
    """The recording of the embedded model: any model computes as long on it as on other speech."""
    package = resources.files("whisper_streaming")
    with resources.as_file(package / _RECORDING) as path:
        samples = np.concatenate(list(decode_media(Path(path))))
    truth = json.loads((package / _TRUTH).read_text(encoding="utf-8"))
    words = tuple(Word(f" {word['word']}", word["start"], word["end"]) for word in truth["words"])
    return Speech(samples[: samples_of(truth["duration"])], words)


def _pace(calibration: Calibration, model: ModelInfo, backend: BackendInfo) -> Pace:
    largest = None
    if model.shape is not None:
        largest = largest_live_model(
            model.shape,
            calibration.rtf,
            model.profile,
            threads=backend.threads_per_worker,
            cores=backend.cores,
        )
    return Pace(model.name, calibration.rtf, largest)
