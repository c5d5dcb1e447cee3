"""The port over httpx, for people who bring their own proxies, SOCKS ones included, or hooks.

httpx's pool is searched on every event, connections times connections, so that a hundred calls at
once cost 15 ms each; many small pools do not. They share the TLS settings, which are what a client
is dear for.

Two things it does not see that ``with_asyncio`` does: what a server says unasked is taken for the
next answer, and of an answer's head nobody can tell whether it had begun when the server hung up.

The library's exceptions end here, and are not chained to ours: they hold the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from providers.http.decompression import ACCEPTED
from providers.http.dial import check_certificates, tls_context
from providers.http.exchange import Exchange, PackedExchange
from providers.http.failures import Stale, causes_of
from providers.http.ready_port import ReadyPort
from runtime.errors import ConfigurationError, ConnectionFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from providers.base_url import Address
    from providers.http.ready_port import Outgoing
    from runtime.errors import ProviderError
    from runtime.messages import ProviderProfile

KEPT_IDLE_S = 30.0
CALLS_OF_A_POOL = 10
NEVER_CONNECTED = (httpx.ConnectError, httpx.ProxyError, httpx.UnsupportedProtocol)
WITHOUT_AN_ANSWER = "disconnected without sending a response"


@dataclass(slots=True)
class Pool:
    """A client and how many calls are under way in it; for a single call if ``kept`` is false."""

    client: httpx.AsyncClient
    kept: bool = True
    under_way: int = 0

    async def leave(self) -> None:
        """Note that a call is over."""
        self.under_way -= 1
        if not self.kept:
            await self.client.aclose()


@dataclass(slots=True)
class Trace:
    """Hears from the library whether a request made a connection of its own."""

    connected: bool = False

    async def __call__(self, event: str, _details: Mapping[str, Any]) -> None:
        """Take note of one of httpcore's events, whatever kind of connection it is of."""
        self.connected = self.connected or event.endswith(".connect_tcp.started")


class HttpxPort(ReadyPort):
    """Connections to one account's server.

    Raises:
        ConfigurationError: the base URL, the environment's proxy or its certificates are none.
    """

    def __init__(self, profile: ProviderProfile) -> None:
        super().__init__(profile)
        check_certificates(profile.name)
        self._profile = profile
        self._origin = _origin_of(profile, self.server.address)
        self._pools = [Pool(_new_client(profile))]

    async def begin(self, outgoing: Outgoing, *, fresh: bool) -> Exchange:
        """Send one request; see ``ReadyPort``."""
        pool = Pool(_new_client(self._profile), kept=False) if fresh else self._pool_with_room()
        trace = Trace()
        request = self._request(pool, outgoing, trace)
        pool.under_way += 1
        try:
            return HttpxExchange(self, pool, await pool.client.send(request, stream=True))
        except httpx.HTTPError as error:
            failure = self._failed(error, trace)
        except BaseException:
            await pool.leave()
            raise
        await pool.leave()
        raise failure  # out here, so that it does not hold the library's exception as its context

    async def close_connections(self) -> None:
        """Close all of them."""
        for pool in self._pools:
            await pool.client.aclose()

    def translated(self, error: httpx.HTTPError) -> ProviderError:
        """Return our own class of one of the library's errors."""
        if isinstance(error, httpx.ConnectTimeout):
            return self.server.slow_to_connect(self._profile.timeouts.connect)
        if isinstance(error, NEVER_CONNECTED):
            return self.server.unreachable(causes_of(error))
        return self.server.hung_up(str(error) or type(error).__name__)

    def _failed(self, error: httpx.HTTPError, trace: Trace) -> ProviderError | Stale:
        """Return what a request without an answer ended in.

        The library does not say whether a part of the head had come; that is taken for none.
        """
        failure = self.translated(error)
        is_gone = isinstance(error, httpx.NetworkError) or WITHOUT_AN_ANSWER in str(error)
        if is_gone and not trace.connected and isinstance(failure, ConnectionFailed):
            return Stale(failure)
        return failure

    def _request(self, pool: Pool, outgoing: Outgoing, trace: Trace) -> httpx.Request:
        return pool.client.build_request(
            outgoing.method,
            self._origin.copy_with(raw_path=outgoing.target.encode("ascii")),
            headers={**dict(outgoing.fields), "accept-encoding": ACCEPTED},
            content=outgoing.body,
            extensions={"trace": trace},
        )

    def _pool_with_room(self) -> Pool:
        for pool in self._pools:  # the first ones are warm
            if pool.under_way < CALLS_OF_A_POOL:
                return pool
        self._pools.append(Pool(_new_client(self._profile)))
        return self._pools[-1]


class HttpxExchange(PackedExchange):
    """One exchange."""

    __slots__ = ("_pieces", "_pool", "_port", "_response")

    def __init__(self, port: HttpxPort, pool: Pool, response: httpx.Response) -> None:
        super().__init__(port.server, response.status_code, dict(response.headers))
        self._port = port
        self._pool = pool
        self._response = response
        self._pieces: AsyncIterator[bytes] = response.aiter_raw()

    async def packed(self) -> bytes:
        """Return the next piece of the body as it came; see ``PackedExchange``."""
        try:
            return await anext(self._pieces, b"")
        except httpx.HTTPError as error:
            failure = self._port.translated(error)
        raise failure

    async def close(self) -> None:
        """Close the answer; the library keeps the connection if all of it was read."""
        try:
            await self._response.aclose()
        finally:
            await self._pool.leave()


def _origin_of(profile: ProviderProfile, address: Address) -> httpx.URL:
    try:
        return httpx.URL(address.origin)
    except httpx.InvalidURL as error:  # e.g. an IP address of which a number is too large
        reason = str(error)
    raise ConfigurationError(f"provider {profile.name!r}: base_url is no address: {reason}")


def _new_client(profile: ProviderProfile) -> httpx.AsyncClient:
    try:
        return httpx.AsyncClient(
            verify=tls_context(),
            limits=httpx.Limits(
                max_connections=None,  # the port bounds them
                max_keepalive_connections=CALLS_OF_A_POOL,
                keepalive_expiry=KEPT_IDLE_S,
            ),
            timeout=httpx.Timeout(None, connect=profile.timeouts.connect),
            follow_redirects=False,
        )
    except (ImportError, ValueError) as error:  # SOCKS without its package; a proxy that is none
        reason = type(error).__name__ if isinstance(error, ValueError) else str(error)
    raise ConfigurationError(
        f"provider {profile.name!r}: the environment's proxy cannot be used ({reason})"
    )
