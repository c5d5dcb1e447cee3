"""A model request and its reply as JSON data: what two equal ones have in common.

The digest of a request is its identity: in the journal, in the audit trail and in the cache of
answers. Everything that the answer depends on is in it, and nothing else: no deadline, no run.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from runtime.identity import digest_of
from runtime.messages import TOKEN_COUNTS, Image, Usage

if TYPE_CHECKING:
    from runtime.messages import Message, ModelReply, ModelRequest

_SAMPLING = ("top_p", "top_k", "seed", "presence_penalty", "frequency_penalty")
_ASKED = ("system", "schema", "max_output_tokens", "temperature")
NOTHING_SAID = Usage()


def fingerprint(request: ModelRequest) -> dict[str, Any]:
    """Return what a person wants to know of a request, as JSON data, without what is unsaid."""
    said: dict[str, Any] = {"messages": [_turn(message) for message in request.messages]}
    for name in _ASKED:
        if (value := getattr(request, name)) is not None:
            said[name] = value
    if request.tools:
        said["tools"] = [tool.name for tool in request.tools]
    if choice := request.forced_tool or request.tool_choice:
        said["tool_choice"] = choice
    if request.reasoning is not None:
        said["reasoning"] = dataclasses.asdict(request.reasoning)
    if request.stop:
        said["stop"] = list(request.stop)
    if request.json_object:
        said["json_object"] = True
    return said


def request_digest(request: ModelRequest, said: dict[str, Any]) -> str:
    """Return the SHA-256 of a request, 64 hex digits.

    Args:
        request: the request.
        said: its fingerprint.
    """
    content = said | {name: getattr(request, name) for name in _SAMPLING}
    content["model"] = f"{request.provider}/{request.model}"
    if request.account:
        content["account"] = request.account
    if request.tools:
        content["tools"] = [
            [tool.name, tool.description, tool.parameters] for tool in request.tools
        ]
    if states := [m.state.data for m in request.messages if m.state is not None]:
        content["states"] = states
    if request.schema_strict is not None:
        content["strict"] = request.schema_strict
    if request.parallel_tool_calls is not None:
        content["parallel"] = request.parallel_tool_calls
    if request.extra_body:
        content["body"] = request.extra_body
    if request.extra_headers:
        content["headers"] = request.extra_headers
    return digest_of(content)


def reply_digest(reply: ModelReply) -> str:
    """Return the SHA-256 of what a model answered, 64 hex digits."""
    return digest_of([reply.text, reply.refusal, calls_of(reply)])


def calls_of(reply: ModelReply) -> list[list[str]]:
    """Return the tools that a reply calls: id, name, arguments."""
    return [[call.id, call.name, call.arguments_raw] for call in reply.tool_calls]


def tokens_of(usage: Usage | None) -> dict[str, int]:
    """Return the counts of a call's tokens, without those that nobody said."""
    counts = NOTHING_SAID if usage is None else usage
    return {name: count for name in TOKEN_COUNTS if (count := getattr(counts, name)) is not None}


def _turn(message: Message) -> list[Any]:
    content: Any = message.content
    if not isinstance(content, str):
        content = [{"image": part.url} if isinstance(part, Image) else part for part in content]
    turn: list[Any] = [message.role, content]
    if message.tool_calls:
        turn.append([[call.name, call.arguments_raw] for call in message.tool_calls])
    if message.call_id:
        turn.append(message.call_id)
    return turn
