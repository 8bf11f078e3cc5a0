"""A translation below the captions, in a browser, with the embedded model."""

from pathlib import Path

import pytest
import soundfile
from playwright.sync_api import Page, expect

from tests.web.serving import Server
from whisper_streaming.core.audio import SAMPLE_RATE, samples_of

pytestmark = [pytest.mark.requires_chromium, pytest.mark.model, pytest.mark.slow]

ENGLISH = "My brother brings the flower on Monday."


@pytest.fixture
def turkish(recordings: Path, tmp_path: Path) -> Path:
    """A sentence of the Turkish recording."""
    samples, _ = soundfile.read(recordings / "lang-tr.flac", dtype="int16")
    path = tmp_path / "cumle.wav"
    soundfile.write(path, samples[: samples_of(4.8)], SAMPLE_RATE)
    return path


def test_the_language_that_was_chosen_stands_below_the_words(
    page: Page, server: Server, turkish: Path
) -> None:
    page.goto(server.url)
    page.get_by_role("radio", name="File").check()
    page.get_by_label("Recording or video").set_input_files(turkish)
    page.get_by_label("Language").select_option("tr")
    page.get_by_role("button", name="Settings").click()
    choice = page.get_by_label("Translation")
    assert choice.locator("option").all_inner_texts() == ["none", "English"]
    choice.select_option("en")
    page.get_by_role("button", name="Close the settings").click()
    page.get_by_role("button", name="Start").click()

    expect(page.locator("#captions .line-translation:visible")).to_have_text(ENGLISH)
    expect(page.locator("#captions .line-words")).to_contain_text("getiriyor")
    with page.expect_download() as waiting:
        page.get_by_text("Download").click()
        page.get_by_role("button", name="SRT").click()
    assert ENGLISH in Path(waiting.value.path()).read_text(encoding="utf-8")


def test_a_server_without_targets_offers_none(page: Page, server: Server) -> None:
    def without(route: object) -> None:
        response = route.fetch()  # type: ignore[attr-defined]
        route.fulfill(json={**response.json(), "target_languages": []})  # type: ignore[attr-defined]

    page.route("**/info", without)
    page.goto(server.url)
    expect(page.locator("#model")).to_be_visible()
    page.get_by_role("button", name="Settings").click()

    expect(page.get_by_label("Captions settle")).to_be_visible()
    expect(page.get_by_label("Translation")).to_be_hidden()
