"""Every program in examples/ runs, against a real server with the embedded model."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.contract.node import MISSING, find_node
from tests.contract.workshop import (
    ROOT,
    Outcome,
    Workshop,
    free_port,
    open_workshop,
    sentence,
    wait_until_healthy,
)

EXAMPLES = ROOT / "examples"
SENTENCE = sentence()

pytestmark = [pytest.mark.model, pytest.mark.slow]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("examples")) as workshop:
        yield workshop


def run_example(workshop: Workshop, name: str, *arguments: str, microphone: bool = True) -> Outcome:
    """Run an example against the server of the workshop."""
    command = [sys.executable, str(EXAMPLES / name), *arguments, "--port", str(workshop.port)]
    return workshop.run(command, microphone=microphone)


def test_every_example_has_a_test() -> None:
    source = Path(__file__).read_text()
    names = {path.name for path in EXAMPLES.iterdir() if path.is_file()}

    assert names == {
        "callback.py", "microphone.py", "server.py", "stream.mjs", "transcribe_file.py",
        "translation.py",
    }  # fmt: skip
    assert all(source.count(f'"{name}"') >= 2 for name in names)


def test_the_server_says_where_it_is_and_stops_in_order(workshop: Workshop) -> None:
    port = free_port()
    command = [sys.executable, str(EXAMPLES / "server.py"), "--model", "demo", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=workshop.folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert wait_until_healthy(process, port)
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=120)
    finally:
        process.kill()

    assert process.returncode == 0, stderr
    assert stdout == f"listening on ws://localhost:{port}\nup to 8 clients\n"


def test_a_file_becomes_text_and_subtitles(workshop: Workshop) -> None:
    outcome = run_example(workshop, "transcribe_file.py", "audio.wav").expect_success()

    assert outcome.stdout == f"{SENTENCE.text}\nwrote audio.srt\n"
    number, times, text = (workshop.folder / "audio.srt").read_text().strip().split("\n")
    assert (number, text) == ("1", SENTENCE.text)
    assert re.fullmatch(r"00:00:00,\d{3} --> 00:00:01,\d{3}", times)


def test_a_file_that_is_not_there_is_said_in_one_line(workshop: Workshop) -> None:
    outcome = run_example(workshop, "transcribe_file.py", "missing.wav")

    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert outcome.stderr.splitlines() == ["there is no file missing.wav"]


def test_the_callback_prints_each_final_caption_once(workshop: Workshop) -> None:
    outcome = run_example(workshop, "callback.py", "audio.wav").expect_success()

    (line,) = outcome.stdout.splitlines()
    assert re.fullmatch(rf"\[  0\.\d\d -   1\.\d\d\] {re.escape(SENTENCE.text)}", line)


def test_the_microphone_is_captioned_until_ctrl_c(workshop: Workshop) -> None:
    outcome = run_example(workshop, "microphone.py").expect_success()

    assert f"\x1b[K{SENTENCE.text}\n" in outcome.stdout
    assert outcome.stdout.endswith(f"\nAll of it: {SENTENCE.text}\n")


def test_without_a_sound_library_the_microphone_says_what_to_install(workshop: Workshop) -> None:
    outcome = run_example(workshop, "microphone.py", microphone=False)

    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert 'the microphone needs PyAudio: run pip install "pyaudio"' in outcome.stderr


@pytest.mark.parametrize("language", ["de", "auto"])
def test_german_becomes_english(workshop: Workshop, language: str) -> None:
    workshop.add_recording("deutsch.wav", "de")
    outcome = run_example(
        workshop, "translation.py", "deutsch.wav", "--language", language
    ).expect_success()

    assert outcome.stdout == f"{sentence('de').english}\n"


@pytest.mark.requires_node
def test_node_sends_raw_samples_and_prints_finals(workshop: Workshop) -> None:
    node = find_node()
    if node is None:
        pytest.skip(MISSING)
    samples = np.round(SENTENCE.samples * 32767).astype("<i2")
    (workshop.folder / "audio.raw").write_bytes(samples.tobytes())
    url = f"ws://localhost:{workshop.port}/stream?format=s16"
    outcome = workshop.run([*node, str(EXAMPLES / "stream.mjs"), "audio.raw", url])

    assert outcome.expect_success().stdout == f"{SENTENCE.text}\n"


@pytest.mark.requires_node
def test_node_says_when_there_is_no_server(workshop: Workshop) -> None:
    node = find_node()
    if node is None:
        pytest.skip(MISSING)
    url = f"ws://localhost:{free_port()}/stream"
    outcome = workshop.run([*node, str(EXAMPLES / "stream.mjs"), "audio.raw", url])

    assert outcome.returncode == 1
    assert f"no connection to {url}: is the server running?" in outcome.stderr
