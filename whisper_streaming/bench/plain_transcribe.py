"""LocalAgreement-2 as whisper_streaming has it: whole windows through ``transcribe``.

Written from the published description (Machacek et al. 2023, arXiv:2307.14743), so that its policy
can be compared with ours on the same model, the same audio and the same utterances. Each tick
hears the whole buffer again, padded to 30 s, with a beam of 5; words agree if they are written
alike, comma for comma; the last tail of an utterance is flushed as it stands.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from faster_whisper import WhisperModel

from whisper_streaming.bench.recordings import Recording
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of, seconds
from whisper_streaming.core.endpoint import EndpointRules
from whisper_streaming.core.finder import UtteranceFinder
from whisper_streaming.core.hypothesis import Word, join_words
from whisper_streaming.evaluate import CaptionLog

_MESSAGE_S: Final = 0.1
_BEAM_SIZE: Final = 5
_PROMPT_CHARACTERS: Final = 200
_LONGEST_BUFFER_S: Final = 15.0
_NO_SPEECH: Final = 0.9
# A new word may begin so much before the last committed one ended: times jitter.
_JITTER_S: Final = 0.1
# Words that begin so soon after the last committed ones may repeat up to five of them.
_REPEAT_WITHIN_S: Final = 1.0
_LONGEST_REPEAT: Final = 5


@dataclass(frozen=True, slots=True)
class Heard:
    """What a viewer would have seen, and what it cost.

    Attributes:
        captions: When what was shown, on the audio clock.
        text: What was committed in the end.
        cpu_s: Processor seconds, of all threads.
    """

    captions: CaptionLog
    text: str
    cpu_s: float


@dataclass(slots=True)
class _Buffer:
    """The open utterance: its audio starts at ``start_s``.

    Attributes:
        start_s: Seconds from the first sample.
        decoded_until: First sample that no decode has heard.
        committed: Words whose audio is in the buffer.
        tail: Uncommitted words of the last decode.
        before: Committed text before the buffer.
        segment_ends: Of the last decode, seconds from the first sample.
    """

    start_s: float
    decoded_until: int
    before: str
    committed: list[Word] = field(default_factory=list)
    tail: list[Word] = field(default_factory=list)
    segment_ends: list[float] = field(default_factory=list)

    @property
    def committed_until(self) -> float:
        return self.committed[-1].end if self.committed else self.start_s

    def insert(self, words: Sequence[Word]) -> None:
        """Commit what the last tail and ``words`` share; the rest of them is the new tail."""
        new = [word for word in words if word.start > self.committed_until - _JITTER_S]
        new = new[_repeated(self.committed, new, self.committed_until) :]
        agreed = 0
        for earlier, newest in zip(self.tail, new, strict=False):
            if earlier.text != newest.text:
                break
            agreed += 1
        self.committed += new[:agreed]
        self.tail = new[agreed:]

    def trim(self, now_s: float) -> None:
        """Cut a long buffer at the end of its last segment but one that is committed."""
        if now_s - self.start_s <= _LONGEST_BUFFER_S:
            return
        ends = [end for end in self.segment_ends[:-1] if end <= self.committed_until]
        if ends and ends[-1] > self.start_s:
            self.start_s = ends[-1]
            left = [word for word in self.committed if word.end <= self.start_s]
            self.before += join_words(left)
            self.committed = self.committed[len(left) :]


class PlainTranscriber:
    """A loaded model that hears recordings in this way."""

    def __init__(self, folder: Path) -> None:
        """Load the model in ``folder`` on one thread of the CPU, as its own process would."""
        self._model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)

    def hear(
        self,
        recording: Recording,
        speech_probs: FloatArray,
        tick_s: float,
        rules: EndpointRules | None = None,
    ) -> Heard:
        """Stream a recording in messages of 0.1 s; decodes take no time.

        Args:
            recording: What is said.
            speech_probs: float32, shape (k,): a probability for each whole frame of it.
            tick_s: New audio that is worth another decode.
            rules: Where utterances start and end; as in our sessions.
        """
        rules = rules or EndpointRules()
        captions, said = CaptionLog(), ""
        began = time.process_time()
        for at, text, tail in self._stream(recording, speech_probs, tick_s, rules):
            said = text
            captions.add(at, text, text + tail)
        return Heard(captions, said.strip(), time.process_time() - began)

    def _stream(
        self, recording: Recording, speech_probs: FloatArray, tick_s: float, rules: EndpointRules
    ) -> Iterator[tuple[float, str, str]]:
        """When, the committed text and the text behind it, after each decode."""
        finder = UtteranceFinder(rules, withholds_silence=True)
        samples, step, said = recording.samples, samples_of(_MESSAGE_S), ""
        buffer: _Buffer | None = None
        for end in (*range(step, len(samples), step), len(samples)):
            first = (end - 1) // step * step // rules.frame_samples
            finder.receive(speech_probs[first : end // rules.frame_samples].tolist())
            if end == len(samples):
                finder.end_here(end)
            while True:
                if buffer is None:
                    found = finder.next_start(end)
                    if found is None:
                        break
                    buffer = _Buffer(seconds(found[0]), found[1], said)
                stop = finder.next_end()
                if stop is None and end - buffer.decoded_until < samples_of(tick_s):
                    break
                self._decode(buffer, recording, end if stop is None else stop)
                said = buffer.before + join_words(buffer.committed)
                if stop is None:
                    yield end / SAMPLE_RATE, said, join_words(buffer.tail)
                    break
                said += join_words(buffer.tail)
                finder.close(stop)
                buffer = None
                yield end / SAMPLE_RATE, said, ""

    def _decode(self, buffer: _Buffer, recording: Recording, end: int) -> None:
        segments, _ = self._model.transcribe(
            recording.samples[samples_of(buffer.start_s) : end],
            language=recording.language,
            initial_prompt=buffer.before[-_PROMPT_CHARACTERS:],
            beam_size=_BEAM_SIZE,
            word_timestamps=True,
            condition_on_previous_text=True,
        )
        words, buffer.segment_ends = [], []
        for segment in segments:
            buffer.segment_ends.append(buffer.start_s + segment.end)
            if segment.no_speech_prob <= _NO_SPEECH:
                words += [
                    Word(each.word, buffer.start_s + each.start, buffer.start_s + each.end)
                    for each in segment.words or ()
                ]
        buffer.decoded_until = end
        buffer.insert(words)
        buffer.trim(seconds(end))


def _repeated(committed: Sequence[Word], new: Sequence[Word], committed_until: float) -> int:
    """How many leading words of ``new`` repeat the last committed ones."""
    if not committed or not new or abs(new[0].start - committed_until) >= _REPEAT_WITHIN_S:
        return 0
    for count in range(1, min(len(committed), len(new), _LONGEST_REPEAT) + 1):
        last = [word.text for word in committed[-count:]]
        if last == [word.text for word in new[:count]]:
            return count
    return 0
