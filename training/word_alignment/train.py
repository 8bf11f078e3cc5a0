"""Trains the embedded align model. Needs the whisperx environment, and half an hour of one core:

    python -m training.word_alignment.train sentences.npz whisper_streaming/models/align-demo

The loss is CTC with one more rule. The synthesizer says when each word begins and ends, so the
first letter of a word must stand in its first frame, the gap in the frame behind its last, and
nothing but a word's own letters between the two. What the model then learns is exactly what an
alignment looks for.
"""

import argparse
import json
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
)

from training.word_alignment.voices import Times
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray

ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz'"
COLUMNS: Final = {"<pad>": 0, "<unk>": 1, "|": 2, **{c: i + 3 for i, c in enumerate(ALPHABET)}}
BLANK, GAP = COLUMNS["<pad>"], COLUMNS["|"]
MINUTES: Final = 24.0
BATCH: Final = 8
LEARNING_RATE: Final = 2e-3
WARM_UP_STEPS: Final = 200
FORBIDDEN: Final = -30.0  # logarithm of the probability of a way that breaks the rule
FILTERS, FILTER_SAMPLES, PHASES = 40, 240, 4


@dataclass(frozen=True)
class Take:
    """Some audio and what is said in it, when."""

    samples: FloatArray
    times: Times


def create_network() -> Wav2Vec2ForCTC:
    """A Wav2Vec2 that begins with a filter bank instead of with noise: it learns sooner."""
    network = Wav2Vec2ForCTC(
        Wav2Vec2Config(
            vocab_size=len(COLUMNS), hidden_size=144, num_hidden_layers=3, num_attention_heads=4,
            intermediate_size=432, conv_dim=(FILTERS * PHASES, 192), conv_stride=(160, 2),
            conv_kernel=(FILTER_SAMPLES, 2), num_feat_extract_layers=2, feat_extract_norm="layer",
            conv_bias=True, do_stable_layer_norm=True, num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=4, hidden_dropout=0.0, attention_dropout=0.0,
            activation_dropout=0.0, feat_proj_dropout=0.0, final_dropout=0.0, layerdrop=0.0,
            apply_spec_augment=False, pad_token_id=BLANK,
        )
    )  # fmt: skip
    filters = network.wav2vec2.feature_extractor.conv_layers[0].conv
    mels = np.linspace(_mel(80), _mel(7600), FILTERS + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    position = np.arange(FILTER_SAMPLES) - (FILTER_SAMPLES - 1) / 2
    with torch.no_grad():
        for index in range(FILTERS):
            centre, width = edges[index + 1], (edges[index + 2] - edges[index]) / 2
            spread = min(55.0, 1.2 * SAMPLE_RATE / (2 * math.pi * width))
            window = np.exp(-0.5 * (position / spread) ** 2)
            window /= window.sum()
            for phase in range(PHASES):
                wave = np.cos(2 * math.pi * centre * position / SAMPLE_RATE + phase * math.pi / 2)
                filters.weight[PHASES * index + phase, 0] = torch.from_numpy(30 * window * wave)
        filters.bias.uniform_(-0.1, 0.1)  # so that silence looks like something, too
    return network


def compose(numbers: random.Random, takes: Sequence[Take], duration_s: float) -> Take:
    """Sentences one after the other, with pauses, other speeds and loudness, and noise."""
    pause = np.zeros(round(numbers.uniform(0.02, 0.5) * SAMPLE_RATE), dtype=np.float32)
    parts, times, length = [pause], [], len(pause)
    while length < duration_s * SAMPLE_RATE:
        take = numbers.choice(takes)
        if length + len(take.samples) > (duration_s + 3) * SAMPLE_RATE:
            break
        speed = numbers.uniform(0.9, 1.12) if numbers.random() < 0.3 else 1.0
        count = round(len(take.samples) / speed)
        samples = np.interp(np.arange(count) * speed, np.arange(len(take.samples)), take.samples)
        begin_s = length / SAMPLE_RATE
        times += [
            (w, begin_s + start / speed, begin_s + end / speed) for w, start, end in take.times
        ]
        longest_s = 1.5 * numbers.choice((0.02, 0.1, 0.3, 0.6, 1.0))
        pause = np.zeros(round(longest_s * numbers.random() * SAMPLE_RATE), dtype=np.float32)
        parts += [(samples * numbers.uniform(0.2, 1.0)).astype(np.float32), pause]
        length += count + len(pause)
    samples = np.concatenate(parts)
    snr_db = numbers.uniform(8, 45) if numbers.random() < 0.7 else 60.0
    level = (math.sqrt(float(np.mean(samples**2))) + 1e-6) * 10 ** (-snr_db / 20)
    noise = np.random.default_rng(numbers.getrandbits(32)).normal(0, level, len(samples))
    loudness = np.float32(numbers.uniform(0.3, 1.2))
    return Take((samples + noise.astype(np.float32)) * loudness, times)


def rule(
    times: Times, frames: int, duration_s: float
) -> tuple[list[int], npt.NDArray[np.bool_]] | None:
    """The text as columns, and which columns each frame may have; None if it does not fit.

    Returns:
        Columns of all letters and gaps in order; bool, shape (frames, columns).
    """
    allowed = np.zeros((frames, len(COLUMNS)), dtype=bool)
    allowed[:, BLANK] = True
    per_second, text, before = frames / duration_s, [], -1
    first = [max(0, round(start * per_second)) for _, start, _ in times]
    for index, (word, _, stop) in enumerate(times):
        letters = [COLUMNS[letter] for letter in word]
        begin = max(first[index], before + 1)
        next_begin = first[index + 1] if index + 1 < len(times) else frames
        end = min(round(stop * per_second), next_begin - 1, frames - 1)
        doubled = sum(a == b for a, b in pairwise(letters))
        if begin >= frames or end < begin + len(letters) + doubled:
            return None
        allowed[begin] = allowed[end] = False
        allowed[begin, letters[0]] = allowed[end, GAP] = True
        if len(letters) > 1:
            allowed[np.ix_(range(begin + 1, end), sorted(set(letters)))] = True
        text += [*letters, GAP]
        before = end
    return text, allowed


def loss_of(network: Wav2Vec2ForCTC, takes: Sequence[Take]) -> torch.Tensor | None:
    """The loss for each frame; None if none of the takes fits its frames."""
    longest = max(len(take.samples) for take in takes)
    frames = int(network._get_feat_extract_output_lengths(torch.tensor(longest)))
    ruled = [(take, rule(take.times, frames, longest / SAMPLE_RATE)) for take in takes]
    fitting = [(take, *found) for take, found in ruled if found is not None]
    if not fitting:
        return None
    audio = np.zeros((len(fitting), longest), dtype=np.float32)
    for row, (take, _, _) in enumerate(fitting):
        audio[row, : len(take.samples)] = take.samples
    allowed = torch.from_numpy(np.stack([each for _, _, each in fitting]))
    heard = network(torch.from_numpy(audio)).logits.log_softmax(-1)
    total = torch.nn.functional.ctc_loss(
        heard.masked_fill(~allowed, FORBIDDEN).transpose(0, 1),
        torch.tensor([column for _, text, _ in fitting for column in text]),
        torch.full((len(fitting),), frames),
        torch.tensor([len(text) for _, text, _ in fitting]),
        blank=BLANK,
        reduction="sum",
    )
    return total / (len(fitting) * frames)


def train(takes: Sequence[Take], minutes: float) -> Wav2Vec2ForCTC:
    """A network that was trained for so long."""
    numbers, network = random.Random(5), create_network()
    optimiser = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
    began, step = time.monotonic(), 0
    while (done := (time.monotonic() - began) / 60 / minutes) < 1:
        for group in optimiser.param_groups:
            decay = 0.5 * (1 + math.cos(math.pi * done)) + 0.01
            group["lr"] = LEARNING_RATE * min(1.0, step / WARM_UP_STEPS) * decay
        duration_s = numbers.choice((0.5, 1.5, 3.0))
        loss = loss_of(network, [compose(numbers, takes, duration_s) for _ in range(BATCH)])
        if loss is None:
            continue
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        step += 1
        if step % 100 == 0:
            print(f"step {step}, {done:.0%}, loss {loss.item():.3f}", flush=True)
    return network


def save(network: Wav2Vec2ForCTC, folder: Path) -> None:
    """Write a folder that ``whisperx.load_align_model`` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps(COLUMNS), encoding="utf-8")
    tokenizer = Wav2Vec2CTCTokenizer(
        str(vocabulary), unk_token="<unk>", pad_token="<pad>", word_delimiter_token="|",
        bos_token=None, eos_token=None,
    )  # fmt: skip
    features = Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=False)
    Wav2Vec2Processor(features, tokenizer).save_pretrained(folder)
    network.half().save_pretrained(folder)


def load(path: Path) -> list[Take]:
    """What ``training.word_alignment.synthesize`` wrote."""
    file = np.load(path)
    samples = np.split(file["samples"], file["ends"][:-1])
    texts = zip(samples, file["words"], file["starts"], file["stops"], strict=True)
    return [
        Take(
            audio.astype(np.float32) / np.float32(32767),
            [
                (word, float(start), float(stop))
                for word, start, stop in zip(
                    str(words).split(), str(starts).split(), str(stops).split(), strict=True
                )
            ],
        )
        for audio, words, starts, stops in texts
    ]


def _mel(frequency: float) -> float:
    return 2595 * math.log10(1 + frequency / 700)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sentences", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    given = parser.parse_args(arguments)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    save(train(load(given.sentences), given.minutes), given.folder)


if __name__ == "__main__":
    main()
