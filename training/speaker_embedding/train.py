"""Trains the embedded speaker network on what synthesize.py wrote, and exports it to ONNX.

Run by hand, never by continuous integration. It needs torch (CPU is enough, about 20 minutes of
one core):

    python -m training.speaker_embedding.train voices.npz speaker.onnx --minutes 20

The network is a small time-delay network (Snyder et al. 2018, "X-vectors") with statistics
pooling, trained to tell the training speakers apart with an additive angular margin (Deng et al.
2019, arXiv:1801.07698). Every 40th speaker is kept from training, to see what it does to voices
that it never heard.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.diarization.features import BANDS, FRAMES, fit_frames

CHANNELS = 128
SIZE = 96  # of an embedding
MARGIN = 0.2
SCALE = 24.0
BATCH = 96
SHORTEST_CROP = 50  # frames of 10 ms
HELD_OUT = 40


class Block(nn.Module):
    """A dilated convolution beside a shortcut."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(CHANNELS, CHANNELS, 3, padding=dilation, dilation=dilation)
        self.norm = nn.BatchNorm1d(CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, CHANNELS, frames) to the same shape."""
        return x + functional.relu(self.norm(self.conv(x)))


class SpeakerNetwork(nn.Module):
    """Log-mel features to a vector of length 1 that is near those of the same voice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv1d(BANDS, CHANNELS, 5, stride=2, padding=2), nn.ReLU(), nn.BatchNorm1d(CHANNELS)
        )
        self.blocks = nn.Sequential(*(Block(dilation) for dilation in (1, 2, 3, 4)))
        self.last = nn.Sequential(nn.Conv1d(CHANNELS, 2 * CHANNELS, 1), nn.ReLU())
        self.weigh = nn.Sequential(
            nn.Conv1d(2 * CHANNELS, 48, 1), nn.Tanh(), nn.Conv1d(48, 2 * CHANNELS, 1)
        )
        self.embed = nn.Linear(4 * CHANNELS, SIZE)
        self.norm = nn.BatchNorm1d(SIZE)

    def forward(self, bands: Tensor) -> Tensor:
        """(batch, BANDS, FRAMES) to (batch, SIZE)."""
        x = self.last(self.blocks(self.first(bands)))
        weights = torch.softmax(self.weigh(x), dim=2)
        mean = (weights * x).sum(2)
        spread = ((weights * x * x).sum(2) - mean * mean).clamp(min=1e-5).sqrt()
        embedding = self.norm(self.embed(torch.cat([mean, spread], 1)))
        return embedding / embedding.norm(dim=1, keepdim=True)


class Voices:
    """The takes of the training speakers, and random stretches of them."""

    def __init__(self, path: Path, seed: int) -> None:
        with np.load(path) as file:
            ends = np.cumsum(file["lengths"])
            bands = file["bands"]
            self._takes = [
                bands[:, end - n : end] for n, end in zip(file["lengths"], ends, strict=True)
            ]
            self._speakers = file["speakers"]
        self.count = int(self._speakers.max()) + 1
        self._random = np.random.default_rng(seed)
        held_out = self._speakers % HELD_OUT == HELD_OUT - 1
        self.training, self.test = np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def batch(self, takes: FloatArray, size: int, *, spoil: bool) -> tuple[Tensor, Tensor]:
        """``size`` random stretches of ``takes``, and who speaks in each."""
        chosen = self._random.choice(takes, size)
        crops = np.stack([self._crop(self._takes[take], spoil=spoil) for take in chosen])
        return torch.from_numpy(crops), torch.from_numpy(self._speakers[chosen].astype(np.int64))

    def _crop(self, take: FloatArray, *, spoil: bool) -> FloatArray:
        frames = int(self._random.integers(SHORTEST_CROP, FRAMES + 1))
        begin = int(self._random.integers(0, max(1, take.shape[1] - frames)))
        bands = take[:, begin : begin + frames].astype(np.float32)
        return fit_frames(self._spoil(bands) if spoil else bands)

    def _spoil(self, bands: FloatArray) -> FloatArray:
        """Another room and microphone: a smooth change of the spectrum, echo, noise, less band."""
        numbers = self._random
        bands = (
            bands
            + np.interp(
                np.arange(BANDS), np.linspace(0, BANDS - 1, 6), numbers.normal(0, 1.0, 6)
            ).astype(np.float32)[:, None]
        )
        if numbers.random() < 0.4:  # the power of a frame goes on, fading, in those after it
            fading = np.exp(-np.arange(20) / numbers.uniform(1, 6)).astype(np.float32)
            power = np.exp(bands)
            echo = np.stack([np.convolve(row, fading)[: len(row)] for row in power])
            bands = np.log(power + numbers.uniform(0.05, 0.5) * echo)
        if numbers.random() < 0.7:
            loudness = np.log(np.exp(bands).mean()) - numbers.uniform(5, 25) / 10 * np.log(10)
            tilt = np.linspace(0, numbers.uniform(-5, 1), BANDS, dtype=np.float32)[:, None]
            noise = loudness + tilt + np.log(numbers.exponential(1, bands.shape).astype(np.float32))
            bands = np.logaddexp(bands, noise)
        if numbers.random() < 0.15:  # telephone
            bands[int(numbers.integers(27, 34)) :] = bands.min()
        return np.asarray(bands, np.float32)


def equal_error_rate(network: SpeakerNetwork, voices: Voices, takes: FloatArray) -> float:
    """Of pairs of stretches: where as many strangers pass as speakers are turned away."""
    network.eval()
    with torch.no_grad():
        bands, speakers = voices.batch(takes, 400, spoil=False)
        embeddings = network(bands)
    network.train()
    scores = (embeddings @ embeddings.T).numpy()
    same = (speakers[:, None] == speakers[None, :]).numpy()
    upper = np.triu_indices(len(speakers), 1)
    scores, same = scores[upper], same[upper]
    order = np.argsort(scores)
    turned_away = np.cumsum(same[order]) / same.sum()
    pass_by = 1 - np.cumsum(~same[order]) / (~same).sum()
    return float(turned_away[np.argmin(np.abs(turned_away - pass_by))])


def train(voices: Voices, minutes: float) -> SpeakerNetwork:
    """Train for so long of wall clock."""
    network = SpeakerNetwork()
    centres = nn.Parameter(torch.randn(voices.count, SIZE) * 0.1)
    parameters = [*network.parameters(), centres]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=1e-3)
    began, step, done = time.monotonic(), 0, 0.0
    while done < 1.0:
        done = (time.monotonic() - began) / (60 * minutes)
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * max(0.01, 1 - done) * min(1.0, (step + 1) / 100)
        bands, speakers = voices.batch(voices.training, BATCH, spoil=True)
        cosines = network(bands) @ functional.normalize(centres).T
        margin = MARGIN * min(1.0, done * 4)  # none at first: it would not begin to learn
        own = functional.one_hot(speakers, voices.count).bool()
        angles = torch.acos(cosines.clamp(-1 + 1e-6, 1 - 1e-6))
        logits = torch.where(own, torch.cos(angles + margin), cosines) * SCALE
        loss = functional.cross_entropy(logits, speakers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 200 == 0:
            rate = equal_error_rate(network, voices, voices.test)
            sys.stdout.write(
                f"{done:4.0%}  step {step}  loss {loss.item():.2f}  unheard {rate:.3f}\n"
            )
            sys.stdout.flush()
        step += 1
    return network.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("voices", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(1)
    network = train(Voices(arguments.voices, arguments.seed), arguments.minutes)
    torch.onnx.export(
        network,
        (torch.zeros(2, BANDS, FRAMES),),
        str(arguments.output),
        input_names=["bands"],
        output_names=["embeddings"],
        dynamic_axes={"bands": {0: "stretches"}, "embeddings": {0: "stretches"}},
        opset_version=17,
        dynamo=False,
    )


if __name__ == "__main__":
    main()
