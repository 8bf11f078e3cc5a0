"""Where settings come from, and what is wrong with wrong ones."""

from pathlib import Path

import pytest

from whisper_streaming.config import ServerConfig, load_config
from whisper_streaming.errors import ConfigurationError


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "server.toml"
    path.write_text(
        'port = 1000\nlanguage = "de"\n[limits]\nmax_clients = 10\nmax_backlog_s = 100.0\n'
    )
    return path


def test_nothing_given_is_the_default() -> None:
    assert load_config() == ServerConfig()


def test_the_defaults_are_those_of_the_guide() -> None:
    config = ServerConfig()

    assert config.host == "localhost"
    assert config.port == 9090
    assert config.backend.kind == "faster_whisper"
    assert config.language == "en"
    assert config.limits.max_clients == 4
    assert config.limits.max_connection_time_s == 600
    assert config.vad.enabled
    assert config.segment.segment_max_s == 6


def test_a_file_beats_the_defaults(toml: Path) -> None:
    config = load_config(toml_path=toml)

    assert config.port == 1000
    assert config.limits.max_clients == 10


def test_the_environment_beats_the_file(toml: Path) -> None:
    environ = {
        "WHISPER_STREAMING__LIMITS__MAX_CLIENTS": "20",
        "WHISPER_STREAMING__PORT": "2000",
        "WHISPER_STREAMING": "no setting",
        "PATH": "/bin",
    }
    config = load_config(toml_path=toml, environ=environ)

    assert config.limits.max_clients == 20
    assert config.port == 2000
    assert config.limits.max_backlog_s == 100.0


def test_flags_beat_everything(toml: Path) -> None:
    config = load_config(
        toml_path=toml,
        environ={"WHISPER_STREAMING__LIMITS__MAX_CLIENTS": "20"},
        flags={"limits.max_clients": 30, "port": "3000"},
    )

    assert config.limits.max_clients == 30
    assert config.port == 3000
    assert config.language == "de"


def test_models_of_the_environment_are_separated_by_commas() -> None:
    environ = {"WHISPER_STREAMING__BACKEND__MODELS": "small, demo,"}

    assert load_config(environ=environ).backend.models == ("small", "demo")


def test_auto_is_no_language() -> None:
    assert load_config(flags={"language": "auto"}).language is None


@pytest.mark.parametrize(("language", "only"), [("de", "de"), ("auto", None), ("de,tr", None)])
def test_only_a_single_language_is_known_beforehand(language: str, only: str | None) -> None:
    assert load_config(flags={"language": language}).only_language == only


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ({"limits.max_clients": 0}, "limits.max_clients: Input should be greater"),
        (
            {"limits.max_clowns": 1},
            "limits.max_clowns: there is no such setting; did you mean limits.max_clients?",
        ),
        ({"limits_max_clients": 1}, "no such setting; did you mean limits.max_clients?"),
        ({"colour": "red"}, "bad settings: colour: there is no such setting"),
        ({"limits": 3}, "limits: Input should be an object with named values"),
        ({"tls.keyfile": "key.pem"}, "tls: a key needs a certificate"),
        ({"port": 70_000}, "port"),
        ({"limits.max_backlog_s": float("inf")}, "limits.max_backlog_s"),
        ({"endpoint.silence_s": float("nan")}, "endpoint.silence_s"),
        ({"vad.threshold": 0.2, "vad.release": 0.3}, "release must not be above threshold"),
    ],
)
def test_a_wrong_setting_is_named(flags: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_config(flags=flags)

    assert complaint in str(refused.value)
    assert refused.value.exit_status == 2


def test_every_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"port: .*; task: "):
        load_config(flags={"port": -1, "task": "sing"})


def test_a_misspelt_variable_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"limits\.max_client"):
        load_config(environ={"WHISPER_STREAMING__LIMITS__MAX_CLIENT": "3"})


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("WHISPER_STREAMING_LIMITS_MAX_CLIENTS", "WHISPER_STREAMING__LIMITS__MAX_CLIENTS"),
        ("WHISPER_STREAMING_LIMITS__MAX_CLIENTS", "WHISPER_STREAMING__LIMITS__MAX_CLIENTS"),
        ("WHISPER_STREAMING_PORT", "WHISPER_STREAMING__PORT"),
    ],
)
def test_a_variable_that_lacks_an_underscore_is_an_error(variable: str, meant: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{variable} sets nothing: write {meant}$"):
        load_config(environ={variable: "3"})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WHISPER_STREAMING_HOME", "/srv"),
        # Kubernetes gives them to every container beside a service of our name.
        ("WHISPER_STREAMING_PORT", "tcp://10.0.0.11:9090"),
        ("WHISPER_STREAMING_SERVICE_PORT", "9090"),
        ("WHISPER_STREAMING_PORT_9090_TCP_ADDR", "10.0.0.11"),
    ],
)
def test_variables_of_others_are_left_alone(variable: str, value: str) -> None:
    assert load_config(environ={variable: value}) == ServerConfig()


def test_a_value_for_a_group_is_not_repeated() -> None:
    """It may be a secret that was meant for one of its settings."""
    with pytest.raises(ConfigurationError) as caught:
        load_config(environ={"WHISPER_STREAMING__HUB": "hf_1234"}, flags={"hub.token": "hf_5678"})

    assert str(caught.value) == (
        "hub is a group of settings: give a value to one of them, such as hub.token"
    )


def test_a_group_is_no_value() -> None:
    with pytest.raises(ConfigurationError, match="limits: Input should be"):
        load_config(environ={"WHISPER_STREAMING__LIMITS": "3"})
    with pytest.raises(ConfigurationError, match="limits is a group"):
        load_config(environ={"WHISPER_STREAMING__LIMITS": "3"}, flags={"limits.max_clients": 4})


def test_a_file_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read .*missing\.toml"):
        load_config(toml_path=tmp_path / "missing.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("port = = 3")
    with pytest.raises(ConfigurationError, match=r"broken\.toml is not valid TOML"):
        load_config(toml_path=broken)
    broken.write_bytes(b"\xff")  # not even text
    with pytest.raises(ConfigurationError, match=r"broken\.toml is not valid TOML"):
        load_config(toml_path=broken)
