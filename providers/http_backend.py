"""The backend of an account behind HTTP: a dialect's adapter and the account's connections."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio.to_thread

from providers.base_url import check_base_url
from runtime.errors import AuthFailed, ConfigurationError, ProviderError

if TYPE_CHECKING:
    from providers.adapter import Adapter, HttpResponse
    from providers.http import HttpPort
    from runtime.messages import ModelReply, ModelRequest, ProviderProfile

SUCCESS = range(200, 300)
HIDDEN = b"[key]"


class HttpBackend:
    """Makes calls over HTTP. The key leaves it in one header field and in nothing else.

    Raises:
        ConfigurationError: the base URL is no address, or the key cannot stand in a header field.
    """

    def __init__(self, profile: ProviderProfile, adapter: Adapter) -> None:
        key = profile.api_key
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise ConfigurationError(
                f"provider {profile.name!r}: its key has characters that no key has;"
                " was a line end copied with it?"
            )
        check_base_url(profile)
        self._profile = profile
        self._adapter = adapter
        self._port: HttpPort | None = None

    def __repr__(self) -> str:
        return f"<HttpBackend {self._profile.name} {self._port or 'not opened'}>"

    async def open(self) -> None:
        """Prepare the client; the first call connects.

        Loading the HTTP library and the machine's certificates takes a third of a second, so it is
        done in a worker thread.
        """
        self._port = await anyio.to_thread.run_sync(_new_port, self._profile)

    async def invoke(self, request: ModelRequest) -> ModelReply:
        """Make one call.

        Raises:
            ProviderError: the call failed; see ``runtime.errors``.
        """
        if self._port is None:
            raise RuntimeError("the backend was not opened")
        sent = self._adapter.to_request(request, self._profile.api_key)
        try:
            response = await self._port.send(sent)
        except ProviderError as error:  # the port knows of addresses, not of models
            error.provider, error.model = request.provider, request.model
            raise
        return self._read(response, request)

    async def close(self) -> None:
        """Close the connections."""
        if self._port is not None:
            await self._port.close()

    def _read(self, response: HttpResponse, request: ModelRequest) -> ModelReply:
        """Read an answer; one that becomes an error is first rid of the key, lest it is quoted."""
        if response.status in SUCCESS:
            try:
                return self._adapter.parse_reply(response, request)
            except ProviderError:
                pass
            return self._adapter.parse_reply(self._without_key(response), request)
        raise self._advised(self._adapter.parse_error(self._without_key(response), request))

    def _advised(self, error: ProviderError) -> ProviderError:
        """Say what to do when a key is missing where one is needed."""
        advice = self._profile.key_help
        if not isinstance(error, AuthFailed) or self._profile.api_key or not advice:
            return error
        return AuthFailed(
            f"{error.provider}/{error.model}: there is no key; {advice} ({error.http_status})",
            provider=error.provider,
            model=error.model,
            http_status=error.http_status,
            code=error.code,
            request_id=error.request_id,
        )

    def _without_key(self, response: HttpResponse) -> HttpResponse:
        key = self._profile.api_key.encode()
        return replace(response, body=response.body.replace(key, HIDDEN)) if key else response


def _new_port(profile: ProviderProfile) -> HttpPort:
    from providers.http import HttpPort  # noqa: PLC0415  # loads the HTTP library

    return HttpPort(profile)
