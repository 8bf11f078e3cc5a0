"""Word times of the whole server, with the real whisperx and the embedded models."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pytest

from tests.model.recordings import load
from tests.server.peers import session
from whisper_streaming.config import AlignmentSettings, BackendSettings, LimitSettings, ServerConfig
from whisper_streaming.evaluate import normalised_words, word_errors
from whisper_streaming.server import WhisperStreamingServer

pytestmark = [
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.requires_whisperx,
    # What torch, transformers and pyannote say of one another when they are imported.
    pytest.mark.filterwarnings("ignore"),
]

RECORDING: Final = "en-dialogue-2spk"
MEDIAN_ERROR_S: Final = 0.03
"""Half of the word starts are this close to the truth; the issue that asked for it said 0.08."""
CONFIG: Final = ServerConfig(
    host="127.0.0.1",
    port=0,
    backend=BackendSettings(kind="whisperx", models=("demo",), device="cpu", workers=1, threads=2),
    limits=LimitSettings(max_message_bytes=2**22, calibration_s=0),
    alignment=AlignmentSettings(hold_s=5.0),  # the machine may be busy
)


@dataclass(frozen=True, slots=True)
class Timed:
    """A word that a client was sent."""

    text: str
    start: float
    end: float
    is_aligned: bool


async def words_of(config: ServerConfig) -> list[Timed]:
    """Final words of the recording, as a WhisperLive client gets them."""
    server = WhisperStreamingServer(config)
    async with (
        server.serving(),
        session(server, language="en", word_timestamps=True, numeric_times=True) as peer,
    ):
        await peer.socket.send(load(RECORDING).samples.tobytes())
        await peer.finish()
        segments: dict[float, Mapping[str, list[dict[str, object]]]] = {}
        for message in peer.messages:
            for segment in message.get("segments", ()):  # type: ignore[attr-defined]
                if segment["completed"]:
                    segments[segment["start"]] = segment
        return [
            Timed(
                text,
                float(str(word["start"])),
                float(str(word["end"])),
                word.get("aligned") is True,
            )
            for _, segment in sorted(segments.items())
            for word in segment["words"]
            for text in normalised_words(str(word["word"]))
        ]


def start_errors(heard: list[Timed]) -> list[float]:
    """Seconds between where words start and where they were said to, for words heard rightly."""
    said = load(RECORDING).words
    matches = word_errors(
        " ".join(word.text for word in said), " ".join(word.text for word in heard)
    ).matches
    assert len(matches) > 0.9 * len(said)
    return [abs(heard[there].start - said[here].start) for here, there in matches]


async def test_word_times_are_measured_and_better_than_the_decoders() -> None:
    aligned = await words_of(CONFIG)
    decoder = await words_of(
        CONFIG.model_copy(update={"alignment": AlignmentSettings(enabled=False)})
    )

    assert [word.text for word in aligned] == [word.text for word in decoder]
    assert sum(word.is_aligned for word in aligned) > 0.95 * len(aligned)
    assert not any(word.is_aligned for word in decoder)
    median = statistics.median(start_errors(aligned))
    assert median < MEDIAN_ERROR_S
    assert median < statistics.median(start_errors(decoder))
