"""One real transcription: the embedded model hears the start of the bundled recording."""

import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal

import numpy as np

from whisper_streaming.backends.base import DEMO
from whisper_streaming.backends.model_store import DEMO_PATH
from whisper_streaming.client import TranscriptionClient
from whisper_streaming.config import BackendSettings, LimitSettings, ServerConfig
from whisper_streaming.core.audio import samples_of
from whisper_streaming.local_server import LOCAL_HOST, local_server
from whisper_streaming.media import decode_media

RECORDING: Final = DEMO_PATH / "demo.flac"
TRUTH: Final = DEMO_PATH / "demo.json"

# Three sentences: enough to see that it works, and short on a slow machine too.
UTTERANCES: Final = 3
# Rest after the last word, so that nothing is cut off.
_TAIL_S: Final = 0.3


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """What was said, what was heard, and how long the whole took with loading the model.

    Attributes:
        said: Words of the recording, lower case.
        heard: Words of the transcript, lower case.
        took_s: Wall time in seconds.
    """

    said: tuple[str, ...]
    heard: tuple[str, ...]
    took_s: float

    @property
    def words_heard(self) -> int:
        """How many words of the recording are in the transcript, in their order."""
        matcher = SequenceMatcher(None, self.said, self.heard, autojunk=False)
        return sum(block.size for block in matcher.get_matching_blocks())


def run_round_trip(device: Literal["auto", "cpu", "cuda"] = "auto") -> RoundTrip:
    """Start a server with the embedded model, send it the recording, stop it.

    Raises:
        WhisperStreamingError: Whatever did not work.
    """
    started = time.monotonic()
    utterances = json.loads(TRUTH.read_text(encoding="utf-8"))["utterances"][:UTTERANCES]
    samples = np.concatenate(list(decode_media(RECORDING)))
    excerpt = samples[: samples_of(utterances[-1]["end"] + _TAIL_S)]
    config = ServerConfig(
        backend=BackendSettings(models=(DEMO,), device=device),
        limits=LimitSettings(calibration_s=0),
    )
    with local_server(config) as port:
        client = TranscriptionClient(
            LOCAL_HOST,
            port,
            model=DEMO,
            realtime=False,
            # That the model understands synthetic voices only is of no concern here.
            notice_callback=lambda notice: None,
        )
        result = client([excerpt])
    return RoundTrip(
        said=_words(utterance["text"] for utterance in utterances),
        heard=_words([result.text]),
        took_s=time.monotonic() - started,
    )


def _words(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(re.findall(r"[\w']+", " ".join(texts).lower()))
