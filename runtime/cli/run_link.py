"""The link to a run's trace, told while the run lasts and at its end, if a Jaeger is there.

Whether one is, a thread asks: the run never waits for it. It is told on standard error, or nowhere.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from otel.settings import TelemetryMisconfigured, export_settings, is_disabled
from runtime.cli.streams import say
from runtime.cli.trace_ui import UI, Found, find_jaeger, link_to, ui_address
from runtime.errors import ConfigurationError
from runtime.identity import trace_id_of

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S = 1.0


class RunLink:
    """Tells a link when a Jaeger answers, and once more at the end.

    Args:
        ui: the address of the UI.
        run_id: the run.
        stream: where it is told while the run lasts; None for standard error.
    """

    def __init__(self, ui: str, run_id: str, stream: TextIO | None) -> None:
        self._ui = ui
        self._line = f"trace {link_to(ui, f'{trace_id_of(run_id):032x}')}\n"
        self._stream = stream
        self._lock = threading.Lock()  # the run may end while the answer comes in
        self._is_there = False
        self._is_over = False
        threading.Thread(target=self._look, name="trace link", daemon=True).start()

    def _look(self) -> None:
        if find_jaeger(self._ui, TIMEOUT_S) is not Found.HERE:
            return
        with self._lock, suppress(OSError, ValueError):  # nobody reads it any more
            if self._is_over:
                return
            self._is_there = True
            stream = self._stream or sys.stderr
            stream.write(self._line)
            stream.flush()

    def over(self) -> None:
        """Tell it once more, under what came of the run; not where no Jaeger has answered."""
        with self._lock:
            self._is_over = True
        if self._is_there:
            say(self._line)


def link_of(
    run_id: str, stream: TextIO | None, environ: Mapping[str, str] = os.environ
) -> RunLink | None:
    """Return the link of a run; None where its spans go nowhere, or nobody knows where to.

    Args:
        run_id: the run.
        stream: where it is told while the run lasts; None for standard error.
        environ: the environment variables.
    """
    try:
        if is_disabled(environ) or export_settings(environ) is None:
            return None
        return RunLink(ui_address(environ.get(UI), environ), run_id, stream)
    except (TelemetryMisconfigured, ConfigurationError):
        return None  # of the first, the run itself tells; the second is no reason to fail one
