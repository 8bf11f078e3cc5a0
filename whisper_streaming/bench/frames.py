"""WebSocket frames as a load generator needs them: written once, read with little work.

A client library masks every message anew and offers compression, which at 100 sessions costs
the generator more than the server under test. Here a message is turned into bytes once, and
every session writes the same bytes. Source: RFC 6455, section 5.2.
"""

from collections.abc import Iterator
from typing import Final

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

_FINAL: Final = 0x80
_MASKED: Final = 0x80
_CONTROL: Final = 0x8
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
# A client has to mask. Masked with zeros a payload is as it was; that no proxy can be confused
# by it, the reason for random masks, does not matter between two programs on one machine.
_NO_MASK: Final = bytes(4)


def client_frame(opcode: int, payload: bytes) -> bytes:
    """A whole message of a client."""
    length = len(payload)
    if length < _LENGTH_16:
        head = bytes((_FINAL | opcode, _MASKED | length))
    elif length < 1 << 16:
        head = bytes((_FINAL | opcode, _MASKED | _LENGTH_16)) + length.to_bytes(2)
    else:
        head = bytes((_FINAL | opcode, _MASKED | _LENGTH_64)) + length.to_bytes(8)
    return head + _NO_MASK + payload


class FrameReader:
    """Cuts the bytes of a server into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._opcode = 0
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Take bytes; yields (opcode, payload) of each message that is whole now."""
        self._buffer += data
        while (frame := self._next_frame()) is not None:
            first, payload = frame
            opcode = first & 0xF
            if opcode & _CONTROL:  # these may come between the parts of a message
                yield opcode, payload
                continue
            self._opcode = opcode or self._opcode
            self._parts.append(payload)
            if first & _FINAL:
                yield self._opcode, b"".join(self._parts)
                self._parts = []

    def _next_frame(self) -> tuple[int, bytes] | None:
        """First byte and payload of the next frame; None if it is not whole."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, start = buffer[1] & 0x7F, 2
        if length >= _LENGTH_16:
            start += 2 if length == _LENGTH_16 else 8
            if len(buffer) < start:
                return None
            length = int.from_bytes(buffer[2:start])
        end = start + length
        if len(buffer) < end:
            return None
        first, payload = buffer[0], bytes(buffer[start:end])
        del buffer[:end]
        return first, payload
