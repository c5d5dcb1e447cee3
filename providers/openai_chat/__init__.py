"""The Chat Completions dialect, which most servers speak: OpenAI, Azure, vLLM, llama.cpp, Ollama...

Its parts, in reading order:

1. ``profile``: the options of an account;  ``capabilities``: which models refuse which fields.
2. ``request``: the body and its header fields, from a ``draft`` that remembers what it leaves out.
   ``turns``, ``tools`` and ``formats`` write its larger parts, ``encoding`` the JSON.
3. ``reply``: a whole answer;  ``message``: the words and tool calls in it;  ``state``: what the
   server wants to see again;  ``models``: the list of models.
4. ``stream``: an answer in pieces;  ``assembly`` and ``calls`` put it together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.adapter import HttpRequest
from providers.classification import error_of
from providers.left_out import LeftOut
from providers.openai_chat.formats import is_prompted
from providers.openai_chat.models import read_models
from providers.openai_chat.profile import chat_options
from providers.openai_chat.reply import ENDPOINT, Reading, read_body
from providers.openai_chat.request import address, draft_of, headers_of, write_body
from providers.openai_chat.stream import ChatStreamReader
from providers.outgoing import credential

if TYPE_CHECKING:
    from collections.abc import Mapping

    from providers.adapter import HttpResponse
    from runtime.errors import ProviderError
    from runtime.messages import ModelReply, ModelRequest, ProviderProfile

__all__ = ["OpenAIChat"]


class OpenAIChat:
    """The adapter. One per account: its options are the account's.

    Attributes:
        endpoint: ``chat``.

    Raises:
        ConfigurationError: the profile has an unknown option or a wrong value.
    """

    endpoint = ENDPOINT

    def __init__(self, profile: ProviderProfile) -> None:
        self._options = chat_options(profile)
        self._left_out = LeftOut(self._warnings)

    def to_request(self, request: ModelRequest, api_key: str) -> HttpRequest:
        """Write a request; an empty key sends no credential.

        Raises:
            InvalidRequest: something in it is no JSON data, or no header field.
        """
        path = address(self._options.path, self._options, request.model)
        headers = headers_of(request, self._options, api_key)
        body, warnings = write_body(request, self._options)
        self._left_out.note(request, warnings)
        return HttpRequest("POST", path, headers, body)

    def parse_reply(self, response: HttpResponse, request: ModelRequest) -> ModelReply:
        """Read an answer.

        Raises:
            ProviderError: it holds an error in spite of its status.
            MalformedResponse: it is no chat completion.
        """
        return read_body(response, self._reading(request))

    def parse_error(self, response: HttpResponse, request: ModelRequest) -> ProviderError:
        """Say what went wrong; never raises."""
        return error_of(response, request)

    def reader(self, headers: Mapping[str, str], request: ModelRequest) -> ChatStreamReader:
        """Return a reader for a streamed answer of status 200."""
        return ChatStreamReader(headers, self._reading(request))

    def models_request(self, api_key: str) -> HttpRequest:
        """Write the request that lists the account's models."""
        path = address(self._options.models_path, self._options)
        return HttpRequest(
            "GET", path, {"accept": "application/json"} | credential(self._options.auth, api_key)
        )

    def parse_models(self, response: HttpResponse) -> tuple[str, ...]:
        """Read the names of the account's models.

        Raises:
            MalformedResponse: it is no list of models.
        """
        return read_models(response)

    def _reading(self, request: ModelRequest) -> Reading:
        return Reading(
            request=request,
            reasoning_fields=self._options.reasoning_fields,
            fenced=is_prompted(request, self._options),
            warnings=self._left_out.of(request),
        )

    def _warnings(self, request: ModelRequest) -> tuple[str, ...]:
        return tuple(draft_of(request, self._options).warnings)
