"""Our clients complete a recording against the real WhisperLive server, with its last words.

The server comes from the wheel, with its own decoding on the embedded model. Only what it
imports and does not use is replaced: torch, of which it asks whether there is a GPU, and the
packages of its REST interface.
"""

import asyncio
from collections.abc import Iterator

import pytest

from tests.interop.processes import stock_server
from tests.interop.recordings import Excerpt, words_of
from whisper_streaming.bench.stock_environment import StockEnvironment
from whisper_streaming.client import (
    AsyncTranscriptionClient,
    TranscriptionClient,
    TranscriptionResult,
)
from whisper_streaming.core.audio import SAMPLE_RATE

pytestmark = [pytest.mark.interop, pytest.mark.model, pytest.mark.slow]

Results = dict[str, TranscriptionResult]


@pytest.fixture(scope="module")
def port(stock: StockEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with stock_server(stock.packages, tmp_path_factory.mktemp("stock-server") / "log") as port:
        yield port


@pytest.fixture(scope="module")
def results(port: int, german: Excerpt) -> Results:
    """Both clients at the same time."""
    blocking = TranscriptionClient("127.0.0.1", port, language="de", word_timestamps=True)
    in_loop = AsyncTranscriptionClient("127.0.0.1", port, language=None)

    async def run() -> Results:
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(asyncio.to_thread(blocking, str(german.path)))
            second = tasks.create_task(in_loop.transcribe(str(german.path)))
        return {"blocking": first.result(), "asyncio": second.result()}

    return asyncio.run(run())


@pytest.mark.parametrize("client", ["blocking", "asyncio"])
def test_every_word_comes_in_order_up_to_the_last(
    results: Results, german: Excerpt, client: str
) -> None:
    got, said = words_of(results[client].text), words_of(german.text)

    # This server decodes pauses too, and the model may hear something in them.
    rest = iter(got)
    assert [word for word in said if word not in rest] == [], got
    assert len(got) < 2 * len(said)


@pytest.mark.parametrize("client", ["blocking", "asyncio"])
def test_the_transcript_is_complete_and_final(results: Results, client: str) -> None:
    result = results[client]

    assert result.complete
    assert all(segment["completed"] for segment in result.segments)
    starts = [segment["start"] for segment in result.segments]
    assert starts == sorted(starts)
    assert result.segments[-1]["end"] > result.samples_sent / SAMPLE_RATE - 1.0


def test_the_language_that_it_detects_is_told(results: Results) -> None:
    assert results["asyncio"].language == "de"


def test_its_word_times_are_read(results: Results) -> None:
    # It gives none for segments that it completes because they do not change any more.
    with_words = [segment for segment in results["blocking"].segments if "words" in segment]

    assert with_words != []
    for segment in with_words:
        words = segment["words"]
        assert "".join(word["word"] for word in words) == segment["text"]
        times = [word[edge] for word in words for edge in ("start", "end")]
        assert times == sorted(times)
        assert times[0] == pytest.approx(segment["start"], abs=0.5)


def test_nothing_is_claimed_that_this_server_does_not_say(results: Results) -> None:
    result = results["blocking"]

    assert (result.model, result.notice, result.summary) == (None, None, None)
