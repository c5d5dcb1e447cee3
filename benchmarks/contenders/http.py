"""HTTP clients by themselves: the least that a model call costs.

The baseline is a loop over the same client as ours, ``providers.http``, with nothing around it but
the JSON of question and answer.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from benchmarks.contenders.driving import in_turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work

QUESTION = {
    "model": "m",
    "messages": [{"role": "user", "content": "Say hello to everybody who is here"}],
}
HEADERS = {"authorization": "Bearer key", "content-type": "application/json"}


def _text(body: bytes) -> str:
    return cast("str", json.loads(body)["choices"][0]["message"]["content"])


@asynccontextmanager
async def port(url: str, library: str = "asyncio") -> AsyncIterator[Work]:
    """A port of ours, which is told nothing of models."""
    from providers.adapter import HttpRequest  # noqa: PLC0415  # the other contenders do without
    from providers.http import open_port  # noqa: PLC0415  # likewise
    from runtime.messages import ProviderProfile  # noqa: PLC0415  # likewise

    profile = ProviderProfile(name="bench", dialect="", base_url=url, http=cast("Any", library))
    client = open_port(profile)

    async def call(_: int) -> str:
        body = json.dumps(QUESTION).encode()
        response = await client.send(HttpRequest("POST", "/chat/completions", HEADERS, body))
        return _text(response.body)

    async def work(operations: int, at_once: int) -> dict[str, Any]:
        return await in_turns(call, operations, at_once)

    yield work
    await client.close()


@asynccontextmanager
async def by_hand(url: str) -> AsyncIterator[Work]:
    """An asyncio client that can do nothing else: the limit of what Python can do."""
    place = urlsplit(url)
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    head = f"POST {place.path}/chat/completions HTTP/1.1\r\nhost: {place.netloc}\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in HEADERS.items()
    )

    async def call(_: int) -> str:
        connection = idle.pop() if idle else None
        reader, writer = connection or await asyncio.open_connection(place.hostname, place.port)
        body = json.dumps(QUESTION).encode()
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        answer_head = await reader.readuntil(b"\r\n\r\n")
        length = int(answer_head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        answer = await reader.readexactly(length)
        idle.append((reader, writer))
        return _text(answer)

    async def work(operations: int, at_once: int) -> dict[str, Any]:
        return await in_turns(call, operations, at_once)

    yield work
    for _, writer in idle:
        writer.close()


@asynccontextmanager
async def httpx(url: str) -> AsyncIterator[Work]:
    """An httpx client without a limit of connections."""
    import httpx as library  # noqa: PLC0415  # likewise

    bounds = library.Limits(max_connections=None, max_keepalive_connections=None)
    async with library.AsyncClient(limits=bounds, timeout=600.0, trust_env=False) as client:

        async def call(_: int) -> str:
            response = await client.post(f"{url}/chat/completions", json=QUESTION, headers=HEADERS)
            return _text(response.content)

        async def work(operations: int, at_once: int) -> dict[str, Any]:
            return await in_turns(call, operations, at_once)

        yield work


@asynccontextmanager
async def pyreqwest(url: str) -> AsyncIterator[Work]:
    """The fastest compiled client that we know, as its own users call it."""
    from pyreqwest.client import ClientBuilder  # noqa: PLC0415  # likewise

    async with ClientBuilder().build() as client:

        async def call(_: int) -> str:
            request = client.post(f"{url}/chat/completions").headers(HEADERS)
            response = await request.body_bytes(json.dumps(QUESTION).encode()).build().send()
            return _text(bytes(await response.bytes()))

        async def work(operations: int, at_once: int) -> dict[str, Any]:
            return await in_turns(call, operations, at_once)

        yield work
