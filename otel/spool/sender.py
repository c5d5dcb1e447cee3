"""The thread that sends what is in the spool, for as long as it takes.

It looks five times a second, sends ranges of frames as they are, and notes how far the collector
is. A collector that is away is tried again and again, less and less often, up to every 5 s.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from typing import TYPE_CHECKING, Final

from otel.outage import Outage
from otel.spool.encoding import request
from otel.spool.otlp_http import HttpPost, Later, Refused
from otel.spool.recovery import recover, remove_half_made

if TYPE_CHECKING:
    from otel.settings import ExportSettings
    from otel.spool.open_spans import OpenSpans
    from otel.spool.otlp_http import Post
    from otel.spool.segment import Mark, Segment
    from otel.spool.spool import Spool

_log = logging.getLogger("otel.spool")

_LOOKS_EVERY_S: Final = 0.2
_BATCH_BYTES: Final = 1 << 20
_SHORTEST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_DOUBLINGS: Final = 8  # more make no difference


def _be_traced_by_nobody() -> None:
    """Have instrumentation of httpx look away: the span of each batch would be the next batch."""
    from opentelemetry import context  # noqa: PLC0415  # 50 ms, in a thread

    context.attach(context.set_value(context._SUPPRESS_INSTRUMENTATION_KEY, True))  # noqa: SLF001  # as the SDK's own exporters do


def sender_of(spool: Spool, settings: ExportSettings | None) -> Sender:
    """Return the sender of a spool.

    Args:
        spool: where the spans are.
        settings: where to, and how; None for nowhere: they wait.

    Raises:
        TelemetryMisconfigured: a certificate or key is not there, or is none.
    """
    if settings is None:
        return Sender(spool, None, str(spool.folder), 0.0)
    return Sender(spool, HttpPost(settings), settings.shown_endpoint, settings.timeout_s)


class Sender(threading.Thread):
    """Sends the spans of a spool.

    Attributes:
        recovered: set once what dead processes have left has been found.
        open_spans: where to note that the process lives; set before it starts.

    Args:
        spool: where they are.
        post: sends one batch; None for nowhere: they wait.
        endpoint: where to, for people to read.
        timeout_s: the seconds that one batch may take.
    """

    def __init__(self, spool: Spool, post: Post | None, endpoint: str, timeout_s: float) -> None:
        super().__init__(name="span-sender", daemon=True)
        self._spool = spool
        self._post = post
        self._timeout_s = timeout_s
        self.open_spans: OpenSpans | None = None
        self._outage = Outage(endpoint)
        self.recovered = threading.Event()
        self._stopping = threading.Event()
        self._ends_at: float | None = None
        self._failures = 0

    def run(self) -> None:
        """Send until told to stop, and then what there is."""
        _be_traced_by_nobody()
        if self._post is None:
            self.recovered.set()
        else:
            self._recover()
            remove_half_made(self._spool)
        pause = 0.0
        while not self._stopping.wait(pause):
            if self.open_spans is not None:
                self.open_spans.lives(time.time_ns())
            self._recover()
            pause = self._pause_after(self._turn())
        self._finish()
        if self._post is not None:
            self._post.close()

    def stop(self, within_s: float) -> None:
        """Send what there is, then end; return when that is done, or the time is over.

        Args:
            within_s: the seconds that it may take.
        """
        self._ends_at = time.monotonic() + within_s
        self._stopping.set()
        self.join(within_s)

    def _recover(self) -> None:
        """Take over what dead processes have left, until that was all of it."""
        if self.recovered.is_set():
            return
        try:
            is_all = recover(self._spool)
        except Exception:  # noqa: BLE001 - a file that nobody foresaw must not keep others waiting
            _log.exception("what dead processes have left cannot be taken over")
            is_all = True
        if is_all:
            self.recovered.set()

    def _finish(self) -> None:
        """Send what there is, again and again as long as somebody answers."""
        while (later := self._turn()) is not None and later.is_there:
            pause = self._pause_after(later)
            if pause >= self._time_left():
                return
            time.sleep(pause)  # noqa: TID251 - a thread of its own

    def _turn(self) -> Later | None:
        """Send what there is; return why not, if the collector does not take it now."""
        try:
            later = self._send_all()
        except Exception:  # noqa: BLE001 - the thread must go on, whatever it was
            _log.exception("spans could not be sent")
            later = Later("a bug")
        if later is not None and later.reason:  # without one there was only no time for more
            self._failures += 1
            self._outage.note(later.reason)
        return later

    def _pause_after(self, later: Later | None) -> float:
        """Return how long to wait before the next turn."""
        if later is None:
            return _LOOKS_EVERY_S
        if later.after_s is not None:
            return max(later.after_s, _SHORTEST_PAUSE_S)  # 0 would ask without a pause
        longest = min(_SHORTEST_PAUSE_S * (1 << min(self._failures, _DOUBLINGS)), _LONGEST_PAUSE_S)
        return longest * (1 + random.random()) / 2  # noqa: S311 - it spreads, and guards nothing

    def _send_all(self) -> Later | None:
        """Send all that waits; return why not, if the collector does not take it now."""
        if self._post is None:
            return None
        for segment in self._spool.waiting:
            for mark in segment.marks(_BATCH_BYTES):
                later = self._send(self._post, segment, mark)
                if later is not None:
                    return later
        return None

    def _send(self, post: Post, segment: Segment, mark: Mark) -> Later | None:
        frames, timeout_s = self._spool.frames(segment, mark), self._time_left()
        if timeout_s <= 0 or not frames:
            return Later("")
        verdict = post(request(*segment.origin, frames), timeout_s)
        if isinstance(verdict, Later):
            return verdict
        self._failures = 0
        self._outage.over()
        if isinstance(verdict, Refused):
            self._spool.reject(segment, mark, verdict.reason)
            return None
        if verdict.rejected or verdict.reason:
            _log.error("%d spans were refused: %s", verdict.rejected, verdict.reason)
        self._spool.acknowledge(segment, mark, verdict.rejected)
        return None

    def _time_left(self) -> float:
        if self._ends_at is None:
            return self._timeout_s
        return min(self._timeout_s, self._ends_at - time.monotonic())
