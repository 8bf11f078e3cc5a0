"""Which recordings a measurement streams."""

import json
from pathlib import Path

import pytest

from whisper_streaming.backends.model_store import DEMO_PATH
from whisper_streaming.bench.recordings import TimedWord, load_recordings
from whisper_streaming.errors import ConfigurationError


def test_the_recording_inside_the_package_has_exact_times() -> None:
    [recording] = load_recordings(DEMO_PATH)

    assert recording.name == "demo"
    assert recording.language == "en"
    assert recording.duration_s == pytest.approx(39.2, abs=0.01)
    assert len(recording.words) == 95
    assert recording.words[0].text == "Sherlock"
    assert recording.utterance_ends[-1] == recording.words[-1].end


def test_recordings_are_chosen_by_name_and_those_without_times_are_left_out(
    recordings: Path,
) -> None:
    assert [each.name for each in load_recordings(recordings, "en-long*")] == ["en-long-pauses"]
    with pytest.raises(ConfigurationError, match="no recording with word times"):
        load_recordings(recordings, "human-*")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param('{"audio": "x.flac", ', "cannot be read", id="no JSON"),
        pytest.param(
            '{"audio": "x.flac", "text": "a", "words": [{"word": "a", "end": 1}]}',
            r"words\.0\.start: Field required", id="no start",
        ),
        pytest.param(
            '{"audio": "x.flac", "text": "a", "words": [{"word": "a", "start": 0, "end": NaN}]}',
            r"words\.0\.end", id="no number",
        ),
        pytest.param(
            '{"audio": "x.flac", "text": "-", "words": [{"word": "-", "start": 0, "end": 1}]}',
            "no word that can be compared", id="no word",
        ),
    ],
)  # fmt: skip
def test_a_broken_file_is_told_and_not_left_out(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_bytes((DEMO_PATH / "demo.json").read_bytes())
    (tmp_path / "demo.flac").write_bytes((DEMO_PATH / "demo.flac").read_bytes())
    (tmp_path / "x.json").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError, match=rf"x\.json.*{complaint}"):
        load_recordings(tmp_path)
    assert len(load_recordings(tmp_path, "demo")) == 1, "the others can be chosen"


def test_one_without_utterances_ends_with_its_last_word(tmp_path: Path) -> None:
    (tmp_path / "demo.flac").write_bytes((DEMO_PATH / "demo.flac").read_bytes())
    truth = {
        "audio": "demo.flac",
        "text": "hello",
        "words": [{"word": "hello", "start": 0.5, "end": 1.0}],
    }
    (tmp_path / "x.json").write_text(json.dumps(truth), encoding="utf-8")
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")

    [recording] = load_recordings(tmp_path)

    assert recording.words == (TimedWord("hello", 0.5, 1.0),)
    assert (recording.utterance_ends, recording.language) == ((1.0,), None)
