"""What every port does alike: bound its connections, send again, follow redirects, clear up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import anyio

from providers.base_url import address_of
from providers.http.failures import Server, Stale
from providers.http.outgoing import fields_to_send
from providers.http.port import MOST_CONNECTIONS
from providers.http.proxies import proxy_url
from providers.http.redirects import MOST_REDIRECTS, REDIRECTS, next_target
from runtime.errors import ConnectionFailed, InvalidRequest, Timeout

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from providers.adapter import HttpRequest, HttpResponse
    from providers.http.exchange import Exchange
    from providers.http.port import Streaming
    from runtime.messages import ProviderProfile


class Outgoing(NamedTuple):
    """A request as it goes out. Its repr shows neither credential nor prompt.

    Attributes:
        method: ``POST`` or ``GET``.
        target: the path, escaped.
        fields: the header fields, checked, each once.
        body: the bytes.
    """

    method: str
    target: str
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def __repr__(self) -> str:
        """Show neither credential nor prompt."""
        return f"<Outgoing {self.method} {self.target}>"


class ReadyPort(ABC):
    """A port without the library: ``begin`` and ``close_connections`` are what it adds.

    Raises:
        ConfigurationError: the base URL is no http or https address, or holds a credential.
    """

    def __init__(self, profile: ProviderProfile) -> None:
        address = address_of(profile)
        self.server = Server(profile.name, address, proxy_url(address))
        self._places = anyio.Semaphore(MOST_CONNECTIONS, fast_acquire=True)
        self._closed = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{self.under_way} under way"
        return f"<{type(self).__name__} {self.server.address.origin} {state}>"

    @property
    def under_way(self) -> int:
        """How many exchanges are going on."""
        return MOST_CONNECTIONS - self._places.value

    @abstractmethod
    async def begin(self, outgoing: Outgoing, *, fresh: bool) -> Exchange:
        """Send one request and return once the head of its answer has come.

        Args:
            outgoing: the request.
            fresh: whether it has to go over a new connection.

        Raises:
            Stale: an idle connection was closed before any of the answer came; not if ``fresh``.
            ConnectionFailed: the server could not be reached, or hung up.
            Timeout: it did not accept the connection in time.
        """

    @abstractmethod
    async def close_connections(self) -> None:
        """Close every connection that is not shared with another port."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send one request and return the complete answer; see ``Port``."""
        exchange = await self.enter(request)
        try:
            return await exchange.read()
        finally:
            await self.leave(exchange)

    def stream(self, request: HttpRequest) -> AbstractAsyncContextManager[Streaming]:
        """Send one request and enter its answer; see ``Port``."""
        return Streamed(self, request)

    async def close(self) -> None:
        """Close the connections; see ``Port``."""
        if not self._closed:
            self._closed = True
            await self.close_connections()

    async def enter(self, request: HttpRequest) -> Exchange:
        """Take a place, send the request and follow its redirects."""
        if self._closed:
            raise RuntimeError(f"{self!r} was asked to send")
        try:
            self._places.acquire_nowait()
        except anyio.WouldBlock:
            await self._places.acquire()
        try:
            return await self._follow(request)
        except BaseException:
            self._places.release()
            raise

    async def leave(self, exchange: Exchange) -> None:
        """End an exchange and give its place back."""
        try:
            await exchange.close()
        finally:
            self._places.release()

    async def _follow(self, request: HttpRequest) -> Exchange:
        server = self.server
        fields = fields_to_send(request.headers)
        target = server.address.target(request.path)
        for _ in range(MOST_REDIRECTS + 1):
            exchange = await self._begun(Outgoing(request.method, target, fields, request.body))
            if exchange.status not in REDIRECTS or "location" not in exchange.headers:
                return exchange
            await exchange.close()
            target = next_target(
                server.name, server.address, target, exchange.status, exchange.headers["location"]
            )
        raise InvalidRequest(f"{server.shown} redirects in a circle", http_status=exchange.status)

    async def _begun(self, outgoing: Outgoing) -> Exchange:
        """Send a request, and once more if it met a connection that the server had given up.

        A server that is not there for the second time has still been sent the first one.
        """
        try:
            return await self.begin(outgoing, fresh=False)
        except Stale as stale:
            failure = stale.failure
        try:
            return await self.begin(outgoing, fresh=True)
        except Timeout:
            pass
        except ConnectionFailed as error:
            failure = error if error.sent else failure
        raise failure  # out here, so that no other exception hangs on it


class Streamed:
    """The block in which an answer is read as it comes."""

    __slots__ = ("_exchange", "_port", "_request")

    def __init__(self, port: ReadyPort, request: HttpRequest) -> None:
        self._port = port
        self._request = request
        self._exchange: Exchange | None = None

    async def __aenter__(self) -> Streaming:
        self._exchange = await self._port.enter(self._request)
        return self._exchange

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._exchange is not None:
            await self._port.leave(self._exchange)
