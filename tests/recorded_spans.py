"""A tracing whose spans a test reads afterwards, with what it began and did not end."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import StatusCode

from otel.recording import RecordingTracing
from otel.redaction import Redactor
from otel.trace_ids import RunTraceIds
from runtime.catalog.allowances import LimitsEntry
from tests.echoes import catalog_of, provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest
    from opentelemetry.sdk.trace import ReadableSpan

    from providers.backend import Backend
    from runtime.catalog import Catalog
    from runtime.messages import ProviderProfile
    from tests.fake_backends import Scripted

CANARY = "a-very-canary-value"


class Told(SpanProcessor):
    """Keeps what ended, and counts what began."""

    def __init__(self) -> None:
        self.started = 0
        self.ended: list[ReadableSpan] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.started += 1

    def on_end(self, span: ReadableSpan) -> None:
        self.ended.append(span)


class Recorded(RecordingTracing):
    """Spans of one test, in the order in which they ended."""

    def __init__(self) -> None:
        provider = TracerProvider(id_generator=RunTraceIds(), shutdown_on_exit=False)
        self.told = Told()
        provider.add_span_processor(self.told)
        super().__init__(provider, Redactor([CANARY]).text)

    async def shutdown(self, timeout_s: float = 0.0) -> bool:
        return True  # there is nothing to flush, and no thread to do it in virtual time

    @property
    def all_ended(self) -> bool:
        return self.told.started == len(self.told.ended)

    def named(self, prefix: str) -> list[ReadableSpan]:
        return [span for span in self.told.ended if span.name.startswith(prefix)]

    def one(self, name: str) -> ReadableSpan:
        (span,) = [span for span in self.told.ended if span.name == name]
        return span

    def below(self, parent: ReadableSpan) -> list[ReadableSpan]:
        """Return the children of a span by the time at which they began."""
        return sorted(
            (span for span in self.told.ended if is_below(span, parent)),
            key=lambda span: span.start_time or 0,
        )


def is_below(span: ReadableSpan, parent: ReadableSpan) -> bool:
    place = parent.context
    assert place is not None
    return span.parent is not None and span.parent.span_id == place.span_id


def said(span: ReadableSpan) -> Mapping[str, Any]:
    return dict(span.attributes or {})


def failed(span: ReadableSpan) -> bool:
    return span.status.status_code is StatusCode.ERROR


def seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


def scripted(monkeypatch: pytest.MonkeyPatch, **backends: Scripted) -> Catalog:
    """Return a catalog of providers over HTTP, each with the model ``m``, that do as told.

    The first is everybody's default; the others are its fallbacks, in order. Each back-off takes
    0.4 seconds.
    """
    monkeypatch.setattr("providers.call.retry_delay", lambda *_: 0.4)

    def backend_of(profile: ProviderProfile) -> Backend:
        return backends[profile.name]

    monkeypatch.setattr("providers._backend_of", backend_of)
    entries = {
        name: provider(
            "m", dialect="openai_chat", base_url=f"https://user:pass@{name}.example:8443/v1"
        )
        for name in backends
    }
    home, *others = backends
    routing = {"fallback": {f"{home}/m": [f"{name}/m" for name in others]}} if others else {}
    return catalog_of(entries, routing=routing)


def limited(catalog: Catalog, **limits: Any) -> Catalog:
    """Return a catalog whose providers have these limits."""
    entries = {
        name: entry.model_copy(update={"limits": LimitsEntry(**limits)})
        for name, entry in catalog.providers.items()
    }
    return dataclasses.replace(catalog, providers=entries)
