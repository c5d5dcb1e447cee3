"""Models that call skills: ask, run what the answer calls, hand back what came of it, ask again.

What a model gets wrong goes back to it as the tool's error, because it can do better and a crash
cannot: a tool that is not there, arguments that are no JSON or do not fit, a skill that fails, and
that somebody who was asked has denied this very call: it may have another way. What
only a person can put right ends the call: a policy that forbids the skill, a run that is over.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from runtime.engines import first_leaf
from runtime.errors import (
    BudgetExceeded,
    Cancelled,
    Denied,
    InvalidOutput,
    PolicyDenied,
)
from runtime.messages import Message, Tool
from runtime.signature import to_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from runtime.agent import Skill
    from runtime.messages import ModelReply, ModelRequest, ToolCall

NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")
LONGEST_NAME = 64  # of a tool, at every vendor
LONGEST_RESULT = 1_000_000  # characters of a tool's answer; more would not fit any model
MOST_CALLS = 128  # of one reply; what is beyond them is told so
AT_ONCE = 16  # calls of one reply that run side by side
WRAPPED = "input"  # the only argument of a skill that does not take an object
ENDS_THE_CALL = (PolicyDenied, BudgetExceeded, Cancelled)


class Offer(NamedTuple):
    """A skill as a model sees it.

    Attributes:
        skill: the skill.
        tool: its name, description and schema for the model.
        wrapped: whether its input stands in a field of its own, as it is no object.
    """

    skill: Skill
    tool: Tool
    wrapped: bool


def offered(
    skills: Sequence[Skill], named: Sequence[Tool], known: Iterable[Skill]
) -> tuple[dict[str, Offer], tuple[Tool, ...]]:
    """Return what a model may call: what can be run, by its name there, and what cannot.

    Args:
        skills: what code offers.
        named: what data names.
        known: the skills that data may name.

    Raises:
        ValueError: two skills would have the same name.
    """
    offers = _by_name(skills) if skills else {}
    if not named:
        return offers, ()
    offers |= _named({tool.name for tool in named}, known)
    return offers, tuple(tool for tool in named if tool.name not in offers)


def _by_name(skills: Sequence[Skill]) -> dict[str, Offer]:
    offers = [_offer(skill) for skill in skills]
    by_name = {offer.tool.name: offer for offer in offers}
    if len(by_name) < len(offers):
        raise ValueError(f"two tools have the same name: {[one.tool.name for one in offers]}")
    return by_name


def _named(names: Collection[str], skills: Iterable[Skill]) -> dict[str, Offer]:
    """Return those skills as tools that have one of these names, as a model calls them."""
    offers = map(_offer, skills)
    return {offer.tool.name: offer for offer in offers if offer.tool.name in names}


@lru_cache(maxsize=1_024)
def _offer(skill: Skill) -> Offer:
    name = NOT_IN_A_NAME.sub("_", skill.name)[:LONGEST_NAME]
    schema = skill.schema
    wrapped = schema.get("type") != "object" and "$ref" not in schema
    if wrapped:
        definitions = {"$defs": schema.pop("$defs")} if "$defs" in schema else {}
        properties = {WRAPPED: schema}
        schema = {"type": "object", "properties": properties, "required": [WRAPPED], **definitions}
    return Offer(skill, Tool(name, skill.description, schema), wrapped)


async def converse(
    request: ModelRequest,
    offers: Mapping[str, Offer],
    *,
    others: tuple[Tool, ...] = (),
    ask: Callable[[ModelRequest], Awaitable[ModelReply]],
    use: Callable[[Skill, Any, str], Awaitable[Any]],
    note: Callable[[ToolCall, str], None],
    turns: int,
) -> ModelReply:
    """Ask until a reply calls no tool of ours, and return it.

    Args:
        request: the question; the tools are added to it.
        offers: what may be called.
        others: what may be called that we cannot run; a reply that calls one is the caller's.
        ask: asks a model.
        use: runs a skill, checked, spanned and journalled; told the model's id of the call.
        note: notes a call that reaches no skill, and why.
        turns: the most replies that may call tools.

    Raises:
        InvalidOutput: after ``turns`` replies the model still calls tools.
        PolicyDenied: the agent may not use a skill that was offered.
        ProviderError: a model call failed.
    """
    ours = tuple(offer.tool for offer in offers.values())
    request = request.changed(tools=(*ours, *others))
    theirs = {tool.name for tool in others}
    for _ in range(turns + 1):
        reply = await ask(request)
        if not reply.tool_calls or any(call.name in theirs for call in reply.tool_calls):
            return reply
        results = await _use_all(reply.tool_calls, offers, use, note)
        said = Message("assistant", reply.text, tool_calls=reply.tool_calls, state=reply.state)
        # Who must call a tool has done so; to insist again would never end.
        request = request.changed(
            messages=(*request.messages, said, *results),
            tool_choice=None if request.tool_choice == "required" else request.tool_choice,
            forced_tool=None,
        )
    raise InvalidOutput(
        f"{reply.provider}/{reply.model} still calls tools after {turns} turns;"
        " give it more with max_turns, or a clearer task"
    )


async def _use_all(
    calls: tuple[ToolCall, ...],
    offers: Mapping[str, Offer],
    use: Callable[[Skill, Any, str], Awaitable[Any]],
    note: Callable[[ToolCall, str], None],
) -> list[Message]:
    """Run the calls of one reply side by side; the results are in their order."""

    async def work(number: int, call: ToolCall) -> Message:
        why = _fault_of(number, call, offers)
        if why is None:
            return await _use(call, offers[call.name], use)
        note(call, why)
        return _failed(call, why)

    if len(calls) == 1:  # as most are, which then costs no task
        return [await work(0, calls[0])]
    results: dict[int, Message] = {}
    places = anyio.CapacityLimiter(AT_ONCE)

    async def work_among_others(number: int, call: ToolCall) -> None:
        async with places:
            results[number] = await work(number, call)

    try:
        async with anyio.create_task_group() as tasks:
            for number, call in enumerate(calls):
                tasks.start_soon(work_among_others, number, call)
    except ExceptionGroup as group:
        raise first_leaf(group) from None
    return [results[number] for number in range(len(calls))]


def _fault_of(number: int, call: ToolCall, offers: Mapping[str, Offer]) -> str | None:
    """Return why a call cannot reach a skill; None when it can."""
    if number >= MOST_CALLS:
        return f"at most {MOST_CALLS} tools are called at once; call it again"
    if call.name not in offers:
        return f"there is no tool {call.name!r}; there are {', '.join(offers)}"
    return "the arguments are no JSON object" if call.arguments is None else None


async def _use(
    call: ToolCall, offer: Offer, use: Callable[[Skill, Any, str], Awaitable[Any]]
) -> Message:
    arguments = call.arguments or {}
    payload = arguments.get(WRAPPED) if offer.wrapped else dict(arguments)
    try:
        value = await use(offer.skill, payload, call.id)
    except Denied as denied:
        return _failed(call, str(denied))
    except ENDS_THE_CALL:
        raise
    except Exception as error:  # noqa: BLE001  # whatever a skill raises is the model's to know
        return _failed(call, f"{type(error).__name__}: {error}")
    return Message("tool", _shown(value), call_id=call.id, name=call.name)


def _failed(call: ToolCall, why: str) -> Message:
    return Message("tool", why[:LONGEST_RESULT], call_id=call.id, name=call.name, is_error=True)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(to_json(value), ensure_ascii=False)
    return text[:LONGEST_RESULT]
