"""From the messages of a session to numbers."""

import json

import pytest

from tests.bench.takes import recording, segments, take
from whisper_streaming.bench.scoring import Viewer, score_take, totals, wer_against

SAID = recording(("one", 0.5), ("two", 1.0), ("three", 1.5))


def test_words_are_timed_by_the_message_that_brings_them() -> None:
    judged = score_take(
        take(
            (0.8, segments((0.0, " one two", False, ""))),
            (1.2, segments((0.0, " one two", False, " one"))),
            (1.9, segments((0.0, " one two three", False, " one two"))),
            (2.5, segments((0.0, " one two three", True, None))),
        ),
        SAID,
    )

    assert judged.latencies.first == pytest.approx((0.3, -0.2, 0.4))
    assert judged.latencies.commit == pytest.approx((0.7, 0.9, 1.0))
    assert judged.latencies.complete == pytest.approx((2.0, 1.5, 1.0))
    assert judged.latencies.endpoint == pytest.approx((1.0,))
    assert (judged.errors.errors, judged.erased, judged.final_words) == (0, 0, 3)


def test_completed_segments_stay_when_messages_list_only_the_newest() -> None:
    viewer = Viewer()
    viewer.receive(1.0, segments((0.0, " one", True, None)))
    viewer.receive(2.0, segments((1.0, " two", True, None), (2.0, " three", False, "")))

    assert viewer.committed.split() == ["one", "two"]
    assert viewer.shown.split() == ["one", "two", "three"]


def test_what_a_server_shows_last_counts_where_its_own_client_keeps_it() -> None:
    seen = take((1.0, segments((0.0, " one", True, None), (1.0, " two three", False, None))))

    assert score_take(seen, SAID).errors.deletions == 2
    assert score_take(seen, SAID, keeps_partial=True).errors.errors == 0


def test_gaps_failures_and_samples_that_nobody_accounts_for_are_found() -> None:
    gap = {"status": "WARNING", "message": "lost", "gap": {"start": 0.0, "end": 0.5}}
    summary = {"message": "SESSION_SUMMARY", "received": 100, "decoded": 50, "silence": 20,
               "gap": 30, "decode_s": 0.1}  # fmt: skip
    error = {"status": "ERROR", "message": "no"}

    judged = score_take(take(*((1.0, json.dumps(m)) for m in (gap, summary, error))), SAID)

    assert judged.gaps == 1
    assert judged.missing_samples == len(SAID.samples) - 70
    assert judged.failure == "no"


def test_a_server_without_an_account_is_not_said_to_have_lost_nothing() -> None:
    judged = score_take(take((1.0, segments((0.0, " one two three", True, None)))), SAID)

    assert judged.missing_samples is None
    assert totals([judged])["missing_samples"] is None


def test_a_message_that_is_none_fails_the_session() -> None:
    assert score_take(take((1.0, "[]")), SAID).failure is not None


def test_totals_are_over_all_words_of_all_sessions() -> None:
    good = score_take(take((2.0, segments((0.0, " one two three", True, None)))), SAID)
    poor = score_take(take((3.0, segments((0.0, " one", True, None)))), SAID)

    row = totals([good, poor])

    assert row["wer"] == pytest.approx(2 / 6, abs=1e-5)
    assert (row["deleted"], row["lost_tail"], row["failed"]) == (2, 2, 0)
    assert row["commit_p50_s"] == 1.25  # of 0.5, 1.0, 1.5 and 2.5
    assert totals([])["commit_p95_s"] is None


def test_the_offline_text_can_be_the_truth() -> None:
    judged = score_take(take((2.0, segments((0.0, " one too three", True, None)))), SAID)

    assert wer_against([judged], {SAID.name: "One too, three."}) == 0.0
    assert wer_against([judged], {SAID.name: "one two three"}) == pytest.approx(1 / 3, abs=1e-5)
