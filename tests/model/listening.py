"""What the embedded model hears, streamed and offline; each recording is decoded once per run.

Streamed means a session as the server sets it up, fed in messages of 0.1 s. Offline means the
same session code and the same model, but every utterance is decoded only once, when it is over
(or its window is full): nothing is committed early, so a difference between the two is what
streaming costs. Decodes take no time for either of them (see ``engine.offline``).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from tests.model.recordings import load
from whisper_streaming.backends.base import Backend
from whisper_streaming.config import ServerConfig
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.events import (
    AudioAccount,
    Event,
    LanguageDetected,
    SessionEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis, Word, join_words
from whisper_streaming.core.session import SessionConfig
from whisper_streaming.engine.offline import Emission, run_session
from whisper_streaming.evaluate import normalised_words, word_errors
from whisper_streaming.live.session_setup import set_up_session
from whisper_streaming.vad import create_vad
from whisper_streaming.wire.base import Configure

DETECTING: Final = Configure("tests", detect_language=True)
ONCE_S: Final = 1e6
"""A ``min_chunk_s`` that no utterance reaches, so that it is decoded once."""


def given(name: str) -> Configure:
    """A session that is told the language of a recording, and has no other wishes."""
    return Configure("tests", language=load(name).language)


def translating(name: str) -> Configure:
    """A session that translates a recording to English."""
    return Configure("tests", language=load(name).language, task="translate")


def lost_tail(said: str, heard: str) -> int:
    """How many words are missing at the very end: said last, and nothing stands for them."""
    matches = word_errors(said, heard).matches
    last_said, last_heard = matches[-1] if matches else (-1, -1)
    said_after = len(normalised_words(said)) - 1 - last_said
    heard_after = len(normalised_words(heard)) - 1 - last_heard
    return max(0, said_after - heard_after)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a session said about a piece of audio."""

    events: tuple[Event, ...]

    @property
    def words(self) -> tuple[Word, ...]:
        """The committed words."""
        return tuple(
            word
            for event in self.events
            if isinstance(event, WordsCommitted)
            for word in event.words
        )

    @property
    def text(self) -> str:
        return join_words(self.words).strip()

    @property
    def account(self) -> AudioAccount:
        """Where the samples went; the session must have ended well."""
        ended = self.events[-1]
        assert isinstance(ended, SessionEnded)
        return ended.account

    @property
    def languages(self) -> list[str]:
        """The languages that were detected."""
        return [event.language for event in self.events if isinstance(event, LanguageDetected)]


class _Memory:
    """A model that is asked once for each window; it answers as it did before.

    Sessions that differ in little, as in how they come to know the language, ask for most of the
    windows again. That a model says the same each time is tested in ``test_batches``.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._answers: dict[tuple[object, ...], Hypothesis] = {}

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        return [self._decode(request) for request in requests]

    def _decode(self, request: DecodeRequest) -> Hypothesis:
        rest = (getattr(request, field.name) for field in fields(request))
        key = tuple(_digest(each) if isinstance(each, np.ndarray) else each for each in rest)
        if key not in self._answers:
            [self._answers[key]] = self._backend.decode_batch([request])
        return self._answers[key]


def _digest(samples: FloatArray) -> bytes:
    """As good as the samples, and short."""
    return hashlib.sha256(samples.tobytes()).digest()


class Listener:
    """The embedded model with ears. Remembers what it heard in the recordings."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._memory = _Memory(backend)
        self._vad = create_vad("silero")
        self._streamed: dict[tuple[str, Configure], Heard] = {}
        self._offline: dict[tuple[str, Configure], Heard] = {}

    def streamed(self, name: str, wishes: Configure | None = None) -> Heard:
        """A recording, streamed; by default in a session with its language."""
        key = (name, wishes or given(name))
        if key not in self._streamed:
            self._streamed[key] = self.hear(load(name).samples, key[1])
        return self._streamed[key]

    def offline(self, name: str, wishes: Configure | None = None) -> Heard:
        """A recording, each utterance decoded once at its end."""
        key = (name, wishes or given(name))
        if key not in self._offline:
            self._offline[key] = self.hear_once(load(name).samples, key[1])
        return self._offline[key]

    def hear_ahead(self, wishes: Mapping[str, Configure]) -> None:
        """Stream several recordings at the same time, for tests that will ask for them."""
        with ThreadPoolExecutor(self.backend.info.workers) as pool:
            for _ in pool.map(self.streamed, wishes.keys(), wishes.values()):
                pass

    def hear(
        self,
        samples: FloatArray,
        wishes: Configure,
        *,
        chunk_s: float = 0.1,
        config: ServerConfig | None = None,
    ) -> Heard:
        """Any audio, streamed, in a session as the server would set it up."""
        return self._hear(samples, wishes, None, chunk_s, config)

    def hear_once(self, samples: FloatArray, wishes: Configure) -> Heard:
        """Any audio, each utterance decoded once at its end."""
        return self._hear(samples, wishes, ONCE_S, 0.1)

    def hear_timed(
        self, samples: FloatArray, wishes: Configure
    ) -> list[tuple[float, tuple[Event, ...]]]:
        """Any audio, streamed: events, and after how many seconds of audio they came."""
        session = set_up_session(wishes, ServerConfig(), self.backend.info).session
        return [(each.audio_s, each.events) for each in self._run(session, samples, 0.1)]

    def _hear(
        self,
        samples: FloatArray,
        wishes: Configure,
        min_chunk_s: float | None,
        chunk_s: float,
        config: ServerConfig | None = None,
    ) -> Heard:
        session = set_up_session(wishes, config or ServerConfig(), self.backend.info).session
        if min_chunk_s is not None:
            session = replace(session, min_chunk_s=min_chunk_s)
        emissions = self._run(session, samples, chunk_s)
        return Heard(tuple(event for emission in emissions for event in emission.events))

    def _run(
        self, session: SessionConfig, samples: FloatArray, chunk_s: float
    ) -> Iterator[Emission]:
        probs = self._vad.open_stream().process(samples)
        return run_session(self._memory, session, samples, probs, chunk_s=chunk_s)
