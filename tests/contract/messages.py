"""The messages of the guide's protocol reference, sent and received for real."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from websockets.sync.client import ClientConnection, connect

from tests.contract.workshop import sentence
from whisper_streaming.config import BackendSettings, LimitSettings, ServerConfig, VadSettings
from whisper_streaming.local_server import local_server
from whisper_streaming.wire.whisper_live_messages import END_OF_AUDIO

TIMEOUT_S = 20.0
NORMAL_CLOSURE = 1000

Message = dict[str, object]
MessageTest = Callable[[str, int], None]


class Peer:
    """A WebSocket without any library of ours."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def read(self) -> Message:
        message: Message = json.loads(self.socket.recv(timeout=TIMEOUT_S))
        return message

    def greet(self, **options: object) -> Message:
        """Send the options; gives the answer."""
        self.socket.send(json.dumps({"uid": "client-uuid", "language": "en", **options}))
        return self.read()

    def send_audio(self) -> None:
        """Send the sentence as float32 in binary messages of 100 ms."""
        samples = sentence().samples.astype("<f4")
        for start in range(0, len(samples), 1600):
            self.socket.send(samples[start : start + 1600].tobytes())

    def read_to_close(self) -> list[Message]:
        """All messages until the server closes in order."""
        messages: list[Message] = [json.loads(message) for message in self.socket]
        assert self.socket.close_code == NORMAL_CLOSURE
        return messages


@contextmanager
def peer(port: int) -> Iterator[Peer]:
    with connect(f"ws://localhost:{port}") as socket:
        yield Peer(socket)


def final_texts(messages: list[Message]) -> list[str]:
    """The texts of completed segments, each once."""
    texts = {
        str(segment["start"]): str(segment["text"])
        for message in messages
        for segment in message.get("segments", ())  # type: ignore[attr-defined]
        if segment["completed"]
    }
    return list(texts.values())


def assert_options_are_taken(printed: str, port: int) -> None:
    """The printed options open a session that then transcribes."""
    with peer(port) as client:
        client.socket.send(printed)
        ready = client.read()
        client.send_audio()
        client.socket.send(END_OF_AUDIO)
        messages = client.read_to_close()

    assert (ready["uid"], ready["message"]) == ("client-uuid", "SERVER_READY")
    assert {message["uid"] for message in messages} == {"client-uuid"}
    assert "".join(final_texts(messages)).split() == sentence().text.split()


def assert_audio_is_binary(printed: str, port: int) -> None:
    """Binary messages are audio: without any there is no segment, with them there is."""
    assert printed == "<audio_bytes>"
    with peer(port) as silent:
        silent.greet()
        silent.socket.send(END_OF_AUDIO.encode())
        nothing = silent.read_to_close()
    with peer(port) as client:
        client.greet()
        client.send_audio()
        client.socket.send(END_OF_AUDIO.encode())
        something = client.read_to_close()

    assert final_texts(nothing) == []
    assert len(final_texts(something)) == 1


def assert_end_of_audio_in_each_form(printed: str, port: int) -> None:
    """As the JSON string that the guide prints, as plain text, and as bytes of both."""
    text: str = json.loads(printed)
    assert text == END_OF_AUDIO
    for form in (printed, text, printed.encode(), text.encode()):
        with peer(port) as client:
            client.greet()
            client.socket.send(form)
            assert final_texts(client.read_to_close()) == []


def assert_ready_has_the_form(printed: str, port: int) -> None:
    """Exactly the printed values; ours adds keys."""
    with peer(port) as client:
        ready = client.greet()

    expected: Message = json.loads(printed)
    assert {key: ready[key] for key in expected} == expected
    assert ready.keys() - expected.keys() == {"engine", "model", "notice"}


def assert_segments_have_the_form(printed: str, port: int) -> None:
    """With ``numeric_times`` the keys and types of the guide; without, WhisperLive's strings."""
    expected = json.loads(printed)
    (form,) = expected["segments"]
    with peer(port) as client:
        client.greet(numeric_times=True)
        client.send_audio()
        client.socket.send(END_OF_AUDIO)
        results = [message for message in client.read_to_close() if "segments" in message]

    assert results
    assert {frozenset(message) for message in results} == {frozenset(expected)}
    final = results[-1]["segments"][-1]  # type: ignore[index]
    assert {key: type(final[key]) for key in form} == {key: type(form[key]) for key in form}
    assert final["completed"] is True
    assert 0.0 < final["start"] < final["end"] < len(sentence().samples) / 16_000
    assert final["text"].split() == sentence().text.split()


def assert_wait_has_the_form(printed: str, port: int) -> None:
    """A server with one place tells the second client the minutes, as a float."""
    expected: Message = json.loads(printed)
    config = ServerConfig(
        backend=BackendSettings(kind="scripted"),
        vad=VadSettings(detector="energy"),
        limits=LimitSettings(max_clients=1, max_connection_time_s=150.0, calibration_s=0),
    )
    with local_server(config) as full, peer(full) as first, peer(full) as second:
        first.greet()
        wait = second.greet()

    assert wait.keys() == expected.keys()
    assert {key: wait[key] for key in ("uid", "status")} == {
        key: expected[key] for key in ("uid", "status")
    }
    minutes = wait["message"]
    assert isinstance(minutes, float)
    assert 2.0 < minutes <= 2.5


MESSAGES: dict[str, MessageTest] = {
    "guide/client-server-messages/initial-configuration": assert_options_are_taken,
    "guide/client-server-messages/audio-data-binary": assert_audio_is_binary,
    "guide/client-server-messages/end-of-audio": assert_end_of_audio_in_each_form,
    "guide/server-client-messages/server-ready": assert_ready_has_the_form,
    "guide/server-client-messages/transcription-results": assert_segments_have_the_form,
    "guide/server-client-messages/status-messages": assert_wait_has_the_form,
}
