"""How a model likes to be streamed, read from a file beside it."""

import json
from pathlib import Path

from whisper_streaming.backends.base import StreamingProfile
from whisper_streaming.core.hypothesis import WindowRules
from whisper_streaming.errors import ModelLoadError


def load_profile(folder: Path) -> StreamingProfile:
    """Read ``streaming.json`` beside a model; without one, the careful defaults.

    Raises:
        ModelLoadError: If the file is no JSON object with fields of :class:`StreamingProfile`.
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
        return StreamingProfile(window=window, **fields)
    except (ValueError, TypeError, AttributeError) as exc:
        raise ModelLoadError(f"{path} is not a streaming profile: {exc}") from exc
