"""What the page does with captions, files, keys and eyes; the messages are written here."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.web.accessibility import faults
from tests.web.conftest import SAID, UNTRUSTED_HOST, expect_notice
from tests.web.serving import Server

pytestmark = [pytest.mark.requires_chromium, pytest.mark.model, pytest.mark.slow]

MARKUP = '<img src="x" onerror="document.title = 1"> & <b>bold</b>'
NEWEST_IS_IN_SIGHT = """
() => {
  const edge = (selector, side) => document.querySelector(selector).getBoundingClientRect()[side];
  return edge("#captions li:last-child", "bottom") <= edge("#bottom", "top");
}
"""
KEEP_TRACKS = """
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wishes) => {
  const stream = await open(wishes);
  window.tracks = stream.getTracks();
  return stream;
};
"""
LINES = [
    {"speaker": 1, "text": " Hello.", "start": "0:00:00.50", "end": "0:00:01.00"},
    {"speaker": 2, "text": f" {MARKUP}", "start": "0:00:01.20", "end": "0:00:03.00"},
    {"speaker": -2, "text": "", "start": "0:00:03.00", "end": "0:00:09.00"},
    {"speaker": 1, "text": " And", "start": "0:00:09.00", "end": "0:00:09.50"},
]


def state(lag_s: float = 0.4) -> dict[str, object]:
    return {
        "status": "active_transcription",
        "lines": LINES,
        "buffer_transcription": " so on",
        "remaining_time_transcription": lag_s,
    }


def play_server(page: Page, *messages: dict[str, object]) -> list[WebSocketRoute]:
    """Answer the page with ``messages``; gives its connections."""
    connections: list[WebSocketRoute] = []

    def answer(connection: WebSocketRoute) -> None:
        connections.append(connection)

        def finish(audio: str | bytes) -> None:
            if not audio:
                connection.send(json.dumps({**state(), "buffer_transcription": ""}))
                connection.send(json.dumps({"type": "ready_to_stop"}))
                connection.close(code=1000)

        connection.on_message(finish)
        connection.send(json.dumps({"type": "config", "mode": "full"}))
        for message in messages:
            connection.send(json.dumps(message))

    page.route_web_socket(re.compile("/asr"), answer)
    return connections


def start(page: Page, server: Server) -> None:
    page.goto(server.url)
    page.get_by_role("button", name="Start").click()


def choose_sound(page: Page, sound: str) -> None:
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Sound is sent").select_option(sound)
    page.get_by_role("button", name="Close the settings").click()


def rows(page: Page) -> list[str]:
    return page.locator("#captions li").all_inner_texts()


# --- captions


def test_rows_tell_speakers_pauses_and_open_words_as_text(page: Page, server: Server) -> None:
    play_server(page, state())
    start(page, server)

    expect(page.locator("#captions li")).to_have_count(4)
    assert [re.sub(r"\n+", "|", row) for row in rows(page)] == [
        "0:00|Speaker 1|Hello.",
        f"0:01|Speaker 2|{MARKUP}",
        "0:03|6 s pause",
        "0:09|Speaker 1|And so on",
    ]
    assert page.locator("#captions .unstable:visible").all_inner_texts() == [" so on"]
    assert page.locator("#captions img, #captions b").count() == 0
    colours = page.locator(".line-who:visible").evaluate_all(
        "names => names.map((name) => getComputedStyle(name).color)"
    )
    assert colours[0] == colours[2] != colours[1]


def test_the_lag_is_told_and_coloured(page: Page, server: Server) -> None:
    connections = play_server(page, state(3.0))
    start(page, server)

    expect(page.locator("#lag")).to_be_visible()
    for lag_s, tone in ((3.0, "good"), (5.0, "warn"), (60.0, "error")):
        connections[0].send(json.dumps(state(lag_s)))
        expect(page.locator("#lag")).to_have_text(f"{lag_s:.1f} s behind")
        expect(page.locator("#lag")).to_have_attribute("data-tone", tone)


def test_only_complete_lines_are_read_aloud(page: Page, server: Server) -> None:
    connections = play_server(page, state())
    start(page, server)

    expect(page.locator("#announcer")).to_have_text(f"Hello. {MARKUP}")
    connections[0].send(json.dumps({**state(), "buffer_transcription": " so on and on"}))
    expect(page.locator("#captions li").last).to_contain_text("so on and on")
    assert page.locator("#announcer").inner_text() == f"Hello. {MARKUP}"


def test_the_newest_words_stay_in_sight_unless_one_reads_back(page: Page, server: Server) -> None:
    page.set_viewport_size({"width": 390, "height": 500})
    many = [{**LINES[0], "text": f"Line {n}.", "start": f"0:00:{n:02}.00"} for n in range(40)]
    connections = play_server(page, {**state(), "lines": many[:20]})
    start(page, server)
    expect(page.get_by_text("so on")).to_be_in_viewport()

    page.mouse.wheel(0, -2000)
    expect(page.get_by_role("button", name="Newest")).to_be_visible()
    connections[0].send(json.dumps({**state(), "lines": many}))
    expect(page.get_by_text("Line 39.")).to_be_attached()
    expect(page.get_by_text("Line 39.")).not_to_be_in_viewport()

    page.get_by_role("button", name="Newest").click()
    expect(page.get_by_text("so on")).to_be_in_viewport()
    expect(page.get_by_role("button", name="Newest")).to_be_hidden()


def test_a_lost_connection_is_told_and_tried_again(page: Page, server: Server) -> None:
    connections = play_server(page, state())
    start(page, server)
    expect(page.locator("#captions li")).to_have_count(4)

    connections[0].close(code=1012)
    expect_notice(page, "The server is restarting.")
    assert rows(page)[0].endswith("Hello.")
    expect_notice(page, "Connected again. Nothing was lost.")
    assert len(connections) == 2


def test_a_recorder_begins_anew_after_a_loss(page: Page, server: Server) -> None:
    received: list[list[str | bytes]] = []
    said = {**LINES[0], "start": "0:00:00.05", "end": "0:00:00.10"}

    def listen(connection: WebSocketRoute) -> None:
        audio: list[str | bytes] = []
        received.append(audio)
        is_first = len(received) == 1

        def take(message: str | bytes) -> None:
            audio.append(message)
            if is_first and len(audio) == 2:
                connection.close(code=1012)
            elif not is_first and len(audio) == 1:
                connection.send(json.dumps({**state(), "lines": [{**said, "text": " Back."}]}))

        connection.on_message(take)
        connection.send(json.dumps({"type": "config", "mode": "full"}))
        if is_first:
            connection.send(json.dumps({**state(), "lines": [said]}))

    page.route_web_socket(re.compile("/asr"), listen)
    page.goto(server.url)
    choose_sound(page, "recorded")
    page.get_by_role("button", name="Start").click()

    gap = page.locator("#captions li[data-kind=gap]")
    expect(gap).to_contain_text(re.compile(r"connection lost: \d+ s of sound were not transcribed"))
    expect(page.locator("#captions li.is-unconfirmed")).to_contain_text("so on")
    expect(page.get_by_text("Back.")).to_be_visible()
    webm = bytes.fromhex("1a45dfa3")
    assert [audio[0][:4] for audio in received] == [webm, webm]
    page.get_by_role("button", name="Stop").dblclick()  # as some people do
    expect(page.locator("#state")).to_have_text("The last words")
    clicked_at = page.evaluate("performance.now()")
    page.wait_for_function("(clickedAt) => performance.now() > clickedAt + 700", arg=clicked_at)
    page.get_by_role("button", name="Stop now").click()
    expect(page.get_by_role("button", name="Start")).to_be_visible()
    assert b"" in received[1]  # the end; this stand-in of a socket does not keep blobs in order


def test_a_second_recording_continues_the_transcript(page: Page, server: Server) -> None:
    play_server(page, state())
    start(page, server)
    for name in ("Stop", "Start"):
        expect(page.locator("#captions li")).to_have_count(4)
        page.get_by_role("button", name=name).click()

    expect(page.locator("#captions li")).to_have_count(8)
    times = page.locator("#captions time").all_inner_texts()
    assert times == ["0:00", "0:01", "0:03", "0:09", "0:10", "0:10", "0:12", "0:18"]
    page.get_by_role("button", name="Stop").click()
    # With the permission came the names of the microphones.
    assert page.get_by_label("Device").locator("option").count() > 1


def test_a_refused_microphone_is_told(page: Page, server: Server) -> None:
    refuse = "async () => { throw new DOMException('no', 'NotAllowedError'); }"
    page.add_init_script(f"navigator.mediaDevices.getUserMedia = {refuse}")
    start(page, server)

    expect_notice(page, "There is no sound. The browser was not allowed to use the microphone.")
    expect(page.get_by_role("button", name="Start")).to_be_visible()


def test_a_microphone_that_cannot_be_read_is_let_go(
    page: Page, server: Server, complaints: list[str]
) -> None:
    page.add_init_script(KEEP_TRACKS)
    fail = "async () => { throw new DOMException('no such module', 'AbortError'); }"
    page.add_init_script(f"AudioWorklet.prototype.addModule = {fail}")
    with page.expect_event("pageerror"):
        start(page, server)

    expect_notice(page, "There is no sound. no such module")
    assert page.evaluate("window.tracks.map(({ readyState }) => readyState)") == ["ended"]
    complaints.clear()


def test_what_the_server_cannot_do_is_told(page: Page, server: Server) -> None:
    def refuse(connection: WebSocketRoute) -> None:
        connection.send(json.dumps({"type": "error", "error": "no such language"}))
        connection.close(code=4400)

    page.route_web_socket(re.compile("/asr"), refuse)
    start(page, server)

    expect_notice(page, "The captions stopped. No such language.")
    expect(page.get_by_role("button", name="Start")).to_be_visible()


# --- files


@pytest.mark.parametrize("sound", ["as samples", "recorded"])
def test_a_file_becomes_captions_and_files(
    page: Page, server: Server, recording: Path, sound: str
) -> None:
    page.goto(server.url)
    choose_sound(page, sound)
    page.get_by_role("radio", name="File").check()
    page.get_by_label("Recording or video").set_input_files(recording)
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("button", name="Copy")).to_be_enabled()
    expect(page.get_by_role("button", name="Start")).to_be_visible()

    first, second = SAID.replace(". ", ".|").split("|")
    assert [row.rpartition("\n")[2] for row in rows(page)] == [first, second]
    assert download(page, "TXT")[1] == f"{SAID}\n"
    name, srt = download(page, "SRT")
    assert re.fullmatch(r"captions-\d{4}-\d\d-\d\d-\d{4}\.srt", name)
    time = r"00:00:0\d,\d{3}"
    rows_of_one, rows_of_two = (r"\s".join(text.split()) for text in (first, second))
    cues = rf"1\n{time} --> {time}\n{rows_of_one}\n\n2\n{time} --> {time}\n{rows_of_two}\n"
    assert re.fullmatch(cues, srt)
    vtt = download(page, "VTT")[1]
    assert re.fullmatch(
        cues.replace(",", r"\."), re.sub(r"^WEBVTT\n\n", "1\n", vtt).replace("\n\n", "\n\n2\n")
    )
    told = json.loads(download(page, "JSON")[1])
    assert (told["text"], told["model"], told["source"]) == (SAID, "demo", "said.wav")
    assert [line["isFinal"] for line in told["lines"]] == [True, True]


def download(page: Page, name: str) -> tuple[str, str]:
    """Name and text of a file that the page gives."""
    page.locator("#download summary").click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name=name).click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_text(encoding="utf-8")


def test_what_is_not_saved_is_not_thrown_away_by_accident(page: Page, server: Server) -> None:
    play_server(page, state())
    start(page, server)
    page.get_by_role("button", name="Stop").click()
    questions: list[str] = []

    page.once("dialog", lambda dialog: (questions.append(dialog.message), dialog.dismiss()))
    page.get_by_role("button", name="Clear").click()
    assert questions == ["Clear captions that have not been saved?"]
    expect(page.locator("#captions li")).to_have_count(4)

    download(page, "TXT")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#captions li")).to_have_count(0)
    expect(page.get_by_role("heading", name="Speak, and read along.")).to_be_visible()


# --- where there is no microphone


def test_an_address_that_browsers_do_not_trust_is_explained(
    page: Page, server: Server, recording: Path
) -> None:
    page.goto(f"http://{UNTRUSTED_HOST}:{server.port}/")

    expect_notice(page, "The microphone is locked on this address.")
    expect_notice(page, f"open https://{UNTRUSTED_HOST}:{server.port}/, or open")
    expect(page.get_by_role("radio", name="Microphone")).to_be_disabled()
    expect(page.get_by_role("radio", name="Tab")).to_be_disabled()
    expect(page.get_by_role("radio", name="File")).to_be_checked()
    page.get_by_label("Recording or video").set_input_files(recording)
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#captions .final").last).to_contain_text("peace")
    expect(page.get_by_role("button", name="Start")).to_be_visible()
    page.get_by_role("button", name="Copy").click()
    expect_notice(page, "Copied.")


def test_a_small_demo_model_is_named(page: Page, server: Server) -> None:
    page.goto(server.url)

    expect(page.locator("#model")).to_have_text("demo model")
    expect_notice(page, "This server runs its small demo model.")
    expect(page.get_by_label("Language")).to_contain_text("Default (English)")
    expect(page.get_by_label("Language").locator("option")).to_contain_text(["Detect", "German"])


# --- for everybody


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_nothing_serious_keeps_people_out(
    page: Page, server: Server, scheme: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    # Without motion, because colours on their way to others have no contrast to speak of.
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    play_server(page, state())
    page.goto(server.url)
    expect(page.locator("#model")).to_be_visible()
    before = faults(page)
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#captions li")).to_have_count(4)
    meanwhile = faults(page)
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Settings").click()
    in_settings = faults(page)

    assert (before, meanwhile, in_settings) == ([], [], [])


def test_nothing_sticks_out_at_the_side(page: Page, server: Server) -> None:
    play_server(page, state())
    page.goto(server.url)
    expect(page.locator("#model")).to_be_visible()
    for name in ("Start", "Stop", "Start"):  # before, meanwhile, after
        for width in (320, 390, 768, 1280):
            page.set_viewport_size({"width": width, "height": 700})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("button", name=name).click()
        page.locator("#captions li").nth(3).wait_for()


def test_all_can_be_done_with_the_keyboard(page: Page, server: Server) -> None:
    play_server(page, state())
    page.goto(server.url)
    keys = page.keyboard
    keys.press("Tab")
    expect(page.get_by_role("link", name="Skip to the captions")).to_be_focused()
    page.get_by_role("button", name="Settings").focus()
    keys.press("Enter")
    expect(page.get_by_role("dialog", name="Settings")).to_be_visible()
    keys.press("Escape")
    expect(page.get_by_role("dialog", name="Settings")).to_be_hidden()
    page.get_by_role("radio", name="Microphone").focus()
    keys.press("ArrowRight")
    expect(page.get_by_role("radio", name="Tab")).to_be_checked()
    keys.press("ArrowLeft")
    for name in ("Device", "Language"):
        keys.press("Tab")
        expect(page.get_by_label(name)).to_be_focused()
    keys.press("Tab")
    keys.press("Space")
    expect(page.locator("#captions li")).to_have_count(4)
    keys.press("Space")
    expect(page.get_by_role("button", name="Start")).to_be_focused()

    page.locator("#download summary").focus()
    keys.press("Enter")
    expect(page.get_by_role("button", name="TXT")).to_be_visible()
    keys.press("Escape")
    expect(page.get_by_role("button", name="TXT")).to_be_hidden()
    expect(page.locator("#download summary")).to_be_focused()


def test_settings_are_kept_and_change_the_looks(page: Page, server: Server) -> None:
    play_server(page, state())
    page.goto(server.url)
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Colours").select_option("Dark")
    page.get_by_label("Size of the captions").fill("6")
    page.get_by_label("Times beside the captions").uncheck()
    page.reload()
    page.get_by_role("button", name="Start").click()

    expect(page.locator("#captions li")).to_have_count(4)
    looks = "getComputedStyle(document.querySelector('%s')).%s"
    assert page.evaluate(looks % ("body", "backgroundColor")) == "rgb(18, 19, 23)"
    assert page.evaluate(looks % ("#captions", "fontSize")) == "48px"
    assert page.evaluate(looks % (".line-time", "visibility")) == "hidden"
    page.set_viewport_size({"width": 390, "height": 700})
    page.wait_for_function(NEWEST_IS_IN_SIGHT)
