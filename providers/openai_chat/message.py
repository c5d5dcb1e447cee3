"""Reading one assistant's message: its text, its thoughts, its refusal and its tool calls.

Tolerant of everything that is missing, new or oddly shaped: what cannot be read is not there.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from providers.json_values import arguments_of, list_of, mended, object_of, text_of
from runtime.messages import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterator

PartKind = Literal["text", "reasoning", "refusal"]

# The kind of each type of content part, and the field that holds its words.
PARTS: dict[str, tuple[PartKind, str]] = {
    "text": ("text", "text"),
    "output_text": ("text", "text"),
    "thinking": ("reasoning", "thinking"),
    "refusal": ("refusal", "refusal"),
}
MADE_UP_LENGTH = 24
TOO_DEEP = "nested too deep"


class Piece(NamedTuple):
    """Some words of a message.

    Attributes:
        kind: what they are.
        text: the words; never empty.
    """

    kind: PartKind
    text: str


def pieces_of(message: dict[str, Any], reasoning_fields: tuple[str, ...]) -> Iterator[Piece]:
    """Yield the words of a message, in order.

    Args:
        message: the assistant's.
        reasoning_fields: the fields that may hold thoughts.
    """
    spoken: list[tuple[PartKind, str]] = [
        ("reasoning", thoughts_of(message, reasoning_fields)[1]),
        ("refusal", text_of(message.get("refusal"))),
    ]
    spoken += map(part_of, parts_of(message.get("content")))
    for kind, text in spoken:
        if text:
            yield Piece(kind, mended(text))


def thoughts_of(message: dict[str, Any], reasoning_fields: tuple[str, ...]) -> tuple[str, str]:
    """Return the field of a message or a delta that holds thoughts, and the thoughts.

    Servers that have two such fields write the same into both, so only the first counts.
    """
    for field in reasoning_fields:
        if thoughts := text_of(message.get(field)):
            return field, thoughts
    return "", ""


def parts_of(content: Any) -> list[Any]:
    """Return the parts of a content, which is text, a list of parts, or nothing."""
    return [content] if isinstance(content, str) else list_of(content)


def part_of(part: Any) -> tuple[PartKind, str]:
    """Return what kind of words a content part holds, and the words; unknown parts hold none."""
    if isinstance(part, str):
        return "text", part
    kind, field = PARTS.get(text_of(object_of(part).get("type", "text")), ("text", ""))
    words = object_of(part).get(field)
    return kind, "".join(_inner_text(inner) for inner in parts_of(words))


def _inner_text(inner: Any) -> str:
    """Return the words of a part inside a part, as Mistral has them in its thoughts."""
    return inner if isinstance(inner, str) else text_of(object_of(inner).get("text"))


def tool_calls_of(message: dict[str, Any], response_id: str) -> tuple[ToolCall, ...]:
    """Return the calls that are ours to make; tools that the server runs itself are passed over."""
    calls = [object_of(call) for call in list_of(message.get("tool_calls"))]
    ours = [call for call in calls if object_of(call.get("function")) or custom_in(call)]
    if not ours and isinstance(message.get("function_call"), dict):
        ours = [{"function": message["function_call"]}]  # as OpenAI had it until 2023
    return tuple(_tool_call(call, index, response_id) for index, call in enumerate(ours))


def custom_in(call: dict[str, Any]) -> dict[str, Any]:
    """Return what a call, or a piece of one, says about a tool that takes free text; else none."""
    return object_of(call.get("custom"))


def call_id_of(call: dict[str, Any], index: int, name: str, response_id: str) -> str:
    """Return the id of a call; some servers give none, but its result has to name one.

    A made-up one differs from call to call and from answer to answer, and is the same each time
    the same answer is read. OpenAI takes 40 characters at most.
    """
    if given := text_of(call.get("id")):
        return given
    seed = "\0".join((response_id, str(index), name))
    return f"call_{hashlib.sha256(seed.encode(errors='replace')).hexdigest()[:MADE_UP_LENGTH]}"


def raw_arguments(arguments: Any) -> str:
    """Return the arguments as text: most servers send text, some a JSON object."""
    if not isinstance(arguments, dict):
        return text_of(arguments)
    try:
        return json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return TOO_DEEP


def _tool_call(call: dict[str, Any], index: int, response_id: str) -> ToolCall:
    custom = custom_in(call)
    function = custom or object_of(call.get("function"))
    name = text_of(function.get("name"))
    raw = mended(raw_arguments(function.get("input" if custom else "arguments")))
    arguments = None if custom else arguments_of(raw)
    return ToolCall(call_id_of(call, index, name, response_id), name, arguments, raw)
