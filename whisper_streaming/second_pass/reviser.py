"""Transcribes a whole recording, with all the time that a better result takes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from whisper_streaming.backends.base import StreamingProfile
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of, seconds
from whisper_streaming.core.endpoint import EndpointRules
from whisper_streaming.core.hearing import Hearing, heard_until
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, Words
from whisper_streaming.core.window import token_bound
from whisper_streaming.engine.base import Decoder
from whisper_streaming.live.stages import Stage
from whisper_streaming.second_pass.recording import Recording
from whisper_streaming.second_pass.relabel import Relabelling
from whisper_streaming.second_pass.windows import speech_windows
from whisper_streaming.vad import VadStream

_PIECE_SAMPLES: Final = 5 * SAMPLE_RATE
"""Read and judged at once: some milliseconds of work."""


@dataclass(frozen=True, slots=True)
class RevisionRules:
    """How a recording is transcribed.

    Attributes:
        options: Of the session, with the language that was decided; None if it is to be detected.
        profile: Of its model.
        endpoint: What is speech.
        beam_size: Hypotheses that are followed at once.
        knows_voices: Whether the detector tells a voice from other sound.
    """

    options: DecodeOptions
    profile: StreamingProfile
    endpoint: EndpointRules
    beam_size: int
    knows_voices: bool


class Reviser:
    """One second look.

    Args:
        recording: Whole, and nothing is added to it any more.
        rules: How.
        decoder: Gets requests that no live session waits for.
        vad: A fresh stream.
        stages: Fresh ones, that align the words and name their speakers.
    """

    def __init__(
        self,
        recording: Recording,
        rules: RevisionRules,
        decoder: Decoder,
        vad: VadStream,
        stages: Sequence[Stage],
    ) -> None:
        self._recording = recording
        self._rules = rules
        self._decoder = decoder
        self._vad = vad
        self._relabelling = Relabelling(stages)
        self._hearing = Hearing(rules.endpoint, None, knows_voices=rules.knows_voices)
        self._done = 0

    @property
    def done(self) -> float:
        """How much of the recording was looked at, in [0, 1]."""
        return self._done / max(1, self._recording.samples)

    @property
    def _may_change_language(self) -> bool:
        options = self._rules.options
        return options.language is None and len(options.candidates) > 1

    async def utterances(self) -> tuple[Words, ...]:
        """The words of the recording.

        Raises:
            DecodeError: If a window cannot be decoded.
            DecodeTimeout: If the backend does not answer.
            OSError: If the recording cannot be read.
        """
        probs = await self._judge()
        self._hearing.receive(np.zeros(0, np.float32), probs, keep_from=0)
        profile = self._rules.profile
        longest_s = profile.window.max_window_s
        windows = speech_windows(
            probs,
            self._rules.endpoint,
            longest_s=longest_s,
            merged_s=0.0
            if self._may_change_language
            else min(longest_s, profile.final_bucket_s - profile.bucket_pad_s),
        )
        async with self._relabelling.running():
            for window in windows:
                await self._revise(*window)
            return await self._relabelling.finish()

    async def _judge(self) -> FloatArray:
        """The speech probabilities of the whole recording."""
        pieces = [
            await asyncio.to_thread(self._vad.process, samples)
            async for samples in self._pieces(0, self._recording.samples)
        ]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    async def _revise(self, start: int, end: int) -> None:
        async for piece in self._pieces(self._done, end):
            self._relabelling.receive_audio(piece)
        self._done = max(self._done, end)
        words: Words = ()
        language: str | None = None
        while start < end:
            heard, start, language = await self._hear(start, end)
            words += heard
        if words:
            await self._relabelling.label(words, seconds(end), language)

    async def _hear(self, start: int, end: int) -> tuple[Words, int, str]:
        """The words of a window, where there was no room for more of them, and their language."""
        request = await self._request(start, end)
        hypothesis = await self._decoder.decode(request)
        assert hypothesis is not None  # a request is always needed
        words = self._hearing.spoken_words(request, hypothesis)
        if heard_until(request, hypothesis) == end or len(words) < 2:
            return words, end, hypothesis.language
        # The last word may be half of one; it is heard anew, whole.
        rest = samples_of(words[-1].start)
        if not start < rest < end:
            return words, end, hypothesis.language
        return words[:-1], rest, hypothesis.language

    async def _request(self, start: int, end: int) -> DecodeRequest:
        rules = self._rules
        samples = await asyncio.to_thread(self._recording.read, start, end)
        return DecodeRequest(
            samples=samples,
            start_sample=start,
            options=rules.options,
            prompt=rules.options.prompt,
            is_last=True,
            is_background=True,
            max_new_tokens=token_bound(seconds(end - start)),
            beam_size=rules.beam_size,
        )

    async def _pieces(self, start: int, end: int) -> AsyncIterator[FloatArray]:
        for begin in range(start, end, _PIECE_SAMPLES):
            stop = min(end, begin + _PIECE_SAMPLES)
            yield await asyncio.to_thread(self._recording.read, begin, stop)
