"""A server of chat completions that does nothing else: it must be faster than every client.

``python -m benchmarks.chat_server`` prints its port. The path says how it answers: ``/50/v1/...``
after 50 ms, ``/0/v1/...`` at once. A request with tools and no tool's answer yet gets the call of
the tool ``add``, any other one a text of about 1 kB. ``GET /cost`` says how many requests it has
answered and the CPU of that.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cores import serve_from_last

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
TEXT = "It is done, and this is all that there is to say about it. " * 8


def _completion(message: dict[str, Any], finish: str) -> bytes:
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "m",
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
            ],
            "usage": {"prompt_tokens": 12, "completion_tokens": 96, "total_tokens": 108},
        }
    ).encode()


def _response(body: bytes) -> bytes:
    head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'},
}
ANSWER = _response(_completion({"role": "assistant", "content": TEXT}, "stop"))
TOOL_CALL = _response(
    _completion({"role": "assistant", "content": None, "tool_calls": [CALL]}, "tool_calls")
)


class Connection(asyncio.Protocol):
    """Answers each request that has come whole."""

    answered = 0

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]  # a stream server's is one

    def data_received(self, data: bytes) -> None:
        """Answer what is complete."""
        received = self._received + data if self._received else data
        while received:
            end = received.find(b"\r\n\r\n")
            if end < 0:
                break
            whole = end + 4 + _length(received[:end])
            if len(received) < whole:
                break
            self._answer(received[:whole])
            received = received[whole:]
        self._received = received

    def _answer(self, request: bytes) -> None:
        if self._transport is None:
            return
        _, path, _ = request.split(b" ", 2)
        if path == b"/cost":
            cost = {"requests": Connection.answered, "cpu_s": time.process_time()}
            self._transport.write(_response(json.dumps(cost).encode()))
            return
        Connection.answered += 1
        calls = b'"tools"' in request and b'"tool_call_id"' not in request
        answer = TOOL_CALL if calls else ANSWER
        delay_ms = int(path.split(b"/", 2)[1])
        if delay_ms:
            loop = asyncio.get_running_loop()
            loop.call_later(delay_ms / 1e3, self._transport.write, answer)
        else:
            self._transport.write(answer)


def _length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"content-length:")
    return int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def main() -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=8_192)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def served() -> Iterator[str]:
    """Run it in a process of its own; yield the beginning of its addresses."""
    command = [sys.executable, "-m", "benchmarks.chat_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:  # noqa: S603  # our own module
        try:
            serve_from_last(process.pid)
            port = process.stdout.readline().strip() if process.stdout else ""
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(main())
