"""Writing a request: the body, and the header fields around it."""

from __future__ import annotations

import re
from operator import attrgetter
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from providers.openai_chat.capabilities import SAMPLING, effort_beside_tools, max_tokens_field
from providers.openai_chat.draft import Draft
from providers.openai_chat.encoding import json_text
from providers.openai_chat.formats import put_format
from providers.openai_chat.tools import put_tools
from providers.openai_chat.turns import put_messages
from providers.outgoing import credential
from runtime.errors import InvalidRequest
from runtime.messages import Reasoning

if TYPE_CHECKING:
    from providers.openai_chat.profile import ChatOptions
    from runtime.messages import ModelRequest

# Nobody but the account decides about the credential, nobody but the HTTP library about framing.
RESERVED_FIELDS = frozenset({
    "authorization", "api-key", "x-api-key", "proxy-authorization", "cookie", "host", "connection",
    "content-length", "content-type", "transfer-encoding", "accept",
})  # fmt: skip
FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
sampling_of = attrgetter(*SAMPLING)
UNSAID = (None,) * len(SAMPLING)
ACCEPTED = {False: "application/json", True: "text/event-stream, application/json"}


def draft_of(request: ModelRequest, options: ChatOptions) -> Draft:
    """Return the body for a request, and what of the request it leaves out."""
    draft = Draft(request, options)
    draft.body["model"] = request.model
    put_messages(draft)
    _put_limits(draft)
    _put_reasoning(draft)
    put_tools(draft)
    put_format(draft)
    _put_stream(draft)
    draft.body.update(request.extra_body)
    for name in request.extra_headers:
        if name.lower() in RESERVED_FIELDS:
            draft.leave_out(f"the header field {name.lower()}", "it is not the request's to set")
    return draft


def write_body(request: ModelRequest, options: ChatOptions) -> tuple[bytes, tuple[str, ...]]:
    """Return the body of a request, and a warning for each thing of it that is not there.

    Raises:
        InvalidRequest: something in the request is no JSON data.
    """
    try:
        draft = draft_of(request, options)
        text = json_text(draft.body)
    except (TypeError, ValueError, RecursionError) as error:
        raise _invalid(request, f"it cannot be written as JSON: {error}") from None
    return text.encode(errors="replace"), tuple(draft.warnings)


def headers_of(request: ModelRequest, options: ChatOptions, api_key: str) -> dict[str, str]:
    """Return the header fields; an empty key sends no credential.

    Raises:
        InvalidRequest: an extra field is none that HTTP can carry.
    """
    headers = {"content-type": "application/json", "accept": ACCEPTED[request.stream]}
    for name, value in request.extra_headers.items():
        if not (FIELD_NAME.fullmatch(name) and FIELD_VALUE.fullmatch(value)):
            raise _invalid(request, f"{name[:40]!r} is no header field that HTTP can carry")
        if name.lower() not in RESERVED_FIELDS:
            headers[name.lower()] = value
    return headers | credential(options.auth, api_key)


def address(path: str, options: ChatOptions, model: str = "") -> str:
    """Return a path with its query; ``{model}`` in it becomes the model's name."""
    path = path.replace("{model}", quote(model, safe=""))
    return f"{path}?{urlencode(options.query)}" if options.query else path


def _put_limits(draft: Draft) -> None:
    request, wanted = draft.request, draft.options.max_tokens_field
    field = max_tokens_field(request.model) if wanted == "auto" else wanted
    draft.put(field, request.max_output_tokens)
    sampling = sampling_of(request)
    if sampling != UNSAID:
        for name, value in zip(SAMPLING, sampling, strict=True):
            draft.put(name, value)
    if request.stop:
        draft.put("stop", list(request.stop))


def _put_reasoning(draft: Draft) -> None:
    request = draft.request
    if request.reasoning is None and not request.tools:
        return
    thinking = request.reasoning or Reasoning()
    effort = thinking.effort
    if request.tools:
        effort = effort_beside_tools(request.model, effort)
    if effort != thinking.effort:
        asked, sent = thinking.effort or "its own", effort or "left to the model"
        draft.warnings.append(
            f"reasoning_effort {asked} became {sent}: in this dialect {request.model}"
            " does not think beside tools"
        )
    draft.put("reasoning_effort", effort)
    draft.put("reasoning.budget_tokens", thinking.budget_tokens)
    draft.put("reasoning.summary", thinking.summary or None)


def _put_stream(draft: Draft) -> None:
    if not draft.request.stream:
        return
    draft.body["stream"] = True
    if draft.options.include_usage == "auto":
        draft.body["stream_options"] = {"include_usage": True}


def _invalid(request: ModelRequest, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"{request.provider}/{request.model}: the request was not sent: {why}",
        provider=request.provider,
        model=request.model,
    )
