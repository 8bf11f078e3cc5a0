"""WhisperLiveKit's names for an engine: each is honoured, refused, or named in a warning."""

import math
import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from whisper_streaming.config import (
    BackendSettings,
    DiarizationSettings,
    ForwardSettings,
    PolicySettings,
    RecordSettings,
    SegmentSettings,
    ServerConfig,
    VadSettings,
)
from whisper_streaming.errors import ConfigurationError
from whisper_streaming.live_kit.options import (
    HONOURED,
    REFUSED,
    WITHOUT_EFFECT,
    read_options,
)
from whisper_streaming.wire.whisper_live_kit_lines import Retention


@pytest.mark.parametrize(
    ("options", "config"),
    [
        ({"model": "turbo"}, ServerConfig(backend=BackendSettings(models=("turbo",)))),
        ({"model_size": "base"}, ServerConfig(backend=BackendSettings(models=("base",)))),
        (
            {"model_size": "base", "model": "base"},
            ServerConfig(backend=BackendSettings(models=("base",))),
        ),
        (
            {"model_size": "base", "model_dir": "/models/mine", "model_path": None},
            ServerConfig(backend=BackendSettings(models=("/models/mine",))),
        ),
        ({"lan": "fr"}, ServerConfig(language="fr")),
        ({"language": "fr"}, ServerConfig(language="fr")),
        ({"lan": "auto"}, ServerConfig(language=None)),
        ({"task": "translate"}, ServerConfig(task="translate")),
        ({"direct_english_translation": True}, ServerConfig(task="translate")),
        ({"direct_english_translation": False}, ServerConfig()),
        ({"backend": "auto"}, ServerConfig()),
        ({"backend": "faster-whisper"}, ServerConfig()),
        ({"beams": 5}, ServerConfig(backend=BackendSettings(beam_size=5))),
        (
            {"backend_policy": "localagreement"},
            ServerConfig(policy=PolicySettings(kind="local_agreement")),
        ),
        ({"backend_policy": "2"}, ServerConfig(policy=PolicySettings(kind="local_agreement"))),
        ({"vac": True, "vad": True}, ServerConfig()),
        ({"diarization": True}, ServerConfig(diarization=DiarizationSettings(enabled=True))),
        ({"diarization": False}, ServerConfig()),
        ({"vac": False}, ServerConfig(vad=VadSettings(enabled=False))),
        ({"vac": True, "vad": False}, ServerConfig(vad=VadSettings(enabled=False))),
        ({"no_vac": True}, ServerConfig(vad=VadSettings(enabled=False))),
        ({"no_vad": False}, ServerConfig()),
        ({"min_chunk_size": 0.5}, ServerConfig(policy=PolicySettings(min_chunk_s=0.5))),
        ({"transcription": True}, ServerConfig()),
    ],
)
def test_names_that_set_something(options: dict[str, object], config: ServerConfig) -> None:
    read = read_options({"lan": "en", **options} if "language" not in options else options, None)

    assert read.config == config
    assert read.notices == ()


def test_names_that_settings_do_not_have() -> None:
    read = read_options({"pcm_input": True, "init_prompt": "Ada", "retention_seconds": 60}, None)

    assert (read.pcm_input, read.prompt, read.retention) == (True, "Ada", Retention(60))


def test_no_retention_is_no_limit() -> None:
    read = read_options({"retention_seconds": 0}, None)

    assert read.retention is not None
    assert read.retention.max_age_s == math.inf
    assert read.retention.max_lines > 1e9


def test_settings_whose_files_or_posts_would_be_missed_are_told() -> None:
    base = ServerConfig(
        record=RecordSettings(dir="records"), forward=ForwardSettings(url=SecretStr("http://h/"))
    )

    assert read_options({}, base).notices == (
        "record.dir (it belongs to a server, and the engine has none)",
        "forward.url (it belongs to a server, and the engine has none)",
    )


def test_without_a_language_it_is_detected_as_in_whisperlivekit() -> None:
    assert read_options({}, None).config == ServerConfig(language=None)


def test_options_change_settings_and_leave_the_others() -> None:
    base = ServerConfig(
        language="de", segment=SegmentSettings(pause_s=2.0), backend=BackendSettings(threads=3)
    )

    config = read_options({"model": "demo"}, base).config

    assert config == ServerConfig(
        language="de",
        segment=SegmentSettings(pause_s=2.0),
        backend=BackendSettings(threads=3, models=("demo",)),
    )


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_had_is_refused_with_the_reason_and_nothing_is_fine(name: str) -> None:
    with pytest.raises(
        ConfigurationError, match=re.escape(f"leave out {name}='x': {REFUSED[name]}")
    ):
        read_options({name: "x"}, None)
    for nothing in (None, "", False):
        assert read_options({name: nothing}, None).notices == ()


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_what_does_nothing_is_named(name: str) -> None:
    assert read_options({name: "x"}, None).notices == (f"{name} ({WITHOUT_EFFECT[name]})",)
    for nothing in (None, "", False):
        assert read_options({name: nothing}, None).notices == ()


def test_a_policy_that_is_not_used_is_named() -> None:
    (notice,) = read_options({"backend_policy": "simulstreaming"}, None).notices

    assert notice == "backend_policy (it is simulstreaming, which this project does not use)"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"modle": "base"}, "no option 'modle'; did you mean 'model'?"),
        ({"qwen": 1}, "no option 'qwen'; docs/API.md lists them"),
        ({"model": "base", "model_size": "small"}, "model and model_size name different models"),
        ({"lan": "de", "language": "fr"}, "lan and language are different"),
        ({"task": "sing"}, "task='sing': Input should be 'transcribe' or 'translate'"),
        (
            {"task": "transcribe", "direct_english_translation": True},
            "direct_english_translation is a translation, and task is none",
        ),
        ({"backend": "mlx-whisper"}, "backend='mlx-whisper': take 'faster-whisper', the only one"),
        ({"backend": "scripted"}, "backend='scripted': take 'faster-whisper', the only one"),
        ({"lan": 5}, "lan=5: Input should be a valid string"),
        ({"backend_policy": "hold-n"}, "backend_policy='hold-n': take 'localagreement', or"),
        ({"beams": 0}, "beams=0: Input should be greater than"),
        ({"beams": "five"}, "beams='five': Input should be a valid integer"),
        ({"min_chunk_size": -1}, "min_chunk_size=-1: Input should be greater than 0"),
        (
            {"beams": 0, "min_chunk_size": 0},
            "beams=0: Input should be greater than or equal to 1; min_chunk_size=0: Input",
        ),
        ({"vac": "no"}, "vac='no': take True or False"),
        ({"pcm_input": 1}, "pcm_input=1: take True or False"),
        (
            {"transcription": False},
            "leave out transcription=False: an engine has nothing else to do",
        ),
        ({"retention_seconds": -1}, "retention_seconds=-1: take seconds, or 0 for no limit"),
        ({"retention_seconds": "1"}, "retention_seconds='1': take seconds"),
        ({"retention_seconds": math.nan}, "retention_seconds=nan: take seconds"),
    ],
)
def test_wrong_options_are_refused_in_words(options: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(reason)):
        read_options(options, None)


def test_no_name_is_in_two_tables() -> None:
    assert len({*HONOURED, *REFUSED, *WITHOUT_EFFECT}) == sum(
        map(len, (HONOURED, REFUSED, WITHOUT_EFFECT))
    )


def test_the_documentation_lists_every_name_with_what_becomes_of_it(repository: Path) -> None:
    page = (repository / "docs" / "API.md").read_text(encoding="utf-8")
    listed: dict[str, set[str]] = {}
    for row in re.findall(r"^\| (`.+?) \| (Honoured|Refused|Warning)[:.]", page, re.MULTILINE):
        listed.setdefault(row[1], set()).update(re.findall(r"`(\w+)`", row[0]))

    assert listed == {
        "Honoured": {*HONOURED},
        "Refused": {*REFUSED},
        "Warning": {*WITHOUT_EFFECT},
    }
