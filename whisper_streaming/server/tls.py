"""Encryption of the port: the operator's certificate and key, checked before anything starts."""

import ssl
from pathlib import Path
from typing import Final

from whisper_streaming.config import ENV_PREFIX, TlsSettings
from whisper_streaming.errors import CertificateError

_PASSWORD_VARIABLE: Final = f"{ENV_PREFIX}TLS__KEYFILE_PASSWORD"
_CERTIFICATE_MARK: Final = b"-----BEGIN CERTIFICATE-----"
_KEY_MARK: Final = b"PRIVATE KEY-----"


def create_tls_context(settings: TlsSettings) -> ssl.SSLContext | None:
    """How the port encrypts, with TLS 1.2 or newer; None if it does not.

    Raises:
        CertificateError: If the files cannot be used; the message says which, and what to do.
    """
    if settings.certfile is None:
        return None
    certificate = Path(settings.certfile).expanduser()
    key = certificate if settings.keyfile is None else Path(settings.keyfile).expanduser()
    if _CERTIFICATE_MARK not in _read(certificate, "--ssl-certfile"):
        raise CertificateError(f"{certificate} (--ssl-certfile) holds no certificate in PEM form")
    if _KEY_MARK not in _read(key, "--ssl-keyfile"):
        raise CertificateError(
            f"{key} holds no private key in PEM form: give the file that does with --ssl-keyfile"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, certificate, key, settings)
    return context


def _read(path: Path, flag: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise CertificateError(f"cannot read {path} ({flag}): {exc.strerror}") from exc


def _load(context: ssl.SSLContext, certificate: Path, key: Path, settings: TlsSettings) -> None:
    password = settings.keyfile_password
    is_encrypted = False

    def tell_password() -> str:
        # Asked for encrypted keys only. Without this function, OpenSSL would ask on the terminal.
        nonlocal is_encrypted
        is_encrypted = True
        if password is None:
            raise CertificateError(
                f"the key in {key} is encrypted: put its password into {_PASSWORD_VARIABLE}, or "
                f"store it without one: openssl pkey -in {key} -out plain-key.pem"
            )
        return password.get_secret_value()

    try:
        context.load_cert_chain(certificate, key, tell_password)
    except (ssl.SSLError, ValueError) as exc:  # the latter: a password longer than OpenSSL takes
        if isinstance(exc, ssl.SSLError) and exc.reason == "KEY_VALUES_MISMATCH":
            said = f"the key in {key} does not belong to the certificate in {certificate}"
        elif is_encrypted:  # OpenSSL's reason does not come through
            said = f"the password of the key in {key} is wrong ({_PASSWORD_VARIABLE})"
        else:
            said = f"cannot use the certificate in {certificate} with the key in {key}: {exc}"
        raise CertificateError(said) from exc
