"""The pages from a server with a certificate, as another machine of the network gets them."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from playwright.sync_api import Browser, expect

from tests.web.conftest import UNTRUSTED_HOST

pytestmark = [pytest.mark.requires_chromium, pytest.mark.slow]

_STOP_TIMEOUT_S = 30.0


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Of a server whose certificate nobody vouches for."""
    issued = trustme.CA().issue_cert(UNTRUSTED_HOST)
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    command = [sys.executable, "-m", "whisper_streaming", "serve", "--backend=scripted", "--port=0"]
    files = [f"--ssl-certfile={certificate}", f"--ssl-keyfile={key}"]
    with subprocess.Popen(
        [*command, *files], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            listening = re.search(r"wss://\S+:(\d+)", process.stdout.readline())
            assert listening is not None
            yield int(listening[1])
        finally:
            process.terminate()
            process.wait(_STOP_TIMEOUT_S)


def test_a_certificate_gives_the_page_of_another_machine_its_microphone(
    browser: Browser, port: int
) -> None:
    # What a person does once, by "Advanced" and "Proceed".
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    try:
        page.goto(f"https://{UNTRUSTED_HOST}:{port}/")
        assert page.evaluate("isSecureContext")
        page.get_by_role("button", name="Start").click()
        expect(page.locator("#state")).to_have_text("Listening")  # its socket is open

        page.goto(f"https://{UNTRUSTED_HOST}:{port}/status")
        expect(page.locator("#state-title")).to_have_text("Healthy")
        assert complaints == []
    finally:
        context.close()
