"""Jaeger's UI as a command sees it: where it is, the link to a trace, and what it knows of one.

The standard library's HTTP, because only providers speak any other, and because one question with
a short timeout needs no more. No key, no header and no word of a run is sent.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from otel.settings import export_settings, is_disabled
from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel.settings import ExportSettings

UI = "MAGSAG_TRACE_UI"
PORT = 16686
TIMEOUT_S = 2.0
DEFAULT_UI = f"http://localhost:{PORT}"


class Found(Enum):
    """What came of asking."""

    HERE = "here"
    MISSING = "missing"
    SILENT = "silent"  # nobody answers, or somebody who is no Jaeger


def ui_address(given: str | None, environ: Mapping[str, str]) -> str:
    """Return the address of the UI.

    Args:
        given: what ``--ui`` says, or ``MAGSAG_TRACE_UI``.
        environ: the environment variables; they may say where spans go.

    Raises:
        ConfigurationError: what is given is no address.
        TelemetryMisconfigured: an ``OTEL_*`` variable cannot be understood.
    """
    if given:
        _check(given)
        return given.rstrip("/")
    settings = None if is_disabled(environ) else export_settings(environ)
    return DEFAULT_UI if settings is None else beside(settings)


def beside(settings: ExportSettings) -> str:
    """Return the address of a UI on the host that spans are sent to."""
    endpoint = settings.endpoint
    parts = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
    host = parts.hostname or "localhost"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{PORT}"


def _check(address: str) -> None:
    try:
        parts = urlsplit(address)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port  # one that is no number raises only when it is looked at
    except ValueError:
        is_address = False
    if not is_address or parts.query or parts.fragment or parts.username:
        raise ConfigurationError(
            f"{address!r} is no address of a UI; write it like {DEFAULT_UI} (--ui or {UI})"
        )


def link_to(ui: str, trace_id: str) -> str:
    """Return the link to a trace.

    Args:
        ui: the address of the UI.
        trace_id: 32 hex digits.
    """
    return f"{ui}/trace/{trace_id}"


def find_trace(ui: str, trace_id: str, timeout_s: float = TIMEOUT_S) -> Found:
    """Ask a Jaeger whether it has a trace. Never raises for what the other side does."""
    return _ask(ui, f"/api/v3/traces/{trace_id}", timeout_s)


def find_jaeger(ui: str, timeout_s: float = TIMEOUT_S) -> Found:
    """Ask whether a Jaeger answers. Never raises for what the other side does."""
    return _ask(ui, "/api/v3/services", timeout_s)


def _ask(ui: str, path: str, timeout_s: float) -> Found:
    import http.client  # noqa: PLC0415  # where an UI is asked for

    parts = urlsplit(ui)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
        try:
            connection.request("GET", parts.path + path, headers={"Accept": "application/json"})
            answer = connection.getresponse()
            # Jaeger calls its JSON text/plain; a page of something else does not begin like this.
            is_data, status = answer.read(1) == b"{", answer.status
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError):
        return Found.SILENT
    if status == http.HTTPStatus.OK and is_data:
        return Found.HERE
    return Found.MISSING if status == http.HTTPStatus.NOT_FOUND and is_data else Found.SILENT
