"""A UI on loopback that answers like Jaeger, for the commands that ask one."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class TraceUi(ThreadingHTTPServer):
    """Knows some traces, and what it was asked.

    Attributes:
        traces: the ids of those it has.
        paths: what was asked, oldest first.
        page: what it answers; something else has another.
        answered: a file that it makes when it has answered; None for none.
    """

    daemon_threads = True

    def __init__(self, *traces: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.traces = traces
        self.paths: list[str] = []
        self.page = b"{}"
        self.answered: Path | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: TraceUi

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        trace_id = self.path.rpartition("/")[2]
        known = self.path == "/api/v3/services" or trace_id in self.server.traces
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "text/plain; charset=utf-8")  # as Jaeger says it
        self.send_header("Content-Length", str(len(self.server.page)))
        self.end_headers()
        self.wfile.write(self.server.page)
        if self.server.answered is not None:
            self.server.answered.touch()

    def log_message(self, *_details: object) -> None:
        pass


@contextmanager
def trace_ui(*traces: str) -> Iterator[TraceUi]:
    """Serve until the block is left."""
    with TraceUi(*traces) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
