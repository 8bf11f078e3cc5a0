"""Makes the icons: draws the captions page's own icon in each size that browsers want.

Run it from the clone, with Chromium installed: ``python browser-extension/make_icons.py``.
"""

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
SOURCE = HERE.parent / "whisper_streaming" / "web" / "icon.svg"
SIZES_PX = (16, 32, 48, 128)


def main() -> None:
    """Draw and write ``icons/icon-*.png``."""
    svg = SOURCE.read_text(encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for size in SIZES_PX:
            page = browser.new_page(viewport={"width": size, "height": size})
            page.set_content(f"<style>body {{margin: 0}} svg {{display: block}}</style>{svg}")
            page.screenshot(path=HERE / "icons" / f"icon-{size}.png", omit_background=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
