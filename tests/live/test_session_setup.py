"""Wishes of a client, merged with the settings of the server."""

from typing import Any, Literal

import pytest

from whisper_streaming.backends.base import BackendInfo, ModelInfo, StreamingProfile
from whisper_streaming.config import BackendSettings, PolicySettings, ServerConfig, VadSettings
from whisper_streaming.core.hypothesis import DecodeOptions, WindowRules
from whisper_streaming.core.language import LanguageRules
from whisper_streaming.core.policy import CommitPolicy, EdgeCommit, LocalAgreement
from whisper_streaming.errors import ConfigurationError, InvalidMessage
from whisper_streaming.live.session_setup import SessionSetup, check_defaults, set_up_session
from whisper_streaming.wire.base import Configure, VadWishes

MEASURED = EdgeCommit(agreement=3, sure_margin_s=0.4, certain_margin_s=0.2)
PROFILE = StreamingProfile(
    final_bucket_s=0.0, window=WindowRules(max_window_s=14.0), commit=MEASURED
)
MULTILINGUAL = ModelInfo("small", ("en", "de", "yue"), True, StreamingProfile())
ENGLISH = ModelInfo("tiny.en", ("en",), False, PROFILE, notice="It is English-only.")
BACKEND = BackendInfo("faster_whisper", (MULTILINGUAL, ENGLISH), workers=1, max_batch=8)


def set_up(config: ServerConfig | None = None, **wishes: Any) -> SessionSetup:
    return set_up_session(Configure(uid="a", **wishes), config or ServerConfig(), BACKEND)


def options(config: ServerConfig | None = None, **wishes: Any) -> DecodeOptions:
    return set_up(config, **wishes).session.options


def test_a_client_without_wishes_gets_the_settings_of_the_server() -> None:
    config = ServerConfig(
        language="de",
        task="translate",
        vad=VadSettings(enabled=False, threshold=0.6, release=0.4, pre_roll_s=0.3),
        policy=PolicySettings(kind="local_agreement", agreement=3, min_chunk_s=0.7),
    )
    setup = set_up(config)

    assert setup.session.options == DecodeOptions("de", "translate", "small", "")
    assert setup.session.policy == LocalAgreement(3)
    assert setup.session.min_chunk_s == 0.7
    assert not setup.session.withhold_silence
    assert not setup.uses_vad
    assert setup.session.endpoint.threshold == 0.6
    assert setup.session.endpoint.release == 0.4
    assert setup.session.endpoint.pre_roll_s == 0.3
    assert setup.notice is None


def test_a_client_may_say_how_speech_is_found() -> None:
    wishes = VadWishes(threshold=0.7, release=0.2, min_speech_s=0.1, silence_s=0.9, pre_roll_s=0.25)
    rules = set_up(vad=wishes).session.endpoint

    assert (rules.threshold, rules.release) == (0.7, 0.2)
    assert (rules.min_speech_s, rules.silence_s, rules.pre_roll_s) == (0.1, 0.9, 0.25)


@pytest.mark.parametrize(
    ("threshold", "release"),
    [
        pytest.param(0.8, 0.65, id="the distance of the settings"),
        pytest.param(0.1, 0.0, id="never below nothing"),
    ],
)
def test_a_threshold_alone_takes_its_release_along(threshold: float, release: float) -> None:
    rules = set_up(vad=VadWishes(threshold=threshold)).session.endpoint

    assert rules.threshold == threshold
    assert rules.release == pytest.approx(release)


def test_speech_never_ends_above_where_it_starts() -> None:
    rules = set_up(vad=VadWishes(threshold=0.4, release=0.9)).session.endpoint

    assert rules.release == 0.4


def test_a_client_with_wishes_gets_them() -> None:
    setup = set_up(
        language="de",
        task="translate",
        model="small",
        use_vad=False,
        prompt="Dear",
        hotwords="Sowerby",
    )

    assert setup.session.options == DecodeOptions(
        "de", "translate", "small", hotwords="Sowerby", prompt="Dear"
    )
    assert not setup.uses_vad


@pytest.mark.parametrize(
    ("asked", "language"),
    [("de", "de"), ("DE", "de"), ("en-US", "en"), ("de_AT", "de"), ("yue", "yue")],
)
def test_a_language_may_name_its_region(asked: str, language: str) -> None:
    assert options(language=asked).language == language


@pytest.mark.parametrize(
    ("asked", "language", "candidates"),
    [
        pytest.param("en,de", None, ("en", "de"), id="two"),
        pytest.param(" de-AT , EN_us,", None, ("de", "en"), id="as people write them"),
        pytest.param("de,de-CH", "de", (), id="one in the end"),
    ],
)
def test_several_languages_are_detected_among_them(
    asked: str, language: str | None, candidates: tuple[str, ...]
) -> None:
    of_client = options(language=asked)

    assert (of_client.language, of_client.candidates) == (language, candidates)


def test_the_default_may_be_several_languages() -> None:
    config = ServerConfig(language="en, de")

    assert options(config).candidates == ("en", "de")
    assert options(config).language is None
    assert options(config, language="yue") == options(language="yue")
    assert options(config, detect_language=True).candidates == ()
    assert options(config, model="tiny.en").language == "en"


@pytest.mark.parametrize("asked", ["de,xx", "xx", "", ",", "auto,de"])
def test_each_of_several_languages_must_be_known(asked: str) -> None:
    with pytest.raises(InvalidMessage, match=r"does not know the language '(xx|auto|,?)'"):
        options(language=asked)


def test_how_long_a_language_is_kept_is_a_setting() -> None:
    changing = ServerConfig(policy=PolicySettings(language_lock="utterance"))

    assert not set_up().session.language.is_per_utterance
    assert set_up(changing).session.language == LanguageRules(2.0, 0.5, is_per_utterance=True)


def test_asking_for_detection_beats_the_default_language() -> None:
    assert options(detect_language=True).language is None


def test_an_unknown_language_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidMessage, match=r"'small' does not know the language 'xx'.*de, yue"):
        set_up(language="xx")


def test_another_model_than_the_first_detects_where_the_default_is_unknown_to_it() -> None:
    assert options(ServerConfig(language="de"), model="tiny.en").language is None


def test_a_model_that_is_not_loaded_is_replaced_by_the_first_with_a_notice() -> None:
    setup = set_up(model="large-v3")

    assert setup.model is MULTILINGUAL
    assert setup.notice == "The model 'large-v3' is not loaded here; 'small' serves you."


def test_a_loaded_model_brings_its_profile_and_its_notice() -> None:
    setup = set_up(model="tiny.en")

    assert setup.session.window == PROFILE.window
    assert setup.session.policy == MEASURED
    assert setup.session.options.model == "tiny.en"
    assert setup.notice == "It is English-only."


@pytest.mark.parametrize(
    ("settings", "model", "expected"),
    [
        pytest.param(PolicySettings(), "small", EdgeCommit(), id="careful"),
        pytest.param(
            PolicySettings(kind="local_agreement"), "tiny.en", LocalAgreement(3), id="kind"
        ),
        pytest.param(
            PolicySettings(agreement=2, sure_margin_s=0.0, certain_probability=1.0),
            "tiny.en",
            EdgeCommit(2, 0.3, 0.0, 0.5, 0.2, 1.0),
            id="some numbers",
        ),
        pytest.param(
            PolicySettings(
                kind="edge_commit",
                agreement=4,
                agreed_margin_s=0.1,
                sure_margin_s=0.2,
                sure_probability=0.3,
                certain_margin_s=0.4,
                certain_probability=0.9,
            ),
            "small",
            EdgeCommit(4, 0.1, 0.2, 0.3, 0.4, 0.9),
            id="all numbers",
        ),
    ],
)
def test_settings_stand_in_place_of_the_policy_of_the_profile(
    settings: PolicySettings, model: str, expected: CommitPolicy
) -> None:
    assert set_up(ServerConfig(policy=settings), model=model).session.policy == expected


@pytest.mark.parametrize(
    ("beam_size", "model", "expected"),
    [
        pytest.param(1, "tiny.en", False, id="every window is heard the same way"),
        pytest.param(5, "tiny.en", True, id="with a beam"),
        pytest.param(1, "small", True, id="in a longer window"),
    ],
)
def test_the_last_decode_is_anew_where_it_is_a_better_one(
    beam_size: int, model: str, expected: bool
) -> None:
    config = ServerConfig(backend=BackendSettings(beam_size=beam_size))

    assert set_up(config, model=model).session.decodes_last_anew is expected


def test_an_english_model_does_not_translate() -> None:
    with pytest.raises(InvalidMessage, match="does not translate"):
        set_up(model="tiny.en", task="translate")


def test_defaults_that_the_model_cannot_do_are_wrong_settings() -> None:
    check_defaults(ServerConfig(language="auto"), BACKEND)
    check_defaults(ServerConfig(language="yue,de"), BACKEND)
    english = BackendInfo("faster_whisper", (ENGLISH,), 1, 8)

    with pytest.raises(ConfigurationError, match=r"does not know the language 'tr'"):
        check_defaults(ServerConfig(language="tr"), BACKEND)
    with pytest.raises(ConfigurationError, match=r"does not know the language 'tr'"):
        check_defaults(ServerConfig(language="de,tr"), BACKEND)
    with pytest.raises(ConfigurationError, match="does not translate"):
        check_defaults(ServerConfig(task="translate"), english)


def test_a_long_list_of_languages_is_cut() -> None:
    many = ModelInfo("large-v3", tuple(f"l{i}" for i in range(100)), True, StreamingProfile())
    backend = BackendInfo("faster_whisper", (many,), 1, 8)

    with pytest.raises(ConfigurationError, match=r"l0, .*, l11 and 88 more$"):
        check_defaults(ServerConfig(), backend)


def test_the_windows_are_those_of_the_task() -> None:
    profile = StreamingProfile(translation_window=WindowRules(trim_window_s=8.0))
    model = ModelInfo("demo", ("en", "de"), True, profile)
    backend = BackendInfo("faster_whisper", (model,), workers=1, max_batch=8)

    def window(task: Literal["transcribe", "translate"]) -> WindowRules:
        return set_up_session(Configure("a", task=task), ServerConfig(), backend).session.window

    assert window("transcribe") == WindowRules()
    assert window("translate") == WindowRules(trim_window_s=8.0)


def test_a_translation_waits_longer_for_what_may_change_its_beginning() -> None:
    def policy(task: Literal["transcribe", "translate"], **numbers: float) -> CommitPolicy:
        config = ServerConfig(policy=PolicySettings.model_validate(numbers))
        return set_up_session(Configure("a", task=task), config, BACKEND).session.policy

    assert policy("transcribe") == EdgeCommit()
    assert policy("translate") == EdgeCommit(agreed_margin_s=1.0, sure_margin_s=2.0)
    assert policy("translate", sure_margin_s=3.0) == EdgeCommit(
        agreed_margin_s=1.0, sure_margin_s=3.0
    )
