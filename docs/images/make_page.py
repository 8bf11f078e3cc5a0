"""Makes captions-page.png and its like: the captions page in the middle of a sentence.

The pictures show real output: Chromium's microphone hears bundled recordings, and the embedded
model transcribes them. Run it from the clone, with Chromium and the test tools installed:
``python docs/images/make_page.py``.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import soundfile
from PIL import Image
from playwright.sync_api import Browser, ViewportSize, sync_playwright

from whisper_streaming.config import BackendSettings, LimitSettings, ServerConfig
from whisper_streaming.core.audio import SAMPLE_RATE, samples_of
from whisper_streaming.local_server import local_server

HERE = Path(__file__).parent
RECORDINGS = HERE.parent.parent / "tests" / "data"
# What the embedded model understands without a mistake: recording, start and end in seconds.
SPOKEN = (
    ("en-1-slt", 6.6, 10.2),
    ("en-long-pauses", 33.9, 36.9),
    ("en-long-pauses", 40.9, 43.3),
    ("en-2-rms", 15.2, 18.8),
    ("en-1-slt", 20.0, 23.4),
    ("en-dialogue-2spk", 17.1, 23.2),
)
# The moment: so many lines, the last with final words and with words that may change.
MOMENT = """
() => {
  const lines = document.querySelectorAll("#captions li");
  const final = lines[5]?.querySelector(".final").textContent.split(" ").length;
  const open = lines[5]?.querySelector(".unstable").textContent.trim().split(" ").length;
  return final >= 4 && open >= 2;
}
"""
COLOURS = 256
WAIT_MS = 60_000.0


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its name without the ending, and what the browser is."""

    name: str
    width: int
    height: int
    scheme: Literal["light", "dark"] = "light"
    scale: float = 1.0


PICTURES = (
    Picture("captions-page", 1200, 660),
    Picture("captions-page-dark", 1200, 660, "dark"),
    Picture("captions-page-phone", 390, 780, scale=1.5),
)


def write_microphone(path: Path) -> None:
    """What the microphone hears."""
    parts = []
    for name, start_s, end_s in SPOKEN:
        samples, _ = soundfile.read(RECORDINGS / f"{name}.flac", dtype="int16")
        parts.append(samples[samples_of(start_s) : samples_of(end_s)])
    soundfile.write(path, np.concatenate(parts), SAMPLE_RATE)


def take(browser: Browser, url: str, picture: Picture) -> None:
    """Start the captions and wait for the sentence."""
    page = browser.new_page(
        viewport=ViewportSize(width=picture.width, height=picture.height),
        color_scheme=picture.scheme,
        device_scale_factor=picture.scale,
    )
    page.goto(url)
    page.get_by_role("button", name="Close this notice").click()
    page.get_by_role("button", name="Start").click()
    page.wait_for_function(MOMENT, timeout=WAIT_MS)
    path = HERE / f"{picture.name}.png"
    page.screenshot(path=path)
    page.close()
    # A palette: a third of the size, and no eye sees it.
    Image.open(path).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        path, optimize=True
    )


def main() -> None:
    """Make all pictures."""
    config = ServerConfig(
        backend=BackendSettings(models=("demo",)), limits=LimitSettings(calibration_s=0)
    )
    with TemporaryDirectory() as folder, local_server(config) as port, sync_playwright() as tools:
        microphone = Path(folder) / "microphone.wav"
        write_microphone(microphone)
        browser = tools.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=[
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={microphone}%noloop",
            ],
        )
        for picture in PICTURES:
            take(browser, f"http://localhost:{port}/", picture)
        browser.close()


if __name__ == "__main__":
    main()
