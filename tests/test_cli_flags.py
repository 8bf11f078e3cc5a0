"""Flags of the command lines may be written with underscores."""

import os
import subprocess
import sys

import pytest

from whisper_streaming.cli_flags import FlagParser, dashed_flags


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["--max_clients", "4"], ["--max-clients", "4"], id="with a value"),
        pytest.param(["--audio_file=my_talk.wav"], ["--audio-file=my_talk.wav"], id="with ="),
        pytest.param(["--audio-file", "my_talk.wav"], ["--audio-file", "my_talk.wav"], id="value"),
        pytest.param(["-p_x", "-"], ["-p_x", "-"], id="short flags"),
        pytest.param(["--", "--a_b"], ["--", "--a_b"], id="after the end of the flags"),
    ],
)
def test_only_names_of_long_flags_change(arguments: list[str], expected: list[str]) -> None:
    assert dashed_flags(arguments) == expected


def test_a_parser_takes_both_spellings(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = FlagParser()
    parser.add_argument("--max-clients", type=int)

    assert parser.parse_args(["--max_clients", "3"]).max_clients == 3
    assert parser.parse_args(["--max-clients", "3"]).max_clients == 3
    monkeypatch.setattr("sys.argv", ["program", "--max_clients=5"])
    assert parser.parse_args().max_clients == 5


PRINTING = """
import sys
from whisper_streaming.cli_flags import print_any_text, stop_printing
print_any_text()
print("h\xe9llo", flush=True)
sys.stdin.read()  # until the reader is gone
try:
    print("more", flush=True)
except BrokenPipeError:
    stop_printing()
    sys.exit(7)
"""


def test_any_text_can_be_printed_and_a_reader_may_leave() -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PRINTING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert program.stdin is not None
    assert program.stdout is not None
    assert program.stderr is not None
    with program, program.stderr:
        assert program.stdout.readline().rstrip() == b"h\\xe9llo"
        program.stdout.close()
        program.stdin.close()
        assert program.stderr.read() == b""

    assert program.returncode == 7
