"""The operator's page, with a server that hears what is written into the samples."""

import json
import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect
from websockets.sync.client import connect

from tests.web.accessibility import faults
from tests.web.serving import Server
from whisper_streaming.backends.scripted import spoken

pytestmark = [pytest.mark.requires_chromium, pytest.mark.slow]

SECRETS = ["xylem", "quorum", "zephyr."]  # words that are in no page
NAME = "somebodys-name"
SCRIPTED = ("--backend=scripted", "--set=vad.detector=energy", "--set=limits.calibration_s=0")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(*SCRIPTED) as server:
        yield server


@pytest.fixture
def status(page: Page, server: Server) -> Page:
    """The page, with its first numbers."""
    page.goto(f"{server.url}status")
    expect(page.locator("#state-title")).to_have_text("Healthy")
    return page


def values(page: Page, title: str) -> list[str]:
    """What the legend of a chart shows now."""
    card = page.locator(".card").filter(has=page.get_by_role("heading", name=title, exact=True))
    return card.locator("dd").all_inner_texts()


def fact(page: Page, name: str) -> str:
    return page.locator(f"[data-fact='{name}'] dd").inner_text()


def test_a_session_shows_in_facts_charts_and_tables_without_its_words(
    status: Page, server: Server
) -> None:
    hosts: set[str] = set()
    status.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    expect(status.locator("#nobody")).to_be_visible()
    row = status.locator("#sessions tbody tr")
    with connect(f"ws://127.0.0.1:{server.port}/{NAME}") as client:
        client.send(json.dumps({"uid": NAME}))
        client.send(spoken(SECRETS).tobytes())
        expect(row).to_have_count(1)
        expect(row.locator("td").nth(6)).to_have_text(str(len(SECRETS)))  # final words
        cells = row.locator("th, td").all_inner_texts()
        assert [cells[0], *cells[3:5]] == ["1", "WhisperLive", "scripted"]
        assert fact(status, "Places") == "1 of 4"
        assert values(status, "Sessions")[0] == "1"
        latency = status.get_by_role("img", name=re.compile("^Latency of final words, now: "))
        expect(latency).to_have_attribute(
            "aria-label", re.compile(r"95 % within \d\.\d\d s, median \d\.\d\d s")
        )
        shown = status.content()
        client.send(b"END_OF_AUDIO")
        heard = "".join(map(str, client))
    expect(row).to_have_count(0)

    assert all(word in heard for word in SECRETS)
    assert [word for word in (*SECRETS, NAME, "127.0.0.1") if word in shown] == []
    assert hosts == {f"localhost:{server.port}"}
    assert (fact(status, "Admitted"), fact(status, "Faults")) == ("1", "0")
    # What is over is still in the numbers: the most in ten minutes of connected sessions.
    expect(status.locator("#numbers tbody tr").first.locator("td").last).to_have_text("1")


def test_it_says_when_the_server_is_gone_and_goes_on_when_it_is_back(
    page: Page, complaints: list[str]
) -> None:
    with Server(*SCRIPTED) as server:
        page.goto(f"{server.url}status")
        title, state = page.locator("#state-title"), page.locator("#state")
        expect(title).to_have_text("Healthy")
        server.stop()

        expect(title).to_have_text("The server does not answer")
        expect(state).to_have_attribute("data-tone", "error")
        expect(page.locator("#state-detail")).to_contain_text("No answer since")

        server.start()
        expect(title).to_have_text("Healthy")
        assert values(page, "Sessions") == ["0", "0"]
        assert all("ERR_CONNECTION_REFUSED" in each for each in complaints)
        complaints.clear()


def test_earlier_values_are_seen_by_keyboard_and_by_pointer(status: Page) -> None:
    seen, column = status.locator("#looked-at"), status.locator("#numbers-at")
    status.get_by_label("Look back").press("ArrowLeft")
    expect(seen).to_have_text("5 s ago")
    expect(column).to_have_text("5 s ago")
    status.get_by_label("Look back").press("End")
    expect(seen).to_have_text("now")

    plot = status.get_by_role("img", name=re.compile("^Lag")).first
    box = plot.bounding_box()
    assert box is not None
    plot.hover(position={"x": box["width"] / 2, "y": 40})
    expect(seen).to_have_text("1 min 0 s ago")
    expect(plot).to_have_attribute("aria-label", "Lag, 1 min 0 s ago: worst –, median –")
    status.mouse.move(0, 0)
    expect(seen).to_have_text("now")
    expect(column).to_have_text("Now")


def test_it_can_be_paused(page: Page, server: Server) -> None:
    page.clock.install()
    page.goto(f"{server.url}status")
    title, pause = page.locator("#state-title"), page.get_by_role("button", name="Pause")
    expect(title).to_have_text("Healthy")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    pause.click()
    page.clock.run_for(60_000)
    expect(title).to_have_text("Paused")
    expect(pause).to_have_attribute("aria-pressed", "true")
    assert asked == []

    pause.click()
    page.clock.run_for(2_000)
    expect(title).to_have_text("Healthy")
    assert asked == [f"{server.url}status"]


@pytest.mark.parametrize(("theme", "is_dark"), [("dark", True), ("light", False)])
def test_it_has_the_colours_that_the_captions_page_was_given(
    page: Page, server: Server, theme: str, is_dark: bool
) -> None:
    page.add_init_script(
        f"localStorage.setItem('whisper-streaming', JSON.stringify({{theme: '{theme}'}}))"
    )
    page.goto(f"{server.url}status")
    expect(page.locator("#state-title")).to_have_text("Healthy")

    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 3 * 128) is is_dark


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)]
)
def test_everybody_can_read_it(status: Page, scheme: Literal["light", "dark"], width: int) -> None:
    status.emulate_media(color_scheme=scheme)
    status.set_viewport_size({"width": width, "height": 740})
    expect(status.locator("#numbers tbody tr")).to_have_count(15)

    assert faults(status, ("minor", "moderate", "serious", "critical")) == []
    # A phone scrolls down only; tables scroll by themselves.
    assert status.evaluate("document.scrollingElement.scrollWidth") == width
