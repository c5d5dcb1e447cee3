"""Writing the body of a request.

Each part of the body is written by one function, which also says what it had to leave out; the
warnings of a reply are those of its request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from providers.openai_responses.families import family_of
from providers.openai_responses.turns import input_of, turn_warnings
from providers.outgoing import header_warnings, json_body, left_out
from providers.strict_schema import NotEligible, strict_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from providers.openai_responses.settings import Settings
    from providers.outgoing import Check
    from runtime.messages import ModelRequest, Tool

SAMPLING = ("temperature", "top_p")
MERGED = ("text", "reasoning")
ENCRYPTED_REASONING = "reasoning.encrypted_content"
NO_PARAMETERS = {"type": "object", "properties": {}}
NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")
SCHEMA_NAME_LENGTH = 64


class Part(NamedTuple):
    """A part of the body, and what was left out of it."""

    fields: Mapping[str, Any]
    warnings: tuple[str, ...] = ()


def write_body(request: ModelRequest, settings: Settings) -> tuple[bytes, tuple[str, ...]]:
    """Return the body of a request, and what of the request it does not say.

    Raises:
        InvalidRequest: something in the request is no JSON.
    """
    payload: dict[str, Any] = {"model": request.model, "input": input_of(request)}
    warnings: list[str] = []
    for write in WRITERS:
        part = write(request, settings)
        payload |= part.fields
        warnings += part.warnings
    for name, value in request.extra_body.items():
        payload[name] = _merged(payload.get(name), value) if name in MERGED else value
    return json_body(payload), (*warnings, *turn_warnings(request), *header_warnings(request))


def _merged(ours: Any, theirs: Any) -> Any:
    """Join two objects, so that adding a verbosity does not take the schema away."""
    both = isinstance(ours, Mapping) and isinstance(theirs, Mapping)
    return {**ours, **theirs} if both else theirs


def _frame(request: ModelRequest, settings: Settings) -> Part:
    fields = {
        "instructions": request.system or None,
        "max_output_tokens": request.max_output_tokens,
        "stream": request.stream or None,
        "store": settings.store,
    }
    return Part({name: value for name, value in fields.items() if value is not None})


def _tools(request: ModelRequest, _: Settings) -> Part:
    choice: Any = request.tool_choice
    if request.forced_tool:
        choice = {"type": "function", "name": request.forced_tool}
    fields = {
        "tools": [_tool(tool) for tool in request.tools] or None,
        "tool_choice": choice,
        "parallel_tool_calls": request.parallel_tool_calls,
    }
    return Part({name: value for name, value in fields.items() if value is not None})


def _tool(tool: Tool) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    return {
        "type": "function",
        "name": tool.name,
        **described,
        "parameters": tool.parameters or NO_PARAMETERS,
        "strict": tool.strict,
    }


def _sampling(request: ModelRequest, settings: Settings) -> Part:
    wanted = {name: value for name in SAMPLING if (value := getattr(request, name)) is not None}
    if not wanted or _samples(request, settings):
        return Part(wanted)
    return Part({}, (f"not sent, as {request.model} does not take it: {', '.join(wanted)}",))


def _samples(request: ModelRequest, settings: Settings) -> bool:
    if settings.sampling_params != "auto":
        return settings.sampling_params == "send"
    effort = request.reasoning.effort if request.reasoning else None
    return family_of(request.model).samples(effort)


def _without_field(request: ModelRequest, _: Settings) -> Part:
    return Part({}, left_out(request, WITHOUT_FIELD))


def _thinking_budget(request: ModelRequest) -> bool:
    return request.reasoning is not None and request.reasoning.budget_tokens is not None


def _reasoning(request: ModelRequest, _: Settings) -> Part:
    family, wanted = family_of(request.model), request.reasoning
    effort = wanted.effort if wanted else None
    summary = "auto" if wanted and wanted.summary else None
    asked = {"effort": effort, "summary": summary}
    asked = {name: value for name, value in asked.items() if value is not None}
    if asked and not family.steerable:
        return Part({}, (f"not sent, as {request.model} does not take it: reasoning",))
    fields: dict[str, Any] = {"reasoning": asked} if asked else {}
    # Without it the next turn could not be told what this one thought, as nothing is stored.
    if family.encrypts or effort not in (None, "none"):
        fields["include"] = [ENCRYPTED_REASONING]
    return Part(fields)


def _text(request: ModelRequest, settings: Settings) -> Part:
    if request.schema is None:
        return Part({"text": {"format": {"type": "json_object"}}} if request.json_object else {})
    schema, strict, warnings = _strictness(request, request.schema, settings)
    name = NOT_IN_A_NAME.sub("_", request.schema_name)[:SCHEMA_NAME_LENGTH] or "answer"
    form = {"type": "json_schema", "name": name, "schema": schema, "strict": strict}
    return Part({"text": {"format": form}}, warnings)


def _strictness(
    request: ModelRequest, schema: Mapping[str, Any], settings: Settings
) -> tuple[Mapping[str, Any], bool, tuple[str, ...]]:
    """Return the schema to send, whether for strict mode, and what to say about that.

    Somebody who insists on strict gets the schema sent untouched: it was written for that.
    """
    wanted = request.schema_strict
    if settings.strict_schema == "never":
        refusal = "the schema was sent without strict: the account's options say so"
        return schema, False, (refusal,) if wanted else ()
    if wanted is not None:
        return schema, wanted, ()
    try:
        return strict_schema(schema), True, ()
    except NotEligible as reason:
        return schema, False, (f"the schema was sent without strict: {reason}",)


WITHOUT_FIELD: Mapping[str, Check] = {
    "top_k": lambda request: request.top_k is not None,
    "seed": lambda request: request.seed is not None,
    "presence_penalty": lambda request: request.presence_penalty is not None,
    "frequency_penalty": lambda request: request.frequency_penalty is not None,
    "stop": lambda request: request.stop,
    "reasoning.budget_tokens": _thinking_budget,
}
WRITERS: tuple[Callable[[ModelRequest, Settings], Part], ...] = (
    _frame,
    _tools,
    _sampling,
    _reasoning,
    _text,
    _without_field,
)
