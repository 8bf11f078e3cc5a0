"""Who gets a translation, by what, and who is refused in words."""

import logging
import sys
from pathlib import Path

import pytest

from tests.translation.decoders import DirectDecoder
from tests.translation.fakes import UpperTranslator
from tests.translation.toy_models import build_nllb, build_opus
from whisper_streaming.backends.base import BackendInfo, ModelInfo, StreamingProfile
from whisper_streaming.config import ServerConfig, TranslationSettings
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import ConfigurationError, InvalidMessage, ModelLoadError
from whisper_streaming.live.session_log import SessionLogger
from whisper_streaming.live.session_setup import set_up_session
from whisper_streaming.live.stages import StageContext
from whisper_streaming.stage_set import load_stages
from whisper_streaming.translation.service import Translation
from whisper_streaming.wire.base import Configure

LANGUAGES = ("en", "de", "fr", "tr")
MODELS = BackendInfo(
    "faster_whisper",
    (
        ModelInfo("small", LANGUAGES, True, StreamingProfile()),
        ModelInfo("small.en", ("en",), False, StreamingProfile()),
    ),
    1,
    8,
)


def wishes(
    target: str | None = None,
    language: str | None = "de",
    *,
    task: str | None = None,
    model: str = "small",
    detect: bool = False,
    takes: bool = True,
) -> Configure:
    return Configure(
        "u",
        language=None if detect else language,
        detect_language=detect,
        task=task,
        model=model,
        target_language=target,
        takes_translation=takes,
    )


def creates(translation: Translation, wishes: Configure) -> bool:
    """Whether such a session gets a stage."""
    context = StageContext(
        wishes,
        set_up_session(wishes, ServerConfig(), MODELS),
        DirectDecoder(lambda requests: []),
        SessionLogger(logging.getLogger("whisper_streaming.session"), "1"),
    )
    try:
        return translation.create_stage(context) is not None
    finally:
        translation.close()


def offering(*pairs: tuple[str, str], is_recorded: bool = False, **settings: object) -> Translation:
    translators = [UpperTranslator(*pairs)] if pairs else []
    return Translation(
        TranslationSettings.model_validate(settings),
        SegmentRules(),
        translators,
        is_recorded=is_recorded,
    )


@pytest.mark.parametrize(
    "wish",
    [
        pytest.param(wishes(), id="nobody asked"),
        pytest.param(wishes(task="translate"), id="the words themselves are the translation"),
    ],
)
def test_a_session_that_asks_for_none_gets_no_stage(wish: Configure) -> None:
    assert not creates(offering(("de", "fr")), wish)


@pytest.mark.parametrize(
    ("wish", "pairs"),
    [
        pytest.param(wishes("en"), [], id="English by ear"),
        pytest.param(wishes("en", detect=True), [], id="English by ear of any language"),
        pytest.param(wishes("EN-us"), [], id="English by another name"),
        pytest.param(wishes("fr"), [("de", "fr")], id="a text model"),
        pytest.param(wishes("fr", detect=True), [("de", "fr")], id="a language still to detect"),
        pytest.param(wishes("fr", task="translate"), [("en", "fr")], id="of the English words"),
        pytest.param(wishes("fr", "en", model="small.en"), [("en", "fr")], id="an English model"),
        pytest.param(wishes("de"), [], id="what is spoken already, which a notice tells"),
    ],
)
def test_what_can_be_had_is_given(wish: Configure, pairs: list[tuple[str, str]]) -> None:
    assert creates(offering(*pairs), wish)


@pytest.mark.parametrize(
    ("wish", "pairs", "settings", "reason"),
    [
        pytest.param(
            wishes("fr"), [], {},
            r"'fr': this server does not translate from 'de' to it; leave it out, or take en$",
            id="no text model",
        ),
        pytest.param(
            wishes("fr", "tr"), [("de", "fr"), ("tr", "es")], {},
            r"from 'tr' to it; leave it out, or take en or es$",
            id="another source",
        ),
        pytest.param(
            wishes("fr", detect=True), [("de", "es")], {}, r"does not translate to it",
            id="a target of no source",
        ),
        pytest.param(
            wishes("en"), [], {"by_ear": False}, r"from 'de' to it; leave it out$",
            id="ears that are off",
        ),
        pytest.param(
            wishes("de", "en", model="small.en"), [("en", "fr")], {},
            r"from 'en' to it; leave it out, or take fr$",
            id="an English model has no ears for it",
        ),
        pytest.param(
            wishes("fr", task="translate"), [("de", "fr")], {}, r"from 'en' to it",
            id="the words are English",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_refused_in_words(
    wish: Configure, pairs: list[tuple[str, str]], settings: dict[str, object], reason: str
) -> None:
    with pytest.raises(InvalidMessage, match=reason):
        creates(offering(*pairs, **settings), wish)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        pytest.param(wishes(), True, id="those whom it fits"),
        pytest.param(wishes(language="fr"), False, id="not who speaks it already"),
        pytest.param(wishes(language="tr"), False, id="not who speaks what nobody knows"),
        pytest.param(wishes(takes=False), False, id="not who cannot show it"),
        pytest.param(wishes("fr", takes=False), True, id="but who asks"),
    ],
)
def test_the_operators_target_is_for_sessions_that_name_none(
    wish: Configure, expected: bool
) -> None:
    assert creates(offering(("de", "fr"), target_language="fr"), wish) is expected


def test_the_operators_target_is_for_records_too() -> None:
    recorded = offering(("de", "fr"), target_language="fr", is_recorded=True)

    assert creates(recorded, wishes(takes=False))


def test_the_operators_target_must_be_possible() -> None:
    with pytest.raises(ConfigurationError, match=r"nothing here translates to 'fr'"):
        offering(("de", "es"), target_language="fr")


def test_a_page_is_told_the_targets_of_the_default_model() -> None:
    english_first = BackendInfo("faster_whisper", MODELS.models[::-1], 1, 8)
    translation = offering(("de", "fr"), ("en", "de"))

    assert translation.targets(MODELS) == ("de", "en", "fr")
    assert translation.targets(english_first) == ("de", "fr")
    assert offering(by_ear=False).targets(MODELS) == ()


# --- from the settings


def create_upper() -> UpperTranslator:
    """A translator as a program of the operator's makes it."""
    return UpperTranslator(("de", "it"))


def test_the_settings_name_folders_and_programs(tmp_path: Path) -> None:
    folder = build_opus(tmp_path / "opus-mt-de-en")
    nllb = build_nllb(tmp_path / "nllb", languages=("deu_Latn", "fra_Latn"))
    models = f"{folder}, {nllb}:de-fr, python:tests.translation.test_service:create_upper"

    stages = load_stages(ServerConfig.model_validate({"translation": {"models": models}}))

    assert list(stages.targets(MODELS)) == ["de", "en", "fr", "it"]
    assert stages.sections["translation"]() == {
        "texts": 0, "batches": 0, "failures": 0, "waiting": 0, "hangs": False,
    }  # fmt: skip
    stages.close()


@pytest.mark.parametrize(
    ("model", "error", "reason"),
    [
        ("/no/such/folder", ModelLoadError, "there is no folder /no/such/folder"),
        ("python:no_such_module:create", ConfigurationError, "No module named 'no_such_module'"),
        ("python:math", ConfigurationError, "write python:MODULE:FUNCTION"),
        ("python:math:no_such_function", ConfigurationError, "has no attribute"),
        ("python:builtins:list", ConfigurationError, "'list' object has no attribute 'name'"),
    ],
)
def test_what_cannot_be_loaded_stops_the_start(
    model: str, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        load_stages(ServerConfig.model_validate({"translation": {"models": [model]}}))


def test_a_translator_may_be_in_the_folder_where_the_server_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "from tests.translation.fakes import UpperTranslator as create\n"
    (tmp_path / "translator_of_this_folder.py").write_text(program)
    (tmp_path / "leaving_translator.py").write_text("import sys; sys.exit('no licence')")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)

    def load(name: str) -> list[str]:
        models = [f"python:{name}:create"]
        stages = load_stages(ServerConfig.model_validate({"translation": {"models": models}}))
        stages.close()
        return list(stages.targets(MODELS))

    assert load("translator_of_this_folder") == ["en"]
    with pytest.raises(ConfigurationError, match="SystemExit: no licence"):
        load("leaving_translator")
