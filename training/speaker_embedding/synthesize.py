"""Speaks the training voices of the embedded speaker network: writes their features to a file.

Run by hand, never by continuous integration. It needs espeak-ng and flite (Debian packages of
these names), and takes some minutes of two cores:

    python -m training.speaker_embedding.synthesize voices.npz

A training speaker is a voice of a synthesizer at a pitch of its own, with its formants moved by
playing it faster or slower. The voices of the test recordings are left out: flite's slt, rms and
awb; espeak-ng's default voice, f2 and m3.
"""

import argparse
import io
import itertools
import random
import subprocess
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.diarization.features import log_mel

LEFT_OUT = {"f2", "m3", "fast", "Mr serious"}  # test voices; a test of speed; a name with a blank
# Without en-gb and fr-fr, in which espeak-ng speaks every variant with its default voice.
LANGUAGES = ("en-us", "en-gb-scotland", "de", "es", "it", "nl", "pt", "tr", "pl")
FLITE_VOICES = ("kal", "kal16")
PSEUDO_SPEAKERS = 6  # of each espeak-ng variant
FLITE_PSEUDO_SPEAKERS = 18
TAKES = 4  # of each speaker, in different words, languages and speeds

_WHO = "my sister|the old captain|every teacher|a young doctor|our neighbour|the quiet engineer"
_WHO += "|nobody here|the whole village|his uncle|this machine|a careful driver|the last visitor"
_DOES = "bought|forgot|painted|carried|found|described|repaired|followed|measured|opened|lost"
_DOES += "|showed|counted|wanted|borrowed|washed|photographed|answered|explained|kept"
_WHAT = "the blue bicycle|a heavy wooden box|two hundred letters|that strange music|a cheap watch"
_WHAT += "|the broken window|some fresh bread|the wrong question|a valley of fog|thirty-five eggs"
_WHAT += "|the yellow umbrella|an ugly joke|his favourite shoes|the village church|a new pencil"
_WHEN = "yesterday|before breakfast|in the middle of June|without any noise|because it was raining"
_WHEN += "|near the river|for the third time|as usual|while we waited|on the way to the station"


@dataclass(frozen=True)
class Speaker:
    """``voice`` of ``program`` at ``pitch`` (its own unit), played ``rate`` times as fast."""

    program: str
    voice: str
    pitch: int
    rate: float


def speakers(numbers: random.Random) -> Iterator[Speaker]:
    """All training speakers."""
    listing = subprocess.run(
        ["espeak-ng", "--voices=variant"], capture_output=True, text=True, check=True
    ).stdout
    # A variant that does not exist is spoken by the default voice, without a word of warning: what
    # stands behind a file's name ("Storm (en-us 5)") must go.
    files = [line.split("!v/")[1] for line in listing.splitlines() if "!v/" in line]
    variants = [file[:20].partition("(")[0].strip() for file in files]
    settings = list(itertools.product((15, 45, 75), (0.85, 0.92, 1.0, 1.09, 1.18)))
    for variant in variants:
        if variant not in LEFT_OUT:
            for pitch, rate in numbers.sample(settings, PSEUDO_SPEAKERS):
                yield Speaker("espeak-ng", variant, pitch, rate * numbers.uniform(0.98, 1.02))
    hertz = list(
        itertools.product((80, 105, 135, 170, 210), (0.8, 0.87, 0.94, 1.0, 1.08, 1.16, 1.25))
    )
    for voice in FLITE_VOICES:
        for pitch, rate in numbers.sample(hertz, FLITE_PSEUDO_SPEAKERS):
            yield Speaker("flite", voice, pitch, rate * numbers.uniform(0.98, 1.02))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    numbers = random.Random(arguments.seed)
    everyone = list(speakers(numbers))
    jobs = [(each, numbers.randrange(2**32)) for each in everyone for _ in range(TAKES)]
    with ThreadPoolExecutor(2) as threads:
        bands = list(threads.map(lambda job: log_mel(_speak(*job)).astype(np.float16), jobs))
    np.savez(
        arguments.output,
        bands=np.concatenate(bands, axis=1),
        lengths=[take.shape[1] for take in bands],
        speakers=np.repeat(np.arange(len(everyone)), TAKES),
    )


def _speak(speaker: Speaker, seed: int) -> FloatArray:
    """About 10 s of ``speaker``: float32, shape (n,), mono, 16 kHz."""
    numbers = random.Random(seed)
    lists = [text.split("|") for text in (_WHO, _DOES, _WHAT, _WHEN)]
    words = " ".join(" ".join(map(numbers.choice, lists)) + "." for _ in range(4))
    if speaker.program == "flite":
        stretch = speaker.rate * numbers.uniform(0.85, 1.2)
        command = ["flite", "-voice", speaker.voice, "--setf", f"duration_stretch={stretch:.2f}"]
        command += ["--setf", f"int_f0_target_mean={speaker.pitch / speaker.rate:.0f}"]
        command += ["-t", words, "-o", "/dev/stdout"]
    else:
        voice = f"{numbers.choice(LANGUAGES)}+{speaker.voice}"
        speed = round(numbers.uniform(130, 190) / speaker.rate)
        command = ["espeak-ng", "-v", voice, "-p", str(speaker.pitch), "-s", str(speed)]
        command += ["--stdout", words]
    spoken = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(spoken)) as file:
        pcm = np.frombuffer(file.readframes(2**24), np.int16).astype(np.float32) / 2**15
        rate = file.getframerate()
    return _resample(pcm, SAMPLE_RATE / rate / speaker.rate)


def _resample(samples: FloatArray, factor: float) -> FloatArray:
    """Stretch to ``factor`` times as many samples, by cutting or padding the spectrum."""
    size = round(len(samples) * factor)
    spectrum = np.fft.rfft(samples)[: size // 2 + 1]
    spectrum = np.pad(spectrum, (0, size // 2 + 1 - len(spectrum)))
    return np.asarray(np.fft.irfft(spectrum, size) * factor, np.float32)


if __name__ == "__main__":
    main()
