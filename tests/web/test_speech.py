"""Speech into a browser, captions out, with the embedded model."""

import base64
import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.contract.markdown import read_page
from tests.contract.workshop import PRINTED_PORT
from tests.web.conftest import SAID, SOUNDING_TITLE, expect_notice
from tests.web.serving import Server
from whisper_streaming.evaluate import word_errors

# Alone: a browser without a processor cuts the first words of its microphone off.
pytestmark = [
    pytest.mark.requires_chromium, pytest.mark.model, pytest.mark.slow, pytest.mark.alone,
]  # fmt: skip

WRONG_WORDS = 0.17
"""Two of twelve: what becomes of an utterance depends on when its windows are decoded."""

# Remembers whether the meter moved.
WATCH_METER = """
() => {
  const meter = document.getElementById("meter");
  const look = () => (window.meterMoved ||= meter.ariaValueNow !== "0");
  new MutationObserver(look).observe(meter, { attributes: true });
}
"""

# A page that sounds, once it is told to.
SOUND = """
async ([title, wav]) => {
  document.title = title;
  const context = new AudioContext();
  const bytes = Uint8Array.from(atob(wav), (char) => char.charCodeAt(0));
  const source = new AudioBufferSourceNode(context, {
    buffer: await context.decodeAudioData(bytes.buffer),
  });
  source.connect(context.destination);
  window.sound = () => source.start();
}
"""


def captions(page: Page) -> str:
    rows = page.locator("#captions li[data-kind=speech] .line-words")  # and no pauses
    return " ".join(rows.all_inner_texts())


def stop(page: Page) -> None:
    """End the recording and wait for its last words."""
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Start")).to_be_visible()


def expect_words(page: Page) -> None:
    heard = captions(page)
    assert word_errors(SAID, heard).rate <= WRONG_WORDS, heard


@pytest.mark.parametrize(
    ("sound", "settling"),
    [
        pytest.param("as samples", "word by word", id="worklet"),
        pytest.param("recorded", "line by line", id="recorder"),
    ],
)
def test_what_is_said_appears(page: Page, server: Server, sound: str, settling: str) -> None:
    page.goto(server.url)
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Sound is sent").select_option(sound)
    page.get_by_label("Captions settle").select_option(settling)
    page.get_by_role("button", name="Close the settings").click()
    page.evaluate(WATCH_METER)
    page.get_by_role("button", name="Start").click()

    expect(page.locator("#lag")).to_have_text(re.compile(r"^\d+\.\d s behind$"))
    expect(page.locator("#state")).to_have_text("Listening")
    expect(page.locator("#captions .final").last).to_contain_text("peace")
    stop(page)

    expect_words(page)
    assert page.evaluate("window.meterMoved")
    assert page.locator("#captions .unstable:visible").count() == 0
    assert page.locator("#captions time").first.inner_text() == "0:00"
    assert page.title() == "Live captions"


def test_a_killed_server_costs_no_word(page: Page, server: Server, complaints: list[str]) -> None:
    page.goto(server.url)
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#captions .final").first).to_contain_text("document")

    server.stop(signal.SIGKILL)
    expect(page.locator("#state")).to_have_text("Connection lost")
    expect_notice(page, "The connection is lost; trying again.")
    expect(page.locator("#captions .final").first).to_contain_text("document")
    server.start()

    expect_notice(page, "Connected again. Nothing was lost.")
    expect(page.locator("#captions .final").last).to_contain_text("peace")
    stop(page)
    expect_words(page)
    # The browser's own words, for each try that failed.
    assert all("WebSocket connection to" in complaint for complaint in complaints), complaints
    complaints.clear()


def test_the_sound_of_a_tab_is_captioned(page: Page, server: Server, recording: Path) -> None:
    sounding = page.context.new_page()
    sounding.goto(f"{server.url}info")
    sounding.evaluate(SOUND, [SOUNDING_TITLE, base64.b64encode(recording.read_bytes()).decode()])
    page.goto(server.url)
    page.get_by_role("radio", name="Tab").check()
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#state")).to_have_text("Listening")
    sounding.evaluate("window.sound()")

    expect(page.locator("#captions .final").last).to_contain_text("peace")
    stop(page)
    expect_words(page)


@pytest.mark.parametrize(
    ("document", "place"), [("captions.md", "#captions"), ("integration.md", "#text")]
)
def test_the_page_in_the_documentation_works(
    page: Page, server: Server, repository: Path, document: str, place: str
) -> None:
    text = (repository / "docs" / document).read_text(encoding="utf-8")
    (example,) = [b.text for b in read_page(text).blocks if b.language == "html"]
    example = example.replace(PRINTED_PORT, str(server.port))
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    page.goto(f"{server.url}info")  # an address of the server, without a page's policy
    page.set_content(example)

    expect(page.locator(place)).to_contain_text("Karen changed the document")
