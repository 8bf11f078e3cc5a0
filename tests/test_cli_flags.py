"""Flags of the command lines may be written with underscores."""

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
