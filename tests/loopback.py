"""A real TCP server on loopback whose every byte a test decides about, faults included."""

from __future__ import annotations

import json
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Script = Callable[["Received", socket.socket], bytes | None]


class Received(NamedTuple):
    """One request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Loopback:
    """What the server saw.

    Attributes:
        url: its base URL.
        port: its port.
        requests: what it got, oldest first.
        connections: how many connections were opened.
        released: set when the test is over, for scripts that keep a client waiting.
    """

    def __init__(self) -> None:
        self.url = ""
        self.port = 0
        self.requests: list[Received] = []
        self.connections = 0
        self.released = threading.Event()


def response(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return a complete HTTP response; header names are given with underscores."""
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def json_response(payload: Any, status: int = 200) -> bytes:
    """Return a complete HTTP response with a JSON body."""
    return response(status, json.dumps(payload).encode(), content_type="application/json")


def reset(connection: socket.socket) -> None:
    """Close a connection by a reset instead of a farewell."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def loopback(script: Script | bytes) -> Iterator[Loopback]:
    """Serve on a free port until the block is left.

    Args:
        script: the bytes that answer every request, or a function that makes them; None ends the
            connection.
    """
    seen = Loopback()

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            seen.connections += 1
            with suppress(ConnectionError):
                while received := _read(self.rfile):
                    if not received.method:
                        self.connection.sendall(response(400))
                        return
                    seen.requests.append(received)
                    connection = self.connection
                    answer = script if isinstance(script, bytes) else script(received, connection)
                    if answer is None:
                        return
                    connection.sendall(answer)

    class Server(ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        seen.port = server.server_address[1]
        seen.url = f"http://127.0.0.1:{seen.port}/v1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield seen
        finally:
            seen.released.set()
            server.shutdown()
            thread.join()


def closed_port() -> int:
    """Return a port of loopback on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _read(stream: Any) -> Received | None:
    line = stream.readline()
    first = line.split()
    if len(first) != 3 or not first[2].startswith(b"HTTP/"):
        return Received("", "", {}, b"") if line else None
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    return Received(first[0].decode(), first[1].decode(), headers, body)
