"""Streams that are decoded while they come, honest and hostile, without a process between."""

import io
import queue
import random
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import av
import numpy as np
import pytest

from tests.encoded_audio import (
    FORMATS,
    RATE,
    encode,
    forged_wav,
    mp4_that_claims,
    opus_bomb,
    slices,
    tone,
    webm_that_claims,
)
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.media import decode_media
from whisper_streaming.media_clock import TOLERANCE_S
from whisper_streaming.media_frames import MISSING, Answer, Request
from whisper_streaming.media_stream import (
    GRACE_AUDIO_S,
    PIECE_SAMPLES,
    StreamDecoder,
    StreamLimits,
)
from whisper_streaming.wire.container import detect_format

NOISE = random.Random(6).randbytes(300_000)
TONES = {name: encode(name, tone(3.0)) for name in FORMATS}
SLICES_PER_S = 10
# Tones alone are coded in fewer bytes than speech, so that less is lost with them.
NOISY = (tone(6.0) // 2 + np.random.default_rng(1).normal(0, 2000, 6 * RATE)).astype(np.int16)


@dataclass
class Decoded:
    """What came of a stream.

    Attributes:
        pieces: Samples, answer by answer.
        received: Seconds that had come after each message.
        missing: Samples of each hole; silence stands for it among the pieces.
        refusal: Why it was refused, or None.
    """

    pieces: list[FloatArray] = field(default_factory=list)
    received: list[float] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    refusal: str | None = None

    @property
    def samples(self) -> FloatArray:
        return np.concatenate([np.zeros(0, dtype=np.float32), *self.pieces])

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE


class Stream:
    """A decoder and the client's end of it."""

    def __init__(self, audio_format: str, limits: StreamLimits | None = None) -> None:
        self._answers: queue.SimpleQueue[tuple[Answer, bytes]] = queue.SimpleQueue()
        self.decoder = StreamDecoder(
            audio_format,
            limits or StreamLimits(),
            lambda kind, data: self._answers.put((kind, data)),
        )
        self.decoded = Decoded()

    def ask(self, request: Request, content: bytes = b"") -> None:
        while self.decoded.refusal is None:
            self.decoder.ask(request, content)
            kind, data = self._answers.get(timeout=30)
            assert kind is not Answer.BROKEN, data.decode()
            if kind is Answer.REFUSED:
                self.decoded.refusal = data.decode()
                return
            if kind is Answer.MISSING:
                (samples,) = MISSING.unpack(data)
                self.decoded.missing.append(samples)
                self.decoded.pieces.append(np.zeros(samples, np.float32))
            else:
                self.decoded.pieces.append(np.frombuffer(data, dtype="<f4"))
            if kind is Answer.DONE:
                return
            request, content = Request.MORE, b""

    def feed(self, message: bytes) -> None:
        self.ask(Request.FEED, message)
        self.decoded.received.append(self.decoded.duration_s)


def decode(messages: Sequence[bytes], limits: StreamLimits | None = None) -> Decoded:
    audio_format = detect_format(b"".join(messages))
    assert audio_format is not None
    stream = Stream(audio_format, limits)
    for message in messages:
        stream.feed(message)
    stream.ask(Request.END)
    return stream.decoded


@pytest.mark.parametrize("name", FORMATS)
def test_a_stream_gives_the_samples_of_the_whole_file(name: str) -> None:
    whole = np.concatenate(list(decode_media(io.BytesIO(TONES[name]))))

    decoded = decode(slices(TONES[name], 31))

    assert (decoded.refusal, decoded.missing) == (None, [])
    # From a file the library knows how much padding stands at the end of an MP3.
    padding = 16 if name == "mp3" else 0
    assert len(decoded.samples) == len(whole) + padding
    assert np.array_equal(decoded.samples[: len(whole) - padding], whole[: len(whole) - padding])
    assert decoded.samples.dtype == np.float32


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_it_does_not_matter_where_a_stream_is_cut(size: int) -> None:
    webm = encode("webm", tone(0.2))
    messages = [webm[begin : begin + size] for begin in range(0, len(webm), size)]

    assert np.array_equal(decode(messages).samples, decode([webm]).samples)


@pytest.mark.parametrize(
    ("name", "late_s"),
    [
        pytest.param("webm", 0.1, id="webm"),
        pytest.param("ogg", 0.1, id="ogg"),
        # A fragment of 0.1 s comes when it is complete.
        pytest.param("mp4", 0.2, id="mp4"),
        pytest.param("wav", 0.1, id="wav"),
        # The library looks at several frames before it believes that they are some.
        pytest.param("mp3", 0.5, id="mp3"),
        pytest.param("flac", 1.6, id="flac"),
    ],
)
def test_samples_come_soon_after_their_bytes(name: str, late_s: float) -> None:
    decoded = decode(slices(TONES[name], 3 * SLICES_PER_S))

    late = [
        (number + 1) / SLICES_PER_S - received for number, received in enumerate(decoded.received)
    ]
    assert len(late) == 3 * SLICES_PER_S
    assert max(late) <= late_s + 0.01  # containers are no even stream of bytes


def test_stereo_and_a_low_rate_come_as_mono_at_16_khz() -> None:
    left = (tone(1.0, 8000)).astype("<i2")
    stereo = np.stack([left, left], axis=1).tobytes()

    decoded = decode(slices(forged_wav(stereo, rate=8000, channels=2), 10))

    assert abs(len(decoded.samples) - SAMPLE_RATE) < 20
    assert 0.25 < np.abs(decoded.samples).max() < 0.3


def test_a_long_answer_comes_in_pieces() -> None:
    opus = encode("ogg", np.zeros(RATE * 25, dtype=np.int16))
    stream = Stream("Ogg")

    stream.feed(opus)

    lengths = [len(piece) for piece in stream.decoded.pieces]
    assert len(lengths) == 3
    assert max(lengths) < PIECE_SAMPLES + SAMPLE_RATE
    assert sum(lengths) > 24 * SAMPLE_RATE
    stream.ask(Request.END)


def test_closed_streams_leave_no_thread() -> None:
    before = set(threading.enumerate())
    asleep, busy, unused = Stream("WebM"), Stream("Ogg"), Stream("WAV")
    asleep.feed(TONES["webm"][:3000])
    busy.decoder.ask(Request.FEED, encode("ogg", np.zeros(RATE * 25, dtype=np.int16)))
    running = set(threading.enumerate()) - before
    assert len(running) == 3

    for stream in (asleep, busy, unused):
        stream.decoder.ask(Request.CLOSE)

    for thread in running:
        thread.join(timeout=30)
        assert not thread.is_alive()


# -- broken


@pytest.mark.parametrize("name", ["webm", "ogg", "mp4", "mp3", "wav"])
def test_a_stream_that_is_cut_off_gives_what_came(name: str) -> None:
    data = TONES[name]

    decoded = decode(slices(data[: len(data) * 2 // 3], 20))

    assert (decoded.refusal, decoded.missing) == (None, [])
    assert 1.7 < decoded.duration_s < 2.1


@pytest.mark.parametrize("name", FORMATS)
def test_a_stream_that_ends_in_its_header_gives_nothing(name: str) -> None:
    decoded = decode([TONES[name][:40]])

    assert (decoded.duration_s, decoded.refusal) == (0.0, None)


def test_a_recorder_that_starts_again_within_a_message_is_decoded() -> None:
    # What stands between the recordings is lost with the one that was cut.
    decoded = decode(slices(TONES["webm"][:-50] + TONES["webm"], 30))

    assert (decoded.refusal, decoded.missing) == (None, [])
    assert abs(decoded.duration_s - 6.0) < 0.05


DAMAGED_FROM, DAMAGED_TO = 10_000, 14_000


@pytest.mark.parametrize("noise", [b"", NOISE[: DAMAGED_TO - DAMAGED_FROM]], ids=["cut", "noise"])
@pytest.mark.parametrize("name", ["webm", "ogg", "flac"])
def test_what_is_missing_in_the_middle_is_told_and_shifts_nothing(name: str, noise: bytes) -> None:
    whole = encode(name, NOISY, bit_rate=64_000)
    scale = 1 if name != "flac" else 8

    damaged = whole[: DAMAGED_FROM * scale] + noise * scale + whole[DAMAGED_TO * scale :]
    decoded = decode(slices(damaged, 30))

    assert decoded.refusal is None
    assert len(decoded.missing) == 1
    assert 0.3 < decoded.missing[0] / SAMPLE_RATE < 1.5
    assert abs(decoded.duration_s - 6.0) < 0.02


def test_messages_that_were_lost_or_swapped_shift_nothing() -> None:
    messages = slices(encode("webm", NOISY, bit_rate=64_000), 60)  # 0.1 s each
    without = messages[:20] + messages[26:]
    swapped = [*messages[:20], *messages[26:32], *messages[20:26], *messages[32:]]

    for received in (without, swapped):
        decoded = decode(received)

        assert decoded.refusal is None
        assert sum(decoded.missing) > 0.5 * SAMPLE_RATE
        assert abs(decoded.duration_s - 6.0) < TOLERANCE_S


def test_a_hole_that_is_longer_than_any_lost_message_is_refused() -> None:
    whole = encode("ogg", np.zeros(RATE * 40, dtype=np.int16))

    decoded = decode(slices(whole[: len(whole) // 20] + whole[-len(whole) // 20 :], 10))

    assert decoded.refusal is not None
    assert "s of the Ogg audio are missing after 1.9 s" in decoded.refusal


def test_damage_in_an_mp3_is_told_though_it_has_no_times() -> None:
    mp3 = encode("mp3", NOISY)
    middle = len(mp3) // 2

    decoded = decode(slices(mp3[:middle] + mp3[middle + 4000 :], 30))

    assert (decoded.refusal, len(decoded.missing)) == (None, 1)


@pytest.mark.parametrize("noise", [b"", NOISE[:4000]], ids=["cut", "noise"])
def test_a_damaged_fragment_of_an_mp4_ends_it_with_a_reason(noise: bytes) -> None:
    mp4 = encode("mp4", NOISY)
    middle = len(mp4) // 2

    decoded = decode(slices(mp4[:middle] + noise + mp4[middle + 4000 :], 30))

    assert decoded.refusal is not None
    assert "the MP4 audio cannot be decoded after" in decoded.refusal
    assert decoded.refusal.endswith("it is damaged, or bytes are missing")


@pytest.mark.parametrize("tag", [b"TAG" + bytes(125), b"TAG" + b"x" * 125], ids=["empty", "text"])
def test_a_tag_behind_an_mp3_is_no_damage(tag: bytes) -> None:
    for messages in (slices(TONES["mp3"] + tag, 30), [TONES["mp3"], tag]):
        decoded = decode(messages)

        assert (decoded.refusal, decoded.missing) == (None, [])


@pytest.mark.parametrize(
    ("beginning", "reason"),
    [
        pytest.param(
            b"\x1a\x45\xdf\xa3", "the WebM audio cannot be decoded after 0.0 s", id="webm"
        ),
        pytest.param(b"OggS\0\x02", "the Ogg audio cannot be decoded after 0.0 s", id="ogg"),
        pytest.param(b"ID3\4\0\0\0\0\0\0", "held no audio|no audio in", id="mp3"),
        pytest.param(b"\0\0\0\x10ftypisom\0\0\2\0", "held no audio|cannot be decoded", id="mp4"),
        pytest.param(b"fLaC\0\0\0\x22" + bytes(34), "held no audio|cannot be decoded", id="flac"),
        pytest.param(b"RIFF\0\0\0\0WAVE", "the WAV header claims a chunk of", id="wav"),
    ],
)
def test_noise_behind_a_good_beginning_is_refused(beginning: bytes, reason: str) -> None:
    limits = StreamLimits(max_bytes_without_audio=100_000)

    decoded = decode(slices(beginning + NOISE, 30), limits)

    assert decoded.duration_s < 0.5
    assert decoded.refusal is not None
    assert any(each in decoded.refusal for each in reason.split("|")), decoded.refusal


@pytest.mark.parametrize("name", ["webm", "ogg", "mp4", "mp3"])
def test_noise_behind_good_audio_gives_the_audio_and_a_refusal(name: str) -> None:
    limits = StreamLimits(max_bytes_without_audio=100_000)

    decoded = decode(slices(TONES[name][:15_000] + NOISE, 30), limits)

    assert 0.5 < decoded.duration_s < 3.0
    assert decoded.refusal is not None


def test_an_mp4_with_its_index_at_the_end_is_refused() -> None:
    decoded = decode(slices(encode("mp4 with its index at the end", tone(1.0)), 10))

    assert decoded.refusal == (
        "nothing in the MP4 stream could be decoded; "
        "it has to be fragmented, or have its index (moov) before the audio"
    )


def test_audio_in_a_rare_coding_is_refused() -> None:
    decoded = decode([encode("ac3", tone(0.5))])

    assert decoded.refusal == "audio coded as ac3 is not taken; send Opus or PCM"


# -- hostile


@pytest.mark.parametrize("name", FORMATS)
def test_any_damage_is_decoded_or_refused(name: str) -> None:
    honest = encode(name, tone(0.3))
    random_numbers = random.Random(name)
    refused = 0
    for _ in range(60):
        damaged = bytearray(honest)
        for _ in range(random_numbers.choice((1, 3, 20))):
            # The beginning is what the recorder says of itself; the first 12 tell the format.
            place = random_numbers.randrange(12, min(400, len(damaged)))
            damaged[place] = random_numbers.choice((0, 255, random_numbers.randrange(256)))

        decoded = decode(slices(bytes(damaged), random_numbers.choice((1, 5))))

        refused += decoded.refusal is not None
        assert decoded.duration_s < GRACE_AUDIO_S + len(damaged) / 50 + 1
    assert 0 < refused < 60 or name == "mp3"  # of an MP3 the rest can always be read


def test_a_few_bytes_that_hold_hours_are_refused() -> None:
    bomb = opus_bomb(12)
    assert len(bomb) < 10_000

    decoded = decode([bomb])

    assert decoded.refusal is not None
    assert "which no real recording does" in decoded.refusal
    assert decoded.duration_s < GRACE_AUDIO_S + len(bomb) / 50 + 1


def test_decoding_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whisper_streaming.media_stream.GRACE_CPU_S", 0.0)

    decoded = decode([TONES["webm"]], StreamLimits(cpu_per_s=1e-9))

    assert decoded.refusal == "the WebM audio takes too long to decode"


def test_a_stream_for_which_there_is_no_memory_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise av.error.MemoryError(12, "Cannot allocate memory")

    monkeypatch.setattr("av.open", fail)

    assert decode([TONES["webm"]]).refusal == "the WebM audio needs too much memory"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say who uses how much")
@pytest.mark.parametrize("claim", [webm_that_claims(2**27), mp4_that_claims(4_000_000)])
def test_a_few_bytes_that_claim_much_memory_are_refused(claim: bytes) -> None:
    decoded = decode([claim])

    assert len(claim) < 3000
    assert decoded.refusal is not None
    assert decoded.refusal.endswith("audio needs too much memory")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        pytest.param({"rate": 0}, "audio with 0 samples a second is not taken", id="rate 0"),
        pytest.param({"rate": 1}, "audio with 1 samples a second is not taken", id="rate 1"),
        pytest.param(
            {"rate": 2**31 - 1},
            "audio with 2147483647 samples a second is not taken",
            id="rate max",
        ),
        pytest.param({"channels": 0}, "audio with 0 channels is not taken", id="no channels"),
        pytest.param(
            {"channels": 65_535}, "audio with 65535 channels is not taken", id="channels max"
        ),
    ],
)
def test_forged_wav_headers_are_refused(claims: dict[str, int], reason: str) -> None:
    decoded = decode([forged_wav(bytes(96_000), **claims)])

    assert (decoded.duration_s, decoded.refusal) == (0.0, reason)


@pytest.mark.parametrize(
    ("size", "duration_s"),
    [
        pytest.param(0, 1.0, id="unknown"),
        pytest.param(2**32 - 1, 1.0, id="unknown, too"),
        pytest.param(2**30, 1.0, id="hours that are not there"),
        pytest.param(48_000, 0.5, id="half of what is there"),
    ],
)
def test_forged_wav_sizes_claim_nothing_that_is_not_there(size: int, duration_s: float) -> None:
    decoded = decode(slices(forged_wav(bytes(96_000), size=size), 10))

    assert (decoded.duration_s, decoded.refusal) == (duration_s, None)
