"""One request and its answer, from the head on: what every library's answer does alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from providers.adapter import HttpResponse
from providers.http.decompression import Undecodable, decompressor
from providers.http.port import LARGEST_BODY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from providers.http.decompression import Plain, Unzip
    from providers.http.failures import Server
    from runtime.errors import ProviderError


class Exchange(ABC):
    """An answer whose head has come; implements ``Streaming``.

    It is its own iterator, as a generator that is left early has to be closed by somebody.

    Attributes:
        server: whom it is with.
        status: the HTTP status.
        headers: the header fields, names in lower case.
    """

    __slots__ = ("headers", "server", "status")

    def __init__(self, server: Server, status: int, headers: Mapping[str, str]) -> None:
        self.server = server
        self.status = status
        self.headers = headers

    @abstractmethod
    async def piece(self) -> bytes:
        """Return the next piece of the body, decompressed; no bytes at its end.

        Raises:
            ConnectionFailed: the server hung up in the middle of it.
            MalformedResponse: it cannot be decompressed.
        """

    @abstractmethod
    async def close(self) -> None:
        """Give the connection back if the whole answer was read, else close it."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes; see ``Streaming``."""
        return self

    async def read(self) -> HttpResponse:
        """Return the whole answer; see ``Streaming``."""
        body = await self.piece()
        if body and (more := await self.piece()):
            body = await self._joined(body, more)
        if len(body) > LARGEST_BODY:
            raise self.server.too_large(self.status)
        return HttpResponse(self.status, self.headers, body)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if piece := await self.piece():
            return piece
        raise StopAsyncIteration

    async def aclose(self) -> None:  # noqa: B027  # whoever subclasses this has nothing to add
        """Do nothing: whoever entered the answer closes it. For ``contextlib.aclosing``."""

    async def _joined(self, *pieces: bytes) -> bytes:
        """Return these pieces and those that follow, until they are too many."""
        body = bytearray().join(pieces)
        while len(body) <= LARGEST_BODY and (piece := await self.piece()):
            body += piece
        return bytes(body)


class PackedExchange(Exchange):
    """An answer whose body comes as it is on the wire; unpacked here."""

    __slots__ = ("_unpacked", "_unpacking")

    def __init__(self, server: Server, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(server, status, headers)
        self._unpacking: Plain | Unzip | None = None
        self._unpacked: Iterator[bytes] = iter(())

    @abstractmethod
    async def packed(self) -> bytes:
        """Return the next piece of the body as it came; no bytes at its end."""

    async def piece(self) -> bytes:
        """Return the next piece of the body; see ``Exchange``."""
        if "content-encoding" not in self.headers:
            return await self.packed()
        try:
            return await self._next()
        except Undecodable as fault:
            failure: ProviderError = self.server.undecodable(self.status, str(fault))
        raise failure

    async def _next(self) -> bytes:
        if self._unpacking is None:
            self._unpacking = decompressor(self.headers.get("content-encoding", ""))
        while True:
            for piece in self._unpacked:
                return piece
            chunk = await self.packed()
            if not chunk:
                self._unpacking.finish()
                return b""
            self._unpacked = self._unpacking.feed(chunk)
