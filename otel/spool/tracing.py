"""The same ``Tracing`` and ``Span``, written to the spool when they end.

That takes about as long as the SDK needs to start one. Nothing of the SDK is imported;
``api_provider`` lets other people's instrumentation in.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final

import anyio

from otel import conventions as names
from otel.flushing import finished
from otel.openinference import with_openinference
from otel.resource import runtime_version
from otel.span import Span, random_id
from otel.spool import encoding
from otel.spool.held_up import HeldUp
from otel.spool.sampling import sampler
from otel.spool.sender import sender_of
from otel.spool.settings import spool_settings
from otel.spool.span import Place, SpooledSpan
from otel.spool.span_limits import span_limits
from otel.spool.spool import Spool
from otel.tracing import DEFAULT_SHUTDOWN_S, SpanStatistics, Tracing, parent_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel.attributes import AttributeValue
    from otel.settings import ExportSettings
    from otel.span import Link, SpanKind
    from otel.spool.sampling import Sampler
    from otel.spool.span_limits import SpanLimits

_log = logging.getLogger("otel.spool")

_NOT_SAMPLED: Final = 0
_LOOKS_FOR_ROOM_S: Final = 0.05
_FOR_SENDING: Final = 0.8  # of the time for the end; the rest is for saving what is not sent


class SpooledTracing(Tracing):
    """Spans that go to the spool, and from there to a collector.

    Args:
        spool: where they wait.
        settings: where they go, and how; None for nowhere yet.
        sampled: which of them.
        limits: how much each may carry.
        redact: takes secrets out of the messages of failed spans.
        waits: whether new work waits while there is no room; else spans are lost.
    """

    def __init__(
        self,
        spool: Spool,
        settings: ExportSettings | None,
        *,
        sampled: Sampler,
        limits: SpanLimits,
        redact: Callable[[str], str],
        waits: bool = True,
    ) -> None:
        self._spool = spool
        self._settings = settings
        self._sampled = sampled
        self._limits = limits
        self._redact = redact
        self._waits = waits and settings is not None  # without a collector nobody makes room
        self._held_up = HeldUp(spool.folder, self.destination)
        self._started = 0
        self._counting = threading.Lock()
        self._stopped = False
        self._begin()
        atexit.register(self._at_exit)
        _after_fork.add(self)

    def _begin(self) -> None:
        """Start what a process has of its own: the file of its open spans, and the sender."""
        scope = encoding.scope(names.SCOPE, runtime_version())
        self._sender = sender_of(self._spool, self._settings)
        self._open = self._sender.open_spans = self._spool.open_spans(scope)
        lane = self._spool.lane(scope)
        self._place = Place(lane, self._open, self._limits, self._redact, self._said)
        self._sender.start()

    @property
    def destination(self) -> str:  # noqa: D102  # as in Tracing
        return str(self._spool.folder) if self._settings is None else self._settings.shown_endpoint

    @property
    def is_recording(self) -> bool:  # noqa: D102  # as in Tracing
        return True

    def start(  # noqa: D102  # as in Tracing
        self,
        name: str,
        *,
        kind: SpanKind = "internal",
        parent: Span | str | None = None,
        trace_id: int | None = None,
        attributes: Mapping[str, AttributeValue] | None = None,
        links: Sequence[Link] = (),
        start_time_ns: int | None = None,
    ) -> Span:
        return self.start_in(
            self._place, name, kind, parent_of(parent, trace_id), trace_id,
            self._said(attributes or {}), links, start_time_ns,
        )  # fmt: skip

    def _said(self, attributes: Mapping[str, AttributeValue]) -> Mapping[str, AttributeValue]:
        return with_openinference(attributes) if self.options.openinference else attributes

    @property
    def redact(self) -> Callable[[str], str]:
        """Takes secrets out of what spans say of errors."""
        return self._redact

    def place(self, scope: str, version: str) -> Place:
        """Return where the spans of another instrumentation go."""
        lane = self._spool.lane(encoding.scope(scope, version))
        return Place(lane, None, self._limits, self._redact, self._said)

    def start_in(  # noqa: PLR0917  # all of a span, and called for each
        self,
        place: Place,
        name: str,
        kind: SpanKind,
        above: Span | None,
        trace_id: int | None,
        attributes: Mapping[str, object],
        links: Sequence[Link],
        start_time_ns: int | None,
    ) -> Span:
        """Begin a span of some instrumentation; see ``start``."""
        trace = above.trace_id if above is not None else trace_id or random_id(128)
        # The root of a sub-trace links to what it would be a child of, and is recorded as that is.
        decider = links[0].to if above is None and trace_id is not None and links else above
        if not self._sampled.takes(trace, decider):
            return Span(trace, random_id(64), _NOT_SAMPLED)
        start = time.time_ns() if start_time_ns is None else start_time_ns
        span = SpooledSpan(place, trace, above, name, kind, links, attributes, start)
        with self._counting:
            self._started += 1
        return span

    def statistics(self) -> SpanStatistics:  # noqa: D102  # as in Tracing
        spool = self._spool.statistics()
        return SpanStatistics(
            started=self._started,
            ended=spool.written,
            delivered=spool.delivered,
            pending=spool.pending,
            rejected=spool.rejected,
            lost=spool.lost,
            recovered=spool.recovered,
        )

    @property
    def holds_up(self) -> bool:  # noqa: D102  # as in Tracing
        return self._waits and self._spool.holds_up

    async def room(self) -> None:  # noqa: D102  # as in Tracing
        if not self.holds_up:
            return
        with self._held_up.one():
            while self.holds_up:  # room comes from threads and other processes
                self._held_up.remind()
                await anyio.sleep(_LOOKS_FOR_ROOM_S)

    async def shutdown(self, timeout_s: float = DEFAULT_SHUTDOWN_S) -> bool:
        """Send what waits, for so many seconds; the rest stays in the spool for the next start.

        Returns:
            Whether every span that ended has arrived or is kept.
        """
        if not self._stopped:
            self._stopped = True
            await finished(lambda: self._stop(timeout_s), timeout_s)
        return self._spool.statistics().lost == 0

    def _stop(self, timeout_s: float) -> None:
        self._stopped = True
        atexit.unregister(self._at_exit)
        self._sender.stop(timeout_s * _FOR_SENDING)
        self._spool.close()
        if self._open is not None:
            self._open.close()
        self._tell()

    def _tell(self) -> None:
        counted = self._spool.statistics()
        if counted.lost:
            _log.error("%d of %d spans are lost", counted.lost, counted.written)

    def _at_exit(self) -> None:
        """Stop when nobody awaited ``shutdown``."""
        self._stop(DEFAULT_SHUTDOWN_S)

    def forked(self) -> None:
        """Begin anew in a child process."""
        if self._open is not None:
            self._open.leave()
        if self._stopped:
            self._open = None
            self._spool.forked()
            return
        self._started = 0
        self._counting = threading.Lock()
        self._held_up = HeldUp(self._spool.folder, self.destination)
        self._spool.forked()
        self._begin()


_after_fork: weakref.WeakSet[SpooledTracing] = weakref.WeakSet()


def _forked() -> None:
    for tracing in tuple(_after_fork):
        tracing.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def spool_to(
    settings: ExportSettings | None,
    environ: Mapping[str, str],
    resource: Mapping[str, str],
    redact: Callable[[str], str],
) -> SpooledTracing:
    """Build everything between a span and the collector.

    Args:
        settings: where the spans go; None for nowhere yet.
        environ: where the spool is, and which spans go there.
        resource: what is said about this process.
        redact: takes secrets out of the messages of failed spans.

    Raises:
        TelemetryMisconfigured: a variable cannot be understood.
    """
    from otel.spool.api_provider import become_the_provider  # noqa: PLC0415  # imports this module

    folder, most_bytes, waits = spool_settings(environ)
    spool = Spool(folder, encoding.resource(resource), most_bytes=most_bytes)
    tracing = SpooledTracing(
        spool,
        settings,
        sampled=sampler(environ),
        limits=span_limits(environ),
        redact=redact,
        waits=waits,
    )
    become_the_provider(tracing)
    return tracing
