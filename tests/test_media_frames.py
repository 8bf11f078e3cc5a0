"""Frames between the server and its decoder processes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whisper_streaming.media_frames import HEADER, MAX_CONTENT_BYTES, Frame, FrameReader, Request

FRAMES = st.lists(
    st.builds(
        Frame, kind=st.integers(0, 255), stream=st.integers(0, 2**32 - 1), content=st.binary()
    )
)


@given(FRAMES, st.integers(1, 20))
def test_frames_arrive_however_the_bytes_are_cut(frames: list[Frame], size: int) -> None:
    data = b"".join(frame.encode() for frame in frames)
    reader = FrameReader()

    arrived = [
        frame
        for begin in range(0, len(data), size)
        for frame in reader.push(data[begin : begin + size])
    ]

    assert arrived == frames


def test_a_frame_longer_than_any_can_be_is_refused_by_its_header() -> None:
    header = HEADER.pack(Request.FEED, 1, MAX_CONTENT_BYTES + 1)

    with pytest.raises(ValueError, match="67108865"):
        list(FrameReader().push(header))
