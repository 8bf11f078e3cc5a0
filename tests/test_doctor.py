"""The installation check: each line, the exit status, and the program as a whole."""

import importlib.metadata
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from whisper_streaming import doctor
from whisper_streaming.backends.base import BackendInfo, ModelInfo, ModelShape, StreamingProfile
from whisper_streaming.doctor import (
    Finding,
    State,
    check_faster_whisper,
    check_gpu,
    check_microphone,
    check_model,
    check_package,
    check_port,
    check_python,
    check_round_trip,
    check_whisperx,
    describe_speed,
    report,
)
from whisper_streaming.engine.calibration import Calibration
from whisper_streaming.engine.live_load import live_windows
from whisper_streaming.server.measured import Measured

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "test_websocket_integration.py"


def free_port() -> int:
    with socket.create_server(("localhost", 0)) as sock:
        return int(sock.getsockname()[1])


def doctor_environment() -> dict[str, str]:
    """Without a cached model, whatever the machine has."""
    return {**os.environ, "HF_HOME": "/nonexistent/huggingface"}


@contextmanager
def answering(body: bytes) -> Iterator[int]:
    """A web server that gives ``body`` on every path; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = HTTPServer(("localhost", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_finding_is_one_line_with_its_fix() -> None:
    assert str(Finding(State.OK, "rich", "15.0.0")) == "ok  rich             15.0.0"
    assert (
        str(Finding(State.FAULT, "rich", "not installed", "pip install ."))
        == "no  rich             not installed -> pip install ."
    )


def test_the_status_is_zero_where_nothing_is_at_fault() -> None:
    written: list[str] = []
    checks = [lambda: Finding(State.OK, "a", "b"), lambda: Finding(State.OPTIONAL, "c", "d", "e")]

    assert report(checks, written.append) == 0
    assert written == [
        "ok  a                b\n",
        "--  c                d -> e\n",
        "Everything works.\n",
    ]


def test_the_status_is_one_after_a_fault_and_the_other_checks_still_run() -> None:
    written: list[str] = []
    checks = [lambda: Finding(State.FAULT, "a", "b", "c"), lambda: Finding(State.OK, "d", "e")]

    assert report(checks, written.append) == 1
    assert written[1:] == ["ok  d                e\n", "To fix: 1, see the lines with 'no'.\n"]


def test_an_old_python_is_a_fault() -> None:
    assert check_python((3, 10, 9)) == Finding(
        State.FAULT, "Python", "3.10.9", "install Python 3.11 or newer"
    )
    assert check_python().state is State.OK


def test_a_missing_package_is_a_fault_with_the_command() -> None:
    finding = check_package("no-such-package-of-ours", "1")

    assert (finding.state, finding.detail) == (State.FAULT, "not installed")
    assert finding.fix == "pip install . (in the clone)"


@pytest.mark.parametrize(
    ("found", "floor", "state"),
    [
        ("17.4", "17", State.OK),
        ("17.0", "17", State.OK),
        ("17", "17.0.1", State.FAULT),
        ("9.9", "17", State.FAULT),
        ("1.10.0", "1.9", State.OK),
        ("2.0rc1", "2.0", State.OK),
        ("1.8.0+cpu", "1.8", State.OK),
    ],
)
def test_versions_are_compared_by_number(
    monkeypatch: pytest.MonkeyPatch, found: str, floor: str, state: State
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: found)

    assert check_package("anything", floor).state is state


def test_each_backend_is_there_or_says_how_to_get_it() -> None:
    assert check_faster_whisper().state is State.OK
    finding = check_whisperx()
    assert finding.state is State.OK or "pip install '.[whisperx]'" in finding.fix


def test_a_machine_without_pyaudio_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    finding = check_microphone()

    assert finding.state is State.OPTIONAL
    assert "pip install '.[mic]'" in finding.fix


def test_a_gpu_is_a_fault_only_where_one_is_asked_for() -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")

    assert check_gpu("cpu") == Finding(State.OK, "device", "cpu, as asked for")
    assert check_gpu("auto").state is State.OK
    if ctranslate2.get_cuda_device_count() == 0:
        asked = check_gpu("cuda")
        assert asked.state is State.FAULT
        assert "pip install '.[gpu]'" in asked.fix


def test_a_free_port_is_ok() -> None:
    port = free_port()

    assert check_port(port) == Finding(State.OK, f"port {port}", "free")


def test_a_taken_port_is_a_fault() -> None:
    with answering(b"something else") as port:
        finding = check_port(port)

    assert finding.state is State.FAULT
    assert f"--port {port + 1}" in finding.fix


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_cannot_be_is_a_fault(port: int) -> None:
    assert check_port(port) == Finding(
        State.FAULT, f"port {port}", "there is no such port", "--port 0 ... 65535"
    )


def test_a_port_that_never_answers_is_a_fault() -> None:
    with socket.create_server(("localhost", 0)) as sock:
        finding = check_port(sock.getsockname()[1])

    assert finding.state is State.FAULT


def test_a_running_server_of_ours_is_ok() -> None:
    with answering(b"ok\n") as port:
        finding = check_port(port)

    assert finding == Finding(State.OK, f"port {port}", "a whisper-streaming server runs there")


def test_the_model_line_says_what_would_be_used() -> None:
    finding = check_model()

    assert finding.state is not State.FAULT
    assert "small" in finding.detail


def test_without_packages_it_says_so_and_stops_there(tmp_path: Path) -> None:
    """``-S`` hides everything that is installed."""
    done = subprocess.run(
        [sys.executable, "-S", str(SCRIPT)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1
    assert done.stderr == ""
    assert "no  numpy            not installed -> pip install . (in the clone)\n" in done.stdout
    assert "transcription" not in done.stdout


@pytest.mark.model
@pytest.mark.slow
def test_the_program_ends_with_a_real_transcription() -> None:
    command = ["-m", "whisper_streaming", "doctor"]
    done = subprocess.run(
        [sys.executable, *command, "--port", str(free_port())],
        cwd=ROOT,
        env=doctor_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert all(re.match(r"(ok|--)  \S", line) for line in lines[:-1])
    assert re.match(r"(ok|--)  speed            real-time factor \d", lines[-3])
    assert re.match(r"ok  transcription    [12]\d of 21 words in \d", lines[-2])
    assert "--  model            'small' is not on this machine" in done.stdout


@pytest.mark.model
def test_a_transcription_that_hears_too_little_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MIN_HEARD", 1.1)

    finding = check_round_trip("cpu")

    assert finding.state is State.FAULT
    assert "heard: sherlock holmes" in finding.detail


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "_checks", lambda device, port: [check_python])
    with Path("/dev/full").open("w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        status = doctor.main([])

    assert status == 1
    assert capsys.readouterr().err == (
        "whisper-streaming doctor: error: standard output cannot be written: "
        "No space left on device\n"
    )


def speed_of(rtf: float) -> Finding:
    """What the doctor says of a machine where the embedded model has this real-time factor."""
    profile = StreamingProfile(bucket_pad_s=0.0)
    shape = ModelShape(80, 256, 4, 3, 51_865)
    info = BackendInfo(
        "scripted", (ModelInfo("demo", ("en",), True, profile, shape=shape),), 1, 8, cores=2
    )
    windows = live_windows(profile)
    times = {windows[0].bucket_s: {1: 1.0}}
    unscaled = Calibration("demo", windows, times, 1).rtf
    scaled = {windows[0].bucket_s: {1: rtf / unscaled}}
    calibrations = {"demo": Calibration("demo", windows, scaled, 1)}
    return describe_speed(Measured(calibrations, info), "demo")


@pytest.mark.parametrize(
    ("rtf", "state", "said"),
    [
        pytest.param(0.05, State.OK, "'small' is the largest stock model", id="some machine"),
        pytest.param(0.9, State.OPTIONAL, "too slow for any stock model", id="a very slow one"),
    ],
)
def test_the_speed_says_what_can_be_run(rtf: float, state: State, said: str) -> None:
    finding = speed_of(rtf)

    assert finding.state is state
    assert finding.detail.startswith(f"real-time factor {rtf:.2f} and about ")
    assert said in finding.detail
    assert bool(finding.fix) == (state is State.OPTIONAL)


def test_a_model_that_cannot_be_loaded_is_a_fault() -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    if ctranslate2.get_cuda_device_count() == 0:
        finding = check_round_trip("cuda")

        assert finding.state is State.FAULT
        assert "no usable CUDA GPU" in finding.detail


@pytest.mark.model
@pytest.mark.slow
def test_a_taken_port_makes_the_program_fail() -> None:
    with answering(b"something else") as port:
        done = subprocess.run(
            [sys.executable, str(SCRIPT), "--port", str(port)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert done.returncode == 1
    assert f"no  port {port}" in done.stdout
    assert "ok  transcription" in done.stdout


def test_pytest_does_not_collect_the_script() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", str(SCRIPT)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "no tests collected" in done.stdout
