"""Makes extension.png: the browser extension over a page, with its popup, in a sentence's middle.

The picture shows real output: a tab plays a bundled recording, and the embedded model transcribes
it. Run it from the clone, with Chromium and the test tools installed:
``PYTHONPATH=. python docs/images/make_extension.py``.
"""

import base64
import io
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import soundfile
from PIL import Image
from playwright.sync_api import Page, Route, sync_playwright

from tests.web.extension import Extension, Overlay, Target, load_assembler, wait_until
from whisper_streaming.config import BackendSettings, LimitSettings, ServerConfig
from whisper_streaming.core.audio import SAMPLE_RATE, samples_of
from whisper_streaming.local_server import local_server

HERE = Path(__file__).parent
RECORDING = HERE.parent.parent / "tests" / "data" / "en-1-slt.flac"
SPAN_S = (6.6, 23.4)
SITE = "http://talks.example"
PAGE = """<!doctype html><html lang="en"><title>Evening lecture</title><style>
body { margin: 0; background: #f4f2ee; font: 16px/1.5 Inter, system-ui, sans-serif; color: #222 }
main { max-width: 980px; margin: 28px 60px } h1 { font-size: 26px; margin: 18px 0 0 }
p { margin: 2px 0; color: #666 }
.film { height: 500px; border-radius: 14px; display: grid; place-items: center; color: #fff;
  background: #26405f; font-size: 54px;
  font-weight: 650; letter-spacing: -0.02em }
</style><main><div class="film">Evening lecture</div><h1>Evening lecture, part 2</h1>
<p>A recording of last Thursday</p></main><audio src="said.wav"></audio></html>"""
SIZE = {"width": 1200, "height": 660}
COLOURS = 256
MARGIN_PX = 16


def main() -> None:
    """Play, wait for a fitting moment, and write the picture."""
    config = ServerConfig(
        backend=BackendSettings(models=("demo",)), limits=LimitSettings(calibration_s=0)
    )
    with (
        TemporaryDirectory() as folder,
        local_server(config) as port,
        sync_playwright() as playwright,
    ):
        extension_folder = Path(folder) / "extension"
        load_assembler().assemble(extension_folder)
        sound = Path(folder) / "said.wav"
        samples, _ = soundfile.read(RECORDING, dtype="int16")
        first, last = (samples_of(second) for second in SPAN_S)
        soundfile.write(sound, samples[first:last], SAMPLE_RATE)
        context = playwright.chromium.launch_persistent_context(
            "",
            executable_path=shutil.which("chromium"),
            viewport=SIZE,
            ignore_default_args=["--disable-extensions", "--mute-audio"],
            args=[
                f"--load-extension={extension_folder}",
                f"--disable-extensions-except={extension_folder}",
                "--enable-unsafe-extension-debugging",
                "--autoplay-policy=no-user-gesture-required",
            ],
        )
        context.route(f"{SITE}/**", lambda route: answer(route, sound))
        workers = context.service_workers
        worker = workers[0] if workers else context.wait_for_event("serviceworker")
        assert context.browser is not None
        extension = Extension(context, context.browser.new_browser_cdp_session(), worker)
        extension.choose(server=f"http://localhost:{port}", size=4)
        # Beside the popup.
        worker.evaluate("chrome.storage.local.set({place: {x: 0.1, y: 0.94}})")
        page = context.new_page()
        page.goto(SITE)
        picture(extension, page).save(HERE / "extension.png", optimize=True)
        context.close()


def answer(route: Route, sound: Path) -> None:
    """Play the site."""
    if route.request.url.endswith(".wav"):
        route.fulfill(path=sound, content_type="audio/wav")
    else:
        route.fulfill(body=PAGE, content_type="text/html")


def picture(extension: Extension, page: Page) -> Image.Image:
    """The page with its captions, and the popup where the browser shows it."""
    overlay = Overlay(page)
    popup = extension.click_button(page)
    popup.evaluate("document.querySelector('#record').click()")
    wait_until(page, lambda: overlay.text("state") == "Listening")
    page.evaluate("document.querySelector('audio').play()")
    wait_until(page, lambda: is_fitting(overlay))
    # Where the server of most people is.
    popup.evaluate("document.querySelector('#server').value = 'http://localhost:9090'")
    image = open_image(page.screenshot())
    box = popup_image(popup)
    image.paste(box, (SIZE["width"] - box.width - MARGIN_PX, MARGIN_PX))
    return image.quantize(COLOURS)


def is_fitting(overlay: Overlay) -> bool:
    """Whether there are two lines, the last with words that may still change."""
    final, unstable = overlay.text("final") or "", overlay.text("unstable") or ""
    return len(final.split()) >= 16 and len(unstable.split()) >= 2 and not overlay.text("notice")


def popup_image(popup: Target) -> Image.Image:
    """As it is now, in a thin frame."""
    shot = popup.send("Page.captureScreenshot")
    inner = open_image(base64.b64decode(shot["data"]))
    frame = Image.new("RGB", (inner.width + 2, inner.height + 2), "#b9b6b0")
    frame.paste(inner, (1, 1))
    return frame


def open_image(png: bytes) -> Image.Image:
    """Without transparency."""
    return Image.open(io.BytesIO(png)).convert("RGB")


if __name__ == "__main__":
    main()
