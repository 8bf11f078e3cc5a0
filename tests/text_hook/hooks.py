"""Hooks of an operator, as the tests name them."""

import re

from whisper_streaming.text_hook import TextFacts


def redact(text: str) -> str:
    return re.sub(r"secret \w+", "***", text)


def fail(text: str, facts: TextFacts) -> str:
    if facts.uid == "unlucky":
        raise ValueError("no glossary")
    return text.upper()
