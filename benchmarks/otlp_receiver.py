"""An OTLP/HTTP receiver in a process of its own, which fails when it is told to.

``python -m benchmarks.otlp_receiver [PORT]`` prints ``{"port": N}``. Every span is parsed with
opentelemetry-proto and known by its id. ``POST /faults`` takes what it is to do, ``GET /seen`` says
what it has: spans, different ones, and how many came again.
"""

from __future__ import annotations

import gzip
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

OK = 200


class Receiver(ThreadingHTTPServer):
    """The receiver.

    Attributes:
        spans: how many came.
        ids: the different ones.
        errors: those of them that ended with an error.
        faults: what to do: ``delay_s`` before each answer, ``statuses`` to answer with in turn
            instead of taking a batch, ``reject`` spans of each batch that it says it does not want,
            ``forget`` which spans came: they are counted, and that is all.
        lock: held while any of them is looked at.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.spans = 0
        self.ids: set[bytes] = set()
        self.errors: set[bytes] = set()
        self.faults: dict[str, Any] = {}
        self.lock = threading.Lock()

    def take(self, body: bytes) -> None:
        """Take a batch."""
        request = ExportTraceServiceRequest.FromString(body)
        with self.lock:
            for of_resource in request.resource_spans:
                for of_scope in of_resource.scope_spans:
                    self.spans += len(of_scope.spans)
                    for span in () if self.faults.get("forget") else of_scope.spans:
                        self.ids.add(span.span_id)
                        if span.status.code:
                            self.errors.add(span.span_id)

    def status(self) -> int:
        """Return what to answer with next."""
        with self.lock:
            statuses = self.faults.get("statuses") or [OK]
            return int(statuses.pop(0))


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        """Take a batch, or an order."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path == "/faults":
            with self.server.lock:
                self.server.faults = json.loads(body)
            self._answer(OK, b"")
            return
        time.sleep(self.server.faults.get("delay_s", 0.0))  # a thread of its own
        status = self.server.status()
        answer = b""
        if status == OK:
            self.server.take(body)
            unwanted = self.server.faults.get("reject", 0)
            if unwanted:
                told = ExportTraceServiceResponse()
                told.partial_success.rejected_spans = unwanted
                answer = told.SerializeToString()
        self._answer(status, answer)

    def do_GET(self) -> None:
        """Say what came."""
        with self.server.lock:
            different = len(self.server.ids)
            seen = {
                "spans": self.server.spans,
                "different": different,
                "twice": self.server.spans - different,
                "errors": len(self.server.errors),
            }
        self._answer(OK, json.dumps(seen).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until killed."""
    receiver = Receiver(int(sys.argv[1]) if sys.argv[1:] else 0)
    print(json.dumps({"port": receiver.server_port}), flush=True)
    receiver.serve_forever()


if __name__ == "__main__":
    main()
