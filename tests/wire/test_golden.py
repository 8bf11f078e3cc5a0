"""Recorded conversations still go the same way, on both sides."""

from pathlib import Path

import pytest

from tests.wire.golden import read_trace, replay

GOLDEN = Path(__file__).parent.parent / "golden"
TRACES = sorted(GOLDEN.glob("*/*.jsonl"))


def name(path: Path) -> str:
    return path.relative_to(GOLDEN).with_suffix("").as_posix()


def test_there_are_traces() -> None:
    assert [name(path) for path in TRACES] == [
        "whisper_live/ios_client",
        "whisper_live/our_client",
        "whisper_live/refused_clients",
        "whisper_live/stock_client",
        "whisper_live_kit/diff_client",
        "whisper_live_kit/full_client",
        "whisper_live_kit/refused_clients",
    ]


@pytest.mark.parametrize("path", TRACES, ids=name)
def test_replays_as_recorded(path: Path) -> None:
    recorded = read_trace(path)

    replayed = replay(recorded, path.parent.name)

    for number, (now, before) in enumerate(zip(replayed, recorded, strict=True), 1):
        assert now == before, f"line {number}"
