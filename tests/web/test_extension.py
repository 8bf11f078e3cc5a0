"""The browser extension in Chromium, from the click on its button to the words over the page.

The click comes over the browser's debugging protocol (``Extensions.triggerAction``), which opens
the popup and lets the extension into the tab as a person's hand does; it has no other rights here
than at people's. Not covered: the keyboard command, because a headless browser has no keys of its
own (it runs the same two functions as the popup), and what comes out of the loudspeakers (only
that the sound is led there).
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect, sync_playwright

from tests.conftest import find_program
from tests.web.accessibility import faults
from tests.web.conftest import SAID
from tests.web.extension import FOLDER, Extension, Overlay, load_assembler, wait_until
from tests.web.serving import Server
from whisper_streaming import __version__
from whisper_streaming.evaluate import word_errors

pytestmark = [pytest.mark.requires_chromium, pytest.mark.model, pytest.mark.slow]

SITE = "http://talk.test"
SCRIPTED = ("--backend=scripted", "--set=vad.detector=energy", "--set=limits.calibration_s=0")
WRONG_WORDS = 0.17  # two of twelve, as with the page's microphone
PAGE = """<!doctype html><html lang="en"><title>A talk</title>
<style>html > :not(body) { display: none !important; opacity: 0 !important }</style>
<h1>A talk</h1><audio src="said.wav" id="talk"></audio></html>"""
"""It tries to hide what is put over it ..."""
POLICY = "default-src 'self'; style-src 'unsafe-inline'; frame-src 'none'"
"""... and allows nothing from elsewhere."""
OPEN_OFFSCREEN = """chrome.offscreen.createDocument(
    {url: "offscreen.html", reasons: ["USER_MEDIA"], justification: "Before its time."})"""
HOLD_SOUND = """(() => {
    const devices = navigator.mediaDevices;
    const open = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async (wishes) => {
        await new Promise((resolve) => (globalThis.goOn = resolve));
        return open(wishes);
    };
})()"""
"""The browser takes its time to give the sound of a tab."""
FIND_SOCKET = """typed => import("./address.js")
    .then(({findEndpoints}) => findEndpoints(typed).socket)
    .catch(error => error.name === "AddressError" ? error.message : `a fault: ${error}`)"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension as ``make extension`` puts it together."""
    folder = tmp_path_factory.mktemp("build") / "extension"
    load_assembler().assemble(folder)
    return folder


@pytest.fixture(scope="module")
def extension(folder: Path, recording: Path) -> Iterator[Extension]:
    """In a browser of its own, which plays tabs without being asked to."""

    def answer(route: Route) -> None:
        if route.request.url.endswith(".wav"):
            route.fulfill(path=recording, content_type="audio/wav")
        else:
            headers = {"Content-Type": "text/html", "Content-Security-Policy": POLICY}
            route.fulfill(body=PAGE, headers=headers)

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            "",
            executable_path=find_program("chromium"),
            viewport={"width": 1280, "height": 800},
            # What is muted is not captured, either.
            ignore_default_args=["--disable-extensions", "--mute-audio"],
            args=[
                "--headless=new",
                f"--load-extension={folder}",
                f"--disable-extensions-except={folder}",
                "--enable-unsafe-extension-debugging",
                "--autoplay-policy=no-user-gesture-required",
            ],
        )
        expect.set_options(timeout=30_000)
        context.route(f"{SITE}/**", answer)
        workers = context.service_workers
        worker = workers[0] if workers else context.wait_for_event("serviceworker")
        assert context.browser is not None
        yield Extension(context, context.browser.new_browser_cdp_session(), worker)
        context.close()


@pytest.fixture
def page(extension: Extension) -> Iterator[Page]:
    """A tab with a talk, which is not captioned when it is closed."""
    page = extension.context.new_page()
    page.goto(SITE)
    yield page
    page.close()


@pytest.fixture
def popup(extension: Extension, server: Server, complaints: list[str]) -> Iterator[Page]:
    """The popup as a page, with a server, on which nothing may go wrong unnoticed."""
    extension.choose(server=server.url)
    page = extension.context.new_page()
    page.set_viewport_size({"width": 352, "height": 600})
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None,
    )
    page.goto(extension.popup_url)
    expect(page.locator("#server-state")).not_to_be_empty()
    yield page
    page.close()
    assert complaints == []


# --- the whole way


@pytest.mark.alone
def test_what_a_tab_plays_is_captioned_over_its_page(
    extension: Extension, page: Page, server: Server
) -> None:
    extension.choose(server=server.url, announce=True)
    overlay = Overlay(page)
    extension.start(page)
    wait_until(page, lambda: overlay.text("state") == "Listening")
    assert extension.badge(page) == "on"
    page.evaluate("document.querySelector('#talk').play()")

    # Words that may still change, then words that stay.
    wait_until(page, lambda: overlay.text("unstable"))
    wait_until(page, lambda: "peace" in (overlay.text("final") or ""))
    heard = overlay.text("final") or ""
    assert word_errors(SAID, heard).rate <= WRONG_WORDS, heard
    assert "synthetic voices" in (overlay.text("notice") or "")
    # Final words, which a screen reader is given.
    wait_until(page, lambda: "peace" in (overlay.text("read-aloud") or ""))
    offscreen = extension.attach(page, extension.popup_url.replace("popup", "offscreen"))
    assert offscreen.complaints == []

    overlay.click("Stop the captions")
    wait_until(page, lambda: overlay.text("card") is None)
    wait_until(page, lambda: extension.badge(page) == "")
    # They can be had as a file, after the page has ended, too.
    words = extension.worker.evaluate("chrome.storage.session.get('recording')")["recording"]
    assert " ".join(line["text"] for line in words["lines"]) == heard
    assert words["origin"]["source"] == "A talk"
    assert words["origin"]["model"] == "demo"


def test_a_server_that_comes_later_is_found_and_one_that_goes_is_told(
    extension: Extension, page: Page
) -> None:
    server = Server(*SCRIPTED)
    extension.choose(server=server.url)
    overlay = Overlay(page)
    extension.start(page)
    wait_until(
        page, lambda: overlay.text("notice") == "The server cannot be reached. Trying again."
    )
    assert extension.badge(page) == "…"

    with server:
        wait_until(page, lambda: overlay.text("state") == "Listening")
        wait_until(page, lambda: overlay.text("notice") == "")
        assert extension.badge(page) == "on"
        server.stop()
        wait_until(page, lambda: overlay.text("state") == "Connection lost")
        assert (overlay.text("notice") or "").endswith("Trying again.")

    # Nothing is waited for where nobody answers.
    overlay.click("Stop the captions")
    wait_until(page, lambda: overlay.text("card") is None)
    assert extension.state()["problem"] == ""


def test_leaving_the_page_ends_its_captions(
    extension: Extension, page: Page, server: Server
) -> None:
    extension.choose(server=server.url)
    extension.start(page)
    wait_until(page, lambda: extension.state()["phase"] == "open")
    page.goto(f"{SITE}/another")
    wait_until(page, lambda: extension.state()["phase"] == "closed")
    assert extension.badge(page) == ""

    other = extension.context.new_page()
    other.goto(f"{SITE}/other")
    extension.start(other)
    wait_until(page, lambda: extension.state()["phase"] == "open")
    other.close()
    wait_until(page, lambda: extension.state()["phase"] == "closed")


def test_a_page_that_is_left_before_its_sound_comes_is_not_captioned(
    extension: Extension, page: Page, server: Server
) -> None:
    extension.choose(server=server.url)
    extension.worker.evaluate(OPEN_OFFSCREEN)
    offscreen = extension.attach(page, extension.popup_url.replace("popup", "offscreen"))
    offscreen.evaluate(HOLD_SOUND)
    extension.start(page)
    wait_until(page, lambda: offscreen.evaluate("typeof goOn") == "function")

    page.goto(f"{SITE}/another")
    offscreen.evaluate("setTimeout(goOn)")

    wait_until(page, lambda: extension.state()["phase"] == "closed")
    assert extension.state()["problem"] == "The page went away before its captions began."


def test_a_second_tab_takes_the_captions_over(
    extension: Extension, page: Page, server: Server
) -> None:
    extension.choose(server=server.url)
    extension.start(page)
    wait_until(page, lambda: extension.state()["phase"] == "open")
    first = extension.state()["tabId"]
    other = extension.context.new_page()
    other.goto(f"{SITE}/other")

    popup = extension.click_button(other)
    wait_until(
        other,
        lambda: (
            popup.evaluate("document.querySelector('#state').innerText")
            == "Another tab is captioned now."
        ),
    )
    popup.evaluate("document.querySelector('#record').click()")  # Stop
    wait_until(other, lambda: extension.state()["phase"] == "closed")
    popup.evaluate("document.querySelector('#record').click()")  # Start
    wait_until(other, lambda: extension.state()["phase"] == "open")

    assert extension.state()["tabId"] != first
    assert Overlay(page).text("card") is None
    other.close()
    wait_until(page, lambda: extension.state()["phase"] == "closed")


# --- what does not work is said in words


def test_what_the_server_refuses_stays_to_be_read(
    extension: Extension, page: Page, server: Server
) -> None:
    extension.choose(server=server.url, language="xx")
    overlay = Overlay(page)
    extension.start(page)

    wait_until(page, lambda: overlay.text("state") == "Stopped")
    refusal = overlay.text("notice")
    assert refusal
    wait_until(page, lambda: extension.badge(page) == "!")
    assert extension.state()["problem"] == refusal
    wait_until(page, lambda: overlay.text("notice") == refusal)
    overlay.click("Close the captions")
    assert overlay.text("card") is None


def test_a_page_that_is_locked_is_named_so(extension: Extension, page: Page) -> None:
    page.goto("chrome://version")
    extension.start(page)

    wait_until(page, lambda: extension.state()["problem"])
    assert extension.state()["problem"].startswith("The browser lets no extension work on this")
    assert extension.badge(page) == "!"


@pytest.mark.parametrize(
    ("typed", "socket"),
    [
        pytest.param("http://localhost:9090", "ws://localhost:9090/asr", id="http"),
        pytest.param(" captions.example ", "ws://captions.example/asr", id="bare name"),
        pytest.param("localhost:9090", "ws://localhost:9090/asr", id="name and port"),
        pytest.param("wss://host:1/", "wss://host:1/asr", id="wss"),
        pytest.param("HTTPS://host/talks", "wss://host/talks/asr", id="behind a path"),
        pytest.param("ws://host/talks/asr?mode=full", "ws://host/talks/asr", id="of the socket"),
        pytest.param("http://[::1]:9090/#x", "ws://[::1]:9090/asr", id="IPv6"),
    ],
)
def test_addresses_are_read_as_people_write_them(popup: Page, typed: str, socket: str) -> None:
    assert popup.evaluate(FIND_SOCKET, typed) == socket


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        pytest.param("", "is missing", id="nothing"),
        pytest.param("ftp://host", "begins with http:// or https://", id="another scheme"),
        pytest.param("http://", "is not an address", id="no host"),
        pytest.param("http://a b", "is not an address", id="a space"),
        pytest.param("http://me:secret@host", "Leave them out", id="password"),
    ],
)
def test_what_is_no_address_is_told_in_words(popup: Page, typed: str, reason: str) -> None:
    assert reason in popup.evaluate(FIND_SOCKET, typed)


# --- the popup


def test_settings_are_kept_and_the_server_is_looked_at(
    extension: Extension, popup: Page, server: Server, complaints: list[str]
) -> None:
    told = popup.locator("#server-state")
    expect(told).to_contain_text("small demo model")
    popup.get_by_label("Language").select_option("German")
    popup.get_by_label("Colours").select_option("As the system")
    popup.get_by_label("Size of the captions").fill("5")
    popup.get_by_label("Screen readers read new captions").check()
    popup.get_by_label("Server").fill("no address")
    popup.get_by_label("Server").press("Tab")
    expect(told).to_contain_text("“no address” is not an address.")
    expect(popup.get_by_label("Server")).to_have_attribute("aria-invalid", "true")
    popup.get_by_label("Server").fill("localhost:1")
    popup.get_by_label("Server").press("Tab")
    expect(told).to_have_text("Nothing answers at http://localhost:1/. Is the server running?")
    assert all("ERR_" in complaint for complaint in complaints)
    complaints.clear()
    popup.reload()
    expect(told).to_contain_text("Nothing answers")
    complaints.clear()

    expect(popup.get_by_label("Language")).to_have_value("de")
    kept = extension.worker.evaluate("chrome.storage.local.get('settings')")["settings"]
    assert kept == {
        "server": "localhost:1",
        "language": "de",
        "theme": "auto",
        "size": 5,
        "announce": True,
    }


def test_a_server_that_answers_late_is_not_taken_for_the_one_that_is_chosen(
    popup: Page, server: Server
) -> None:
    held: list[Route] = []
    popup.route("http://late.test/info", lambda route: held.append(route))
    popup.get_by_label("Server").fill("late.test")
    popup.get_by_label("Server").press("Tab")
    wait_until(popup, lambda: held)
    popup.get_by_label("Server").fill(server.url)
    popup.get_by_label("Server").press("Tab")
    told = popup.locator("#server-state")
    expect(told).to_contain_text("small demo model")

    late = {"model": "late", "languages": ["xx"], "language": None, "detects_language": False}
    with popup.expect_response("http://late.test/info"):
        held[0].fulfill(json=late, headers={"Access-Control-Allow-Origin": "*"})
    popup.evaluate("new Promise((resolve) => setTimeout(resolve))")

    expect(told).to_contain_text("small demo model")
    expect(popup.locator("#language option[value=de]")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_in_the_popup_keeps_people_out(
    extension: Extension, popup: Page, scheme: str
) -> None:
    popup.emulate_media(color_scheme=scheme)
    popup.reload()
    expect(popup.locator("#server-state")).not_to_be_empty()
    line = {"kind": "speech", "speaker": 1, "text": "Hello.", "start": 0, "end": 1}
    origin = {"created": "", "model": None, "language": None, "source": None}
    extension.worker.evaluate(
        "recording => chrome.storage.session.set("
        "{recording, state: {id: '', tabId: null, phase: 'closed', problem: 'It is broken.'}})",
        {"lines": [line], "origin": origin},
    )
    expect(popup.get_by_role("heading", name="Words of the last captions")).to_be_visible()
    expect(popup.locator("#problem")).to_have_text("It is broken.")

    assert faults(popup) == []
    assert popup.evaluate("document.documentElement.scrollWidth") == 352
    with popup.expect_download() as waiting:
        popup.get_by_role("button", name="SRT").click()
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    assert text == "1\n00:00:00,000 --> 00:00:01,000\nHello.\n"


# --- the captions over a page


def test_captions_can_be_moved_and_resized_and_stay_over_what_fills_the_screen(
    extension: Extension, page: Page, server: Server
) -> None:
    extension.choose(server=server.url)
    overlay = Overlay(page)
    box = "(({x, y, right}) => [x, y, right])(%s.getBoundingClientRect())"
    box %= "document.querySelector('live-captions-overlay')"
    extension.start(page)
    wait_until(page, lambda: overlay.text("state") == "Listening")
    x, y, right = page.evaluate(box)
    assert abs(x + right - 1280) < 1

    overlay.focus("move")
    for _ in range(30):
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowRight")
    x, y, right = page.evaluate(box)
    assert (y, right) == (0, 1280)
    page.mouse.move(x + 200, y + 15)
    page.mouse.down()
    page.mouse.move(x + 100, y + 115)
    page.mouse.up()
    assert [round(value) for value in page.evaluate(box)[:2]] == [round(x - 100), 100]
    overlay.click("Larger text")
    kept = extension.worker.evaluate("chrome.storage.local.get()")
    assert kept["settings"]["size"] == 4
    assert 0 < kept["place"]["x"] < 1

    page.evaluate("document.querySelector('h1').requestFullscreen()")
    wait_until(page, lambda: page.evaluate("document.fullscreenElement !== null"))
    wait_until(page, lambda: overlay.top_layer() == ["h1", "live-captions-overlay"])
    overlay.click("Stop the captions")
    wait_until(page, lambda: overlay.text("card") is None)


# --- what is loaded


def test_the_folder_holds_the_pages_own_modules(folder: Path) -> None:
    assembler = load_assembler()
    shared = {path.name for path in (folder / "web").iterdir()}

    assert {"client.js", "transcript.js", "captions.js", "pcm-worklet.js", "export.js"} <= shared
    for name in shared:
        assert (folder / "web" / name).read_bytes() == (assembler.WEB / name).read_bytes()
    for path in assembler.own_files():
        assert (folder / path.relative_to(FOLDER)).read_bytes() == path.read_bytes()
    with zipfile.ZipFile(folder.with_suffix(".zip")) as archive:
        packed = {name: archive.read(name) for name in archive.namelist()}
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert packed == {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_it_asks_for_as_little_as_it_can() -> None:
    manifest = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))

    assert manifest["version"] == __version__
    assert manifest["permissions"] == [
        "activeTab", "offscreen", "scripting", "storage", "tabCapture",
    ]  # fmt: skip
    for name in ("host_permissions", "optional_host_permissions", "content_scripts"):
        assert name not in manifest
    assert "web_accessible_resources" not in manifest  # pages cannot even tell that it is there
    policy = manifest["content_security_policy"]["extension_pages"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
