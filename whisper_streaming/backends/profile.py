"""How a model likes to be streamed, in a file beside it."""

import json
import math
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Final, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from whisper_streaming.backends.base import StreamingProfile
from whisper_streaming.core.hypothesis import WindowRules
from whisper_streaming.core.policy import EdgeCommit
from whisper_streaming.core.utterance import SHORTEST_WINDOW_S
from whisper_streaming.errors import ConfigurationError, ModelLoadError

PROFILE_NAME: Final = "streaming.json"

_LONGEST_BUCKET_S: Final = 30.0  # all that a Whisper encoder has positions for
_LONGEST_PROMPT: Final = 216  # of 448 positions half are for the text, and some for the start of it

_Record = TypeVar("_Record")


def load_profile(folder: Path) -> StreamingProfile:
    """Read ``streaming.json`` beside a model; without one, the careful defaults.

    Raises:
        ModelLoadError: If the file is no JSON object with fields of :class:`StreamingProfile`,
            or windows, context or policy cannot be used like that.
    """
    path = folder / PROFILE_NAME
    if not path.exists():
        return StreamingProfile()
    try:
        return _checked(_record(StreamingProfile, json.loads(path.read_text("utf-8")), "it"))
    except (OSError, ValueError, OverflowError) as exc:
        raise ModelLoadError(f"{path} is not a streaming profile: {exc}") from exc


def write_profile(profile: StreamingProfile, path: Path) -> None:
    """Write ``profile`` so that :func:`load_profile` reads the same from the folder of ``path``.

    Raises:
        ConfigurationError: If the file cannot be written.
    """
    text = json.dumps(asdict(profile), indent=2, allow_nan=False) + "\n"
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)  # a full disk leaves the old profile whole
    except OSError as exc:
        with suppress(OSError):
            partial.unlink()
        raise ConfigurationError(f"cannot write {path}: {exc.strerror}") from exc


# -- types: what is wrong there would be found in the middle of a session


def _record(kind: type[_Record], value: object, name: str) -> _Record:
    """An object of the file as the dataclass ``kind``."""
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {value!r}, not an object")
    hints = get_type_hints(kind)
    for field in value:
        if field not in hints:
            raise ValueError(f"{name} has no field {field!r}")
    return kind(**{field: _value(hints[field], each, field) for field, each in value.items()})


def _value(kind: object, value: object, name: str) -> object:
    """A value of the file as the type ``kind`` of a field."""
    if get_origin(kind) is UnionType:  # with None
        return None if value is None else _value(get_args(kind)[0], value, name)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{name} is {value!r}, not a list")
        return tuple(_value(get_args(kind)[0], each, name) for each in value)
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"{name} is {value!r}, none of {', '.join(get_args(kind))}")
        return value
    if is_dataclass(kind):
        return _record(cast(type, kind), value, name)
    return _number(value, name, is_whole=kind is int)


def _number(value: object, name: str, *, is_whole: bool) -> float:
    if isinstance(value, bool) or not isinstance(value, int if is_whole else int | float):
        raise ValueError(f"{name} is {value!r}, not a {'whole ' if is_whole else ''}number")
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}, not a finite number")
    return value


# -- ranges


def _checked(profile: StreamingProfile) -> StreamingProfile:
    buckets, prompts = profile.window_buckets_s, profile.prompt_lengths
    for lengths in (buckets, prompts):
        if not lengths or list(lengths) != sorted(lengths):
            raise ValueError(f"{list(lengths)} is not ascending")
    if not 0 < buckets[0] <= buckets[-1] <= _LONGEST_BUCKET_S:
        raise ValueError(
            f"{list(buckets)}: windows of Whisper are 0 to {_LONGEST_BUCKET_S:g} s long"
        )
    if not 0 <= prompts[0] <= prompts[-1] <= _LONGEST_PROMPT:
        raise ValueError(f"{list(prompts)}: a context has 0 to {_LONGEST_PROMPT} tokens")
    for task in ("transcribe", "translate"):
        _check_window(profile.window_rules(task), buckets[-1])
    # With less than none, a window would be cut to a bucket that is shorter than itself.
    if profile.bucket_pad_s < 0:
        raise ValueError(f"bucket_pad_s is {profile.bucket_pad_s:g}, below 0")
    if profile.final_bucket_s < 0:
        raise ValueError(f"final_bucket_s is {profile.final_bucket_s:g}, below 0")
    for task in ("transcribe", "translate"):
        _check_policy(profile.commit_numbers(task))
    return profile


def _check_window(window: WindowRules, longest_bucket_s: float) -> None:
    # What does not fit into the longest bucket would be cut off without a word.
    if not SHORTEST_WINDOW_S <= window.max_window_s <= longest_bucket_s:
        raise ValueError(
            f"max_window_s is {window.max_window_s:g}, not in {SHORTEST_WINDOW_S:g} to "
            f"{longest_bucket_s:g} s: a long word must fit in, and it into the longest bucket"
        )
    if window.trim_window_s < 0:
        raise ValueError(f"trim_window_s is {window.trim_window_s:g}, below 0")
    if window.joined_s is not None and not 0 <= window.joined_s <= window.max_window_s:
        raise ValueError(f"joined_s is {window.joined_s:g}, not in 0 to max_window_s")
    if window.keep_words < 1:
        raise ValueError("a trimmed window keeps one word at least")


def _check_policy(numbers: EdgeCommit) -> None:
    if numbers.agreement < 2:
        raise ValueError(f"{numbers.agreement} hypotheses cannot agree")
    margins = (numbers.agreed_margin_s, numbers.sure_margin_s, numbers.certain_margin_s or 0.0)
    if min(margins) < 0:
        raise ValueError("a margin is a time before the end of the audio, not behind it")
    for probability in (numbers.sure_probability, numbers.certain_probability):
        if not 0 <= probability <= 1:
            raise ValueError(f"{probability} is not a probability")
