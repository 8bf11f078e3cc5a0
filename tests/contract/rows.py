"""What each kind of table row in the guide promises."""

import argparse
import re
from collections.abc import Callable

from tests.contract.command_lines import ROOT, parse_arguments
from tests.contract.markdown import Row, read_page
from tests.contract.seeds import Element, flag_names
from whisper_streaming.backends import model_store
from whisper_streaming.client import cli as client_cli
from whisper_streaming.config import ServerConfig, load_config
from whisper_streaming.server import cli as server_cli

RowTest = Callable[[Element], None]

BENCHMARKS_PAGE = ROOT / "docs" / "benchmarks.md"

# Values to give to flags that take one.
_VALUES = {
    "--port": "9191",
    "--backend": "faster_whisper",
    "--max-clients": "7",
    "--max-connection-time": "70",
}
_SWITCHES = ("--use-vad", "--no-vad", "--translate")


def find_row_test(element: Element) -> RowTest:
    """The test of a row, by the heading of its table.

    Raises:
        KeyError: If there is none: a new table must be decided on.
    """
    return _TESTS[element.heading]


def assert_server_flag(element: Element) -> None:
    """The flag is there, has the default, and sets something."""
    name = flag_names(element.cells[0])[-1]
    config = load_config(flags=server_cli.flags_of(parse_arguments(server_cli.main, [])))
    told = load_config(flags=server_cli.flags_of(_parse(server_cli.main, name)))

    assert _server_default(config, name) == _printed_default(element)
    for each in flag_names(element.cells[0]):
        _parse(server_cli.main, each)
    if name != "--backend":  # which has one value yet that needs nothing else
        assert told != config


def assert_client_flag(element: Element) -> None:
    """The flag is there, has the default, and sets something."""
    names = flag_names(element.cells[0])
    default = vars(parse_arguments(client_cli.main, []))
    destination = names[0].strip("-").replace("-", "_")
    printed = _printed_default(element)

    # No file means the microphone.
    assert default[destination] == (None if printed == "Microphone" else printed)
    for name in names:
        _parse(client_cli.main, name)
    assert vars(_parse(client_cli.main, names[-1])) != default


def assert_latency_measured(element: Element) -> None:
    """docs/benchmarks.md has a row for the model and backend, with a measured time."""
    model, backend = element.cells[:2]
    for row in _measured("Model", model):
        # The table has no column for the backend while there is but one.
        measured = dict(zip(row.head, row.cells, strict=True)).get("Backend", "faster_whisper")
        if measured.strip("`") == backend:
            assert re.search(r"\d", " ".join(row.cells[1:])), row
            return
    raise AssertionError(f"docs/benchmarks.md does not measure {model} with {backend}")


def assert_resources_measured(element: Element) -> None:
    """docs/benchmarks.md has a row for the number of clients, with memory and CPU."""
    (row, *_) = _measured("Clients", element.cells[0])
    for name, cell in zip(row.head, row.cells, strict=True):
        if name.startswith(("Memory", "CPU")):
            assert re.search(r"\d", cell), row
    assert {"Memory", "CPU"} <= {name.split()[0] for name in row.head}


def _measured(column: str, name: str) -> list[Row]:
    """The rows of docs/benchmarks.md that ``name`` begins, in tables that ``column`` begins."""
    assert BENCHMARKS_PAGE.is_file(), "docs/benchmarks.md is missing"
    page = read_page(BENCHMARKS_PAGE.read_text(encoding="utf-8"))
    rows = [row for row in page.rows if row.head[0] == column and row.cells[0].strip("`") == name]
    assert rows, f"docs/benchmarks.md has no row {name!r} in a table of {column}"
    return rows


def _server_default(config: ServerConfig, name: str) -> object:
    defaults: dict[str, object] = {
        "--host": config.host,
        "--port": config.port,
        "--backend": config.backend.kind,
        # No model named means this one, where it can be had.
        "--model": model_store.PREFERRED if config.backend.models == () else config.backend.models,
        "--language": config.language,
        "--max-clients": config.limits.max_clients,
        "--max-connection-time": config.limits.max_connection_time_s,
        "--no-vad": config.vad.enabled,
    }
    return defaults[name]


def _printed_default(element: Element) -> object:
    printed = element.cells[-1].strip("`")
    if printed in ("Enabled", "False"):
        return printed == "Enabled"
    return int(printed) if printed.isdigit() else printed


def _parse(main: Callable[[list[str]], int], name: str) -> argparse.Namespace:
    value = [] if name in _SWITCHES else [_VALUES.get(name, "de")]
    return parse_arguments(main, [name, *value])  # type: ignore[arg-type]  # a list is a sequence


_TESTS: dict[str, RowTest] = {
    "Server Configuration": assert_server_flag,
    "Client Configuration": assert_client_flag,
    "Latency Measurements": assert_latency_measured,
    "Resource Usage": assert_resources_measured,
}
