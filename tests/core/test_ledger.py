from hypothesis import given
from hypothesis import strategies as st

from whisper_streaming.core.ledger import AudioLedger


def test_overlapping_windows_count_once() -> None:
    ledger = AudioLedger()
    ledger.book_decoded(0, 100)
    ledger.book_decoded(50, 150)

    account = ledger.close(150)
    assert (account.decoded, account.silence, account.gap) == (150, 0, 0)


def test_what_is_skipped_was_silence() -> None:
    ledger = AudioLedger()
    ledger.book_decoded(40, 100)

    account = ledger.close(120)
    assert (account.decoded, account.silence, account.gap) == (60, 60, 0)


def test_a_gap_is_only_what_nobody_decoded() -> None:
    ledger = AudioLedger()
    ledger.book_decoded(0, 60)

    assert ledger.book_gap(0, 100) == (60, 100)
    assert ledger.book_gap(0, 100) is None
    assert ledger.close(100).gap == 40


booking = st.tuples(
    st.sampled_from(["decoded", "gap", "silence"]), st.integers(0, 50), st.integers(0, 50)
)


@given(st.lists(booking), st.integers(0, 100))
def test_every_sample_is_booked_exactly_once(
    bookings: list[tuple[str, int, int]], rest: int
) -> None:
    ledger = AudioLedger()
    received = 0
    for kind, back, length in bookings:
        start = max(0, received - back)
        end = start + length
        received = max(received, end)
        match kind:
            case "decoded":
                ledger.book_decoded(start, end)
            case "gap":
                ledger.book_gap(start, end)
            case _:
                ledger.book_silence(end)
    account = ledger.close(received + rest)

    assert account.received == account.decoded + account.silence + account.gap == received + rest
