"""Cues as the text of SubRip and WebVTT files; see https://www.w3.org/TR/webvtt1/."""

from typing import Final

from whisper_streaming.captions.cues import Cue
from whisper_streaming.core.hypothesis import Words

VTT_HEADER: Final = "WEBVTT\n"


def srt_block(number: int, cue: Cue) -> str:
    """A cue of a SubRip file; an empty line goes between two of them.

    Args:
        number: Counts from 1.
        cue: What to write.
    """
    speaker = f"{_one_line(cue.speaker)}: " if cue.speaker else ""
    # SubRip has no escapes; an arrow inside the text would be read as a line of times.
    text = (speaker + "\n".join(cue.texts)).replace("-->", "→")
    return f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n{text}\n"


def vtt_block(cue: Cue, *, word_times: bool = True) -> str:
    """A cue of a WebVTT file; an empty line goes before each, and the header before all.

    Args:
        cue: What to write.
        word_times: Give each word its time, where it is known: a player can show the words one by
            one, or mark the one that is spoken.
    """
    voice = f"<v {_escape(_one_line(cue.speaker))}>" if cue.speaker else ""
    if word_times and cue.has_word_times:
        text = _timed_text(cue)
    else:
        text = "\n".join(map(_escape, cue.texts))
    times = f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}"
    return f"{times}\n{voice}{text}\n"


def _timed_text(cue: Cue) -> str:
    """The escaped lines with a time before each word that has one of its own.

    WebVTT wants the times inside a cue to grow, and to lie between its start and its end.
    """
    lines, reached_ms = [], cue.start_ms
    for words in cue.lines:
        line, reached_ms = _timed_line(words, reached_ms, cue.end_ms)
        lines.append(line)
    return "\n".join(lines)


def _timed_line(words: Words, reached_ms: int, end_ms: int) -> tuple[str, int]:
    pieces = []
    for word in words:
        text = word.text.lstrip()
        pieces.append(word.text[: len(word.text) - len(text)])
        start_ms = round(word.start * 1000)
        if reached_ms < start_ms < end_ms:
            pieces.append(f"<{_clock(start_ms, '.')}>")
            reached_ms = start_ms
        pieces.append(_escape(text))
    return "".join(pieces).strip(), reached_ms


def _clock(time_ms: int, point: str) -> str:
    seconds, milliseconds = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _one_line(text: str) -> str:
    return " ".join(text.split())
