"""What of an assistant's turn its server wants to see again, although nobody else can read it.

Chat completions have no field for that, so each vendor found a place of its own. A turn that has
something in one of these places is kept as the wire had it and sent back so.
"""

from __future__ import annotations

from typing import Any

from providers.json_values import list_of, object_of

DIALECT = "openai_chat"

# In the message or in one of its tool calls: OpenRouter, Google (twice), LiteLLM, GitHub Copilot.
OPAQUE = (
    "reasoning_details", "extra_content", "thought_signature", "thinking_blocks",
    "reasoning_opaque",
)  # fmt: skip
PLAIN = frozenset({"role", "content", "refusal", "annotations"})  # nothing opaque is in these
SENT_AGAIN = ("content", "refusal", "tool_calls", "function_call", "audio", *OPAQUE)


def state_of(
    message: dict[str, Any], call_ids: tuple[str, ...], reasoning_field: str
) -> dict[str, Any] | None:
    """Return a message in the form in which it is sent back, or None where text and calls suffice.

    Args:
        message: the assistant's, complete.
        call_ids: of its tool calls; made-up ones are written into it, as the results name them.
        reasoning_field: the field with its thoughts; empty without any.
    """
    calls = [object_of(call) for call in list_of(message.get("tool_calls"))]
    # DeepSeek refuses a turn of tool calls without the thoughts that led to it.
    if not (_is_opaque(message, calls) or (reasoning_field and calls)):
        return None
    kept = {name: message[name] for name in (*SENT_AGAIN, reasoning_field) if message.get(name)}
    # A stream cannot tell null from empty, and only beside calls or audio may there be nothing.
    nothing = None if calls or "audio" in kept else ""
    kept = {"role": "assistant", "content": nothing} | kept
    if "audio" in kept:
        kept["audio"] = {"id": object_of(kept["audio"]).get("id")}
    if len(calls) == len(call_ids) and calls:
        kept["tool_calls"] = [
            {name: value for name, value in call.items() if name != "index"} | {"id": call_id}
            for call, call_id in zip(calls, call_ids, strict=True)
        ]
    return kept


def _is_opaque(message: dict[str, Any], calls: list[dict[str, Any]]) -> bool:
    if message.keys() <= PLAIN and not isinstance(message.get("content"), list):
        return False
    inner = [object_of(call.get("function")) for call in calls]
    parts = [object_of(part) for part in list_of(message.get("content"))]
    return (
        any(place.get(name) for place in (message, *calls, *inner) for name in OPAQUE)
        or any(object_of(call.get("custom")) for call in calls)
        or any(part.get("type") == "thinking" for part in parts)
        or bool(object_of(message.get("audio")).get("id"))
    )
