"""Runs the real WhisperLive client in its own environment and writes down what happened.

One argument: a JSON object with ``kind`` (file, tee, stream, microphone), ``port``, ``audio``
(16 kHz mono WAV), ``clients`` (keyword arguments of each), ``quiet_s``: how long the file
client waits for another text before it ends (15 s by default), and ``last_words``: after them
Ctrl-C is pressed where a microphone is heard. The outcome is
written to ``outcome.json`` in the working folder. Imports nothing of this project.
"""

import json
import os
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyaudio
from whisper_live import client as whisper_live

LOOK_AGAIN_S = 0.002
CHUNK_SAMPLES = 800  # 50 ms, as in the client's own example
END = b"END_OF_AUDIO"

Record = dict[str, Any]


class Clock:
    """The ``time`` of the client: each look takes a moment.

    While it waits for another text it looks again and again without a pause, and would take a core
    from the server that it waits for.
    """

    def time(self) -> float:
        time.sleep(LOOK_AGAIN_S)
        return time.time()

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class Tap:
    """Every message in both directions, with its time; changes nothing."""

    def __init__(self) -> None:
        self.received: dict[str, list[tuple[float, Record]]] = {}  # by uid
        self.ended: dict[str, float] = {}  # when END_OF_AUDIO was sent, by uid
        on_message, send = whisper_live.Client.on_message, whisper_live.Client.send_packet_to_server

        def tapped_on_message(client: whisper_live.Client, ws: object, message: str) -> None:
            self.received.setdefault(client.uid, []).append((time.time(), json.loads(message)))
            on_message(client, ws, message)

        def tapped_send(client: whisper_live.Client, message: bytes) -> None:
            if message == END:
                self.ended.setdefault(client.uid, time.time())
            send(client, message)

        whisper_live.Client.on_message = tapped_on_message
        whisper_live.Client.send_packet_to_server = tapped_send


def run_transcription(job: Record) -> tuple[Record, list[whisper_live.Client]]:
    """``TranscriptionClient``: one client, from a file or the microphone."""
    client = whisper_live.TranscriptionClient("127.0.0.1", job["port"], **job["clients"][0])
    client.client.disconnect_if_no_response_for = job["quiet_s"]
    microphone = job["kind"] == "microphone"
    if microphone:
        press_ctrl_c_after(job["last_words"])
    returned = client() if microphone else client(job["audio"])
    return {"returned": returned}, [client.client]


def press_ctrl_c_after(last_words: str) -> None:
    """As somebody does who has seen that what was said is there to stay."""
    on_message = whisper_live.Client.on_message

    def watched(client: whisper_live.Client, ws: object, message: str) -> None:
        on_message(client, ws, message)
        for segment in json.loads(message).get("segments", ()):
            if segment["completed"] and segment["text"].endswith(last_words):
                pyaudio.ctrl_c.set()

    whisper_live.Client.on_message = watched


def run_tee(job: Record) -> tuple[Record, list[whisper_live.Client]]:
    """``TranscriptionTeeClient``: one recording to several sessions."""
    clients = [
        whisper_live.Client("127.0.0.1", job["port"], **options) for options in job["clients"]
    ]
    for client in clients:
        client.disconnect_if_no_response_for = job["quiet_s"]
    whisper_live.TranscriptionTeeClient(clients)(job["audio"])
    return {}, clients


def run_stream(job: Record) -> tuple[Record, list[whisper_live.Client]]:
    """``StreamingTranscriptionClient``: a program pushes audio and gets callbacks."""
    calls: list[tuple[float, str, list[object]]] = []

    def note(name: str) -> Callable[..., None]:
        return lambda *arguments: calls.append((time.time(), name, list(arguments)))

    client = whisper_live.StreamingTranscriptionClient(
        "127.0.0.1",
        job["port"],
        on_session_started=note("started"),
        on_partial_transcript=note("partial"),
        on_committed_transcript=note("committed"),
        on_error=lambda error: calls.append((time.time(), "error", [repr(error)])),
        on_close=note("close"),
        **job["clients"][0],
    )
    with client, wave.open(job["audio"], "rb") as recording:
        due = time.monotonic()
        while chunk := recording.readframes(CHUNK_SAMPLES):
            client.send(chunk, pcm_format="int16")
            due += CHUNK_SAMPLES / recording.getframerate()
            time.sleep(max(0.0, due - time.monotonic()))
    return {"calls": calls}, [client._client]


def main() -> None:
    os.nice(10)  # nor must its busy waiting for a session slow down who waits for its words
    whisper_live.time = Clock()
    job = json.loads(sys.argv[1])
    tap = Tap()
    run = {"tee": run_tee, "stream": run_stream}.get(job["kind"], run_transcription)
    outcome, clients = run(job)
    outcome["sessions"] = [
        {
            "transcript": client.transcript,
            "language": client.language,
            "received": tap.received.get(client.uid, []),
            "ended": tap.ended.get(client.uid),
        }
        for client in clients
    ]
    Path("outcome.json").write_text(json.dumps(outcome), encoding="utf-8")


if __name__ == "__main__":
    main()
