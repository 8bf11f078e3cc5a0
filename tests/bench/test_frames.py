"""Frames of the load generator, against the WebSocket library that servers use."""

import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from whisper_streaming.bench.frames import BINARY, CLOSE, PING, TEXT, FrameReader, client_frame


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536])
def test_a_server_reads_what_is_written(length: int) -> None:
    payload = bytes(index % 251 for index in range(length))
    server = ServerProtocol(state=OPEN, max_size=None)

    server.receive_data(client_frame(BINARY, payload))

    assert server.events_received() == [Frame(Opcode.BINARY, payload)]


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_what_a_server_writes_is_read_in_any_pieces(length: int, step: int) -> None:
    if length > 1000 and step == 1:
        step = 1000
    data = b"".join(
        Frame(opcode, payload).serialize(mask=False)
        for opcode, payload in ((Opcode.TEXT, b"x" * length), (Opcode.CLOSE, b"\x03\xe8"))
    )
    reader = FrameReader()

    read = [m for at in range(0, len(data), step) for m in reader.feed(data[at : at + step])]

    assert read == [(TEXT, b"x" * length), (CLOSE, b"\x03\xe8")]


def test_the_parts_of_a_message_are_joined_around_a_ping() -> None:
    frames = [
        Frame(Opcode.TEXT, b"one ", fin=False),
        Frame(Opcode.PING, b"?"),
        Frame(Opcode.CONT, b"two ", fin=False),
        Frame(Opcode.CONT, b"three"),
    ]
    reader = FrameReader()

    read = list(reader.feed(b"".join(frame.serialize(mask=False) for frame in frames)))

    assert read == [(PING, b"?"), (TEXT, b"one two three")]
