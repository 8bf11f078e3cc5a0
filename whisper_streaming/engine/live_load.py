"""What a stream of live speech asks of a model: which windows, and how often."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Final

from whisper_streaming.backends.base import StreamingProfile

UPDATE_INTERVAL_S: Final = 1.0
"""A session counts as live while it is updated so often. Two hypotheses must agree on a word, and
windows are cut when their batch forms, so that words are final within two intervals (p95)."""

_UTTERANCE_S: Final = 5.0
_LAST_SHARE: Final = UPDATE_INTERVAL_S / _UTTERANCE_S


@dataclass(frozen=True, slots=True)
class LiveWindow:
    """Windows of one bucket, as live sessions ask for them.

    Attributes:
        bucket_s: What they are padded to.
        window_s: A typical length, without padding.
        share: Share of all updates, in (0, 1].
        is_last: They end their utterances.
    """

    bucket_s: float
    window_s: float
    share: float
    is_last: bool = False


def live_windows(profile: StreamingProfile) -> tuple[LiveWindow, ...]:
    """The windows of a session in which somebody speaks without end, the most frequent first.

    A window grows with the speech until the first update after it is to be trimmed, and grows
    again: all its lengths up to then are equally frequent. Where last windows are padded further
    they count extra.
    """
    longest_s = profile.window.trim_window_s + UPDATE_INTERVAL_S
    lengths = [min(float(second), longest_s) for second in range(1, math.ceil(longest_s) + 1)]
    counts = Counter(profile.bucket_s(length) for length in lengths)
    by_bucket = {profile.bucket_s(length): length for length in lengths}
    last_share = _LAST_SHARE if profile.pads_last_windows else 0.0
    windows = [
        LiveWindow(bucket, by_bucket[bucket], (1 - last_share) * count / len(lengths))
        for bucket, count in counts.most_common()
    ]
    if last_share:
        length = min(_UTTERANCE_S, profile.window.trim_window_s)
        bucket = profile.bucket_s(length, is_last=True)
        windows.append(LiveWindow(bucket, length, last_share, is_last=True))
    return tuple(windows)
