"""What was asked and answered, in the message shape of the GenAI conventions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel import conventions as names
from runtime.messages import Image

if TYPE_CHECKING:
    from otel.attributes import Attributes
    from otel.contents import Contents
    from runtime.messages import Message, ModelReply, ModelRequest, ToolCall

FINISH_REASONS = {"tool_calls": "tool_call", "refusal": "content_filter"}  # where they differ


def input_of(contents: Contents, request: ModelRequest) -> Attributes:
    """Return what a call is given."""
    said: Attributes = {names.INPUT_MESSAGES: contents.messages(_turns(request.messages))}
    if request.system:
        said[names.SYSTEM_INSTRUCTIONS] = contents.parts([_text(request.system)])
    return said


def output_of(contents: Contents, reply: ModelReply) -> Attributes:
    """Return what it answers."""
    parts = [{"type": "reasoning", "content": reply.reasoning}] if reply.reasoning else []
    parts += [_text(text) for text in (reply.text, reply.refusal) if text]
    parts += [_called(call) for call in reply.tool_calls]
    reason = FINISH_REASONS.get(reply.finish_reason, reply.finish_reason)
    turn = {"role": "assistant", "parts": parts, "finish_reason": reason}
    return {names.OUTPUT_MESSAGES: contents.messages([turn])}


def _turns(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    return [{"role": message.role, "parts": _parts(message)} for message in messages]


def _parts(message: Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        answer = {"type": "tool_call_response", "id": message.call_id, "response": message.text}
        return [answer]
    content = message.content
    pieces = (content,) if isinstance(content, str) else content
    parts = [_picture(piece) if isinstance(piece, Image) else _text(piece) for piece in pieces]
    return [part for part in parts if part.get("content") != ""] + [
        _called(call) for call in message.tool_calls
    ]


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "content": text}


def _picture(image: Image) -> dict[str, Any]:
    """Return where a picture is; of one that is here, only that it was."""
    if image.url.startswith("data:"):
        return {"type": "blob", "modality": "image", "content": "…"}
    return {"type": "uri", "modality": "image", "uri": image.url}


def _called(call: ToolCall) -> dict[str, Any]:
    given = call.arguments_raw if call.arguments is None else dict(call.arguments)
    return {"type": "tool_call", "id": call.id, "name": call.name, "arguments": given}
