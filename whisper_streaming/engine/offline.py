"""A session driven without a clock, a network or a scheduler.

Decodes take no time here: what comes out is what the policy alone does with the audio. Tests
and benchmarks use it to tell the policy's latency from the machine's.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from whisper_streaming.backends.base import Backend
from whisper_streaming.core.audio import FloatArray, samples_of
from whisper_streaming.core.events import Event
from whisper_streaming.core.session import Session, SessionConfig


@dataclass(frozen=True, slots=True)
class Emission:
    """Events, and how much audio had been given when they came.

    Attributes:
        audio_s: Seconds of audio given so far.
        events: In order.
        decode_s: Model seconds spent so far.
    """

    audio_s: float
    events: tuple[Event, ...]
    decode_s: float


def run_session(
    backend: Backend,
    config: SessionConfig,
    samples: FloatArray,
    speech_probs: FloatArray,
    *,
    chunk_s: float = 0.1,
) -> Iterator[Emission]:
    """Feed ``samples`` in chunks, decode whenever the session wants to, yield what it says.

    Args:
        backend: Called directly, one window at a time.
        config: The session's.
        samples: float32, shape (n,), mono, 16 kHz, in [-1, 1].
        speech_probs: float32, shape (k,): a probability for each whole frame of the samples.
        chunk_s: Audio per message.

    Raises:
        DecodeError: If the backend fails; nothing is retried here.
    """
    session = Session(config)
    frame = config.endpoint.frame_samples
    decode_s = 0.0
    step = samples_of(chunk_s)
    for start in range(0, len(samples) + step, step):
        chunk = samples[start : start + step]
        if len(chunk):
            first, last = start // frame, (start + len(chunk)) // frame
            session.receive_audio(chunk, speech_probs[first:last])
        else:
            session.receive_eof()
        while (request := session.decode_to_run()) is not None:
            hypothesis = backend.decode_batch([request])[0]
            decode_s += hypothesis.decode_s
            session.receive_hypothesis(hypothesis)
        if events := session.events_to_send():
            yield Emission(
                min(start + step, len(samples)) / samples_of(1.0), tuple(events), decode_s
            )
