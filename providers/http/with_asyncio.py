"""The port on the event loop's own transports: HTTP/1.1, no library, no thread.

A call that is cancelled closes its connection in the same turn of the loop, so that the server
stops working for nobody. That is why it is not one of the compiled clients: the fastest of them
leaves a cancelled call running until the server has answered it.

Each port keeps its own idle connections, the last used first; what is dear to make, the TLS
settings, is one for all.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING

import anyio

from providers.http.connection import HungUp
from providers.http.decompression import ACCEPTED
from providers.http.dial import check_certificates, connect
from providers.http.exchange import Exchange, PackedExchange
from providers.http.failures import Stale
from providers.http.proxies import proxy_for
from providers.http.ready_port import ReadyPort

if TYPE_CHECKING:
    from providers.http.connection import Connection
    from providers.http.ready_port import Outgoing
    from runtime.messages import ProviderProfile

KEPT_IDLE_S = 30.0  # servers keep connections for a minute or more
MOST_KEPT = 64  # heads of requests


class AsyncioPort(ReadyPort):
    """Connections to one account's server.

    Raises:
        ConfigurationError: the base URL, the environment's proxy or its certificates are none.
    """

    def __init__(self, profile: ProviderProfile) -> None:
        super().__init__(profile)
        address = self.server.address
        self._connect_s = profile.timeouts.connect
        self._proxy = proxy_for(profile.name, address)
        self._forwarded = self._proxy is not None and address.scheme == "http"
        self._head = lru_cache(MOST_KEPT)(self._head_of)
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        if address.scheme == "https":
            check_certificates(profile.name)

    async def begin(self, outgoing: Outgoing, *, fresh: bool) -> Exchange:
        """Send one request on an idle or a new connection; see ``ReadyPort``."""
        message = self._message(outgoing)
        idle = None if fresh else self._taken()
        connection = idle or await self._new()
        try:
            head = await connection.send(message)
            return AsyncioExchange(self, connection, head.status, head.headers)
        except HungUp as fault:
            failure = self.server.hung_up(str(fault))
        except BaseException:
            self.give_back(connection)
            raise
        self.give_back(connection)
        raise failure if idle is None or idle.heard else Stale(failure)

    async def close_connections(self) -> None:
        """Close all of them and wait until they are."""
        gone = list(self._open)
        for connection in gone:
            connection.abort()
        self._idle.clear()
        with anyio.CancelScope(shield=True):  # an aborted transport is gone in the next turns
            for connection in gone:
                await connection.lost()

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next call if it may carry one, else close it."""
        if connection.reusable and not self._closed:
            connection.rest()
            self._idle.append(connection)
        else:
            connection.abort()
        self._drop_old()

    def _message(self, outgoing: Outgoing) -> bytes:
        method, target, fields, body = outgoing
        head = self._head(method, target, fields)
        if body or method != "GET":
            return b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)
        return head + b"\r\n"

    def _head_of(self, method: str, target: str, fields: tuple[tuple[str, str], ...]) -> bytes:
        """Return what is the same in every request to that target."""
        address = self.server.address
        if self._forwarded:
            target = f"http://{address.host_field}{target}"
        lines = [f"{method} {target} HTTP/1.1", f"host: {address.host_field}"]
        lines += [f"{name}: {value}" for name, value in fields]
        lines.append(f"accept-encoding: {ACCEPTED}")
        if self._forwarded and self._proxy is not None and self._proxy.authorization:
            lines.append(f"proxy-authorization: {self._proxy.authorization}")
        return "\r\n".join([*lines, ""]).encode("ascii")

    def _taken(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and connection.idle_s <= KEPT_IDLE_S:  # and not closed since
                return connection
            connection.abort()
        return None

    async def _new(self) -> Connection:
        connection = await connect(self.server, self._proxy, self._connect_s)
        self._open.add(connection)
        connection.when_lost(self._open.discard)
        return connection

    def _drop_old(self) -> None:
        while self._idle and self._idle[0].idle_s > KEPT_IDLE_S:
            self._idle.popleft().abort()


class AsyncioExchange(PackedExchange):
    """One exchange on one connection."""

    __slots__ = ("_connection", "_port")

    def __init__(
        self, port: AsyncioPort, connection: Connection, status: int, headers: dict[str, str]
    ) -> None:
        super().__init__(port.server, status, headers)
        self._port = port
        self._connection = connection

    async def packed(self) -> bytes:
        """Return the next piece of the body as it came; see ``PackedExchange``."""
        try:
            return await self._connection.piece()
        except HungUp as fault:
            failure = self.server.hung_up(str(fault))
        raise failure

    async def close(self) -> None:
        """Give the connection back; see ``Exchange``."""
        self._port.give_back(self._connection)
