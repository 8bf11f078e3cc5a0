"""The operator's URL: what is taken, what is refused, and what is shown of it."""

import pytest
from pydantic import SecretStr

from whisper_streaming.config import ForwardSettings
from whisper_streaming.errors import ForwardingError
from whisper_streaming.forward.target import Target, read_target


def target(url: str, **settings: object) -> Target:
    found = read_target(ForwardSettings.model_validate({"url": SecretStr(url), **settings}))
    assert found is not None
    return found


def test_without_a_url_there_is_no_target() -> None:
    assert read_target(ForwardSettings()) is None


def test_a_plain_url_is_taken_as_it_is() -> None:
    found = target("http://localhost:8080/captions?room=7")

    assert str(found.url) == "http://localhost:8080/captions?room=7"
    assert (found.auth, found.template) == (None, "json")


def test_name_and_password_leave_the_url_and_become_authentication() -> None:
    found = target("https://caption:p%40ss@example.com:8443/in/TOKEN?key=SECRET#part")

    assert str(found.url) == "https://example.com:8443/in/TOKEN?key=SECRET"
    assert found.auth == ("caption", "p@ss")
    assert found.shown == "https://example.com:8443"


@pytest.mark.parametrize(
    ("url", "template"),
    [
        ("http://localhost:8080/completion", "llama_completion"),
        ("http://localhost:8080/llama/completion/", "llama_completion"),
        ("http://localhost:8080/completions", "json"),
        ("http://completion/", "json"),
    ],
)
def test_the_path_of_llama_cpp_names_its_template(url: str, template: str) -> None:
    assert target(url).template == template


def test_the_setting_overrules_the_path() -> None:
    assert target("http://h/completion", template="json").template == "json"
    assert target("http://h/x", template="llama_completion").template == "llama_completion"


@pytest.mark.parametrize(
    "url",
    [
        "", "localhost:8080/completion", "//host/path", "ftp://host/path", "http://", "http:///path",
        "http://host:port/", "http://host:99999/", "http://host:0/", "http://two hosts/",
        "http://host/\nX-Header: 1",
    ],
)  # fmt: skip
def test_what_cannot_be_posted_to_is_refused_with_its_name(url: str) -> None:
    with pytest.raises(ForwardingError) as refusal:
        target(url)

    assert f"cannot forward to {url.strip()!r}: a URL such as http://" in str(refusal.value)
    assert refusal.value.exit_status == 1


@pytest.mark.parametrize(
    "url",
    [
        "ftp://name:SECRET@host/", "http://name:SEC?RET@host/", "name:SECRET@host:80/x",
        "http://name:x@host:SECRET/", "hxxp://host/?token=SECRET",
    ],
)  # fmt: skip
def test_a_refusal_repeats_no_secret(url: str) -> None:
    with pytest.raises(ForwardingError) as refusal:
        target(url)

    assert "cannot forward to what is given" in str(refusal.value)
    assert "SEC" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_settings_do_not_show_the_url() -> None:
    settings = ForwardSettings(url=SecretStr("http://n:SECRET@h/"), secret=SecretStr("SECRET"))

    assert "SECRET" not in f"{settings!r} {settings.model_dump_json()}"
