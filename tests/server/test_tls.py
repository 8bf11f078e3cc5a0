"""The operator's certificate and key: what is taken, and what is said of what is not."""

import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import SecretStr, ValidationError

from whisper_streaming.config import TlsSettings
from whisper_streaming.errors import CertificateError
from whisper_streaming.server.tls import create_tls_context

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates and keys in every form that an operator may have."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    ours, another = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    key = ours.private_key_pem.bytes()
    certificates = b"".join(each.bytes() for each in ours.cert_chain_pems)
    for name, content in {
        "cert.pem": certificates,
        "key.pem": key,
        "both.pem": certificates + key,
        "another-key.pem": another.private_key_pem.bytes(),
        "encrypted-key.pem": encrypted(key),
        "cert.der": ssl.PEM_cert_to_DER_cert(ours.cert_chain_pems[0].bytes().decode()),
        "broken.pem": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    }.items():
        (folder / name).write_bytes(content)
    (folder / "a-folder").mkdir()
    return folder


def encrypted(key: bytes) -> bytes:
    return load_pem_private_key(key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode())
    )


def settings(folder: Path, certfile: str, keyfile: str | None, password: str | None) -> TlsSettings:
    return TlsSettings(
        certfile=str(folder / certfile),
        keyfile=None if keyfile is None else str(folder / keyfile),
        keyfile_password=None if password is None else SecretStr(password),
    )


def test_without_a_certificate_nothing_is_encrypted() -> None:
    assert create_tls_context(TlsSettings()) is None


@pytest.mark.parametrize(
    ("certfile", "keyfile", "password"),
    [
        pytest.param("cert.pem", "key.pem", None, id="two files"),
        pytest.param("both.pem", None, None, id="one file"),
        pytest.param("cert.pem", "encrypted-key.pem", PASSWORD, id="encrypted key"),
        pytest.param("cert.pem", "key.pem", "not asked for", id="password for a plain key"),
    ],
)
def test_a_certificate_with_its_key_is_taken(
    folder: Path, certfile: str, keyfile: str | None, password: str | None
) -> None:
    context = create_tls_context(settings(folder, certfile, keyfile, password))

    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_NONE  # of clients: they need no certificate


@pytest.mark.parametrize(
    ("certfile", "keyfile", "password", "said"),
    [
        pytest.param(
            "none.pem", "key.pem", None, ["none.pem (--ssl-certfile)", "No such file"], id="no file"
        ),
        pytest.param(
            "cert.pem", "none.pem", None, ["none.pem (--ssl-keyfile)", "No such file"], id="no key"
        ),
        pytest.param("a-folder", None, None, ["a-folder", "Is a directory"], id="a folder"),
        pytest.param("cert.der", "key.pem", None, ["cert.der", "PEM"], id="not PEM"),
        pytest.param("key.pem", "key.pem", None, ["holds no certificate"], id="key as certificate"),
        pytest.param(
            "cert.pem", "cert.pem", None, ["no private key", "--ssl-keyfile"], id="no key in it"
        ),
        pytest.param(
            "cert.pem", None, None, ["no private key", "--ssl-keyfile"], id="key not given"
        ),
        pytest.param(
            "cert.pem",
            "another-key.pem",
            None,
            ["another-key.pem does not belong to", "cert.pem"],
            id="another certificate's key",
        ),
        pytest.param(
            "cert.pem",
            "encrypted-key.pem",
            None,
            ["is encrypted", "WHISPER_STREAMING__TLS__KEYFILE_PASSWORD", "openssl pkey"],
            id="encrypted, no password",
        ),
        pytest.param(
            "cert.pem", "encrypted-key.pem", "wrong", ["password", "is wrong"], id="wrong password"
        ),
        pytest.param("cert.pem", "encrypted-key.pem", "", ["is wrong"], id="empty password"),
        pytest.param("cert.pem", "encrypted-key.pem", "x" * 2000, ["is wrong"], id="long password"),
        pytest.param("broken.pem", "key.pem", None, ["cannot use", "broken.pem"], id="broken"),
    ],
)
def test_what_cannot_be_used_is_named(
    folder: Path, certfile: str, keyfile: str | None, password: str | None, said: Sequence[str]
) -> None:
    with pytest.raises(CertificateError) as refused:
        create_tls_context(settings(folder, certfile, keyfile, password))

    assert [part for part in said if part not in str(refused.value)] == []
    assert refused.value.exit_status == 1
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize("alone", [{"keyfile": "key.pem"}, {"keyfile_password": "x"}])
def test_a_key_needs_a_certificate(alone: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="--ssl-certfile"):
        TlsSettings.model_validate(alone)


def test_settings_do_not_show_the_password() -> None:
    shown = settings(Path(), "c", "k", PASSWORD)

    assert PASSWORD not in repr(shown)
    assert PASSWORD not in str(shown.model_dump())
