"""A recording that comes as a browser sends it gives the words that its samples give."""

import numpy as np

from tests.encoded_audio import encode, slices
from tests.model.listening import Listener, given
from tests.model.recordings import load
from whisper_streaming.config import MediaSettings
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of
from whisper_streaming.live.media_pool import MediaPool

RECORDING = "en-4-en-us"
SENTENCES = 4


async def test_words_of_webm_are_those_of_pcm(listener: Listener) -> None:
    # Opus loses something, so doubtful words may come out as others: these are none of them.
    recording = load(RECORDING)
    samples = recording.samples[: samples_of(recording.sentences[SENTENCES - 1].end + 0.3)]
    webm = encode("webm", (samples * 32767).astype(np.int16), rate=SAMPLE_RATE)

    decoded = await decode(slices(webm, 10 * len(samples) // SAMPLE_RATE))

    assert len(decoded) == len(samples)
    heard = listener.hear(decoded, given(RECORDING)).text
    assert heard == listener.hear(samples, given(RECORDING)).text
    assert len(heard.split()) > 20


async def decode(messages: list[bytes]) -> FloatArray:
    pool = MediaPool(MediaSettings())
    stream = pool.open_stream()
    pieces = [piece for message in messages async for piece in stream.decode(message)]
    pieces += [piece async for piece in stream.finish()]
    await pool.close()
    return np.concatenate(pieces)
