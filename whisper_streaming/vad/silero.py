"""Silero VAD v6, with the weights of the file that faster-whisper ships and one state per stream.

faster-whisper's own ``SileroVADModel`` is for whole recordings: it starts from a zero state at
every call and writes zeros into the last samples of the caller's array. Here the state (an LSTM's
``h`` and ``c``, and the last 64 samples as context) lives in the stream, so that any split of the
audio gives the same probabilities, and so does any mix of streams in one run.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.errors import ConfigurationError
from whisper_streaming.vad.base import FRAME_SAMPLES, VadStream
from whisper_streaming.vad.onnx_weights import read_weights
from whisper_streaming.vad.silero_network import (
    CONTEXT_SAMPLES,
    MAX_FRAMES_PER_RUN,
    STATE_SIZE,
    Memory,
    SileroNetwork,
)

SILENCE_RMS: Final = 10 ** (-70 / 20)
"""-70 dBFS. The quietest microphones hiss above it, so what is below is a muted or digital line."""
SETTLE_FRAMES: Final = 32  # 1 s, longer than the pauses inside an utterance
"""Silent frames in a row that the network still judges; after them it starts afresh.

Left running through long digital silence, the network drifts: after a minute of zeros it hears
speech up to half a second late (and a stream begun afresh does not).
"""

_ASSET: Final = ("assets", "silero_vad_v6.onnx")
_ROW_SAMPLES: Final = CONTEXT_SAMPLES + FRAME_SAMPLES
_SILENT_ENERGY: Final = SILENCE_RMS**2 * FRAME_SAMPLES
_NO_FRAMES: Final[FloatArray] = np.zeros(0, dtype=np.float32)
_PIECE_SAMPLES: Final = MAX_FRAMES_PER_RUN * FRAME_SAMPLES


class SileroVad:
    """The network, shared by all streams; different streams may be judged by several threads."""

    def __init__(self, *, skips_silence: bool = True) -> None:
        """Load the network. From then on NumPy multiplies matrices in one thread.

        Args:
            skips_silence: Give digital silence probability 0 without asking the network.

        Raises:
            ConfigurationError: If the model file is not installed, or is another one.
        """
        # The products are small: NumPy's threads make them no faster, but spin after each.
        threadpool_limits(limits=1, user_api="blas")
        self._network = _load_network(_model_file())
        self._skips_silence = skips_silence

    def open_stream(self) -> "SileroStream":
        return SileroStream(self, skips_silence=self._skips_silence)

    def judge(self, streams: Sequence[VadStream]) -> list[FloatArray]:
        own = [stream for stream in streams if isinstance(stream, SileroStream)]
        assert len(own) == len(streams), "a stream of another detector"
        questions = [stream.question() for stream in own]
        # The longest first: then those that still have a frame at a step of time are the first.
        order = sorted(range(len(own)), key=lambda n: len(questions[n].asked), reverse=True)
        memory = Memory(
            np.concatenate([own[n].memory.h for n in order]),
            np.concatenate([own[n].memory.c for n in order]),
        )
        judged = self._judge([questions[n] for n in order], memory)
        answers = [_NO_FRAMES] * len(own)
        for place, (n, probabilities) in enumerate(zip(order, judged, strict=True)):
            row = slice(place, place + 1)
            # Copies, because views would keep the rows of all streams alive.
            own[n].answer(Memory(memory.h[row].copy(), memory.c[row].copy()))
            answers[n] = questions[n].fill(probabilities)
        return answers

    def _judge(self, questions: Sequence["_Question"], memory: Memory) -> list[FloatArray]:
        """Probabilities of the asked frames; ``questions`` are sorted, the longest first."""
        counts = np.array([len(question.asked) for question in questions])
        begins = np.cumsum(counts) - counts
        gates = self._network.gates(_rows(questions, int(counts.sum())))
        outputs = np.empty((len(gates), STATE_SIZE), dtype=np.float32)
        fresh = [row for row, question in enumerate(questions) if question.fresh]
        for step in range(counts[0]):
            streams = int(np.count_nonzero(counts > step))
            for row in fresh:
                if questions[row].is_fresh_at(step):
                    memory.h[row] = memory.c[row] = 0
            frames = begins[:streams] + step
            self._network.remember(gates[frames], memory, streams)
            outputs[frames] = memory.h[:streams]
        judged = self._network.probabilities(outputs)
        return [judged[b : b + n] for b, n in zip(begins.tolist(), counts.tolist(), strict=True)]


@dataclass(frozen=True, slots=True)
class _Question:
    """Frames of one stream that wait to be judged.

    Attributes:
        line: The frames without a gap, and the samples before the first of them.
        frames: How many they are.
        asked: Which of them the network has to judge, in order.
        fresh: Which of these it begins with a blank memory.
    """

    line: FloatArray
    frames: int
    asked: Sequence[int]
    fresh: frozenset[int]

    def is_fresh_at(self, step: int) -> bool:
        """Whether the memory is blanked before the asked frame number ``step``."""
        return step < len(self.asked) and self.asked[step] in self.fresh

    def fill(self, probabilities: FloatArray) -> FloatArray:
        """The probabilities of all frames: what was not asked is no speech."""
        if len(self.asked) == self.frames:
            return probabilities.copy()
        filled = np.zeros(self.frames, dtype=np.float32)
        filled[list(self.asked)] = probabilities
        return filled


class SileroStream:
    """State of one stream: the LSTM's memory and the audio that the next frame needs."""

    def __init__(self, vad: SileroVad, *, skips_silence: bool) -> None:
        self._vad = vad
        self._skips_silence = skips_silence
        # The context of the next frame, then the samples that do not fill it yet.
        self._line: FloatArray = np.zeros(CONTEXT_SAMPLES, dtype=np.float32)
        self._silent_frames = 0
        self._starts_afresh = False  # the memory is older than a skipped frame
        self._question: _Question | None = None
        self.memory = Memory.blank(1)

    def process(self, samples: FloatArray) -> FloatArray:
        judged = []
        # In pieces, so that a long recording needs no more memory than a long message.
        for begin in range(0, max(len(samples), 1), _PIECE_SAMPLES):
            known = self.push(samples[begin : begin + _PIECE_SAMPLES])
            judged.append(self._vad.judge([self])[0] if known is None else known)
        return np.concatenate(judged)

    def push(self, samples: FloatArray) -> FloatArray | None:
        assert self._question is None, "the last frames were not judged yet"
        line = np.concatenate((self._line, samples))
        frames = (len(line) - CONTEXT_SAMPLES) // FRAME_SAMPLES
        if frames == 0:
            self._line = line
            return _NO_FRAMES
        # A copy, because a view would keep all of a large chunk alive for its last samples.
        self._line = line[frames * FRAME_SAMPLES :].copy()
        question = self._ask(line, frames)
        if not question.asked:
            return np.zeros(frames, dtype=np.float32)
        self._question = question
        return None

    def question(self) -> _Question:
        """What was pushed and is not judged yet."""
        assert self._question is not None, "nothing waits to be judged"
        return self._question

    def answer(self, memory: Memory) -> None:
        """The question was judged; ``memory`` is what the network carries on."""
        self._question, self.memory = None, memory

    def _ask(self, line: FloatArray, frames: int) -> _Question:
        """Leave out the frames that lie deep inside silence."""
        if not self._skips_silence:
            return _Question(line, frames, range(frames), frozenset())
        framed = line[CONTEXT_SAMPLES : CONTEXT_SAMPLES + frames * FRAME_SAMPLES]
        framed = framed.reshape(frames, FRAME_SAMPLES)
        energies: list[float] = np.einsum("ij,ij->i", framed, framed).tolist()
        asked: list[int] = []
        fresh: set[int] = set()
        for frame, energy in enumerate(energies):
            self._silent_frames = self._silent_frames + 1 if energy < _SILENT_ENERGY else 0
            if self._silent_frames > SETTLE_FRAMES:
                self._starts_afresh = True
                continue
            asked.append(frame)
            if self._starts_afresh:
                fresh.add(frame)
                self._starts_afresh = False
        return _Question(line, frames, asked, frozenset(fresh))


def _rows(questions: Sequence[_Question], count: int) -> FloatArray:
    """The ``count`` asked frames, each with the samples before it: shape (count, 64 + 512)."""
    rows = np.empty((count, _ROW_SAMPLES), dtype=np.float32)
    row = 0
    for question in questions:
        for frame in question.asked:
            begin = frame * FRAME_SAMPLES
            rows[row] = question.line[begin : begin + _ROW_SAMPLES]
            row += 1
    return rows


@cache
def _load_network(path: Path) -> SileroNetwork:
    """Once for the whole program: it has no state, and the second pass has a detector, too."""
    return SileroNetwork(read_weights(path.read_bytes()))


def _model_file() -> Path:
    # find_spec, because importing faster_whisper takes a second and loads ctranslate2.
    spec = importlib.util.find_spec("faster_whisper")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "the Silero voice activity detector comes with faster-whisper, which is not installed"
        )
    path = Path(spec.origin).parent.joinpath(*_ASSET)
    if not path.is_file():
        raise ConfigurationError(
            f"this faster-whisper has no {path.name}: install faster-whisper 1.2 or newer"
        )
    return path
