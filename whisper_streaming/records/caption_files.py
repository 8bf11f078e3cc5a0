"""A transcript as SRT and VTT files while it grows."""

from collections.abc import Callable, Iterable, Sequence

from whisper_streaming.captions import CaptionRules, CaptionStream, Cue, Passage, captions
from whisper_streaming.captions.cues import Grown
from whisper_streaming.captions.formats import VTT_HEADER, srt_block, vtt_block
from whisper_streaming.records.growing_file import GrowingFile

_PIECE_END = b"\n\n"


class CaptionFiles:
    """Both files of one transcript.

    Args:
        create: Makes the file with the given ending, whose pieces end as given.
        rules: How captions are cut.

    Raises:
        OSError: If ``create`` does.
    """

    def __init__(self, create: Callable[[str, bytes], GrowingFile], rules: CaptionRules) -> None:
        self._rules = rules
        self._stream = CaptionStream(rules)
        self._files = (
            _CaptionFile(create("srt", _PIECE_END), srt_block),
            _CaptionFile(create("vtt", _PIECE_END), _vtt_block, VTT_HEADER),
        )

    def add(self, passage: Passage | None) -> None:
        """The next passage; None has nothing to read."""
        if passage is not None:
            grown = self._stream.add(passage)
            for file in self._files:
                file.grow(grown)

    def rewrite(self, passages: Iterable[Passage | None]) -> None:
        """These are all. Nothing can be added after it."""
        cues = captions(filter(None, passages), self._rules)
        for file in self._files:
            file.rewrite(cues)


class _CaptionFile:
    """Cues in a file, the open ones last."""

    def __init__(
        self, file: GrowingFile, write_cue: Callable[[int, Cue], str], header: str = ""
    ) -> None:
        self._file = file
        self._write_cue = write_cue
        self._settled = 0  # cues
        self._settled_end = len(header.encode())
        self._header = header
        file.append(header.encode())

    def grow(self, grown: Grown) -> None:
        settled = self._render(grown.settled, self._settled)
        count = self._settled + len(grown.settled)
        self._file.replace(self._settled_end, settled + self._render(grown.open, count))
        self._settled = count
        self._settled_end += len(settled)

    def rewrite(self, cues: Sequence[Cue]) -> None:
        """These are all."""
        self._file.replace(len(self._header.encode()), self._render(cues, 0))

    def _render(self, cues: Sequence[Cue], before: int) -> bytes:
        """The text of cues after so many others."""
        blocks = []
        for number, cue in enumerate(cues, start=before + 1):
            is_first = number == 1 and not self._header
            blocks.append(("" if is_first else "\n") + self._write_cue(number, cue))
        return "".join(blocks).encode("utf-8", "replace")


def _vtt_block(_number: int, cue: Cue) -> str:
    return vtt_block(cue)
