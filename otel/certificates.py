"""The files with certificates and keys that a connection to a collector needs."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from otel.settings import TelemetryMisconfigured

if TYPE_CHECKING:
    from otel.settings import ExportSettings


def check_files(settings: ExportSettings) -> None:
    """Look whether the files are there, at the start rather than with the first batch.

    Raises:
        TelemetryMisconfigured: one is not; the message names its variable.
    """
    for variable, path in settings.files.items():
        if not Path(path).is_file():
            raise TelemetryMisconfigured(f"{variable} names no file: {path}")


def tls_context(settings: ExportSettings) -> ssl.SSLContext | bool:
    """Return how a server is to be trusted, as httpx takes it; True for as usual.

    Raises:
        TelemetryMisconfigured: a file is not there, or is no certificate or key.
    """
    check_files(settings)
    if settings.certificate is None and settings.client_certificate is None:
        return True
    wrong = settings.certificate
    try:
        context = ssl.create_default_context(cafile=settings.certificate)
        if settings.client_certificate is not None:
            wrong = settings.client_key or settings.client_certificate
            context.load_cert_chain(settings.client_certificate, settings.client_key)
    except (ssl.SSLError, OSError) as error:
        variables = [each for each, path in settings.files.items() if path == wrong]
        raise TelemetryMisconfigured(
            f"{' or '.join(variables)} names no certificate or key, or one that fits no other:"
            f" {wrong}: {error}"
        ) from error
    return context
