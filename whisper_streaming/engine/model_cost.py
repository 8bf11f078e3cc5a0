"""How long Whisper models of other shapes would take, from the measured time of one."""

from typing import Final

from whisper_streaming.backends.base import ModelShape, StreamingProfile
from whisper_streaming.engine.live_load import UPDATE_INTERVAL_S, LiveWindow, live_windows

STOCK_MODELS: Final = ("tiny", "base", "small", "medium", "turbo", "large-v3")
"""The models that an operator chooses from, in the order of their cost."""

_DIMENSIONS: Final = {  # mels, width, layers of the encoder and of the decoder
    "tiny": (80, 384, 4, 4),
    "base": (80, 512, 6, 6),
    "small": (80, 768, 12, 12),
    "medium": (80, 1024, 24, 24),
    "turbo": (128, 1280, 32, 4),
    "large-v3": (128, 1280, 32, 32),
}
_FRAMES_PER_SECOND: Final = 50
_OTHER_TOKENS: Final = 12.0
"""Of one update beside the committed words: the start, the new words, the end."""
_TOKENS_PER_SECOND: Final = 3.2
"""Of committed words inside the window, a step each, up to its last second."""
_STEP_FACTOR: Final = 12.0
"""A step of the decoder reads all its weights for one token, so its multiplications cost more
than the encoder's. Measured with int8 on one core: 70 to 100 against 6 to 8 billion a second, for
tiny, base and small alike."""
_SIZE_EXPONENT: Final = 0.95
"""Larger matrices keep the cores busier: so the embedded model at 0.09 predicts 0.22, 0.44 and 1.46
for tiny, base and small, which were measured to be 0.21, 0.45 and 1.21 on two cores. On one core
with much else to do it predicted 0.32, 0.64 and 2.1, and 0.42, 0.84 and 2.6 were measured."""
_DOUBT: Final = 1.25
"""Predictions are so far off: a model that would only just keep up is not promised."""
_THREADS_EXPONENT: Final = 0.5
"""Twice the threads decode a single window 1.3 (base) to 1.5 times (small) as fast."""


def stock_shape(name: str, vocabulary_size: int) -> ModelShape:
    """The shape of a stock model; their vocabularies differ by a token or two."""
    return ModelShape(*_DIMENSIONS[name], vocabulary_size)


def window_cost(shape: ModelShape, window_s: float, tokens: float) -> float:
    """Work of one update.

    Args:
        shape: Of the model.
        window_s: Seconds of the window, padding included.
        tokens: Steps of the decoder.

    Returns:
        Multiplications of the encoder, and what the decoder's would be worth there.
    """
    frames = window_s * _FRAMES_PER_SECOND
    width = shape.width
    layer = 12 * width**2 * frames + 2 * width * frames**2
    convolutions = 3 * width * frames * (2 * shape.mels + width)
    # Keys and values of the cross attention are computed by ``generate`` and again by ``align``.
    cross = 2 * shape.decoder_layers * 2 * width**2 * frames
    step = shape.decoder_layers * 14 * width**2 + shape.vocabulary_size * width
    return shape.encoder_layers * layer + convolutions + cross + _STEP_FACTOR * tokens * step


def mean_window_cost(shape: ModelShape, profile: StreamingProfile) -> float:
    """:func:`window_cost` of a mean update of a stream that ``profile`` shapes."""
    return sum(
        window.share * window_cost(shape, window.bucket_s, _tokens(window))
        for window in live_windows(profile)
    )


def predict_rtf(
    name: str, shape: ModelShape, rtf: float, profile: StreamingProfile, *, speedup: float = 1.0
) -> float:
    """Real-time factor of a stock model on a machine where another model was measured.

    Args:
        name: Of the stock model, which is streamed as an untuned model is.
        shape: Of the measured model.
        rtf: Its real-time factor.
        profile: How it was streamed.
        speedup: How much faster the stock model's windows are decoded, because of more threads.
    """
    stock = mean_window_cost(stock_shape(name, shape.vocabulary_size), StreamingProfile())
    ratio = stock / mean_window_cost(shape, profile)
    return float(rtf * ratio**_SIZE_EXPONENT / speedup)


def largest_live_model(
    shape: ModelShape, rtf: float, profile: StreamingProfile, *, threads: int, cores: int
) -> str | None:
    """The largest stock model that this machine would carry for one live session.

    What was measured counts more than any prediction: a stock model that was measured is live if
    it kept up, and nothing as large as a model that did not is, whatever more threads would do.

    Args:
        shape: Of a model that was measured here.
        rtf: Its measured real-time factor.
        profile: How it was streamed.
        threads: Cores that a window of the measured model was decoded on.
        cores: Those that a larger model would get for a window.

    Returns:
        Its name; None if even the smallest would be too slow.
    """
    speedup = (cores / threads) ** _THREADS_EXPONENT
    measured_cost = mean_window_cost(shape, profile)

    def is_live(name: str) -> bool:
        stock = stock_shape(name, shape.vocabulary_size)
        if stock == shape:
            return rtf <= 1.0
        if rtf > 1.0 and mean_window_cost(stock, profile) >= measured_cost:
            return False
        return predict_rtf(name, shape, rtf, profile, speedup=speedup) <= 1.0 / _DOUBT

    live = [name for name in STOCK_MODELS if is_live(name)]
    return live[-1] if live else None


def _tokens(window: LiveWindow) -> float:
    """Steps of the decoder for ``window``: a longer one holds more committed words."""
    return _OTHER_TOKENS + _TOKENS_PER_SECOND * max(0.0, window.window_s - UPDATE_INTERVAL_S)
