"""The Chat Completions dialect, which most servers speak: OpenAI, Azure, vLLM, llama.cpp, Ollama...

Where they differ, a profile's options say so, because no answer of theirs does. The defaults suit
OpenAI itself. ``{model}`` in ``path`` is replaced, as Azure's dated API has the model in its path.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from providers.adapter import HttpRequest
from providers.http_backend import HttpBackend
from providers.openai_errors import error_of
from providers.openai_reply import read_reply
from providers.options import Option, one_of, read_options, text, texts
from providers.strict_schema import NotEligible, strict_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from providers.adapter import HttpResponse
    from runtime.errors import ProviderError
    from runtime.messages import ModelReply, ModelRequest, ProviderProfile

OPTIONS: Mapping[str, Option] = {
    "structured_output": one_of("json_schema", "json_object", "prompt"),
    "strict_schema": one_of("auto", "never"),
    "max_tokens_field": one_of("auto", "max_tokens", "max_completion_tokens"),
    "sampling_params": one_of("auto", "send", "omit"),
    "system_role": one_of("system", "developer"),
    "auth": one_of("bearer", "api-key"),
    "path": text("/chat/completions"),
    "query": texts(),
}

# OpenAI's reasoning models refuse max_tokens, because it never counted hidden reasoning, and any
# temperature but their own. Other servers mostly know max_tokens only. Neither can be asked for it.
REASONING_MODEL = re.compile(r"(?:o[1-9]|gpt-[5-9])(?=[.:-]|$)(?!.*-chat)")
MAX_TOKENS_FIELD = {True: "max_completion_tokens", False: "max_tokens"}
CREDENTIAL_FIELD = {"bearer": ("authorization", "Bearer {}"), "api-key": ("api-key", "{}")}
NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")
SCHEMA_NAME_LENGTH = 64
SCHEMA_PROMPT = (
    "Answer with one JSON value, without any other text, that satisfies this JSON Schema:\n"
)


class OpenAIChat:
    """The adapter. One per account: its options are the account's.

    Raises:
        ConfigurationError: the profile has an unknown option or a wrong value.
    """

    def __init__(self, profile: ProviderProfile) -> None:
        self._options = read_options(profile, OPTIONS)

    def to_request(self, request: ModelRequest, api_key: str) -> HttpRequest:
        """Write a request; an empty key sends no credential."""
        headers = {"content-type": "application/json", "accept": "application/json"}
        if api_key:
            field, form = CREDENTIAL_FIELD[self._options["auth"]]
            headers[field] = form.format(api_key)
        payload = json.dumps(self._payload(request), ensure_ascii=False, separators=(",", ":"))
        return HttpRequest("POST", self._path(request), headers, payload.encode(errors="replace"))

    def parse_reply(self, response: HttpResponse, request: ModelRequest) -> ModelReply:
        """Read an answer.

        Raises:
            ProviderError: it holds an error in spite of its status.
            MalformedResponse: it is no chat completion.
        """
        fenced = request.schema is not None and self._options["structured_output"] != "json_schema"
        return read_reply(response, request, fenced=fenced, warnings=self._warnings(request))

    def parse_error(self, response: HttpResponse, request: ModelRequest) -> ProviderError:
        """Say what went wrong; never raises."""
        return error_of(response, request)

    def _path(self, request: ModelRequest) -> str:
        path = self._options["path"].replace("{model}", quote(request.model, safe=""))
        query = urlencode(self._options["query"])
        return f"{path}?{query}" if query else str(path)

    def _payload(self, request: ModelRequest) -> dict[str, Any]:
        payload: dict[str, Any] = {"model": request.model, "messages": self._messages(request)}
        payload[self._max_tokens_field(request)] = request.max_output_tokens
        if request.temperature is not None and self._sends_temperature(request):
            payload["temperature"] = request.temperature
        if request.schema is not None:
            payload |= self._response_format(request, request.schema)
        return payload

    def _messages(self, request: ModelRequest) -> list[dict[str, str]]:
        parts = [request.system] if request.system else []
        if request.schema is not None and self._options["structured_output"] != "json_schema":
            parts.append(SCHEMA_PROMPT + json.dumps(request.schema, ensure_ascii=False))
        turns = [{"role": turn.role, "content": turn.content} for turn in request.messages]
        if not parts:
            return turns
        return [{"role": self._options["system_role"], "content": "\n\n".join(parts)}, *turns]

    def _max_tokens_field(self, request: ModelRequest) -> str:
        field = self._options["max_tokens_field"]
        return str(field) if field != "auto" else MAX_TOKENS_FIELD[_reasons(request)]

    def _sends_temperature(self, request: ModelRequest) -> bool:
        choice = self._options["sampling_params"]
        return choice == "send" or (choice == "auto" and not _reasons(request))

    def _response_format(self, request: ModelRequest, schema: Mapping[str, Any]) -> dict[str, Any]:
        form = self._options["structured_output"]
        if form == "prompt":
            return {}
        if form == "json_object":
            return {"response_format": {"type": form}}
        strict, _ = self._strict(schema)
        name = NOT_IN_A_NAME.sub("_", request.schema_name)[:SCHEMA_NAME_LENGTH] or "answer"
        sent = {"name": name, "schema": strict or schema, "strict": strict is not None}
        return {"response_format": {"type": form, form: sent}}

    def _strict(self, schema: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str | None]:
        """Return the schema for strict mode, or None and why there is none."""
        if self._options["strict_schema"] == "never":
            return None, None
        try:
            return strict_schema(schema), None
        except NotEligible as reason:
            return None, f"the schema was sent without strict: {reason}"

    def _warnings(self, request: ModelRequest) -> tuple[str, ...]:
        """Say what of the request was not sent as it was; the same for every answer to it."""
        warnings = []
        if request.temperature is not None and not self._sends_temperature(request):
            warnings.append(f"temperature was not sent: {request.model} does not take it")
        if request.schema is not None and self._options["structured_output"] == "json_schema":
            _, reason = self._strict(request.schema)
            warnings += [reason] if reason else []
        return tuple(warnings)


def _reasons(request: ModelRequest) -> bool:
    return REASONING_MODEL.match(request.model) is not None


def openai_chat_backend(profile: ProviderProfile) -> HttpBackend:
    """Return the backend of an account that speaks this dialect.

    Raises:
        ConfigurationError: an option, the base URL or the key is wrong.
    """
    return HttpBackend(profile, OpenAIChat(profile))
