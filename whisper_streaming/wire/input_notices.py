"""What people are told about their audio, the same in all protocols."""

from collections.abc import Mapping
from typing import Final

from whisper_streaming.core.events import AudioGap, InputFault

INPUT_NOTICES: Final[Mapping[InputFault, str]] = {
    InputFault.MUTED: "the audio is digital silence: is the microphone muted?",
    InputFault.CLIPPED: "the audio is too loud and clipped, which costs words: turn the input down",
    InputFault.NARROW_BAND: (
        "the audio has nothing above 4 kHz, like a telephone, which costs words: "
        "is a headset in call mode, or was it recorded at 8 kHz?"
    ),
}


def describe_gap(gap: AudioGap) -> str:
    """What was lost and why."""
    return f"the audio from {gap.start:.2f} s to {gap.end:.2f} s was lost: {gap.reason.value}"
