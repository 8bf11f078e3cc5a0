"""What the server and its decoder processes tell each other: frames with a length, over pipes.

Each request of a stream is answered by exactly one answer, and a stream has no second request
before that; so neither side ever has more than one message and one piece of a stream in memory.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Request(IntEnum):
    """From the server. OPEN and CLOSE are not answered."""

    OPEN = 1  # the format's name; the stream begins
    FEED = 2  # the next bytes
    MORE = 3  # the rest of an answer that was not complete
    END = 4  # no bytes will follow
    CLOSE = 5  # nobody wants the rest


class Answer(IntEnum):
    """From a decoder process; samples are float32, little-endian, mono, 16 kHz."""

    PART = 16  # samples, and there are more: ask for them
    DONE = 17  # the last samples of this request
    REFUSED = 18  # the stream cannot be decoded: UTF-8 text for the client; nothing follows
    BROKEN = 19  # the same by a fault of ours: UTF-8 text for the log
    MISSING = 20  # a number of samples that are missing, see MISSING; ask for what follows


HEADER: Final = struct.Struct("<BII")  # kind, stream, bytes of content
UNREADABLE_MP4: Final = (
    "nothing in the MP4 stream could be decoded; "
    "it has to be fragmented, or have its index (moov) before the audio"
)
"""Told by the decoder that meets the audio first, or by the server when the stream ends."""
MISSING: Final = struct.Struct("<I")  # samples
MAX_CONTENT_BYTES: Final = 2**26
"""Longer contents are a fault of the other side."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame.

    Attributes:
        kind: A :class:`Request` or :class:`Answer`.
        stream: Number of the stream, never used again.
        content: What the kind says.
    """

    kind: int
    stream: int
    content: bytes = b""

    def encode(self) -> bytes:
        """The frame as bytes."""
        return HEADER.pack(self.kind, self.stream, len(self.content)) + self.content


class FrameReader:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._received = bytearray()

    def push(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now.

        Raises:
            ValueError: If a frame is longer than any can be.
        """
        self._received += data
        while len(self._received) >= HEADER.size:
            kind, stream, length = HEADER.unpack_from(self._received)
            if length > MAX_CONTENT_BYTES:
                raise ValueError(f"a frame of {length} bytes")
            end = HEADER.size + length
            if len(self._received) < end:
                return
            content = bytes(self._received[HEADER.size : end])
            del self._received[:end]
            yield Frame(kind, stream, content)
