"""``trace open``: the link to a run's trace, opened where there is a browser."""

from __future__ import annotations

import os
import sys
import webbrowser
from typing import TYPE_CHECKING

import anyio

from runtime.cli.history import History
from runtime.cli.streams import emit, say
from runtime.cli.trace_ui import UI, Found, find_trace, link_to, ui_address
from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.journal import RunRow

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def open_trace(database: str | None, name: str, *, ui: str | None, only_print: bool) -> None:
    """Print the link to a run's trace, and open it.

    Args:
        database: what ``--db`` says.
        name: the run's id, the beginning of it, or ``last``.
        ui: the address of the UI; None for where spans are sent to, or for this machine.
        only_print: whether nobody is asked, and nothing opened.

    Raises:
        UnknownName: no run begins so, or several do.
        JournalFailed: the journal cannot be read.
        ConfigurationError: the UI does not answer, or does not have the trace.
    """
    address = ui_address(ui, os.environ)
    row = anyio.run(History(database).find, name)
    link = link_to(address, row.trace_id)
    if not only_print:
        _check(address, row)
    emit(link)
    if not only_print and not _opened(link):
        say("there is no browser here; open the link in one")


def _check(address: str, row: RunRow) -> None:
    found = find_trace(address, row.trace_id)
    if found is Found.SILENT:
        raise ConfigurationError(
            f"no Jaeger answers at {address}; make jaeger starts one on this machine, --ui URL or"
            f" {UI} name another; python -m runtime trace show {row.run_id} needs none"
        )
    if found is Found.MISSING:
        raise ConfigurationError(
            f"the Jaeger at {address} has no trace {row.trace_id}; only a run that is started with"
            " OTEL_EXPORTER_OTLP_ENDPOINT set is sent there, and its spans as they end;"
            f" python -m runtime trace show {row.run_id} draws it from the journal"
        )


def _opened(link: str) -> bool:
    return _has_screen(os.environ, sys.platform) and webbrowser.open(link)


def _has_screen(environ: Mapping[str, str], platform: str) -> bool:
    """Whether a browser can show itself: one in the terminal cannot draw Jaeger's page."""
    return platform in {"darwin", "win32"} or any(environ.get(name) for name in SCREENS)
