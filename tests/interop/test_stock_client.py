"""The real WhisperLive client, from its wheel, completes its sessions against our server.

The runs happen in processes of their own, all at a time; each test looks at one of them.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.interop.processes import our_server
from tests.interop.recordings import Excerpt, words_of
from tests.interop.stock_runs import Scenario, StockRuns
from whisper_streaming.bench.stock_environment import StockEnvironment
from whisper_streaming.client import TranscriptionClient, TranscriptionResult

pytestmark = [pytest.mark.interop, pytest.mark.model, pytest.mark.slow]

# What the client itself takes for "nothing more will come". The other runs wait for less.
STOCK_QUIET_S = 15.0
QUIET_S = 10.0
WITHOUT_STREAM = ("stock", "detect", "translate", "no-vad", "last-one", "words")
SRT_ROUNDING_S = 0.0011  # its SRT writer cuts milliseconds off


def scenarios(english: Excerpt, german: Excerpt) -> dict[str, Scenario]:
    def file(excerpt: Excerpt, **options: object) -> Scenario:
        return Scenario("file", excerpt.path, [options], quiet_s=QUIET_S)

    tee = [
        {"lang": "de", "srt_file_path": "german.srt"},
        {"lang": "de", "srt_file_path": "english.srt", "translate": True},
    ]
    return {
        # No option but the language: also what it shows on the terminal is the default.
        "stock": Scenario("file", english.path, [{"lang": "en"}], quiet_s=STOCK_QUIET_S),
        "detect": file(german),
        "translate": file(german, lang="de", translate=True),
        "both": file(german, lang="de", enable_translation=True, target_language="en"),
        "no-vad": file(english, lang="en", use_vad=False),
        "last-one": file(english, lang="en", send_last_n_segments=1),
        "words": file(english, lang="en", word_timestamps=True, enable_timestamps=True),
        "tee": Scenario("tee", german.path, tee, quiet_s=QUIET_S),
        "stream": Scenario("stream", english.path, [{"lang": "en"}]),
        "microphone": Scenario(
            "microphone",
            english.path,
            [{"lang": "en"}],
            last_words="the schedule.",
            variables={"STUB_MICROPHONE": str(english.path)},
        ),
    }


@pytest.fixture(scope="module")
def runs(
    stock: StockEnvironment,
    our_port: int,
    english: Excerpt,
    german: Excerpt,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[StockRuns]:
    """One run of each scenario."""
    chosen = scenarios(english, german)
    runs = StockRuns(stock, tmp_path_factory.mktemp("runs"), parallel=len(chosen))
    for name, scenario in chosen.items():
        runs.start(name, our_port, scenario)
    yield runs
    runs.close()


@pytest.fixture(scope="module")
def ours(runs: StockRuns, our_port: int, english: Excerpt) -> TranscriptionResult:
    """What our own client gets while the others run."""
    client = TranscriptionClient(
        "127.0.0.1", our_port, language="en", notice_callback=lambda notice: None
    )
    return client(str(english.path))


# A server that falls behind for longer than its clients wait loses their last words, and this one
# waits for less than the others: when it ends, all have sent their audio and only wait.
@pytest.mark.alone
def test_words_before_ctrl_c_are_in_the_subtitles_of_the_microphone(
    runs: StockRuns, ours: TranscriptionResult, english: Excerpt
) -> None:
    run = runs["microphone"]

    assert run.session.ended is None, "it does not tell the end"
    assert words_of(" ".join(cue.text for cue in run.subtitles())) == words_of(english.text)
    assert "Keyboard" not in run.errors


def test_every_run_ends_by_itself(runs: StockRuns, english: Excerpt, german: Excerpt) -> None:
    assert {name: runs[name].status for name in scenarios(english, german)} == dict.fromkeys(
        scenarios(english, german), 0
    )


def test_the_stock_client_gets_every_word_that_our_client_gets(
    runs: StockRuns, ours: TranscriptionResult, english: Excerpt
) -> None:
    run = runs["stock"]

    assert words_of(ours.text) == words_of(english.text)
    assert words_of(run.outcome["returned"]) == words_of(ours.text)
    assert words_of(" ".join(cue.text for cue in run.subtitles())) == words_of(ours.text)
    assert (run.status, run.errors) == (0, "")


@pytest.mark.parametrize("name", WITHOUT_STREAM)
def test_the_subtitles_are_the_completed_segments_and_nothing_else(
    runs: StockRuns, name: str
) -> None:
    run = runs[name]
    sent, cues = run.session.completed, run.subtitles()

    assert len(sent) > 1
    assert run.session.transcript == sent
    assert [cue.text for cue in cues] == [segment["text"].strip() for segment in sent]
    for cue, segment in zip(cues, sent, strict=True):
        assert cue.start == pytest.approx(float(segment["start"]), abs=SRT_ROUNDING_S)
        assert cue.end == pytest.approx(float(segment["end"]), abs=SRT_ROUNDING_S)


@pytest.mark.parametrize("name", [*WITHOUT_STREAM, "microphone"])
def test_cues_are_in_order_and_do_not_overlap(runs: StockRuns, name: str) -> None:
    cues = runs[name].subtitles()

    assert [cue.number for cue in cues] == list(range(1, len(cues) + 1))
    assert all(cue.start < cue.end for cue in cues)
    assert all(earlier.end <= later.start for earlier, later in pairwise(cues))


@pytest.mark.parametrize("name", WITHOUT_STREAM)
def test_the_last_word_comes_although_the_client_only_goes_quiet(
    runs: StockRuns, name: str
) -> None:
    session = runs[name].session
    quiet_s = STOCK_QUIET_S if name == "stock" else QUIET_S

    # Its own rule: only so long after the last text does it say that the audio has ended.
    assert session.ended is not None
    assert session.ended - session.last_text_at >= quiet_s - 0.1
    assert session.updates[-1][-1]["completed"]


@pytest.mark.parametrize("name", WITHOUT_STREAM)
def test_what_is_open_is_one_segment_and_the_last(runs: StockRuns, name: str) -> None:
    updates = runs[name].session.updates

    assert any(not update[-1]["completed"] for update in updates)
    assert all(segment["completed"] for update in updates for segment in update[:-1])


def test_words_appear_on_the_terminal_while_they_are_spoken(runs: StockRuns) -> None:
    run = runs["stock"]
    screens = run.output.split("\033[H\033[2J\033[3J")

    # How many there are is a matter of the machine; these are of the first sentence of three.
    assert "Karen" in screens[2]
    assert "schedule" not in screens[2]
    assert "than the schedule." in " ".join(screens[-1].split())
    assert "invalid client uid" not in run.output


def test_a_language_that_is_not_named_is_detected_before_the_first_words(runs: StockRuns) -> None:
    run = runs["detect"]
    messages = run.session.messages
    languages = [message for message in messages if "language" in message]

    assert run.session.language == "de"
    assert [message["language"] for message in languages] == ["de"]
    assert messages.index(languages[0]) == 1, "right after SERVER_READY"
    assert f"detected language de with probability {languages[0]['language_prob']}" in run.output


def test_detected_german_is_transcribed(runs: StockRuns, german: Excerpt) -> None:
    assert words_of(runs["detect"].session.text) == words_of(german.text)


def test_german_is_translated(runs: StockRuns, german: Excerpt) -> None:
    assert words_of(runs["translate"].session.text) == words_of(german.english)


def test_words_and_their_translation_are_shown_and_written_as_from_its_own_server(
    runs: StockRuns, german: Excerpt
) -> None:
    run = runs["both"]
    cues = run.subtitles("output_translated.srt")

    assert words_of(run.session.text) == words_of(german.text)
    assert words_of(" ".join(cue.text for cue in cues)) == words_of(german.english)
    assert all(earlier.end <= later.start for earlier, later in pairwise(cues))
    assert "TRANSLATION to en:" in run.output


@pytest.mark.parametrize("name", ["no-vad", "last-one", "words", "microphone"])
def test_no_option_costs_a_word(runs: StockRuns, name: str, english: Excerpt) -> None:
    assert words_of(runs[name].session.text) == words_of(english.text)


def test_one_segment_is_listed_where_one_is_asked_for(runs: StockRuns) -> None:
    updates = runs["last-one"].session.updates

    assert max(sum(segment["completed"] for segment in update) for update in updates) == 1
    assert len(runs["last-one"].session.completed) > 1


def test_words_come_with_times_where_they_are_asked_for(runs: StockRuns) -> None:
    run = runs["words"]
    for segment in run.session.completed:
        words = segment["words"]
        assert "".join(word["word"] for word in words) == segment["text"]
        assert all(0.0 <= word["probability"] <= 1.0 for word in words)
        times = [float(word[edge]) for word in words for edge in ("start", "end")]
        assert times == sorted(times)
        assert float(segment["start"]) <= times[0]
        assert times[-1] <= float(segment["end"])
    last = run.session.completed[-1]
    assert f"[{last['start']} -> {last['end']}]" in run.output
    assert all("words" not in s for s in runs["stock"].session.completed)


def test_two_clients_share_a_recording_and_not_their_words(
    runs: StockRuns, german: Excerpt
) -> None:
    run = runs["tee"]
    transcribed, translated = run.sessions

    assert words_of(transcribed.text) == words_of(german.text)
    assert words_of(translated.text) == words_of(german.english)
    for name, session in (("german.srt", transcribed), ("english.srt", translated)):
        assert session.transcript == session.completed
        texts = [segment["text"].strip() for segment in session.completed]
        assert [cue.text for cue in run.subtitles(name)] == texts


def test_a_program_gets_every_segment_committed_once_and_before_the_close(
    runs: StockRuns, english: Excerpt
) -> None:
    run = runs["stream"]
    calls = run.outcome["calls"]
    names = [name for _, name, _ in calls]
    committed = [arguments for _, name, arguments in calls if name == "committed"]

    assert names[0] == "started"
    assert names.count("started") == 1
    assert "partial" in names
    assert [segments for _, segments in committed] == [[s] for s in run.session.completed]
    assert words_of(" ".join(text for text, _ in committed)) == words_of(english.text)
    assert names.index("close") > max(i for i, name in enumerate(names) if name == "committed")


def test_closing_waits_for_the_words_that_the_end_brings(runs: StockRuns) -> None:
    run = runs["stream"]
    times = {name: at for at, name, _ in run.outcome["calls"]}  # the last of each name
    ended = run.session.ended

    assert ended is not None
    assert ended < times["committed"] < times["close"]
    assert times["close"] - ended < 10.0, "the server closed, not the client's patience of 15 s"


def test_a_client_of_a_full_server_says_how_long_to_wait_and_ends(
    stock: StockEnvironment, english: Excerpt, tmp_path: Path
) -> None:
    scenario = Scenario("file", english.path, [{"lang": "en"}])
    runs = StockRuns(stock, tmp_path, parallel=1)
    with (
        our_server(tmp_path / "log", "--max-clients=1", "--max-connection-time=179") as port,
        TranscriptionClient("127.0.0.1", port, notice_callback=lambda notice: None) as first,
    ):
        first.send(np.zeros(1600, np.float32))
        runs.start("full", port, scenario)
        run = runs["full"]
        runs.close()

    assert "Server is full. Estimated wait time 3 minutes." in run.output
    assert (run.status, run.errors) == (0, "")
    assert run.outcome["returned"] == ""
    assert not (run.folder / "output.srt").exists()
