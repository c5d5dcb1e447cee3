"""Blocking work at the end of a process, off the event loop and within its time."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("otel.flushing")


async def finished(work: Callable[[], object], timeout_s: float) -> bool:
    """Run blocking work off the event loop, and wait for it for at most ``timeout_s`` seconds.

    The thread is a daemon, which the end of the process does not wait for; anyio's are not.

    Returns:
        Whether it came to its end in time, without an error, and did not answer False.
    """
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(work())
        except Exception:  # noqa: BLE001 - whatever a provider raises, the exit goes on
            _log.exception("telemetry could not be flushed")
            outcome.append(False)

    thread = threading.Thread(target=run, name="telemetry-shutdown", daemon=True)
    thread.start()
    await anyio.to_thread.run_sync(
        thread.join,
        max(timeout_s, 0.0),
        abandon_on_cancel=True,
        limiter=anyio.CapacityLimiter(1),  # the shared one may be full of blocking agents
    )
    return bool(outcome) and outcome[0] is not False
