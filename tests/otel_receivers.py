"""OTLP receivers on loopback, and what the tests of telemetry share."""

from __future__ import annotations

import gzip
import logging
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

import anyio.to_thread
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceServicer

from tests.otel_metrics import Measured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan

    from otel import Tracing

RUN = 0x0199_7F2E_0000_7000_8000_0000_0000_0001
PATIENCE_S = 60.0  # only reached when something is broken


class Collected:
    """What a receiver got."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.asked = threading.Event()

    def add(self, request: ExportTraceServiceRequest, headers: dict[str, str]) -> None:
        self.requests.append(request)
        self.headers.append(headers)

    @property
    def spans(self) -> list[SentSpan]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name: str) -> SentSpan:
        (span,) = [span for span in self.spans if span.name == name]
        return span


class Collector(ThreadingHTTPServer):
    """An OTLP/HTTP receiver on loopback that answers as it is told."""

    def __init__(self, spool: Path, export: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.spool = spool
        self.export = export
        self.collected = Collected()
        self.measured = Measured()
        self.statuses: list[int] = []
        self.partial = ExportTraceServiceResponse()
        self.page: tuple[str, bytes] | None = None  # its type and its text, instead of an answer
        self.metric_status = 200
        self.answering = threading.Event()
        self.answering.set()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def environ(self) -> dict[str, str]:
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
            "MAGSAG_SPOOL": str(self.spool),
            "MAGSAG_TRACE_EXPORT": self.export,
        }

    @property
    def metric_environ(self) -> dict[str, str]:
        return self.environ | {"OTEL_METRICS_EXPORTER": "otlp"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.collected.asked.set()
        self.server.answering.wait(PATIENCE_S)
        status = self._status()
        if self.server.page is not None:
            self._show(*self.server.page)
            return
        if status == 200:
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            if self.path.endswith("/v1/metrics"):
                self.server.measured.add(ExportMetricsServiceRequest.FromString(body), headers)
            else:
                request = ExportTraceServiceRequest.FromString(body)
                self.server.collected.add(request, headers | {"path": self.path})
        is_partial = status == 200 and self.path.endswith("/v1/traces")
        answer = self.server.partial.SerializeToString() if is_partial else b""
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _show(self, kind: str, text: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _status(self) -> int:
        if self.path.endswith("/v1/metrics"):
            self.server.measured.asked.set()
            self.server.measured.posts += 1
            return self.server.metric_status
        return self.server.statuses.pop(0) if self.server.statuses else 200

    def log_message(self, *_details: object) -> None:
        pass


class GrpcReceiver(TraceServiceServicer):
    def __init__(self) -> None:
        self.collected = Collected()

    def Export(self, request: Any, context: Any) -> ExportTraceServiceResponse:  # noqa: N802 - the name in the protocol
        headers = {item.key: item.value for item in context.invocation_metadata()}
        self.collected.add(request, headers)
        return ExportTraceServiceResponse()


class Lines(logging.Handler):
    """The log lines of one test, with an event for the first that says something wanted."""

    wanted: ClassVar[str] = "do not reach"

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.said = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        if self.wanted in record.getMessage():
            self.said.set()

    def from_package(self, package: str) -> list[str]:
        return [each.getMessage() for each in self.records if each.name.startswith(package)]


@contextmanager
def running_collector(export: str = "spool") -> Iterator[Collector]:
    with TemporaryDirectory() as spool, Collector(Path(spool), export) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.answering.set()
            server.shutdown()
            thread.join()


@contextmanager
def heard_lines() -> Iterator[Lines]:
    handler = Lines()
    logging.getLogger().addHandler(handler)
    try:
        yield handler
    finally:
        logging.getLogger().removeHandler(handler)


def one_span(tracing: Tracing, name: str = "invoke_workflow digest") -> None:
    tracing.start(name, trace_id=RUN).end()


async def told(event: threading.Event) -> bool:
    return await anyio.to_thread.run_sync(event.wait, PATIENCE_S)
