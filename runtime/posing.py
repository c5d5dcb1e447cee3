"""From a question to the request that poses it, whoever will be asked. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.messages import ModelRequest
from runtime.shapes.tool_shape import SCHEMA_NAME, Choice

if TYPE_CHECKING:
    from runtime.agent import Limits
    from runtime.answers import AnswerType
    from runtime.catalog import RouteEntry
    from runtime.messages import Tool
    from runtime.wishes import Question

USUAL_TTL_S = 86_400.0  # of an answer that may be given again
MOST = 2**31  # tokens; more than any model generates
NOTHING_ASKED = ModelRequest(provider="", model="", messages=())
NO_CHOICE = Choice()


def request_of(
    limits: Limits, question: Question, answer: AnswerType, tools: tuple[Tool, ...] = ()
) -> ModelRequest:
    """Return what is asked, whoever will be asked it and by whatever route."""
    said = question.hints.said
    form = said.form
    choice = said.choice if tools else NO_CHOICE
    temperature = question.temperature
    own = answer.schema is not None  # the type of the answer goes before a form that data names
    schema = answer.schema if own else form.schema
    return NOTHING_ASKED.changed(
        messages=question.messages,
        system=said.system if question.system is None else question.system,
        schema=schema,
        schema_name=SCHEMA_NAME if own else form.name,
        schema_strict=None if own else form.strict,
        json_object=form.json_object and schema is None,
        tools=tools,
        tool_choice=choice.choice,
        forced_tool=choice.forced,
        max_output_tokens=min(_wished_output(question) or MOST, limits.max_output_tokens),
        temperature=said.temperature if temperature is None else temperature,
        reasoning=question.reasoning or said.reasoning,
        stop=question.stop or said.stop,
    )


def with_route(request: ModelRequest, route: RouteEntry | None, question: Question) -> ModelRequest:
    """Return a request with what a route says where the question says nothing."""
    strict = question.hints.said.structured_output
    if strict is None and route is not None and route.structured_output:
        strict = True
    if strict is not None and request.schema is not None:
        request = request.changed(schema_strict=strict)
    if route is None:
        return request
    if request.temperature is None:
        request = request.changed(temperature=route.temperature)
    if route.max_output_tokens is not None and _wished_output(question) is None:
        allowed = min(route.max_output_tokens, request.max_output_tokens or MOST)
        request = request.changed(max_output_tokens=allowed)
    return request


def _wished_output(question: Question) -> int | None:
    wished = question.max_output_tokens
    return question.hints.said.max_output_tokens if wished is None else wished


def cache_ttl_s(question: Question, route: RouteEntry | None) -> float | None:
    """Return for how long the answer to an equal question may be given again."""
    wished = question.use_cache
    if wished is None:
        wished = question.hints.said.use_cache
    if wished is None and route is not None:
        wished = route.use_cache
    if not wished:
        return None
    return (route and route.cache_ttl_s) or USUAL_TTL_S
