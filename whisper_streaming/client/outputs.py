"""Transcripts as files, in several formats at once."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from whisper_streaming.captions import CaptionRules
from whisper_streaming.client.result import TranscriptionResult
from whisper_streaming.client.subtitles import render
from whisper_streaming.errors import ConfigurationError

STANDARD_INPUT: Final = "-"

_NAMELESS: Final = "transcript"


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where transcripts go.

    Attributes:
        formats: Some of :data:`~whisper_streaming.client.subtitles.FORMATS`.
        folder: Gets ``NAME.FORMAT`` for each recording; None prints.
        rules: How captions are cut.
        word_times: Write the times of words where the format has a place for them.
    """

    formats: tuple[str, ...]
    folder: Path | None = None
    rules: CaptionRules = field(default_factory=CaptionRules)
    word_times: bool = False

    @property
    def needs_words(self) -> bool:
        """Whether the times of words are of use: captions are cut by them."""
        return self.word_times or bool({"srt", "vtt"} & set(self.formats))

    def check(self, files: Sequence[str]) -> None:
        """Find out before the work what would fail after it.

        Raises:
            ConfigurationError: If there is no such folder, it takes no such file, or files would
                overwrite each other.
        """
        if self.folder is None:
            if len(self.formats) > 1:
                raise ConfigurationError("several formats need a folder for them: --output-dir")
            return
        if not self.folder.is_dir():
            raise ConfigurationError(f"--output-dir {self.folder}: there is no such folder")
        for form in self.formats:
            paths = [self._path(file, form) for file in files]
            for path in paths:
                _check_place(path)
            twice = {path.name for path in paths if paths.count(path) > 1}
            if twice:
                raise ConfigurationError(
                    f"two recordings would both be written to {', '.join(twice)}"
                )

    def text(self, result: TranscriptionResult) -> str:
        """The transcript in all formats, to print it."""
        return "".join(self._render(result, form) for form in self.formats)

    def write(self, result: TranscriptionResult, file: str) -> list[Path]:
        """Write the transcript of ``file`` into the folder; returns what was written.

        Raises:
            ConfigurationError: If it cannot be written.
        """
        paths = []
        for form in self.formats:
            path = self._path(file, form)
            write_file(path, self._render(result, form))
            paths.append(path)
        return paths

    def _render(self, result: TranscriptionResult, form: str) -> str:
        return render(result, form, self.rules, word_times=self.word_times)

    def _path(self, file: str, form: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{_name(file)}.{form}"


def _name(file: str) -> str:
    """What the files of a recording are called: as it is, without its ending."""
    if file == STANDARD_INPUT:
        return _NAMELESS
    # In the name of a file "#" and "?" mean nothing.
    path = urlsplit(file).path if "://" in file else file
    return Path(path).stem or _NAMELESS


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise ConfigurationError(f"{path} cannot be written: there is a folder of that name")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigurationError(f"{path} cannot be written: this user may not")


def write_file(path: Path, text: str) -> None:
    """Write a whole file.

    Raises:
        ConfigurationError: If it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be written: {exc.strerror}") from exc
