"""A finished transcript as SRT, WebVTT, JSON, TSV or plain text."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Final

from whisper_streaming.captions import CaptionRules, Cue, Passage, captions, passage_of_text
from whisper_streaming.captions.formats import VTT_HEADER, srt_block, vtt_block
from whisper_streaming.captions.passage import passage_of_words
from whisper_streaming.client.result import TranscriptionResult, TranscriptSegment
from whisper_streaming.core.hypothesis import Word


def to_srt(result: TranscriptionResult, rules: CaptionRules | None = None) -> str:
    """SubRip: numbered cues, times with a comma."""
    return "\n".join(
        srt_block(number, cue) for number, cue in enumerate(_cues(result, rules), start=1)
    )


def to_vtt(
    result: TranscriptionResult, rules: CaptionRules | None = None, *, word_times: bool = True
) -> str:
    """WebVTT: the header, then cues with times with a point.

    Where the times of words are known, each word has its own, unless ``word_times`` is false: a
    player can show the words one by one or mark the one that is spoken.
    """
    cues = (vtt_block(cue, word_times=word_times) for cue in _cues(result, rules))
    return "\n".join([VTT_HEADER, *cues])


def to_json(result: TranscriptionResult) -> str:
    """Everything that is known about the transcript, times in seconds."""
    fields: dict[str, object] = {
        "text": result.text,
        "language": result.language,
        "model": result.model,
        "notice": result.notice,
        "complete": result.complete,
        "segments": result.segments,
        "gaps": [asdict(gap) for gap in result.gaps],
        "samples_sent": result.samples_sent,
        "summary": asdict(result.summary) if result.summary is not None else None,
    }
    if result.translations:
        fields["translations"] = result.translations
    return json.dumps(fields, ensure_ascii=False, indent=2) + "\n"


def to_jsonl(result: TranscriptionResult) -> str:
    """One JSON object per line: the session, its segments and gaps, the end; as servers record."""
    opening = {"type": "session", "language": result.language, "model": result.model}
    segments = [
        {"type": "segment", "number": number, **segment, "text": one_line(segment)}
        for number, segment in enumerate(result.segments, start=1)
    ]
    translations = [{"type": "translation", **translation} for translation in result.translations]
    gaps = [{"type": "gap", **asdict(gap)} for gap in result.gaps]
    summary = asdict(result.summary) if result.summary is not None else None
    ending = {"type": "end", "complete": result.complete, "account": summary}
    lines = [opening, *segments, *translations, *gaps, ending]
    return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)


def to_tsv(result: TranscriptionResult) -> str:
    """One line per segment, with times in milliseconds and tabs, as Whisper writes them."""
    rows = [
        f"{round(segment['start'] * 1000)}\t{round(segment['end'] * 1000)}\t{text}\n"
        for segment in result.segments
        if (text := one_line(segment))
    ]
    return "".join(["start\tend\ttext\n", *rows])


def to_text(result: TranscriptionResult) -> str:
    """One line per segment."""
    return "".join(f"{text}\n" for segment in result.segments if (text := one_line(segment)))


def one_line(segment: TranscriptSegment) -> str:
    """The segment's text without line breaks and without space around it."""
    return " ".join(segment["text"].split())


FORMATS: Final[Mapping[str, Callable[[TranscriptionResult], str]]] = {
    "srt": to_srt,
    "vtt": to_vtt,
    "json": to_json,
    "txt": to_text,
    "jsonl": to_jsonl,
    "tsv": to_tsv,
}


def render(
    result: TranscriptionResult, form: str, rules: CaptionRules, *, word_times: bool = True
) -> str:
    """The transcript in one of the ``FORMATS``, its captions by ``rules``.

    Without ``word_times`` the times of words decide only where captions are cut.
    """
    match form:
        case "srt":
            return to_srt(result, rules)
        case "vtt":
            return to_vtt(result, rules, word_times=word_times)
    return FORMATS[form](result if word_times else _without_words(result))


def _without_words(result: TranscriptionResult) -> TranscriptionResult:
    segments = [segment.copy() for segment in result.segments]
    for segment in segments:
        segment.pop("words", None)
    return replace(result, segments=segments)


def _cues(result: TranscriptionResult, rules: CaptionRules | None) -> Sequence[Cue]:
    return captions(_passages(result.segments), rules)


def _passages(segments: Sequence[TranscriptSegment]) -> Iterator[Passage]:
    for segment in segments:
        passage = _passage(segment)
        if passage is not None:
            yield passage


def _passage(segment: TranscriptSegment) -> Passage | None:
    """``segment`` with the times of its words, if they are the words of its text."""
    start, end, speaker = segment["start"], segment["end"], segment.get("speaker")
    words = [Word(word["word"], word["start"], word["end"]) for word in segment.get("words", [])]
    if " ".join("".join(word.text for word in words).split()) == one_line(segment):
        return passage_of_words(words, start, end, speaker)
    return passage_of_text(segment["text"], start, end, speaker)
