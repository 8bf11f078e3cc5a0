"""One Whisper model on CTranslate2: windows in, words out, in batches.

``faster_whisper.WhisperModel.transcribe`` pads every window to 30 s, decodes leftovers in a
second pass and serves one stream at a time. This file calls ``encode``, ``generate`` and
``align`` itself: short windows, batches over sessions, times for exactly the new words.
"""

import logging
import math
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import ctranslate2
import numpy as np
import numpy.typing as npt
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer

from whisper_streaming.backends.base import ModelInfo, StreamingProfile
from whisper_streaming.backends.model_shape import read_shape
from whisper_streaming.backends.profile import load_profile
from whisper_streaming.backends.words import (
    Piece,
    aligned_pieces,
    is_unspaced,
    merge_pieces,
    place_words,
    spread_pieces,
    whole_characters,
    with_leading_space,
)
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis, Words
from whisper_streaming.errors import DecodeError, ModelLoadError

logger = logging.getLogger("whisper_streaming.backend")

_HOP_SAMPLES: Final = 160  # one mel frame
_MAX_POSITIONS: Final = 448  # decoder positions of every Whisper model (n_text_ctx)
_MAX_TOKENS: Final = _MAX_POSITIONS // 2  # that CTranslate2 decodes, a forced prefix included
_MIN_SAMPLES: Final = 4 * _HOP_SAMPLES  # the spectrogram reflects 200; align wants two frames
# Mel frames that are encoded in one call on a CPU: 8 windows of 5 s, 1 of 30 s. A window gains
# nothing from company there, and what the attention of more needs at once fits into no cache and
# is cleared page by page: 8 windows of 15 s cost a third more together than each alone.
_ENCODED_FRAMES: Final = 4000
# Far more than the longest context has tokens. A client may send ten times as much, and the event
# loop waits while it is cut into tokens: 9 ms for each request then.
_CONTEXT_CHARACTERS: Final = 1000
_REMEMBERED_TEXTS: Final = 1024


@dataclass(frozen=True, slots=True)
class Device:
    """Where and how a model runs."""

    name: str
    compute_type: str
    workers: int
    threads_per_worker: int


@dataclass(frozen=True, slots=True)
class _Row:
    """One request of a batch on its way through the model."""

    request: DecodeRequest
    tokenizer: Tokenizer
    language_probability: float
    context: list[int]
    prefix: list[int]


class WhisperModel:
    """A loaded model. Called by as many threads as the device has workers."""

    def __init__(self, name: str, folder: Path, device: Device, notice: str | None = None) -> None:
        """Load the model.

        Args:
            name: As the operator asked for it.
            folder: A CTranslate2 model folder.
            device: Where and how it runs.
            notice: See :class:`ModelInfo`.

        Raises:
            ModelLoadError: If the folder does not hold a usable model, or the device cannot run it.
        """
        self._device = device
        self._model = _load(folder, device)
        self._tokens = _load_tokenizer(folder)
        self._features = FeatureExtractor(feature_size=self._model.n_mels)
        # A waiting window is asked for its batch key again and again, and its context stays.
        self._text_tokens = lru_cache(_REMEMBERED_TEXTS)(self._encode_text)
        self._tokenizers: dict[tuple[str, str], Tokenizer] = {}
        self._tokenizers_lock = threading.Lock()
        self._can_align = True
        self._has_aligned = False
        profile = load_profile(folder)
        self._check_buckets(profile)
        self.info = ModelInfo(
            name,
            self._languages(),
            self._model.is_multilingual,
            profile,
            notice,
            shape=read_shape(folder),
        )

    def bucket_s(self, request: DecodeRequest) -> float:
        """Length the request's window is padded to."""
        return self.info.profile.bucket_s(request.duration_s, is_last=request.is_last)

    def prompt_length(self, request: DecodeRequest) -> int:
        """Number of context tokens the request's window gets."""
        return len(self._context(request))

    def decode_batch(
        self, requests: Sequence[DecodeRequest], *, beam_size: int
    ) -> list[Hypothesis]:
        """Decode windows of one bucket and one prompt length.

        Raises:
            DecodeError: If CTranslate2 fails; any of the requests may be to blame.
        """
        began = time.perf_counter()
        try:
            encoded = self._encode(requests)
            rows = self._rows(requests, encoded)
            results = self._generate(encoded, rows, beam_size)
            new_tokens = [
                self._new_tokens(row, result) for row, result in zip(rows, results, strict=True)
            ]
            words = self._words(encoded, rows, new_tokens)
        except (RuntimeError, ValueError) as exc:
            raise DecodeError(f"a batch of {len(requests)} windows failed: {exc}") from exc
        decode_s = (time.perf_counter() - began) / len(requests)
        return [
            Hypothesis(
                words=words[index],
                language=row.tokenizer.language_code,
                language_probability=row.language_probability,
                no_speech_probability=0.0 if row.prefix else results[index].no_speech_prob,
                average_logprob=_average_logprob(results[index], row),
                is_truncated=_is_truncated(results[index], row),
                has_word_times=self._can_align,
                decode_s=decode_s,
            )
            for index, row in enumerate(rows)
        ]

    # -- encoder

    def _encode(self, requests: Sequence[DecodeRequest]) -> ctranslate2.StorageView:
        frames = (
            max(round(self.bucket_s(request) * SAMPLE_RATE) for request in requests) // _HOP_SAMPLES
        )
        size = len(requests) if self._device.name == "cuda" else max(1, _ENCODED_FRAMES // frames)
        return _stack(
            [
                self._encode_together(requests[first : first + size], frames)
                for first in range(0, len(requests), size)
            ]
        )

    def _encode_together(
        self, requests: Sequence[DecodeRequest], frames: int
    ) -> ctranslate2.StorageView:
        mel = np.zeros((len(requests), self._model.n_mels, frames), dtype=np.float32)
        for row, request in enumerate(requests):
            features = self._log_mel(request.samples)[:, :frames]
            mel[row, :, : features.shape[1]] = features
        return self._model.encode(ctranslate2.StorageView.from_array(mel))

    def _log_mel(self, samples: FloatArray) -> npt.NDArray[np.float32]:
        if len(samples) < _MIN_SAMPLES:
            samples = np.pad(samples, (0, _MIN_SAMPLES - len(samples)))
        features: npt.NDArray[np.float32] = self._features(samples)
        return features[:, : len(samples) // _HOP_SAMPLES]

    def _check_buckets(self, profile: StreamingProfile) -> None:
        for bucket in profile.window_buckets_s:
            frames = round(bucket * SAMPLE_RATE) // _HOP_SAMPLES
            # An encoder output with as many steps as the model has mels is taken for a
            # spectrogram by CTranslate2 and encoded once more, to garbage, without a word.
            if math.ceil(frames / 2) == self._model.n_mels:
                raise ModelLoadError(f"a window of {bucket} s cannot be used with this model")

    # -- decoder

    def _rows(
        self, requests: Sequence[DecodeRequest], encoded: ctranslate2.StorageView
    ) -> list[_Row]:
        detected: list[list[tuple[str, float]]] = []
        if self.info.is_multilingual and any(r.options.language is None for r in requests):
            detected = self._model.detect_language(encoded)
        rows = []
        for index, request in enumerate(requests):
            language, probability = request.options.language, 1.0
            if not self.info.is_multilingual:
                language = "en"
            elif language is None:
                language, probability = _choose_language(
                    detected[index], request.options.candidates
                )
            tokenizer = self._tokenizer(language, request.options.task)
            prefix = [
                token
                for word in request.prefix
                for token in self._tokens_of(word.text, word.tokens)
            ]
            rows.append(_Row(request, tokenizer, probability, self._context(request), prefix))
        return rows

    def _generate(
        self, encoded: ctranslate2.StorageView, rows: Sequence[_Row], beam_size: int
    ) -> list[ctranslate2.models.WhisperGenerationResult]:
        prompts = [[*self._start(row), row.tokenizer.no_timestamps, *row.prefix] for row in rows]
        # CTranslate2 allows min(max_length // 2, max_length - start) tokens after the start of
        # the transcript, a forced prefix included; so much room must the neediest row get.
        max_length = 0
        for row, prompt in zip(rows, prompts, strict=True):
            room = len(row.prefix) + row.request.max_new_tokens
            max_length = max(max_length, 2 * room, len(prompt) + row.request.max_new_tokens)
        results: list[ctranslate2.models.WhisperGenerationResult] = self._model.generate(
            encoded,
            prompts,
            beam_size=beam_size,
            max_length=min(max_length, _MAX_POSITIONS),
            return_scores=True,
            # It is judged where the window starts, and there a prefix was said; to know it takes as
            # long as a token.
            return_no_speech_prob=any(not row.prefix for row in rows),
            # With it CTranslate2 forbids the end of text at the first free step, so that a window
            # in which nothing new was said would be made to say something.
            suppress_blank=False,
        )
        return results

    def _new_tokens(
        self, row: _Row, result: ctranslate2.models.WhisperGenerationResult
    ) -> list[int]:
        tokens = result.sequences_ids[0][len(row.prefix) :]
        # The whole batch gets the room of its neediest row, so each row is cut to its own.
        text = [token for token in tokens if token < row.tokenizer.eot]
        return whole_characters(text[: row.request.max_new_tokens], row.tokenizer.decode)

    def _start(self, row: _Row) -> list[int]:
        context = [row.tokenizer.sot_prev, *row.context] if row.context else []
        return [*context, *row.tokenizer.sot_sequence]

    def _context(self, request: DecodeRequest) -> list[int]:
        """Context tokens, cut to one of the few lengths that let windows share a batch.

        What a client gave is not cut away for being shorter than those.
        """
        hotwords = self._text_tokens(request.options.hotwords[:_CONTEXT_CHARACTERS])
        recent = self._text_tokens(request.prompt[-_CONTEXT_CHARACTERS:])
        lengths = self.info.profile.prompt_lengths
        hotwords = hotwords[: lengths[-1] // 2] if recent else hotwords[: lengths[-1]]
        available = len(hotwords) + len(recent)
        length = max((length for length in lengths if length <= available), default=0)
        if length == 0 and (request.options.hotwords or request.options.prompt):
            length = min(available, lengths[-1])
        kept = max(0, length - len(hotwords))
        return [*hotwords[:length], *(recent[-kept:] if kept else [])]

    def _encode_text(self, text: str) -> tuple[int, ...]:
        text = text.strip()
        if not text:
            return ()
        return tuple(self._tokens.encode(" " + text, add_special_tokens=False).ids)

    def _tokens_of(self, text: str, tokens: tuple[int, ...]) -> Sequence[int]:
        """Token ids of a committed word; a word of another decoder has none."""
        if tokens:
            return tokens
        encoded: list[int] = self._tokens.encode(text, add_special_tokens=False).ids
        return encoded

    # -- words

    def _words(
        self,
        encoded: ctranslate2.StorageView,
        rows: Sequence[_Row],
        new_tokens: Sequence[list[int]],
    ) -> list[Words]:
        """Words with times for the new tokens of each row."""
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, row in enumerate(rows):
            if new_tokens[index]:
                groups[tuple(row.tokenizer.sot_sequence)].append(index)
        pieces: list[list[Piece]] = [[] for _ in rows]
        for start_sequence, indices in groups.items():
            # One call aligns the rows of one language and task: it takes a single start sequence.
            aligned = self._align(encoded, start_sequence, rows, indices, new_tokens)
            for index, row_pieces in zip(indices, aligned, strict=True):
                pieces[index] = row_pieces
        return [self._place(row, row_pieces) for row, row_pieces in zip(rows, pieces, strict=True)]

    def _align(
        self,
        encoded: ctranslate2.StorageView,
        start_sequence: tuple[int, ...],
        rows: Sequence[_Row],
        indices: Sequence[int],
        new_tokens: Sequence[list[int]],
    ) -> list[list[Piece]]:
        split = [_split(rows[index].tokenizer, new_tokens[index]) for index in indices]
        if self._can_align:
            try:
                alignments = self._model.align(
                    _select(encoded, indices, len(rows)),
                    list(start_sequence),
                    [rows[index].prefix + new_tokens[index] for index in indices],
                    [_content_frames(rows[index].request) for index in indices],
                )
            except RuntimeError as exc:
                # A converted model may lack alignment heads; then the first call fails already.
                if self._has_aligned:
                    raise
                self._can_align = False
                logger.warning(
                    "model %s gives no word times, they are estimated: %s", self.info.name, exc
                )
            else:
                self._has_aligned = True
                return [
                    aligned_pieces(texts, alignment, len(rows[index].prefix))
                    for texts, alignment, index in zip(split, alignments, indices, strict=True)
                ]
        return [
            spread_pieces(
                texts, start=_uncommitted_from(rows[index]), end=rows[index].request.duration_s
            )
            for texts, index in zip(split, indices, strict=True)
        ]

    def _place(self, row: _Row, pieces: Sequence[Piece]) -> Words:
        request = row.request
        words = place_words(
            merge_pieces(pieces),
            window_start=request.start,
            window_end=request.end,
            offset_s=self.info.profile.word_time_offset_s if self._can_align else 0.0,
            earliest=request.prefix[-1].end if request.prefix else request.start,
        )
        return words if request.prefix else with_leading_space(words)

    # -- tokens and languages

    def _tokenizer(self, language: str, task: str) -> Tokenizer:
        key = (language, task)
        with self._tokenizers_lock:
            if key not in self._tokenizers:
                self._tokenizers[key] = Tokenizer(
                    self._tokens, self._model.is_multilingual, task=task, language=language
                )
            return self._tokenizers[key]

    def _languages(self) -> tuple[str, ...]:
        if not self._model.is_multilingual:
            return ("en",)
        tokens = self._tokens.get_vocab()
        start = tokens["<|startoftranscript|>"]
        # The language tokens stand right behind the start token, in every multilingual model.
        ids = range(start + 1, start + 1 + self._model.num_languages)
        by_id = {token_id: token for token, token_id in tokens.items()}
        return tuple(by_id[token_id].strip("<|>") for token_id in ids)


def _load(folder: Path, device: Device) -> ctranslate2.models.Whisper:
    try:
        return ctranslate2.models.Whisper(
            str(folder),
            device=device.name,
            compute_type=device.compute_type,
            inter_threads=device.workers,
            intra_threads=device.threads_per_worker,
        )
    except (RuntimeError, ValueError) as exc:
        raise ModelLoadError(
            f"the model in {folder} cannot be loaded on {device.name}: {exc}"
        ) from exc


def _load_tokenizer(folder: Path) -> tokenizers.Tokenizer:
    path = folder / "tokenizer.json"
    if not path.exists():
        raise ModelLoadError(
            f"{path} is missing; copy it from the model the folder was converted from"
        )
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as exc:  # the library raises no other type
        raise ModelLoadError(f"{path} is not a tokenizer: {exc}") from exc
    # Text is only text: hotwords that spell <|startoftranscript|> would give a prompt a second
    # start, and CTranslate2 refuses the whole batch for it, with the windows of other sessions.
    tokenizer.encode_special_tokens = True
    return tokenizer


def _is_truncated(result: ctranslate2.models.WhisperGenerationResult, row: _Row) -> bool:
    """Whether the row ran into its own room or the decoder's, and did not end by itself."""
    length = len(result.sequences_ids[0])
    return length - len(row.prefix) >= row.request.max_new_tokens or length >= _MAX_TOKENS


def _average_logprob(result: ctranslate2.models.WhisperGenerationResult, row: _Row) -> float | None:
    """Mean over the new tokens and the end of text; None where nothing was decoded.

    None also where the row was cut to its own room: CTranslate2 scored what was cut off too, and
    how much that was depends on the other rows of the batch.
    CTranslate2 counts a forced prefix with log-probability 0 but divides by its length too.
    """
    length = len(result.sequences_ids[0])
    if length == 0 or _is_truncated(result, row):
        return None
    total: float = result.scores[0] * length
    return total / (length - len(row.prefix) + 1)


def _choose_language(
    detected: Sequence[tuple[str, float]], candidates: Sequence[str]
) -> tuple[str, float]:
    """The likeliest of the candidates, and how likely it is among them; of none, among all."""
    shares = {token.strip("<|>"): probability for token, probability in detected}
    if candidates:
        shares = {language: shares.get(language, 0.0) for language in candidates}
    language = max(shares, key=shares.__getitem__)
    total = sum(shares.values()) if candidates else 1.0
    return language, shares[language] / total if total > 0 else 0.0


def _content_frames(request: DecodeRequest) -> int:
    """What ``align`` calls ``num_frames``: mel frames, which it halves itself, at least two."""
    return max(4, math.ceil(len(request.samples) / _HOP_SAMPLES))


def _uncommitted_from(row: _Row) -> float:
    prefix = row.request.prefix
    return max(0.0, prefix[-1].end - row.request.start) if prefix else 0.0


def _select(
    encoded: ctranslate2.StorageView, indices: Sequence[int], batch: int
) -> ctranslate2.StorageView:
    """The rows ``indices`` of the encoder output."""
    if len(indices) == batch:
        return encoded
    array = np.ascontiguousarray(
        np.asarray(encoded.to_device(ctranslate2.Device.cpu))[list(indices)]
    )
    return ctranslate2.StorageView.from_array(array)


def _stack(parts: Sequence[ctranslate2.StorageView]) -> ctranslate2.StorageView:
    """Encoder outputs of one length in host memory, as one."""
    if len(parts) == 1:
        return parts[0]
    return ctranslate2.StorageView.from_array(np.concatenate([np.asarray(part) for part in parts]))


def _split(tokenizer: Tokenizer, tokens: list[int]) -> list[tuple[str, tuple[int, ...]]]:
    # The tokenizer knows a few languages without spaces, and goes by the language alone.
    if is_unspaced(tokenizer.decode(tokens)):
        texts, groups = tokenizer.split_tokens_on_unicode(tokens)
    else:
        texts, groups = tokenizer.split_to_word_tokens(tokens)
    return [(text, tuple(group)) for text, group in zip(texts, groups, strict=True)]
