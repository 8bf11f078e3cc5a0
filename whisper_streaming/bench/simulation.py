"""A session on the audio clock: decodes take no time, so what is left is the policy alone."""

from dataclasses import dataclass

from whisper_streaming.backends.base import Backend
from whisper_streaming.bench.recordings import Recording
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.hypothesis import join_words
from whisper_streaming.core.session import SessionConfig
from whisper_streaming.core.transcript import SegmentRules, Transcript
from whisper_streaming.engine.offline import run_session
from whisper_streaming.evaluate import CaptionLog


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a viewer without a network would have seen.

    Attributes:
        captions: When what was shown, on the audio clock.
        text: What was committed in the end.
        decode_s: Model seconds.
    """

    captions: CaptionLog
    text: str
    decode_s: float


def simulate(
    backend: Backend,
    config: SessionConfig,
    recording: Recording,
    speech_probs: FloatArray,
    rules: SegmentRules | None = None,
) -> Simulated:
    """Feed a recording to a session in messages of 0.1 s, decodes taking no time.

    Args:
        backend: Called directly, one window at a time.
        config: The session's.
        recording: What is said.
        speech_probs: Of :func:`~whisper_streaming.bench.offline.speech_probabilities`.
        rules: When segments are completed.

    Raises:
        DecodeError: If the backend fails.
    """
    transcript, captions, decode_s = Transcript(rules), CaptionLog(), 0.0
    completed = committed = ""
    for emission in run_session(backend, config, recording.samples, speech_probs):
        for event in emission.events:
            completed += "".join(segment.text for segment in transcript.apply(event))
        committed = completed + join_words(transcript.open_committed)
        opened = transcript.open_segment
        shown = completed + (opened.text if opened is not None else "")
        captions.add(emission.audio_s, committed, shown, completed)
        decode_s = emission.decode_s
    return Simulated(captions, committed.strip(), decode_s)
