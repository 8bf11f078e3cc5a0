"""Recorded WhisperLive conversations still go the same way, on both sides."""

from pathlib import Path

import pytest

from tests.wire.golden import read_trace, replay

TRACES = sorted((Path(__file__).parent.parent / "golden" / "whisper_live").glob("*.jsonl"))


def test_there_are_traces() -> None:
    assert [path.stem for path in TRACES] == [
        "ios_client",
        "our_client",
        "refused_clients",
        "stock_client",
    ]


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_replays_as_recorded(path: Path) -> None:
    recorded = read_trace(path)

    for number, (now, before) in enumerate(zip(replay(recorded), recorded, strict=True), 1):
        assert now == before, f"line {number}"
