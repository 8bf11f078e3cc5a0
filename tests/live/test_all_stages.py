"""Random conversations through all stages at once: nothing is lost, doubled or let through."""

import asyncio
import json
import logging
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.conversations import conversation
from tests.diarization.fakes import ScriptedEmbedder
from tests.live.memory_socket import MemorySocket
from tests.live.test_observers import Noting
from tests.translation.test_stage import TimedTexts
from whisper_streaming.alignment.stage import AlignmentStage
from whisper_streaming.backends.scripted import ScriptedBackend
from whisper_streaming.config import SecondPassSettings, ServerConfig
from whisper_streaming.core.audio import FloatArray, samples_of
from whisper_streaming.core.events import (
    Event,
    PartialUpdated,
    SessionEnded,
    SessionFailed,
    TranscriptRevised,
    TranslationCommitted,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis, Word, Words, join_words
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.diarization.embedder_thread import EmbedderThread
from whisper_streaming.diarization.stage import SpeakerStage
from whisper_streaming.diarization.voices import VoiceRules
from whisper_streaming.engine.base import DecodeJob
from whisper_streaming.live.delivery import Delivery, Loss
from whisper_streaming.live.session_log import SessionLogger
from whisper_streaming.live.session_setup import set_up_session
from whisper_streaming.live.session_stats import SessionStats
from whisper_streaming.live.stages import Stage, StageContext
from whisper_streaming.second_pass import SecondPass
from whisper_streaming.text_hook import TextFacts, TextHook
from whisper_streaming.translation.passages import PassageFeed
from whisper_streaming.translation.session import SessionTranslator
from whisper_streaming.translation.stage import TranslationStage
from whisper_streaming.vad import create_vad
from whisper_streaming.wire.base import Configure
from whisper_streaming.wire.whisper_live import WhisperLiveServerCodec

SECRET = "Straße"
PATIENT_S = 30.0
LOG = SessionLogger(logging.getLogger("whisper_streaming.session"), "1")


class SecondThoughts:
    """A decoder that hears the same in every window."""

    async def decode(self, job: DecodeJob) -> Hypothesis | None:
        request: DecodeRequest = job.take()
        return Hypothesis((Word(f" {SECRET}", request.start, request.end),), "de")


def _redact(text: str, facts: TextFacts) -> str:
    return text.replace(SECRET, "***").replace(SECRET.upper(), "***")


class LateAligner:
    """Finds every word a little later, after a few turns of the loop; some it does not find."""

    def __init__(self, seed: int) -> None:
        self._numbers = random.Random(seed)

    async def align(
        self,
        language: str,
        words: Words,
        samples: FloatArray,
        start_sample: int,
        *,
        wanted: slice,
        within_s: float | None,
    ) -> Words | None:
        for _ in range(self._numbers.choice((0, 1, 5, 30))):
            await asyncio.sleep(0)
        if self._numbers.random() < 0.2:
            return None
        return tuple(
            replace(word, start=word.start + 0.01, end=word.end + 0.01, is_aligned=True)
            for word in words[wanted]
        )

    def complaint(self, language: str) -> str | None:
        return None


class Passage:
    """Everything that the settings of a server may put between a session and its client."""

    def __init__(self, seed: int) -> None:
        self._aligner = LateAligner(seed)
        self.left: list[Event] = []
        self.socket = MemorySocket()
        self._thread = EmbedderThread(ScriptedEmbedder())
        self._hook = TextHook(_redact, "redact", timeout_s=PATIENT_S, rules=SegmentRules())
        codec = WhisperLiveServerCodec()
        codec.receive(json.dumps({"uid": "a", "summary": True, "numeric_times": True}))
        self._delivery = Delivery(
            self.socket,
            codec,
            self._stages(),
            max_pending=100_000,
            send_timeout_s=None,
            stats=SessionStats(),
            lag=lambda: 0.0,
            log=LOG,
        )

    async def run(self, seed: int, duration_s: float) -> list[Event]:
        """The events that went in."""
        events: list[object] = []

        def fail(loss: Loss) -> None:
            raise loss

        self._delivery.open([Noting(events)], fail)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._delivery.run())
                given = await self._feed(seed, duration_s)
        finally:
            self._thread.close()
            self._hook.close()
        self.left = [event for event in events if isinstance(event, Event)]
        assert len(self.left) == len(events)
        return given

    async def _feed(self, seed: int, duration_s: float) -> list[Event]:
        numbers, given, received = random.Random(seed), list[Event](), 0
        for step in conversation(seed, duration_s):
            due = samples_of(step.clock_s + 1.0) - received
            level = np.float32(numbers.randint(1, 4) / 10)
            self._delivery.receive_audio(np.full(due, level, np.float32))
            received += due
            self._delivery.put(step.events)
            given += step.events
            # So that the stages get some at once and some one by one.
            for _ in range(numbers.choice((0, 1, 5, 30))):
                await asyncio.sleep(0)
        self._delivery.close()
        return given

    @property
    def client_text(self) -> str:
        """All completed captions, as a client keeps them."""
        captions: dict[float, str] = {}
        for message in map(json.loads, self.socket.sent):
            for segment in message.get("segments", ()):
                if segment["completed"]:
                    text = captions.setdefault(segment["start"], segment["text"])
                    assert text == segment["text"], "a complete caption has changed"
        return "".join(captions[start] for start in sorted(captions))

    def _stages(self) -> Sequence[Stage]:
        wishes = Configure(uid="a", language="de", takes_revision=True)
        setup = set_up_session(wishes, ServerConfig(), ScriptedBackend().info)
        context = StageContext(wishes, setup, SecondThoughts(), LOG)
        second_pass = SecondPass(
            SecondPassSettings(enabled=True), create_vad("energy"), knows_voices=False, relabel=()
        )
        return [
            AlignmentStage(self._aligner, language="de", hold_s=None),
            SpeakerStage(self._thread, VoiceRules(0.5, 0.9), hold_s=PATIENT_S),
            TranslationStage(
                SessionTranslator(TimedTexts(), None, "en"),
                PassageFeed(SegmentRules(), "de"),
                timeout_s=PATIENT_S,
                log=LOG,
            ),
            second_pass.create_stage(context),
            self._hook.create_stage(context),
        ]


def _final_text(events: Sequence[Event]) -> str:
    return "".join(join_words(each.words) for each in events if isinstance(each, WordsCommitted))


@pytest.mark.parametrize("seed", range(4))
async def test_all_stages_together_keep_every_promise(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Words that are held for any time are shown meanwhile.
    monkeypatch.setattr("whisper_streaming.alignment.stage.SHOWN_AFTER_S", 0.0)
    passage = Passage(seed)
    given = await passage.run(seed, 120.0)
    left = passage.left

    said = _final_text(given).replace(SECRET, "***")
    assert SECRET in _final_text(given)
    assert _final_text(left) == said
    assert passage.client_text == said
    # Nothing that was to be hidden is anywhere, in whatever was made of the words.
    assert SECRET not in repr(left)
    assert SECRET.upper() not in repr(left)
    assert SECRET not in str([json.loads(message) for message in passage.socket.sent])
    # Each end of an utterance comes when all its words are out.
    for ended in (each for each in given if isinstance(each, UtteranceEnded)):
        before = _final_text(given[: given.index(ended)]).replace(SECRET, "***")
        assert _final_text(left[: left.index(ended)]) == before
    kinds = (WordsCommitted, PartialUpdated)
    others = [each for each in given if not isinstance(each, kinds)]
    assert [each for each in left if each in others] == others
    translated = [each for each in left if isinstance(each, TranslationCommitted)]
    assert translated
    assert all(one.end <= other.start for one, other in pairwise(translated))
    # The end is the end, and a second look comes right before it.
    assert left[-1] == given[-1]
    assert sum(isinstance(each, SessionEnded | SessionFailed) for each in left) == 1
    revisions = [left.index(each) for each in left if isinstance(each, TranscriptRevised)]
    assert revisions == ([len(left) - 2] if isinstance(left[-1], SessionEnded) else [])
