"""The files by which two sides know each other: certificates and credentials, read and checked."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from runtime.engines.cluster.settings import AUTHORITY, CERTIFICATE, CREDENTIALS
from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.engines.cluster.settings import ClusterSettings

_PARTS = ("-----BEGIN NATS USER JWT-----", "-----BEGIN USER NKEY SEED-----")


def trust_of(settings: ClusterSettings) -> ssl.SSLContext:
    """Return whom a connection trusts, and what it shows of itself.

    Raises:
        ConfigurationError: a file is not there, or is no certificate or key.
    """
    authority, certificate = settings.authority, settings.certificate
    try:
        trust = ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise _unusable(AUTHORITY, authority, error) from error
    if certificate is not None:
        try:
            trust.load_cert_chain(certificate, settings.key, password=_no_password)
        except (OSError, ValueError) as error:
            raise _unusable(CERTIFICATE, certificate, error) from error
    return trust


def check_credentials(settings: ClusterSettings) -> None:
    """Refuse a file that is none of ``nsc``'s: nats-py would look through it for ever.

    Raises:
        ConfigurationError: it is not there, or has no JWT and seed of a user in it.
    """
    file = settings.credentials
    if file is None:
        return
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(CREDENTIALS, file, error) from error
    if not all(part in text for part in _PARTS):
        raise ConfigurationError(
            f"{CREDENTIALS}={file} has no JWT and seed of a user in it; `nsc generate creds`"
            " writes such a file"
        )


def _no_password() -> str:
    """Refuse to ask the terminal for the password of a key."""
    raise ValueError("its key has a password; give one without")


def _unusable(variable: str, file: Path | None, error: Exception) -> ConfigurationError:
    what = getattr(error, "strerror", None) or str(error)
    return ConfigurationError(f"{variable}={file} cannot be used: {what}")
