"""Chromium with a recording as its microphone, and pages that must not complain."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import find_program
from tests.web.serving import Server
from whisper_streaming.core.audio import SAMPLE_RATE, samples_of

# Two sentences that the embedded model hears without a mistake, by a voice that it knows.
_RECORDING = "en-1-slt"
_SPANS_S = ((6.6, 10.2), (16.9, 19.6))
SAID = "Karen changed the document on Thursday morning. The government will change for peace."

SOUNDING_TITLE = "Sounding"
"""Of a tab that is shared when a page asks for one."""

# Host names without encryption are not trusted, except for localhost.
UNTRUSTED_HOST = "captions.test"
_TIMEOUT_MS = 30_000.0  # on a busy machine; nothing waits so long by itself


# Notices come and go; a test that looks now and then must not miss one.
_COLLECT_NOTICES = """
window.noticesTold = [];
new MutationObserver((changes) => {
  for (const node of changes.flatMap(({ addedNodes }) => [...addedNodes])) {
    if (node.classList?.contains("notice")) window.noticesTold.push(node.textContent);
  }
}).observe(document, { childList: true, subtree: true });
"""


@pytest.fixture(scope="session")
def recording(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV file in which ``SAID`` is said."""
    samples, _ = soundfile.read(recordings / f"{_RECORDING}.flac", dtype="int16")
    parts = [samples[samples_of(start) : samples_of(end)] for start, end in _SPANS_S]
    path = tmp_path_factory.mktemp("microphone") / "said.wav"
    soundfile.write(path, np.concatenate(parts), SAMPLE_RATE)
    return path


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with the embedded model."""
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def browser(recording: Path) -> Iterator[Browser]:
    """Headless Chromium whose microphone hears the recording once, then silence."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_program("chromium"),
            args=[
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={recording}%noloop",
                f"--auto-select-tab-capture-source-by-title={SOUNDING_TITLE}",
                f"--host-resolver-rules=MAP {UNTRUSTED_HOST} 127.0.0.1",
            ],
            ignore_default_args=["--mute-audio"],
        )
        expect.set_options(timeout=_TIMEOUT_MS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console says of errors; a test that expects some clears the list."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    """A page of its own, on which nothing may go wrong unnoticed."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(_TIMEOUT_MS)
    page = context.new_page()
    page.add_init_script(_COLLECT_NOTICES)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None,
    )
    yield page
    context.close()
    assert complaints == []


def expect_notice(page: Page, text: str) -> None:
    """Wait until the page tells, or has told, ``text``."""
    told = "(text) => window.noticesTold.some((notice) => notice.includes(text))"
    page.wait_for_function(told, arg=text)
