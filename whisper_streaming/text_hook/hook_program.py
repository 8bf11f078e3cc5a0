"""The process that a hook runs in: questions on standard input, answers on standard output.

Each is a line of JSON. It ends with its input, so it does not outlive the server.
"""

import json
import os
import traceback
from pathlib import Path
from typing import BinaryIO

from whisper_streaming.errors import ConfigurationError
from whisper_streaming.text_hook import finding
from whisper_streaming.text_hook.facts import TextFacts

_NOT_THE_HOOK = (__file__, finding.__file__)


def main(name: str) -> None:
    """Answer for the hook called ``name``."""
    questions, answers = _reserve_pipes()
    try:
        function = finding.find_function(name)
    except ConfigurationError as error:
        _write(answers, {"problem": str(error)})
        return
    _write(answers, {})
    for line in questions:
        _write(answers, _answer(function, json.loads(line)))


def _reserve_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Our ends of the pipes: what a hook reads and prints must not get between the lines."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return questions, answers


def _answer(function: finding.Function, question: dict[str, object]) -> dict[str, object]:
    text = question.pop("text")
    try:
        changed = function(text, TextFacts(**question))  # type: ignore[arg-type]  # as they were
    except BaseException as error:  # noqa: BLE001 - also sys.exit() in the hook
        return {"failure": _describe(error), "trace": "".join(traceback.format_exception(error))}
    if not isinstance(changed, str):
        return {"failure": f"gave {type(changed).__name__} in the place of text", "trace": ""}
    return {"text": changed}


def _describe(error: BaseException) -> str:
    """What was raised and where; the message stays out, it may hold what was said."""
    kind = type(error).__name__
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename not in _NOT_THE_HOOK:
            return f"failed: {kind} in {Path(frame.filename).name}, line {frame.lineno}"
    return f"failed: {kind}"


def _write(answers: BinaryIO, answer: dict[str, object]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()
