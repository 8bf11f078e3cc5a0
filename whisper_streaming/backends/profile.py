"""How a model likes to be streamed, read from a file beside it."""

import json
from pathlib import Path

from whisper_streaming.backends.base import StreamingProfile
from whisper_streaming.core.hypothesis import WindowRules
from whisper_streaming.errors import ModelLoadError


def load_profile(folder: Path) -> StreamingProfile:
    """Read ``streaming.json`` beside a model; without one, the careful defaults.

    Raises:
        ModelLoadError: If the file is no JSON object with fields of :class:`StreamingProfile`,
            or its windows do not fit together.
    """
    path = folder / "streaming.json"
    if not path.exists():
        return StreamingProfile()
    try:
        fields = json.loads(path.read_text("utf-8"))
        window = WindowRules(**fields.pop("window", {}))
        for name in ("window_buckets_s", "prompt_lengths"):
            if name in fields:
                fields[name] = tuple(fields[name])
        return _checked(StreamingProfile(window=window, **fields))
    except (ValueError, TypeError, AttributeError) as exc:
        raise ModelLoadError(f"{path} is not a streaming profile: {exc}") from exc


def _checked(profile: StreamingProfile) -> StreamingProfile:
    buckets, window = profile.window_buckets_s, profile.window
    for lengths in (buckets, profile.prompt_lengths):
        if not lengths or list(lengths) != sorted(lengths):
            raise ValueError(f"{list(lengths)} is not ascending")
    # What does not fit into the longest bucket would be cut off without a word.
    if not 0 < window.max_window_s <= buckets[-1]:
        raise ValueError(f"a window of {window.max_window_s} s does not fit into {buckets[-1]} s")
    if window.keep_words < 1:
        raise ValueError("a trimmed window keeps one word at least")
    return profile
