"""The Anthropic Messages dialect, as a whole: ``AnthropicMessages`` is its adapter.

Its parts, in reading order:

1. ``settings``: a profile's options, header fields and paths;  ``models``: what each model takes.
2. ``request``: writing. ``turns`` writes the conversation, ``tools`` what may be called,
   ``thinking`` how much to think, ``schema`` the form of the answer.
3. ``reply``: reading, with ``usage`` and ``errors``.
4. ``stream``: reading in pieces; ``events`` says what each does, ``assembly`` puts them together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.adapter import HttpRequest
from providers.anthropic.errors import error_of
from providers.anthropic.reply import ENDPOINT, read_reply
from providers.anthropic.request import write_request
from providers.anthropic.settings import read_settings
from providers.anthropic.stream import open_reader
from providers.incoming import models_in
from providers.json_values import count_of, json_or_text, object_of
from providers.left_out import LeftOut
from providers.outgoing import json_body
from runtime.errors import MalformedResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from providers.adapter import HttpResponse, StreamReader
    from runtime.errors import ProviderError
    from runtime.messages import ModelReply, ModelRequest, ProviderProfile

__all__ = ["AnthropicMessages"]

MODELS_PER_PAGE = 1_000  # the most that the API lists at once, and more than there are
COUNTED = frozenset({
    "model", "messages", "system", "tools", "tool_choice", "thinking", "output_config",
    "cache_control", "speed",
})  # fmt: skip


class AnthropicMessages:
    """The adapter. One per account: its options are the account's.

    Options of the profile:
        path: ``auto`` (``/v1/messages``, or ``/messages`` where the base URL ends with ``/v1``), or
            the path itself.
        auth: ``x-api-key`` or ``bearer``.
        version: the version of the API, ``2023-06-01`` unless given.
        beta: beta features to ask for, a text or a list of texts.
        cache: ``auto`` marks the system prompt and the tools for the server's cache; ``off``.
        sampling_params: ``auto`` sends them to the models that take them; ``send``, ``omit``.
        structured_output: ``auto`` holds the models that can be held to a schema and asks the
            others; ``json_schema`` holds all, ``prompt`` asks all.

    Raises:
        ConfigurationError: the profile has an unknown option or a wrong value.
    """

    endpoint = ENDPOINT

    def __init__(self, profile: ProviderProfile) -> None:
        self._settings = read_settings(profile)
        self._left_out = LeftOut(self._warnings)

    def to_request(self, request: ModelRequest, api_key: str) -> HttpRequest:
        """Write a request; an empty key sends no credential.

        Without ``max_output_tokens`` the model's own most is asked for, as the API needs a number;
        at most 21,333 (8,192 of Claude Opus 4) when the answer is not streamed.

        Raises:
            InvalidRequest: it holds an image of an unknown kind, no words at all, or no JSON.
        """
        written = write_request(request, self._settings)
        self._left_out.note(request, written.warnings)
        headers = self._settings.headers(api_key, request)
        return HttpRequest("POST", self._settings.path, headers, json_body(written.body))

    def parse_reply(self, response: HttpResponse, request: ModelRequest) -> ModelReply:
        """Read an answer.

        Raises:
            ProviderError: it holds an error in spite of its status.
            MalformedResponse: it is no message.
        """
        return read_reply(response, request, self._left_out.of(request))

    def parse_error(self, response: HttpResponse, request: ModelRequest) -> ProviderError:
        """Say what went wrong; never raises."""
        return error_of(response, request)

    def reader(self, headers: Mapping[str, str], request: ModelRequest) -> StreamReader:
        """Return a reader for a streamed answer, or for one that came whole after all."""
        return open_reader(headers, request, self._left_out.of(request))

    def models_request(self, api_key: str) -> HttpRequest:
        """Write the request that lists the account's models."""
        path = f"{self._settings.beside('models')}?limit={MODELS_PER_PAGE}"
        return HttpRequest("GET", path, self._settings.headers(api_key))

    def parse_models(self, response: HttpResponse) -> tuple[str, ...]:
        """Read the names of the account's models.

        Raises:
            MalformedResponse: it is no list of models.
        """
        return models_in(response, ("data",), ("id",))

    def count_tokens_request(self, request: ModelRequest, api_key: str) -> HttpRequest:
        """Write the request that counts the tokens of ``request``'s prompt; it costs nothing.

        Raises:
            InvalidRequest: as ``to_request``.
        """
        written = write_request(request, self._settings).body
        body = {name: value for name, value in written.items() if name in COUNTED}
        headers = self._settings.headers(api_key, request) | {"accept": "application/json"}
        path = f"{self._settings.path}/count_tokens"
        return HttpRequest("POST", path, headers, json_body(body))

    def parse_count(self, response: HttpResponse) -> int:
        """Read how many tokens a prompt has.

        Raises:
            MalformedResponse: it is no count.
        """
        count = count_of(object_of(json_or_text(response.body)).get("input_tokens"))
        if count is None:
            raise MalformedResponse("the answer is no count", http_status=response.status)
        return count

    def _warnings(self, request: ModelRequest) -> tuple[str, ...]:
        return write_request(request, self._settings).warnings
