"""``whisper-streaming models``: what ``--model`` takes, and what is on this machine."""

import argparse
from collections.abc import Sequence

from whisper_streaming.backends.model_store import DEMO_PATH, PREFERRED, Hub, list_models
from whisper_streaming.cli_flags import print_text


def main(argv: Sequence[str] | None = None) -> int:
    """Print the listing; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="whisper-streaming models",
        description="List the models that --model takes by name, and which are on this machine. "
        "Asks no network.",
    )
    parser.parse_args(argv)
    print_text(describe_models(Hub()))
    return 0


def describe_models(hub: Hub) -> str:
    """The listing as text, one model a line."""
    listing = list_models(hub)
    width = max(len(line.name) for line in listing)
    rows = "".join(
        f"  {line.name:<{width}}  {'here' if line.path else '-':<4}  {line.source}\n"
        for line in listing
    )
    is_cached = any(line.name == PREFERRED and line.path for line in listing)
    advice = (
        f"Without --model the server loads {PREFERRED!r}, which is here.\n"
        if is_cached
        else f"{PREFERRED!r} is not here: a server started once with network access fetches it:\n"
        f"  whisper-streaming serve --model {PREFERRED}\n"
    )
    return f"""Models that --model takes by name:
{rows}
--model also takes a hub id (org/name) and the folder of a CTranslate2 model.
Fetched models are kept in {hub.cache_path} (HF_HOME moves it).
The embedded model is in {DEMO_PATH}; it understands synthetic voices only, not people.
{advice}"""
