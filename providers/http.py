"""The connections of one account: the only file that knows the HTTP library.

One pooled client serves the whole life of an account, because a client per call pays for a TLS
context and a handshake every time.

The library's exceptions end here (``FAILURES``). They are not chained to ours: they hold the
request, and with it the credential and the prompt. What is worth knowing of them is in the message.
"""

from __future__ import annotations

import socket
import ssl
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import anyio
import httpx

from providers.adapter import HttpResponse
from providers.base_url import check_base_url
from runtime.errors import (
    ConnectionFailed,
    InvalidRequest,
    MalformedResponse,
    ProviderError,
    Timeout,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from providers.adapter import HttpRequest
    from runtime.messages import ProviderProfile

LARGEST_BODY = 16 * 1024 * 1024
TOTAL_TIMEOUT_S = 600.0  # for calls without a deadline: a server that trickles would never end
KEEP_ALIVE_S = 30.0
MOST_REDIRECTS = 2
KEEPS_METHOD_AND_BODY = (307, 308)
SHOWN = 200


class Failure(NamedTuple):
    """What one of the library's exceptions becomes; ``{why}`` is the cause in its own words."""

    raised: type[Exception] | tuple[type[Exception], ...]
    error: Callable[..., ProviderError]
    message: str


FAILURES = (
    Failure(httpx.ConnectTimeout, partial(Timeout, stage="connect"), "did not accept a connection"),
    Failure(httpx.PoolTimeout, partial(Timeout, stage="queue"), "had no connection free"),
    Failure(httpx.ReadTimeout, partial(Timeout, stage="first_byte"), "did not answer in time"),
    Failure(httpx.WriteTimeout, partial(Timeout, stage="body"), "did not take the request in time"),
    Failure(httpx.ProxyError, ConnectionFailed, "cannot be reached through the proxy: {why}"),
    Failure(httpx.ConnectError, ConnectionFailed, "cannot be reached: {why}"),
    Failure(httpx.DecodingError, MalformedResponse, "sent a body that cannot be decompressed"),
    Failure(httpx.LocalProtocolError, InvalidRequest, "was to be sent what HTTP does not allow"),
    Failure(httpx.HTTPError, ConnectionFailed, "hung up before the answer was complete"),
)
CONNECT_CAUSES: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLCertVerificationError, "its TLS certificate is not trusted here ({})"),
    (ssl.SSLError, "TLS could not be set up, is it https at all? ({})"),
    (socket.gaierror, "its name could not be resolved; check base_url and DNS ({})"),
    (ConnectionRefusedError, "nothing listens there; is the server running? ({})"),
)
UNKNOWN_CAUSE = "check base_url and the network ({})"


class HttpPort:
    """Sends requests to one account's server over pooled connections.

    Raises:
        ConfigurationError: the base URL is no http or https address, or holds a credential.
        httpx.InvalidURL: its host is no name that can be looked up.
    """

    def __init__(self, profile: ProviderProfile) -> None:
        self._profile = profile
        check_base_url(profile)
        self._base = httpx.URL(profile.base_url)
        self._client = _new_client(profile)

    def __repr__(self) -> str:
        state = "closed" if self._client.is_closed else "open"
        return f"<HttpPort {_origin(self._base)} {state}>"

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send one request and return the complete answer, whatever its status.

        Raises:
            ConnectionFailed: the server could not be reached, or hung up.
            Timeout: it took too long; ``stage`` says at what.
            MalformedResponse: the body is too large or cannot be decompressed.
            InvalidRequest: the server redirects to another origin, which is not followed.
        """
        failure: ProviderError
        try:
            with anyio.move_on_after(TOTAL_TIMEOUT_S):
                return await self._follow(request)
            failure = Timeout(f"{self._target} took over {TOTAL_TIMEOUT_S:.0f} s", stage="total")
        except httpx.HTTPError as error:
            failure = _translated(error, self._target)
        raise failure  # out here, so that it does not hold the library's exception as its context

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    @property
    def _target(self) -> str:
        return f"{self._profile.name}: {self._base.host}:{_port(self._base)}"

    async def _follow(self, request: HttpRequest) -> HttpResponse:
        url = self._base.copy_with(
            raw_path=self._base.raw_path.rstrip(b"/") + request.path.encode()
        )
        for _ in range(MOST_REDIRECTS + 1):
            response = await self._exchange(request, url)
            location = response.headers.get("location")
            if not 300 <= response.status < 400 or location is None:  # noqa: PLR2004  # HTTP's redirects
                return response
            url = self._redirected(url, location, response.status)
        raise InvalidRequest(f"{self._target} redirects in a circle", http_status=response.status)

    def _redirected(self, url: httpx.URL, location: str, status: int) -> httpx.URL:
        """Return where to go, if the key may go there: within the origin, with the same request."""
        target = url.join(location)
        if status in KEEPS_METHOD_AND_BODY and _origin(target) == _origin(url):
            return target
        raise InvalidRequest(
            f"{self._target} redirects ({status}) to {_origin(target)}{target.path[:SHOWN]}, which"
            " is not followed, as the key would go with it; if it is right, make it the base_url",
            http_status=status,
        )

    async def _exchange(self, request: HttpRequest, url: httpx.URL) -> HttpResponse:
        sent = self._client.build_request(
            request.method, url, headers=dict(request.headers), content=request.body
        )
        response = await self._client.send(sent, stream=True)
        body = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > LARGEST_BODY:
                    break
        except httpx.ReadTimeout:
            body.clear()
        else:
            return self._complete(response, bytes(body))
        finally:
            await response.aclose()
        raise Timeout(f"{self._target} stopped in the middle of its answer", stage="body")

    def _complete(self, response: httpx.Response, body: bytes) -> HttpResponse:
        if len(body) > LARGEST_BODY:
            raise MalformedResponse(
                f"{self._target} sent more than {LARGEST_BODY} bytes",
                http_status=response.status_code,
            )
        return HttpResponse(response.status_code, dict(response.headers), body)


def _new_client(profile: ProviderProfile) -> httpx.AsyncClient:
    connections = profile.concurrency
    return httpx.AsyncClient(
        limits=httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=KEEP_ALIVE_S,
        ),
        timeout=httpx.Timeout(profile.first_byte_timeout_s, connect=profile.connect_timeout_s),
        follow_redirects=False,
    )


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.host}:{_port(url)}"


def _translated(error: httpx.HTTPError, target: str) -> ProviderError:
    failure = next(row for row in FAILURES if isinstance(error, row.raised))
    return failure.error(f"{target} {failure.message.format(why=_cause(error))}")


def _cause(error: BaseException) -> str:
    """Return why a connection failed, from the deepest cause that tells something."""
    chain = list(_chain(error))
    for kind, advice in CONNECT_CAUSES:
        for link in chain:
            if isinstance(link, kind):
                return advice.format(str(link)[:SHOWN])
    return UNKNOWN_CAUSE.format(str(error)[:SHOWN])


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            yield from error.exceptions
        error = error.__cause__ or error.__context__
