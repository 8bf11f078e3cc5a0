"""The guide's contract: each block, table row, flag and message of the two seeds is one case.

The cases are read out of the documents, so that nothing can be forgotten; docs/contract.md lists
all of them. ``WITH_WHISPERX`` in tests/contract/seeds.py names those that run in the environment
of whisperx.
"""

import json
import re
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.contract.command_lines import (
    parse_arguments,
    split_commands,
    split_mixed,
)
from tests.contract.coverage import CONTRACT_PAGE, render_page
from tests.contract.messages import MESSAGES
from tests.contract.node import MISSING, find_node
from tests.contract.rows import find_row_test
from tests.contract.seeds import WITH_WHISPERX, Element, Kind, flag_names, of_kind, read_seeds
from tests.contract.workshop import ROOT, Done, Workshop, open_workshop, sentence
from tests.test_packaging import distribution, lines, metadata
from whisper_streaming.config import load_config
from whisper_streaming.server import cli as server_cli

SERVER = "run_websocket_server.py"
CLIENT = "example_websocket_client.py"
CHECK = "test_websocket_integration.py"

SENTENCE = sentence()

# What the programs of each shell block are, in order.
SHELL = {
    "guide/1-install-required-dependencies/bash": ["pip"] * 4,
    "guide/2-verify-installation/bash": [CHECK],
    "guide/1-start-the-websocket-server/bash": [SERVER, SERVER],
    "guide/2-connect-a-client/bash": [CLIENT, CLIENT, CLIENT],
    "guide/1-connection-refused/bash": [SERVER, "netstat"],
    "guide/2-audio-issues/bash": ["python", "python"],
    "guide/3-backend-issues/bash": [CHECK, "pip"],
    "guide/4-memory-issues/bash": [SERVER, SERVER],
    "guide/debug-mode/bash": [SERVER, CLIENT],
    "guide/production-deployment/bash": [SERVER],
    "whisper-cpp/usage/bash": [SERVER],
}
# How the C++ program is built that ours takes the place of: only its flags concern us.
FOREIGN = {"whisper-cpp/building/bash"}
# What the C++ program is called where its command line is ours.
FOREIGN_PROGRAM = "./build/bin/whisper-websocket-stream"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("guide")) as workshop:
        yield workshop


def cases(kind: Kind) -> pytest.MarkDecorator:
    """One case for each element of a kind."""
    elements = [element for element in of_kind(kind) if element.key not in WITH_WHISPERX]
    return pytest.mark.parametrize("element", elements, ids=[each.key for each in elements])


# --- nothing is forgotten -------------------------------------------------------------------


def test_the_seeds_hold_what_they_held() -> None:
    """A parser that overlooks something would otherwise only make the contract shorter."""
    assert Counter(element.kind for element in read_seeds()) == {
        Kind.SHELL: 13,
        Kind.PYTHON: 9,
        Kind.JAVASCRIPT: 1,
        Kind.DOCKERFILE: 1,
        Kind.PICTURE: 2,
        Kind.ROW: 22,
        Kind.FLAG: 11,
        Kind.MESSAGE: 6,
    }


def test_every_element_has_an_expectation() -> None:
    shell = {element.key for element in of_kind(Kind.SHELL)} - WITH_WHISPERX
    assert shell == SHELL.keys() | FOREIGN
    assert {element.key for element in of_kind(Kind.PYTHON)} - WITH_WHISPERX == PYTHON.keys()
    assert {element.key for element in of_kind(Kind.MESSAGE)} == MESSAGES.keys()
    assert {element.key for element in read_seeds()} >= WITH_WHISPERX


def test_the_page_lists_every_element() -> None:
    written = CONTRACT_PAGE.read_text(encoding="utf-8")

    assert written == render_page(), "python -m tests.contract.coverage > docs/contract.md"


# --- shell ----------------------------------------------------------------------------------


@pytest.mark.model
@pytest.mark.slow
@cases(Kind.SHELL)
def test_shell_block(element: Element, workshop: Workshop) -> None:
    if element.key in FOREIGN:
        assert_foreign(element)
        return
    outcome, done = workshop.run_shell(element.text.replace(FOREIGN_PROGRAM, f"python {SERVER}"))

    outcome.expect_success()
    assert [each.name for each in done] == SHELL[element.key]
    assert [each.returncode for each in done] == [0] * len(done)
    for each in done:
        if each.name == SERVER:
            assert_served_as_told(each)
        if each.name == CHECK:
            assert re.search(r"^ok  transcription ", outcome.stdout, re.MULTILINE)
        if each.name == "pip":
            assert_known_packages(each)
    heard = words(outcome.stdout).count(words(SENTENCE.text))
    assert heard >= SHELL[element.key].count(CLIENT)


def assert_served_as_told(done: Done) -> None:
    """The server that ran had the settings of the printed command."""
    arguments = parse_arguments(server_cli.main, done.arguments)
    config = load_config(flags=server_cli.flags_of(arguments))
    assert done.status is not None
    assert done.host == config.host
    assert done.status["engine"] == config.backend.kind == "faster_whisper"
    assert done.status["models"] == ["demo"]
    assert done.status["max_clients"] == config.limits.max_clients
    assert done.status["max_connection_time_s"] == config.limits.max_connection_time_s
    assert (" DEBUG " in done.log) is (config.log_level == "DEBUG")
    assert ("forwarding" in done.status) is (config.forward.url is not None)


def assert_known_packages(done: Done) -> None:
    """What the guide installs is what our own metadata installs, or the project itself."""
    options = metadata()
    known = lines(options["options"]["install_requires"])
    for extra in options["options.extras_require"].values():
        known += lines(extra)
    ours = {distribution(requirement) for requirement in known} | {"whisper-streaming"}
    assert done.arguments[0] == "install"
    assert set(done.arguments[1:]) <= ours


def assert_foreign(element: Element) -> None:
    """The last command is the C++ program's; its flags are flags of our server."""
    *_, arguments = split_commands(element.text)
    parse_arguments(server_cli.main, arguments[1:])


# --- Python ---------------------------------------------------------------------------------


@pytest.mark.model
@pytest.mark.slow
@cases(Kind.PYTHON)
def test_python_block(element: Element, workshop: Workshop) -> None:
    PYTHON[element.key](element.text, workshop)


def server_program(source: str, workshop: Workshop) -> None:
    workshop.run_python(source).expect_success()


def client_program(source: str, workshop: Workshop) -> None:
    """It listens to the microphone until Ctrl-C, then reads the file."""
    before = sessions_of(workshop)
    outcome = workshop.run_python(f"{source}\n{PRINT_TRANSCRIPT}").expect_success()

    assert sessions_of(workshop) - before == 3  # microphone, file, and ours
    assert words(outcome.stdout) == words(SENTENCE.text)


def callback_program(source: str, workshop: Workshop) -> None:
    """The block goes on where the one before it ended, so it has its import."""
    outcome = workshop.run_python(f"{IMPORT_CLIENT}\n{source}\n{PRINT_TRANSCRIPT}").expect_success()

    *updates, segment, transcript = outcome.stdout.splitlines()
    assert re.fullmatch(r"  \[\d\.\d\ds-\d\.\d\ds\]: .+", segment)
    assert words(segment).endswith(words(SENTENCE.text))
    assert updates[-1].startswith("Transcribed: ")
    assert words(updates[-1]) == f"transcribed {words(SENTENCE.text)}"
    assert words(transcript) == words(SENTENCE.text)


def translating_program(source: str, workshop: Workshop) -> None:
    workshop.add_recording("audio_tr.wav", "tr")
    transcript = PRINT_TRANSCRIPT.replace("audio.wav", "audio_tr.wav")
    outcome = workshop.run_python(f"{source}\n{transcript}").expect_success()

    assert words(outcome.stdout) == words(sentence("tr").english)


def speaking_program(source: str, workshop: Workshop) -> None:
    """The block speaks what was said in Turkish; what it spoke is understood again."""
    workshop.add_recording("audio_tr.wav", "tr")
    comment = "# Play or save audio"
    assert source.count(comment) == 1
    # Files with a known ending are there already, as recordings.
    source = source.replace(comment, 'save(audio_data, "spoken.wave")')
    outcome = workshop.run_python(f"{source}\n{HEAR_WHAT_WAS_SPOKEN}").expect_success()

    *updates, of_english, of_turkish, of_speech = outcome.stdout.splitlines()
    assert updates[0].startswith("Transcribed: ")
    assert words(of_english) == words(f"{SENTENCE.text} False")  # not Turkish: nothing is spoken
    assert of_turkish == of_speech == sentence("tr").text


def monitoring_program(source: str, workshop: Workshop) -> None:
    outcome = workshop.run_python(source).expect_success()

    assert outcome.stdout == "Active clients: 0\nWait time: 0.0 minutes\n"


def mixed_block(source: str, workshop: Workshop) -> None:
    """Python, commands and bullet points in one block: each part is held to what it is."""
    python, shell, _ = split_mixed(source)
    workshop.run_python(python).expect_success()
    outcome, done = workshop.run_shell(shell)

    outcome.expect_success()
    assert [each.name for each in done] == [SERVER]
    assert_served_as_told(done[0])


IMPORT_CLIENT = "from whisper_streaming.client import TranscriptionClient"
PRINT_TRANSCRIPT = 'client.realtime = False\nprint(client("audio.wav"))'

HEAR_WHAT_WAS_SPOKEN = """
import os
from whisper_streaming.tts import save
client.realtime = False
results = [f'{client("audio.wav")} {os.path.exists("spoken.wave")}']
client.language = "tr"
results.append(client("audio_tr.wav"))
silent_client = TranscriptionClient(language="tr")
silent_client.realtime = False
results.append(silent_client("spoken.wave"))
print(*results, sep="\\n")
"""

PYTHON: dict[str, Callable[[str, Workshop], None]] = {
    "guide/server/python": server_program,
    "guide/client/python": client_program,
    "guide/custom-transcription-callback/python": callback_program,
    "guide/faster-whisper-backend/python": mixed_block,
    "guide/translation-support/python": translating_program,
    "guide/tts-integration/python": speaking_program,
    "guide/server-monitoring/python": monitoring_program,
    "guide/logging-configuration/python": mixed_block,
}


def sessions_of(workshop: Workshop) -> int:
    with urllib.request.urlopen(f"http://localhost:{workshop.port}/status") as answer:
        return int(json.load(answer)["admitted_clients"])


def words(text: str) -> str:
    """Only the words: what a comma or a capital letter is, the model may see otherwise."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))


# --- JavaScript, Dockerfile, pictures -------------------------------------------------------

SEND_AND_END = """
import { readFileSync } from 'node:fs';
const bytes = readFileSync(AUDIO);
const opened = socket.onopen;
socket.onopen = () => {
    opened();
    for (let start = 0; start < bytes.length; start += 6400) {
        sendAudioData(bytes.subarray(start, start + 6400));
    }
    if (ENDS) socket.send('END_OF_AUDIO');
};
const received = socket.onmessage;
socket.onmessage = (event) => {
    received(event);
    if (!ENDS) socket.close();
};
"""


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.requires_node
@pytest.mark.parametrize(
    ("sample_format", "ends"),
    [
        pytest.param("f32", False, id="f32, no end of audio"),
        pytest.param("s16", True, id="s16, END_OF_AUDIO"),
    ],
)
@cases(Kind.JAVASCRIPT)
def test_javascript_block(
    element: Element, workshop: Workshop, sample_format: str, ends: bool
) -> None:
    node = find_node()
    if node is None:
        pytest.skip(MISSING)
    samples = SENTENCE.samples
    audio = workshop.folder / f"audio.{sample_format}"
    audio.write_bytes(
        samples.astype("<f4").tobytes()
        if sample_format == "f32"
        else np.round(samples * 32767).astype("<i2").tobytes()
    )
    query = "" if sample_format == "f32" else "?format=s16"
    ours = f"ws://localhost:{workshop.port}/stream{query}"
    source = element.text.replace("ws://localhost:9002", ours)
    harness = SEND_AND_END.replace("AUDIO)", f"{json.dumps(str(audio))})")
    harness = harness.replace("ENDS", str(ends).lower())

    outcome = workshop.run_javascript(f"{source}\n{harness}", list(node)).expect_success()

    first, *finals, last = outcome.stdout.splitlines()
    assert ours in source
    assert first == "Connected to WebSocket server"
    assert all(line.startswith("Transcription: ") for line in finals)
    assert words(" ".join(line[15:] for line in finals)) == words(SENTENCE.text)
    assert last == "Disconnected from WebSocket server"


@cases(Kind.DOCKERFILE)
def test_dockerfile(element: Element) -> None:
    """Ours holds the guide's instructions in their order; what it adds makes it safer."""
    ours = lines((ROOT / "Dockerfile").read_text().replace("--no-cache-dir ", ""))
    guide = lines(element.text)

    assert [line for line in ours if line in guide] == guide


@pytest.mark.model
@cases(Kind.PICTURE)
def test_picture(element: Element, workshop: Workshop) -> None:
    if "→" in element.text:  # the flow of data: audio goes in, its transcription comes out
        source = f"{IMPORT_CLIENT}\nclient = TranscriptionClient()\n{PRINT_TRANSCRIPT}"
        outcome = workshop.run_python(source).expect_success()
        assert words(outcome.stdout) == words(SENTENCE.text)
        return
    files = tree_files(element.text)
    assert len(files) == 9
    assert [path for path in files if not (ROOT / path).is_file()] == []


def tree_files(text: str) -> list[str]:
    """Files of a drawn tree; the guide draws the package and the clone around it as one."""
    folder = ""
    files: list[str] = []
    for line in text.splitlines()[1:]:
        name = line.partition("── ")[2].partition("#")[0].strip()
        if name.endswith("/"):
            folder = name
        else:
            files.append(f"whisper_streaming/{folder}{name}" if line[0] == "│" else name)
    return files


# --- tables, flags, messages ----------------------------------------------------------------


@cases(Kind.ROW)
def test_table_row(element: Element) -> None:
    find_row_test(element)(element)


@cases(Kind.FLAG)
def test_flag(element: Element) -> None:
    """Both names mean the same setting, and the setting is set."""
    short, long = flag_names(element.text)
    value = [] if long in ("--translate", "--no-gpu") else [FLAG_VALUES[long]]

    named = [
        server_cli.flags_of(parse_arguments(server_cli.main, [name, *value]))
        for name in (short, long)
    ]

    assert named[0] == named[1] != {}
    assert load_config(flags=named[0]) != load_config()


FLAG_VALUES = {
    "--model": "./models/ggml-large-v3-turbo.bin",
    "--threads": "8",
    "--host": "0.0.0.0",
    "--port": "9002",
    "--language": "de",
    "--vad-thold": "0.6",
    "--beam-size": "5",
    "--forward-url": "http://localhost:8080/completion",
    "--max-messages": "5",
}


@pytest.mark.model
@cases(Kind.MESSAGE)
def test_message(element: Element, workshop: Workshop) -> None:
    MESSAGES[element.key](element.text, workshop.port)
