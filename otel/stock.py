"""What OpenTelemetry's own OTLP exporters are built with, and how what they log is heard.

The classes differ by signal, their arguments do not. Only what the protocol needs is imported.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel.certificates import check_files

if TYPE_CHECKING:
    from otel.settings import ExportSettings


def arguments_of(settings: ExportSettings) -> dict[str, Any]:
    """Return the arguments of an exporter for the protocol of the settings.

    Raises:
        TelemetryMisconfigured: a file with a certificate or a key is not there.
    """
    check_files(settings)
    own = _grpc(settings) if settings.protocol == "grpc" else _http(settings)
    return {
        "endpoint": settings.endpoint,
        "headers": dict(settings.headers),
        "timeout": settings.timeout_s,
        **own,
    }


def hear_first(names: tuple[str, ...], filter_: logging.Filter) -> None:
    """Let a filter see what loggers say before the SDK's own drops what was said just before."""
    for name in names:
        filters = logging.getLogger(name).filters
        if filter_ not in filters:
            filters.insert(0, filter_)


def _http(settings: ExportSettings) -> dict[str, Any]:
    from opentelemetry.exporter.otlp.proto.http import (  # noqa: PLC0415 - only where it is used
        Compression,
    )

    return {
        "compression": Compression(settings.compression),
        "certificate_file": settings.certificate,
        "client_key_file": settings.client_key,
        "client_certificate_file": settings.client_certificate,
    }


def _grpc(settings: ExportSettings) -> dict[str, Any]:
    import grpc  # type: ignore[import-untyped]  # noqa: PLC0415 - it ships no types; 0.1 s

    compressions = {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip}
    credentials = None
    if not settings.insecure:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=_content(settings.certificate),
            private_key=_content(settings.client_key),
            certificate_chain=_content(settings.client_certificate),
        )
    return {
        "insecure": settings.insecure,
        "credentials": credentials,
        "compression": compressions[settings.compression],
    }


def _content(path: str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()
