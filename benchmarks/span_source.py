"""A process that makes spans: what the benches of telemetry measure and kill.

``python -m benchmarks.span_source JSON`` with ``spans``, ``per_second`` (null for as fast as it
goes), ``end`` (``shutdown``, or ``wait`` to be killed), ``within_s`` (of the shutdown), ``lag``
(whether to watch the event loop), ``tells`` (whether to print ``made N`` when so many have ended)
and ``pipeline`` (``bare``, ``none``, ``spool``, ``batch``, or ``sdk`` as
that comes). It prints ``making`` before the first span, ``started`` when the last has ended, and at
its end one object: spans that began, that wait, that were refused and lost, CPU seconds, and how
late the event loop was.

Each span is like a model call's: ten attributes, half of them at its start.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import anyio
import httpx  # noqa: F401  # the spool's, as the SDK's is imported here: neither is measured
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otel import Span, Tracing, configure_tracing
from otel.recording import RecordingTracing

if TYPE_CHECKING:
    from otel.attributes import AttributeValue

AT_START: dict[str, AttributeValue] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5-mini",
    "magsag.run.id": "01997f2e-0000-7000-8000-000000000001",
    "magsag.task.id": "summarise-document-sag-7",
}
AT_END: dict[str, AttributeValue] = {
    "gen_ai.response.model": "gpt-5-mini-2026-08-07",
    "gen_ai.usage.input_tokens": 1_234,
    "gen_ai.usage.output_tokens": 567,
    "operation.cost": 0.00144,
    "magsag.cost.nano_usd": 1_440_000,
}
NOBODY = Span(1, 1)
TICK_S = 0.001
SHUTDOWN_S = 600.0
ABREAST = 10


class Bare(Tracing):
    """No spans at all: what the source itself costs."""

    def start(self, *_: object, **__: object) -> Span:
        """Return one that is always the same."""
        return NOBODY


async def main(wanted: dict[str, Any]) -> None:
    """Make the spans."""
    tracing = _tracing(wanted.get("pipeline", "spool"))
    lags: list[float] = []
    cpu = time.process_time()
    async with anyio.create_task_group() as tasks:
        if wanted.get("lag"):
            tasks.start_soon(_watch, lags)
        tells = wanted.get("tells", False)
        await _make(tracing, wanted["spans"], wanted.get("per_second"), tells=tells)
        tasks.cancel_scope.cancel()
    print("started", flush=True)
    if wanted["end"] == "wait":
        await anyio.sleep_forever()
    await tracing.shutdown(wanted.get("within_s", SHUTDOWN_S))
    cpu = time.process_time() - cpu
    counted = tracing.statistics()
    print(
        json.dumps(
            {
                "started": counted.started,
                "pending": counted.pending,
                "rejected": counted.rejected,
                "lost": counted.lost,
                "cpu_s": cpu,
                "lag_ms": _percentiles(lags),
            }
        ),
        flush=True,
    )


def _tracing(pipeline: str) -> Tracing:
    if pipeline == "bare":
        return Bare()
    if pipeline == "none":
        return configure_tracing({})
    if pipeline != "sdk":
        return configure_tracing({**os.environ, "MAGSAG_TRACE_EXPORT": pipeline})
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return RecordingTracing(provider, str)


async def _make(
    tracing: Tracing, spans: int, per_second: float | None, *, tells: bool = False
) -> None:
    """Make spans, ten abreast below one root, which ends last."""
    print("making", flush=True)
    root = tracing.start("root")
    began = time.perf_counter()
    for number in range(0, spans - 1, ABREAST):
        if per_second is not None:
            due = began + number / per_second
            await anyio.sleep(max(0.0, due - time.perf_counter()))
        opened = [_begun(tracing, root) for _ in range(min(ABREAST, spans - 1 - number))]
        for span in opened:
            span.set(AT_END)
            span.end()
        if tells:
            print(f"made {number + len(opened)}", flush=True)
    root.end()


def _begun(tracing: Tracing, root: Span) -> Span:
    return tracing.start("chat gpt-5-mini", kind="client", parent=root, attributes=AT_START)


async def _watch(lags: list[float]) -> None:
    """Note how much later than it should each tick of the event loop comes."""
    while True:
        due = time.perf_counter() + TICK_S
        await anyio.sleep(TICK_S)
        lags.append(max(0.0, time.perf_counter() - due) * 1_000)


def _percentiles(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    ordered = sorted(values)
    return {
        "p50": ordered[len(ordered) // 2],
        "p99": ordered[len(ordered) * 99 // 100],
        "max": ordered[-1],
    }


if __name__ == "__main__":
    anyio.run(main, json.loads(sys.argv[1]))
