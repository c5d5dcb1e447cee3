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
NOTHING_SAID = Usage()


def fingerprint(request: ModelRequest) -> dict[str, Any]:
    """Return what a person wants to know of a request, as JSON data, without what is unsaid."""
    asked = {
        "messages": [_turn(message) for message in request.messages],
        "system": request.system,
        "schema": request.schema,
        "max_output_tokens": request.max_output_tokens,
        "temperature": request.temperature,
    }
    usual = {
        "tools": [tool.name for tool in request.tools],
        "tool_choice": request.forced_tool or request.tool_choice,
        "reasoning": request.reasoning and dataclasses.asdict(request.reasoning),
        "stop": list(request.stop),
        "json_object": request.json_object,
    }
    said = {name: value for name, value in asked.items() if value is not None}
    return said | {name: value for name, value in usual.items() if value}


def request_digest(request: ModelRequest, said: dict[str, Any]) -> str:
    """Return the SHA-256 of a request, 64 hex digits.

    Args:
        request: the request.
        said: its fingerprint.
    """
    more = {
        "model": f"{request.provider}/{request.model}",
        "account": request.account,
        "tools": [[tool.name, tool.description, tool.parameters] for tool in request.tools],
        "states": [m.state.data for m in request.messages if m.state is not None],
        "strict": request.schema_strict,
        "parallel": request.parallel_tool_calls,
        "body": request.extra_body,
        "headers": request.extra_headers,
    }
    sampling = {name: getattr(request, name) for name in _SAMPLING}
    return digest_of(said | sampling | {k: v for k, v in more.items() if v or v is False})


def reply_digest(reply: ModelReply) -> str:
    """Return the SHA-256 of what a model answered, 64 hex digits."""
    return digest_of([reply.text, reply.refusal, calls_of(reply)])


def calls_of(reply: ModelReply) -> list[list[str]]:
    """Return the tools that a reply calls: id, name, arguments."""
    return [[call.id, call.name, call.arguments_raw] for call in reply.tool_calls]


def tokens_of(usage: Usage | None) -> dict[str, int]:
    """Return the counts of a call's tokens, without those that nobody said."""
    counts = NOTHING_SAID if usage is None else usage
    said = ((name, getattr(counts, name)) for name in TOKEN_COUNTS)
    return {name: count for name, count in said if count is not None}


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
