"""The Responses dialect: OpenAI, Azure, and by now most servers of local models.

Its parts, in reading order:

1. ``settings``: what a profile may say.  ``families``: what models take and give, as a table.
2. ``request``: the body.  ``turns``: the conversation in it.
3. ``items``: what an answer is made of.  ``reply``: a whole answer.  ``failures``: errors in it.
4. ``stream``: an answer in pieces.  ``events``: the pieces, as a table.  ``answer``: putting them
   together.  ``json_answer``: where a server does not stream although it was asked to.
5. ``models``: the list of models.

Nothing is stored at the server unless a profile says so: a turn's encrypted reasoning travels in
the reply's state, and is sent again with the next request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from providers.adapter import HttpRequest
from providers.classification import classified, report_of
from providers.downgrade import is_unsupported
from providers.json_values import json_or_text
from providers.left_out import LeftOut
from providers.openai_responses.models import read_models
from providers.openai_responses.reply import ENDPOINT, read_reply
from providers.openai_responses.request import write_body
from providers.openai_responses.settings import settings_of
from providers.openai_responses.stream import open_reader
from providers.outgoing import JSON_TYPE, credential, headers_with
from runtime.errors import EndpointUnsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from providers.adapter import HttpResponse, StreamReader
    from runtime.errors import ProviderError
    from runtime.messages import ModelReply, ModelRequest, ProviderProfile

__all__ = ["OpenAIResponses"]

# The statuses by which the classification knows an API that is missing, and a request at fault.
MEANING = {True: 501, False: 400}
ACCEPTED = {True: "text/event-stream", False: JSON_TYPE}


class OpenAIResponses:
    """The adapter. One per account: its options are the account's.

    Attributes:
        endpoint: ``responses``.

    Raises:
        ConfigurationError: the profile has an unknown option or a wrong value.
    """

    endpoint = ENDPOINT

    def __init__(self, profile: ProviderProfile) -> None:
        self._settings = settings_of(profile)
        self._left_out = LeftOut(self._warnings)

    def to_request(self, request: ModelRequest, api_key: str) -> HttpRequest:
        """Write a request; an empty key sends no credential.

        Raises:
            InvalidRequest: something in it is no JSON data.
        """
        own = {"content-type": JSON_TYPE, "accept": ACCEPTED[request.stream]}
        headers = headers_with(own | credential(self._settings.auth, api_key), request)
        body, warnings = write_body(request, self._settings)
        self._left_out.note(request, warnings)
        return HttpRequest("POST", self._address(self._settings.path), headers, body)

    def parse_reply(self, response: HttpResponse, request: ModelRequest) -> ModelReply:
        """Read an answer.

        Raises:
            EndpointUnsupported: the server does not know this API, in spite of its status.
            ProviderError: it holds an error in spite of its status.
            MalformedResponse: it is no response object.
        """
        return read_reply(response, request, self._left_out.of(request))

    def parse_error(self, response: HttpResponse, request: ModelRequest) -> ProviderError:
        """Say what went wrong; never raises.

        What is missing is the API only where ``is_unsupported`` says so: a 404 may also mean an
        item of an earlier answer.
        """
        report = report_of(response.status, json_or_text(response.body))
        error = classified(report, response, request)
        unsupported = is_unsupported(response)
        if unsupported == isinstance(error, EndpointUnsupported):
            return error
        return classified(report._replace(status=MEANING[unsupported]), response, request)

    def reader(self, headers: Mapping[str, str], request: ModelRequest) -> StreamReader:
        """Return a reader for a streamed answer of status 200."""
        return open_reader(headers, request, self._left_out.of(request))

    def models_request(self, api_key: str) -> HttpRequest:
        """Write the request that lists the account's models."""
        headers = {"accept": JSON_TYPE} | credential(self._settings.auth, api_key)
        return HttpRequest("GET", self._address(self._settings.models_path), headers)

    def parse_models(self, response: HttpResponse) -> tuple[str, ...]:
        """Read the names of the account's models.

        Raises:
            MalformedResponse: it is no list of models.
        """
        return read_models(response)

    def _address(self, path: str) -> str:
        query = urlencode(self._settings.query)
        return f"{path}?{query}" if query else path

    def _warnings(self, request: ModelRequest) -> tuple[str, ...]:
        return write_body(request, self._settings)[1]
