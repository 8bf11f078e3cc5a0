"""The readers of pages and commands are not blind: else the tests built on them would be."""

from pathlib import Path

import pytest

from tests.contract.command_lines import (
    check_python,
    check_shell,
    find_calls,
    parse_arguments,
    split_commands,
    split_mixed,
)
from tests.contract.markdown import Row, read_page
from tests.contract.stand_in import with_embedded_model
from tests.contract.workshop import Workshop
from whisper_streaming.client import cli as client_cli

PAGE = """\
# Title

Some words.

```bash
run this
```

<!-- not-run: needs a microphone -->

  ```python
  if x:
      y
  ```

- `-m` or `--model`: an item

## Second

| Name | Default |
|------|---------|
| `--host` | `localhost` |
"""


def test_blocks_carry_language_heading_line_and_reason() -> None:
    first, second = read_page(PAGE).blocks

    assert (first.language, first.text, first.heading) == ("bash", "run this", "Title")
    assert (first.line, first.not_run) == (5, None)
    assert (second.language, second.text) == ("python", "if x:\n    y")
    assert (second.line, second.not_run) == (11, "needs a microphone")


def test_a_reason_counts_for_the_next_block_only() -> None:
    page = read_page("<!-- not-run: why -->\nWords between.\n```bash\na\n```\n```bash\nb\n```")

    assert [block.not_run for block in page.blocks] == [None, None]


def test_rows_come_without_head_and_rule() -> None:
    page = read_page(PAGE)

    head = ("Name", "Default")
    assert page.rows == (Row(("`--host`", "`localhost`"), head, "Second", 22),)
    assert [item.text for item in page.items] == ["`-m` or `--model`: an item"]


def test_a_fence_that_is_never_closed_is_an_error_unless_nothing_follows() -> None:
    with pytest.raises(ValueError, match="line 2 is never closed"):
        read_page("words\n```bash\nrun this\n")
    assert read_page("words\n```\n").blocks == ()


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        pytest.param("a b  # why\n# all of it\nc", [["a", "b"], ["c"]], id="comments"),
        pytest.param("a \\\n    --b \\\n    c\nd", [["a", "--b", "c"], ["d"]], id="continuation"),
        pytest.param('a "\nb\n" c', [["a", "\nb\n", "c"]], id="quote over lines"),
        pytest.param("a | b && c; d &", [["a"], ["b"], ["c"], ["d"]], id="operators"),
        pytest.param("a > out.txt 2>&1\nb < in", [["a"], ["b"]], id="redirections"),
        pytest.param("X=1 Y='2 3' a", [["X=1", "Y=2 3", "a"]], id="variables"),
    ],
)
def test_shell_text_is_split_into_commands(text: str, commands: list[list[str]]) -> None:
    assert split_commands(text) == commands


@pytest.mark.parametrize(
    ("text", "program", "arguments"),
    [
        ("python run_websocket_server.py --port 1", "run_websocket_server.py", ("--port", "1")),
        ("X=1 python3 ./example_websocket_client.py", "example_websocket_client.py", ()),
        (".venv/bin/whisper-streaming serve -m demo", "serve", ("-m", "demo")),
        ("python -m whisper_streaming models", "models", ()),
        ("cat a | whisper-streaming listen --audio-file -", "listen", ("--audio-file", "-")),
        (
            "docker run x python run_websocket_server.py -p 1",
            "run_websocket_server.py",
            ("-p", "1"),
        ),
    ],
)
def test_calls_of_our_programs_are_found(
    text: str, program: str, arguments: tuple[str, ...]
) -> None:
    (call,) = find_calls(text)

    assert (call.program, call.arguments) == (program, arguments)


def test_other_programs_are_none_of_ours() -> None:
    assert find_calls("pip install x\npython -c 'print()'\nwhisper-streaming --version") == []


def test_a_flag_that_does_not_exist_is_found() -> None:
    with pytest.raises(AssertionError, match="unrecognized arguments: --no-such-flag"):
        check_shell("python run_websocket_server.py --no-such-flag 1")
    with pytest.raises(AssertionError, match="there is no command 'sevre'"):
        check_shell("whisper-streaming sevre")
    assert len(check_shell("whisper-streaming serve --help\nwhisper-streaming models")) == 2


def test_arguments_are_parsed_without_running_the_program() -> None:
    namespace = parse_arguments(client_cli.main, ["--port", "1", "--audio-file", "missing.wav"])

    assert (namespace.port, namespace.audio_file) == (1, "missing.wav")


def test_an_import_that_does_not_resolve_is_found() -> None:
    for source in ("import no_such_module", "from whisper_streaming.client import NoSuchName",
                   "from whisper_streaming.no_such_module import x"):  # fmt: skip
        with pytest.raises(AssertionError, match="there is no"):
            check_python(source)
    assert check_python("import pyaudio\nfrom whisper_streaming import client") == [
        "pyaudio",
        "whisper_streaming:client",
    ]


def test_mixed_blocks_are_taken_apart() -> None:
    assert split_mixed("# Server\npython a.py -x\n\n- fast\nx = 1") == (
        "# Server\n\nx = 1",
        "python a.py -x",
        ["- fast"],
    )


def test_only_models_and_what_a_gpu_has_are_replaced() -> None:
    given = ["--device=cuda", "--model", "small", "-m", "medium", "--max-clients", "2", "-l", "de"]

    assert with_embedded_model(given) == ["--model", "demo", "--max-clients", "2", "-l", "de"]


# --- the workshop ---------------------------------------------------------------------------


def test_a_command_that_fails_fails_the_block(tmp_path: Path) -> None:
    outcome, done = Workshop(tmp_path, port=1).run_shell("python -c 'raise SystemExit(3)'\necho on")

    assert outcome.returncode == 3
    assert "on" not in outcome.stdout
    assert [(each.name, each.returncode) for each in done] == [("python", 3)]


def test_an_unknown_program_must_be_decided_on(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"what is to be done with \['rm'\]"):
        Workshop(tmp_path, port=1).run_shell("echo a && rm -r x")


def test_nothing_is_installed_and_unknown_targets_of_make_are_found(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, port=1)

    outcome, done = workshop.run_shell("pip install no-such-package\nmake demo\n")
    assert (outcome.returncode, [each.how for each in done]) == (0, ["checked", "checked"])
    outcome, _ = workshop.run_shell("make dmeo")
    assert (outcome.returncode, outcome.stderr) == (2, "make has no target dmeo\n")


def test_a_program_that_fails_fails_the_snippet(tmp_path: Path) -> None:
    outcome = Workshop(tmp_path, port=1).run_python("print('before')\n1 / 0")

    assert (outcome.returncode, outcome.stdout) == (1, "before\n")
    assert "ZeroDivisionError" in outcome.stderr
