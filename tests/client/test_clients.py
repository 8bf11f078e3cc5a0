"""What both clients do, against a server that follows a script."""

import asyncio
import io
import logging
import socket
import threading
import time

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from tests.client.conftest import Push, Transcribe, noise
from tests.client.scripted_server import Peer, ScriptedServer, friendly, partial, running, segment
from whisper_streaming.client import (
    AudioSourceError,
    ClientError,
    ConnectionLost,
    Gap,
    Patience,
    ServerFailed,
    ServerRefused,
    TranscriptionClient,
    TranscriptionResult,
)
from whisper_streaming.client.base import ClientBase
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.errors import ConfigurationError

IMPATIENT = Patience(ready_s=0.3)


def test_a_session_gives_text_segments_and_the_servers_account(transcribe: Transcribe) -> None:
    samples = noise(0.5)
    with running(friendly) as server:
        result = transcribe(server, samples, realtime=False)

    assert result.text == "Hello world. Good bye."
    assert result.segments == [
        {"start": 0.0, "end": 1.0, "text": " Hello world.", "completed": True},
        {"start": 1.0, "end": 2.0, "text": " Good bye.", "completed": True},
    ]
    assert result.complete
    assert not result.is_overtime
    assert (result.language, result.model, result.notice) == ("en", "demo", None)
    assert result.samples_sent == len(samples)
    assert result.summary is not None
    assert result.summary.received == len(samples)
    np.testing.assert_array_equal(server.peer.samples, samples)


def test_the_options_say_what_was_asked_for(transcribe: Transcribe) -> None:
    with running(friendly) as server:
        transcribe(
            server,
            noise(0.2),
            language="tr",
            model="large-v3",
            translate=True,
            use_vad=False,
            initial_prompt="Ankara",
            hotwords="Kızılay",
            word_timestamps=True,
            realtime=False,
        )

    options = dict(server.peer.options)
    assert len(str(options.pop("uid"))) == 36
    assert options == {
        "language": "tr",
        "task": "translate",
        "model": "large-v3",
        "use_vad": False,
        "send_last_n_segments": 10,
        "initial_prompt": "Ankara",
        "hotwords": "Kızılay",
        "word_timestamps": True,
        "numeric_times": True,
        "summary": True,
    }


@pytest.mark.parametrize("language", ["auto", None])
def test_an_automatic_language_is_asked_for_with_null_and_learnt(
    transcribe: Transcribe, language: str | None
) -> None:
    async def detect(peer: Peer) -> None:
        await peer.accept()
        await peer.hear()
        await peer.say(language="fr", language_prob=0.97)
        await peer.summarise()

    with running(detect) as server:
        result = transcribe(server, noise(0.2), language=language, realtime=False)

    assert server.peer.options["language"] is None
    assert result.language == "fr"


def test_the_last_of_several_languages_is_learnt(transcribe: Transcribe) -> None:
    async def detect(peer: Peer) -> None:
        await peer.accept()
        await peer.hear()
        await peer.say(language="fr", language_prob=0.97)
        await peer.say(language="tr", language_prob=0.97)
        await peer.summarise()

    with running(detect) as server:
        result = transcribe(server, noise(0.2), language="fr,tr", realtime=False)

    assert server.peer.options["language"] == "fr,tr"
    assert result.language == "tr"


def test_several_languages_are_no_result(transcribe: Transcribe) -> None:
    async def hear_nothing(peer: Peer) -> None:
        await peer.accept()
        await peer.hear()
        await peer.summarise()

    with running(hear_nothing) as server:
        result = transcribe(server, noise(0.2), language="fr,tr", realtime=False)

    assert result.language is None


def test_the_callback_sees_every_update(transcribe: Transcribe) -> None:
    updates: list[tuple[str, list[dict[str, object]]]] = []

    def callback(text: str, segments: list[dict[str, object]]) -> None:
        updates.append((text, list(segments)))

    with running(friendly) as server:
        transcribe(server, noise(0.3), transcription_callback=callback)

    assert updates == [
        (
            "Hello wor",
            [
                {
                    "start": 0.0,
                    "end": 0.5,
                    "text": " Hello wor",
                    "completed": False,
                    "committed_text": " Hello",
                }
            ],
        ),
        (
            "Hello world.",
            [{"start": 0.0, "end": 1.0, "text": " Hello world.", "completed": True}],
        ),
        (
            "Hello world. Good bye.",
            [
                {"start": 0.0, "end": 1.0, "text": " Hello world.", "completed": True},
                {"start": 1.0, "end": 2.0, "text": " Good bye.", "completed": True},
            ],
        ),
    ]


def test_a_callback_that_raises_is_reported_once_and_the_session_goes_on(
    transcribe: Transcribe, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    def callback(text: str, _segments: object) -> None:
        calls.append(text)
        raise ValueError("a mistake in the program")

    with running(friendly) as server, caplog.at_level(logging.ERROR):
        result = transcribe(server, noise(0.3), transcription_callback=callback)

    assert result.text == "Hello world. Good bye."
    assert len(calls) == 3
    reports = [r for r in caplog.records if r.name == "whisper_streaming.client"]
    assert len(reports) == 1
    assert "a mistake in the program" in caplog.text


def test_an_empty_list_withdraws_the_partial(transcribe: Transcribe) -> None:
    async def withdraw(peer: Peer) -> None:
        await peer.accept()
        await peer.hear()
        await peer.segments(partial(0.0, 1.0, " Thank you."))
        await peer.segments()
        await peer.summarise()

    texts: list[str] = []
    with running(withdraw) as server:
        result = transcribe(
            server, noise(0.2), transcription_callback=lambda text, _: texts.append(text)
        )

    assert texts == ["Thank you.", ""]
    assert (result.text, result.segments, result.complete) == ("", [], True)


def test_a_notice_reaches_the_program(transcribe: Transcribe) -> None:
    async def warn(peer: Peer) -> None:
        await peer.accept(notice="only the demo model is loaded")
        await peer.hear()
        await peer.say(status="WARNING", message="the server is busy")
        await peer.summarise()

    notices: list[str] = []
    with running(warn) as server:
        result = transcribe(server, noise(0.2), notice_callback=notices.append, realtime=False)

    assert notices == ["only the demo model is loaded", "the server is busy"]
    assert result.notice == "only the demo model is loaded"
    assert result.complete


def test_without_a_callback_a_notice_is_logged(
    transcribe: Transcribe, caplog: pytest.LogCaptureFixture
) -> None:
    async def warn(peer: Peer) -> None:
        await peer.accept(notice="only the demo model is loaded")
        await peer.hear()
        await peer.summarise()

    with running(warn) as server, caplog.at_level(logging.WARNING):
        transcribe(server, noise(0.2), realtime=False)

    assert "only the demo model is loaded" in caplog.text


def test_a_full_server_refuses_with_the_time_to_wait(transcribe: Transcribe) -> None:
    async def refuse(peer: Peer) -> None:
        await peer.take_options()
        await peer.say(status="WAIT", message=2.5)

    with running(refuse) as server, pytest.raises(ServerRefused, match="full") as caught:
        transcribe(server, noise(0.2))

    assert caught.value.retry_after_s == 150.0
    assert caught.value.result is None


def test_an_error_before_ready_is_a_refusal(transcribe: Transcribe) -> None:
    async def refuse(peer: Peer) -> None:
        await peer.take_options()
        await peer.say(status="ERROR", message="language: 'xx' is unknown")

    with running(refuse) as server, pytest.raises(ServerRefused, match="'xx' is unknown"):
        transcribe(server, noise(0.2))


def test_an_error_after_ready_carries_the_transcript_so_far(transcribe: Transcribe) -> None:
    async def fail(peer: Peer) -> None:
        await peer.accept()
        await peer.hear(0.1)
        await peer.segments(segment(0.0, 1.0, " So far."))
        await peer.say(status="ERROR", message="the transcription model failed")
        await peer.socket.close(1011)

    with running(fail) as server, pytest.raises(ServerFailed, match="model failed") as caught:
        transcribe(server, noise(5.0))

    assert isinstance(caught.value.result, TranscriptionResult)
    assert caught.value.result.text == "So far."
    assert not caught.value.result.complete


def test_nobody_listening_names_the_command_that_starts_a_server(transcribe: Transcribe) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        server = ScriptedServer(port=taken.getsockname()[1])
        with pytest.raises(ConnectionLost) as caught:
            transcribe(server, noise(0.2))

    message = str(caught.value)
    assert "is it running?" in message
    assert f"python run_websocket_server.py --host 127.0.0.1 --port {server.port}" in message
    assert caught.value.result is None


@pytest.mark.parametrize("host", ["host.invalid", "x" * 70 + ".invalid"])
def test_an_unknown_host_is_a_lost_connection(client_type: type[ClientBase], host: str) -> None:
    server = ScriptedServer(port=9)
    client = client_type(host, server.port, connect_timeout_s=5)

    with pytest.raises(ConnectionLost, match=f"'{host}' of ws://{host}:9 is not known here$"):
        run(client)


def test_a_program_that_is_no_server_is_a_lost_connection(transcribe: Transcribe) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"220 mail.example.org ESMTP\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ConnectionLost, match="no server answers"):
            transcribe(ScriptedServer(port=listener.getsockname()[1]), noise(0.2))
        thread.join()


def test_a_websocket_that_speaks_something_else_is_a_lost_connection(
    transcribe: Transcribe,
) -> None:
    async def greet(peer: Peer) -> None:
        await peer.take_options()
        await peer.socket.send("hello!")

    with running(greet) as server, pytest.raises(ConnectionLost, match="not a WhisperLive server"):
        transcribe(server, noise(0.2))


def test_a_server_that_never_gets_ready_is_given_up(transcribe: Transcribe) -> None:
    async def sleep(peer: Peer) -> None:
        await peer.take_options()
        await peer.socket.wait_closed()

    with running(sleep) as server, pytest.raises(ConnectionLost, match="did not get ready"):
        transcribe(server, noise(0.2), patience=IMPATIENT)


def test_a_close_without_a_word_before_ready_is_a_lost_connection(transcribe: Transcribe) -> None:
    async def leave(peer: Peer) -> None:
        await peer.take_options()

    with running(leave) as server, pytest.raises(ConnectionLost, match="before it took"):
        transcribe(server, noise(0.2))


def test_a_connection_lost_on_the_way_carries_the_transcript_so_far(
    transcribe: Transcribe,
) -> None:
    async def vanish(peer: Peer) -> None:
        await peer.accept()
        await peer.hear(0.2)
        await peer.segments(segment(0.0, 1.0, " One."), partial(1.0, 1.5, " Tw"))
        await asyncio.sleep(0.1)
        peer.socket.transport.abort()

    started = time.monotonic()
    with running(vanish) as server, pytest.raises(ConnectionLost) as caught:
        transcribe(server, noise(30.0))

    assert time.monotonic() - started < 25.0  # the audio alone takes 30 s
    result = caught.value.result
    assert isinstance(result, TranscriptionResult)
    assert result.text == "One. Tw"
    assert [s["completed"] for s in result.segments] == [True, False]
    assert not result.complete
    assert "is the server running?" in str(caught.value)


def test_a_connection_lost_before_the_last_words_is_an_error(transcribe: Transcribe) -> None:
    async def vanish(peer: Peer) -> None:
        await peer.accept()
        await peer.hear()
        await peer.segments(partial(0.0, 1.0, " Almost"))
        await asyncio.sleep(0.05)
        peer.socket.transport.abort()

    with running(vanish) as server, pytest.raises(ConnectionLost, match="last words"):
        transcribe(server, noise(0.2), realtime=False)


def test_our_server_that_closes_without_its_summary_lost_something(transcribe: Transcribe) -> None:
    async def hang_up(peer: Peer) -> None:
        await peer.accept()
        await peer.hear()

    with running(hang_up) as server, pytest.raises(ConnectionLost, match="last words"):
        transcribe(server, noise(0.2), realtime=False)


def test_a_server_that_goes_silent_at_the_end_is_given_up(transcribe: Transcribe) -> None:
    async def hang(peer: Peer) -> None:
        await peer.accept()
        await peer.hear()
        await peer.socket.wait_closed()

    with running(hang) as server, pytest.raises(ConnectionLost, match="silent for") as caught:
        transcribe(server, noise(0.2), realtime=False, patience=Patience(finish_s=0.3))

    assert isinstance(caught.value.result, TranscriptionResult)


def test_signs_of_life_at_the_end_are_waited_for(transcribe: Transcribe) -> None:
    async def be_slow(peer: Peer) -> None:
        await peer.accept()
        await peer.hear()
        for index in range(9):  # longer in all than the client waits for one sign of life
            await asyncio.sleep(0.25)
            await peer.segments(partial(0.0, 1.0, f" Word {index}"))
        await peer.segments(segment(0.0, 1.0, " Word 9."))
        await peer.summarise()

    with running(be_slow) as server:
        result = transcribe(server, noise(0.2), realtime=False, patience=Patience(finish_s=2.0))

    assert result.text == "Word 9."


def test_a_server_that_shuts_down_early_says_so(transcribe: Transcribe) -> None:
    async def drain(peer: Peer) -> None:
        await peer.accept()
        await peer.hear(0.2)
        await peer.segments(segment(0.0, 0.2, " Final."))
        await peer.summarise()
        await peer.socket.close(1012)

    with running(drain) as server, pytest.raises(ConnectionLost, match="shutting down") as caught:
        transcribe(server, noise(10.0))

    assert isinstance(caught.value.result, TranscriptionResult)
    assert caught.value.result.text == "Final."


def test_overtime_gives_an_incomplete_result_and_no_error(transcribe: Transcribe) -> None:
    async def cut(peer: Peer) -> None:
        await peer.accept()
        await peer.hear(0.3)
        await peer.segments(segment(0.0, 0.3, " As far as it got."))
        await peer.say(message="DISCONNECT")

    started = time.monotonic()
    with running(cut) as server:
        result = transcribe(server, noise(30.0))

    assert time.monotonic() - started < 25.0  # the audio alone takes 30 s
    assert result.text == "As far as it got."
    assert result.is_overtime
    assert not result.complete


def test_a_gap_is_reported_and_makes_the_result_incomplete(transcribe: Transcribe) -> None:
    async def lose(peer: Peer) -> None:
        await peer.accept()
        await peer.hear()
        await peer.say(
            status="WARNING",
            message="audio could not be decoded",
            gap={"start": 0.1, "end": 0.2},
        )
        await peer.summarise(gap=1_600)

    notices: list[str] = []
    with running(lose) as server:
        result = transcribe(server, noise(0.3), realtime=False, notice_callback=notices.append)

    assert result.gaps == [Gap(0.1, 0.2, "audio could not be decoded")]
    assert notices == ["audio could not be decoded"]
    assert not result.complete


def test_samples_that_the_server_never_got_make_the_result_incomplete(
    transcribe: Transcribe,
) -> None:
    async def miscount(peer: Peer) -> None:
        await peer.accept()
        await peer.hear()
        peer.pieces.pop()
        await peer.summarise()

    with running(miscount) as server:
        result = transcribe(server, noise(0.3), realtime=False)

    assert not result.complete


def test_a_message_that_cannot_be_read_makes_the_result_incomplete(
    transcribe: Transcribe, caplog: pytest.LogCaptureFixture
) -> None:
    async def mumble(peer: Peer) -> None:
        await peer.accept()
        await peer.hear()
        await peer.say(segments=[{"text": " no times"}])
        await peer.segments(segment(0.0, 1.0, " Good."))
        await peer.summarise()

    with running(mumble) as server:
        result = transcribe(server, noise(0.2), realtime=False)

    assert (result.text, result.complete) == ("Good.", False)
    assert "cannot be read" in caplog.text


def test_unknown_messages_are_ignored(transcribe: Transcribe) -> None:
    async def chat(peer: Peer) -> None:
        await peer.accept()
        await peer.say(weather="fine")
        await peer.say(status="PARTY", message="tonight")
        await peer.hear()
        await peer.summarise()

    with running(chat) as server:
        result = transcribe(server, noise(0.2), realtime=False)

    assert result.complete


@pytest.mark.parametrize(
    ("array", "rate", "expected_samples"),
    [
        pytest.param(np.full(1600, 0.25, np.float32), 16_000, 1600, id="float32"),
        pytest.param(np.full(1600, 8192, np.int16), 16_000, 1600, id="int16"),
        pytest.param(np.full((1600, 2), (16384, 0), np.int16), 16_000, 1600, id="stereo int16"),
        pytest.param(np.full((1600, 2), (0.5, 0.0)), 16_000, 1600, id="stereo float64"),
        pytest.param(np.full(1600, 8192, np.int16), 8_000, 3200, id="8 kHz"),
        pytest.param(np.full(4410, 0.25, np.float32), 44_100, 1600, id="44.1 kHz"),
    ],
)
def test_a_programs_arrays_arrive_as_16_khz_mono(
    transcribe: Transcribe, push: Push, array: np.ndarray, rate: int, expected_samples: int
) -> None:
    pieces = np.array_split(array, 7)
    with running(friendly) as server:
        transcribe(server, iter(pieces), sample_rate=rate, realtime=False)
        push(server, *pieces, sample_rate=rate)

    assert len(server.peers) == 2
    for peer in server.peers:
        assert len(peer.samples) == pytest.approx(expected_samples, abs=1)
        # The resampling filter rings at both ends.
        np.testing.assert_allclose(peer.samples[300:-300], 0.25, atol=0.005)


def test_pushed_audio_arrives_whole_however_large_the_array(push: Push) -> None:
    samples = noise(40.0)
    with running(friendly) as server:
        result = push(server, samples)

    np.testing.assert_array_equal(server.peer.samples, samples)
    # Servers take 1 MiB per message by default.
    assert max(len(piece) for piece in server.peer.pieces) * 4 < 1024 * 1024
    assert result.complete


def test_a_recording_is_sent_at_the_pace_of_a_clock(transcribe: Transcribe) -> None:
    started = time.monotonic()
    with running(friendly) as server:
        transcribe(server, noise(1.0), chunk_ms=50)

    assert [count for _, count in server.peer.arrivals] == [800] * 20
    # No chunk comes before a microphone would have recorded it; the loop's clock is this one.
    due = started + np.arange(1, 21) * 0.05
    assert all(at >= due_at for (at, _), due_at in zip(server.peer.arrivals, due, strict=True))


def test_a_recording_can_be_sent_as_fast_as_the_server_takes_it(transcribe: Transcribe) -> None:
    samples = noise(60.0)
    started = time.monotonic()
    with running(friendly) as server:
        transcribe(server, samples, realtime=False)

    assert time.monotonic() - started < 50.0
    np.testing.assert_array_equal(server.peer.samples, samples)


def test_a_missing_file_fails_before_a_server_is_bothered(transcribe: Transcribe) -> None:
    with (
        running(friendly) as server,
        pytest.raises(AudioSourceError, match="no file /nonexistent"),
    ):
        transcribe(server, "/nonexistent.wav")

    assert server.peers == []


def test_a_source_that_breaks_gives_the_transcript_of_what_came(transcribe: Transcribe) -> None:
    broken = iter([noise(0.25), np.array([np.nan], np.float32)])
    with (
        running(friendly) as server,
        pytest.raises(AudioSourceError, match="finite") as caught,
    ):
        transcribe(server, broken, realtime=False)

    assert server.peer.has_ended
    assert len(server.peer.samples) == SAMPLE_RATE // 4
    assert isinstance(caught.value.result, TranscriptionResult)
    assert caught.value.result.text == "Hello world. Good bye."


def test_an_error_of_the_programs_own_source_passes_through(transcribe: Transcribe) -> None:
    def broken() -> object:
        yield noise(0.1)
        raise KeyError("mine")

    with running(friendly) as server, pytest.raises(KeyError, match="mine"):
        transcribe(server, broken())  # type: ignore[arg-type]

    assert len(server.peers) == 1


@pytest.mark.parametrize("source", [5, b"bytes", {"a": 1}.get])
def test_what_is_no_audio_is_refused(transcribe: Transcribe, source: object) -> None:
    with running(friendly) as server, pytest.raises(AudioSourceError, match="cannot come from"):
        transcribe(server, source)  # type: ignore[arg-type]


def test_a_file_opened_as_text_is_refused_before_a_server_is_bothered(
    transcribe: Transcribe,
) -> None:
    with running(friendly) as server, pytest.raises(AudioSourceError, match="mode 'rb'"):
        transcribe(server, io.StringIO("text"))  # type: ignore[arg-type]

    assert server.peers == []


def test_a_token_travels_in_the_header(transcribe: Transcribe) -> None:
    with running(friendly) as server:
        transcribe(server, noise(0.2), token="sesame", realtime=False)

    assert server.peer.headers["Authorization"] == "Bearer sesame"
    assert "Origin" not in server.peer.headers


@pytest.mark.parametrize(
    ("token", "remedy"), [(None, "give the server's token"), ("wrong", "token is wrong")]
)
def test_a_missing_or_wrong_token_is_a_refusal_that_says_so(
    transcribe: Transcribe, token: str | None, remedy: str
) -> None:
    def demand(connection: ServerConnection, _request: Request) -> Response:
        return connection.respond(401, "Unauthorized\n")

    with (
        running(friendly, process_request=demand) as server,
        pytest.raises(ServerRefused, match=remedy),
    ):
        transcribe(server, noise(0.2), token=token)


def test_another_http_answer_is_a_refusal_with_its_words(transcribe: Transcribe) -> None:
    def close_shop(connection: ServerConnection, _request: Request) -> Response:
        return connection.respond(503, "starting up\n")

    with (
        running(friendly, process_request=close_shop) as server,
        pytest.raises(ServerRefused, match="HTTP 503 instead of a WebSocket: starting up"),
    ):
        transcribe(server, noise(0.2))


def test_the_url_replaces_host_and_port(client_type: type[ClientBase]) -> None:
    with running(friendly) as server:
        client = client_type("host.invalid", url=f"ws://127.0.0.1:{server.port}/any/path?x=1")
        client.realtime = False
        result = run(client)

    assert result.complete
    request = server.peer.socket.request
    assert request is not None
    assert request.path == "/any/path?x=1"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        pytest.param({"url": "http://localhost"}, "no ws:// or wss://", id="http"),
        pytest.param({"url": "ws://localhost:x"}, "no ws:// or wss://", id="port of letters"),
        pytest.param({"port": 0}, "port", id="port 0"),
        pytest.param({"token": "sesame\n"}, "token", id="token with its line break"),
        pytest.param({"ca_file": "/nonexistent.pem"}, "no CA file", id="no CA file"),
        pytest.param({"chunk_ms": 0}, "chunk_ms", id="chunk of nothing"),
    ],
)
def test_wrong_settings_fail_at_once(
    client_type: type[ClientBase], settings: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        client_type(**settings)  # type: ignore[arg-type]


def test_the_documented_settings_are_attributes_in_this_order(
    client_type: type[ClientBase],
) -> None:
    client = client_type("example.org", 9091, "tr", "tiny", True)

    assert (client.host, client.port, client.language, client.model, client.translate) == (
        "example.org", 9091, "tr", "tiny", True,
    )  # fmt: skip
    plain = client_type(transcription_callback=print)
    assert (plain.host, plain.port, plain.language, plain.model, plain.translate) == (
        "localhost", 9090, "en", "small", False,
    )  # fmt: skip


def test_an_async_callback_is_refused_since_nobody_would_await_it(
    client_type: type[ClientBase],
) -> None:
    async def callback(_text: str, _segments: object) -> None: ...

    with pytest.raises(ConfigurationError, match="async for update in client"):
        client_type(transcription_callback=callback)


def test_finishing_nothing_is_an_error(client_type: type[ClientBase]) -> None:
    client = client_type()
    with pytest.raises(ClientError, match=r"nothing to finish|no session"):
        if isinstance(client, TranscriptionClient):
            client.finish()
        else:
            asyncio.run(client.finish())  # type: ignore[attr-defined]


def run(client: ClientBase) -> TranscriptionResult:
    if isinstance(client, TranscriptionClient):
        return client(noise(0.2))
    return asyncio.run(client.transcribe(noise(0.2)))  # type: ignore[attr-defined, no-any-return]
