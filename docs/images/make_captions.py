"""Makes captions.svg: the terminal of ``whisper-streaming demo`` in the middle of a sentence.

The picture shows real output: the embedded model hears the bundled recording, and the display
of the command line draws what came. Run it from the clone: ``python docs/images/make_captions.py``.
"""

import io
import re
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from whisper_streaming.backends.model_store import DEMO, DEMO_PATH
from whisper_streaming.client import TranscriptionClient, TranscriptSegment
from whisper_streaming.client.display import open_caption
from whisper_streaming.client.subtitles import one_line
from whisper_streaming.config import BackendSettings, ServerConfig
from whisper_streaming.local_server import LOCAL_HOST, local_server

WIDTH = 72
COMPLETED = 3
DIM_CHARACTERS = 8

# Rich's own frame, without its fonts from the network.
# Rich's own frame without the window's title bar and the fonts from the network.
FRAME = """\
<svg viewBox="0 0 {terminal_width} {height}" xmlns="http://www.w3.org/2000/svg" role="img"
  aria-label="Live captions in a terminal: final words are solid, unstable words are dim">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px;
}}
{styles}
</style>
<rect fill="#0c0c0c" width="{terminal_width}" height="{height}" rx="10"/>
<g transform="translate({terminal_x}, 16)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def main() -> None:
    """Hear the recording in real time, and draw the first fitting moment."""
    moments: list[list[TranscriptSegment]] = []
    with local_server(ServerConfig(backend=BackendSettings(models=(DEMO,)))) as port:
        client = TranscriptionClient(
            LOCAL_HOST,
            port,
            model=DEMO,
            transcription_callback=lambda _, segments: moments.append(segments),
        )
        client(DEMO_PATH / "demo.flac")
    draw(next(moment for moment in moments if is_fitting(moment)))


def is_fitting(moment: list[TranscriptSegment]) -> bool:
    """Whether enough captions are complete, and the open one has solid and dim words."""
    if len(moment) <= COMPLETED or moment[-1]["completed"]:
        return False
    committed = moment[-1].get("committed_text", "")
    return bool(committed) and len(moment[-1]["text"]) - len(committed) >= DIM_CHARACTERS


def draw(moment: list[TranscriptSegment]) -> None:
    """Write the terminal at ``moment`` beside this file."""
    console = Console(record=True, width=WIDTH, force_terminal=True, file=io.StringIO())
    console.print("$ make demo", style="green", highlight=False)
    *completed, still_open = moment
    for segment in completed:
        console.print(Text(one_line(segment)))
    console.print(open_caption(still_open))
    picture = console.export_svg(theme=MONOKAI, code_format=FRAME, unique_id="captions")
    # Rich names clips that it does not define, and viewers may hide what has such a one.
    picture = re.sub(r' clip-path="[^"]*"|<text [^>]*>\n</text>', "", picture)
    Path(__file__).with_name("captions.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
