"""The backend of an account behind HTTP: a dialect's adapter and the account's connections.

A server that does not know the account's dialect is asked in its ``fallback_dialect``, from then on
for as long as ``downgrade`` remembers it.
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from providers.adapter import SUCCESS
from providers.base_url import check_base_url
from providers.downgrade import Downgrades, is_unsupported, warning
from providers.http_stream import hand_on_whole, is_whole, read_stream
from providers.redaction import Redaction
from runtime.actors import TimeLimit, current_time
from runtime.errors import (
    AuthFailed,
    ConfigurationError,
    EndpointUnsupported,
    ProviderError,
    Timeout,
)

if TYPE_CHECKING:
    from providers.adapter import Adapter, HttpRequest, HttpResponse
    from providers.backend import Attempt
    from providers.http.port import Port
    from runtime.messages import ModelReply, ModelRequest, ProviderProfile

logger = logging.getLogger("providers.http")

DOWNGRADE_S = 3600.0  # for so long a server is taken to be as old as it was


class HttpBackend:
    """Makes calls over HTTP. The key leaves it in one header field and in nothing else.

    Args:
        profile: the account.
        adapter: its dialect.
        fallback: the dialect for a server that does not know the first; None for none.

    Raises:
        ConfigurationError: the base URL is no address, or the key cannot stand in a header field.
    """

    def __init__(
        self, profile: ProviderProfile, adapter: Adapter, fallback: Adapter | None = None
    ) -> None:
        key = profile.api_key
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise ConfigurationError(
                f"provider {profile.name!r}: its key has characters that no key has;"
                " was a line end copied with it?"
            )
        check_base_url(profile)
        self._profile = profile
        self._adapter = adapter
        self._fallback = fallback
        self._downgrades = Downgrades(DOWNGRADE_S)
        self._redaction = Redaction(key)
        self._port: Port | None = None

    def __repr__(self) -> str:
        return f"<HttpBackend {self._profile.name} {self._port or 'not opened'}>"

    async def open(self) -> None:
        """Prepare the client; the first call connects.

        Loading the HTTP library and the machine's certificates may take a third of a second, so it
        is done in a worker thread.
        """
        if self._port is None:
            self._port = await anyio.to_thread.run_sync(_new_port, self._profile)

    async def invoke(self, attempt: Attempt) -> ModelReply:
        """Make one attempt.

        Raises:
            ProviderError: the attempt failed; see ``runtime.errors``.
        """
        request, now = attempt.request, current_time()
        fallback = self._fallback
        if fallback is None:
            return await self._exchange(attempt, self._adapter)
        if not self._downgrades.is_known(self._profile.base_url, request.model, now):
            try:
                return await self._exchange(attempt, self._adapter)
            except EndpointUnsupported:
                if self._downgrades.add(self._profile.base_url, request.model, now):
                    logger.warning(self._warning(), extra={"provider": self._profile.name})
        reply = await self._exchange(attempt, fallback)
        return replace(reply, warnings=(*reply.warnings, self._warning()))

    async def close(self) -> None:
        """Close the connections."""
        port, self._port = self._port, None
        if port is not None:
            await port.close()

    async def _exchange(self, attempt: Attempt, adapter: Adapter) -> ModelReply:
        if self._port is None:
            raise RuntimeError("the backend was not opened")
        request = attempt.request
        try:
            sent = adapter.to_request(request, self._profile.api_key)
            over_by = current_time() + self._profile.timeouts.total
            if request.stream:
                return await self._stream(self._port, sent, attempt, adapter, over_by)
            with TimeLimit(over_by):
                return self._read(await self._port.send(sent), attempt, adapter)
            raise self._too_long()
        except ProviderError as error:  # the port knows of addresses, not of models
            error.provider = error.provider or request.provider
            error.model = error.model or request.model
            self._redaction.error(error)
            raise

    async def _stream(
        self,
        port: Port,
        sent: HttpRequest,
        attempt: Attempt,
        adapter: Adapter,
        over_by: float,
    ) -> ModelReply:
        """Read an answer in pieces; its head has to come in the time that its first byte has."""
        timeouts = self._profile.timeouts
        patience = anyio.CancelScope(deadline=current_time() + timeouts.first_byte)
        async with AsyncExitStack() as stack:
            with anyio.CancelScope(deadline=over_by) as total, patience:
                answer = await stack.enter_async_context(port.stream(sent))
            if total.cancelled_caught:
                raise self._too_long()
            if patience.cancelled_caught:
                said = f"the server said nothing for {timeouts.first_byte:g} s"
                raise Timeout(said, stage="first_byte")
            attempt.headers, attempt.status = answer.headers, answer.status
            if answer.status in SUCCESS and not is_whole(answer):
                clocks = {"first_byte_by": patience.deadline, "over_by": over_by}
                reply = await read_stream(answer, attempt, adapter, timeouts, **clocks)
                return self._redaction.reply(reply)
            with anyio.CancelScope(deadline=over_by):
                reply = self._read(await answer.read(), attempt, adapter)
                await hand_on_whole(reply, attempt)
                return reply
        raise self._too_long()

    def _too_long(self) -> Timeout:
        total = self._profile.timeouts.total
        return Timeout(f"{self._profile.name} took over {total:g} s", stage="total")

    def _read(self, response: HttpResponse, attempt: Attempt, adapter: Adapter) -> ModelReply:
        """Read an answer; one that becomes an error is first rid of the key, lest it is quoted."""
        attempt.headers, attempt.status = response.headers, response.status
        request = attempt.request
        if response.status in SUCCESS:
            try:
                return self._redaction.reply(adapter.parse_reply(response, request))
            except ProviderError:
                pass
            return adapter.parse_reply(self._redaction.response(response), request)
        if self._fallback is not None and adapter is self._adapter and is_unsupported(response):
            raise EndpointUnsupported(
                f"{request.provider} does not know {adapter.endpoint}", http_status=response.status
            )
        error = adapter.parse_error(self._redaction.response(response), request)
        raise self._advised(error, request)

    def _advised(self, error: ProviderError, request: ModelRequest) -> ProviderError:
        """Say what to do when a key is missing where one is needed."""
        advice = self._profile.key_help
        if not isinstance(error, AuthFailed) or self._profile.api_key or not advice:
            return error
        status = error.http_status
        error.args = (f"{request.provider}/{request.model}: there is no key; {advice} ({status})",)
        return error

    def _warning(self) -> str:
        return warning(self._profile.base_url)


def _new_port(profile: ProviderProfile) -> Port:
    from providers.http import open_port  # noqa: PLC0415  # loads the HTTP library

    return open_port(profile)
