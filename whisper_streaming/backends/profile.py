"""How a model likes to be streamed, in a file beside it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final, get_args

from whisper_streaming.backends.base import StreamingProfile
from whisper_streaming.core.hypothesis import WindowRules
from whisper_streaming.core.policy import EdgeCommit, PolicyKind
from whisper_streaming.errors import ConfigurationError, ModelLoadError

PROFILE_NAME: Final = "streaming.json"


def load_profile(folder: Path) -> StreamingProfile:
    """Read ``streaming.json`` beside a model; without one, the careful defaults.

    Raises:
        ModelLoadError: If the file is no JSON object with fields of :class:`StreamingProfile`,
            or its windows do not fit together.
    """
    path = folder / PROFILE_NAME
    if not path.exists():
        return StreamingProfile()
    try:
        fields = json.loads(path.read_text("utf-8"))
        for name in ("window", "translation_window"):
            if fields.get(name) is not None:
                fields[name] = WindowRules(**fields[name])
        commit = EdgeCommit(**fields.pop("commit", {}))
        for name in ("window_buckets_s", "prompt_lengths"):
            if name in fields:
                fields[name] = tuple(fields[name])
        return _checked(StreamingProfile(commit=commit, **fields))
    except (ValueError, TypeError, AttributeError) as exc:
        raise ModelLoadError(f"{path} is not a streaming profile: {exc}") from exc


def write_profile(profile: StreamingProfile, path: Path) -> None:
    """Write ``profile`` so that :func:`load_profile` reads the same from the folder of ``path``.

    Raises:
        ConfigurationError: If the file cannot be written.
    """
    text = json.dumps(asdict(profile), indent=2, allow_nan=False) + "\n"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise ConfigurationError(f"cannot write {path}: {exc.strerror}") from exc


def _checked(profile: StreamingProfile) -> StreamingProfile:
    buckets = profile.window_buckets_s
    for lengths in (buckets, profile.prompt_lengths):
        if not lengths or list(lengths) != sorted(lengths):
            raise ValueError(f"{list(lengths)} is not ascending")
    for task in ("transcribe", "translate"):
        _check_window(profile.window_rules(task), buckets[-1])
    if not profile.final_bucket_s >= 0:
        raise ValueError(f"no last window is {profile.final_bucket_s} s long")
    _check_policy(profile.policy, profile.commit)
    return profile


def _check_window(window: WindowRules, longest_bucket_s: float) -> None:
    # What does not fit into the longest bucket would be cut off without a word.
    if not 0 < window.max_window_s <= longest_bucket_s:
        raise ValueError(
            f"a window of {window.max_window_s} s does not fit into {longest_bucket_s} s"
        )
    if window.keep_words < 1:
        raise ValueError("a trimmed window keeps one word at least")


def _check_policy(kind: str, numbers: EdgeCommit) -> None:
    if kind not in get_args(PolicyKind):
        raise ValueError(f"there is no commit policy {kind!r}")
    if not isinstance(numbers.agreement, int) or numbers.agreement < 2:
        raise ValueError(f"{numbers.agreement} hypotheses cannot agree")
    margins = (numbers.agreed_margin_s, numbers.sure_margin_s, numbers.certain_margin_s or 0.0)
    if not min(margins) >= 0:
        raise ValueError("a margin is a time before the end of the audio, not behind it")
    for probability in (numbers.sure_probability, numbers.certain_probability):
        if not 0 <= probability <= 1:
            raise ValueError(f"{probability} is not a probability")
