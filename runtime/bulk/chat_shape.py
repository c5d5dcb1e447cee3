"""The turns of a conversation in OpenAI's chat shape, as the runtime's messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from runtime.messages import Image, Message, ToolCall, parsed_arguments
from runtime.shapes.fields import NAME, TEXT, Fields, choice, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SYSTEM = ("system", "developer")
ROLES = choice(*SYSTEM, "user", "assistant", "tool")
DETAIL = choice("auto", "low", "high")
FUNCTION = choice("function")
# Replies are sent back as they came: what only the server had a use for may stay in them.
OF_A_REPLY = ("annotations", "audio", "function_call", "refusal")
THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details")


class Conversation(NamedTuple):
    """What is said.

    Attributes:
        messages: the turns, oldest first.
        system: the system prompt; None for none.
        warnings: what was changed or left out.
    """

    messages: tuple[Message, ...]
    system: str | None
    warnings: tuple[str, ...]


def conversation_of(line: Fields) -> Conversation:
    """Read ``system`` and ``messages`` of a line.

    System and developer messages are joined with ``system``, a blank line between them: not every
    dialect has a place for them further down.
    """
    reading = _Reading(line.read("system", TEXT))
    if "messages" not in line:
        line.ignore("messages")
        line.fault("messages", "is missing")
        return reading.conversation()
    said = False
    for turn in line.each("messages"):
        said = True
        reading.take(turn)
    if isinstance(line.raw("messages"), list) and not (said and reading.has_turn):
        line.fault("messages", "must hold a message of the user, or of another one that speaks")
    return reading.conversation()


class _Reading:
    """The turns so far."""

    def __init__(self, system: str | None) -> None:
        self.has_turn = False
        self._system = [] if system is None else [system]
        self._turns: list[Message] = []
        self._called: dict[str, str] = {}
        self._warnings: dict[str, None] = {}

    def conversation(self) -> Conversation:
        system = "\n\n".join(text for text in self._system if text) or None
        return Conversation(tuple(self._turns), system, tuple(self._warnings))

    def take(self, turn: Fields) -> None:
        role = turn.need("role", ROLES)
        if role in SYSTEM:
            self._take_system(turn)
        elif role is not None:
            self.has_turn = True
            self._turns.append(READERS[role](self, turn))
        else:
            self.has_turn = True
            return  # what else there may be depends on the role
        turn.close()

    def _take_system(self, turn: Fields) -> None:
        self._system.append("\n\n".join(_texts(turn)))
        turn.ignore("name")
        if self.has_turn:
            self._warn("a system message after the first turn was moved to the beginning")

    def user(self, turn: Fields) -> Message:
        if "name" in turn:
            self._warn("the name of a user was left out")
        turn.ignore("name")
        return Message("user", _content(turn, images=True))

    def assistant(self, turn: Fields) -> Message:
        calls = tuple(_tool_call(call) for call in turn.each("tool_calls"))
        self._called.update((call.id, call.name) for call in calls)
        text = "\n".join(_texts(turn, needed=not calls and "refusal" not in turn))
        refusal = turn.read("refusal", TEXT)
        if any(name in turn for name in THOUGHTS):
            self._warn("the thoughts of an assistant were left out: no dialect takes them as text")
        turn.ignore("name", *OF_A_REPLY, *THOUGHTS)
        return Message("assistant", text or refusal or "", tool_calls=calls)

    def tool(self, turn: Fields) -> Message:
        call_id = turn.need("tool_call_id", NAME) or ""
        name = turn.read("name", TEXT) or self._called.get(call_id, "")
        return Message("tool", _content(turn, images=True), call_id=call_id, name=name)

    def _warn(self, what: str) -> None:
        self._warnings[what] = None


READERS: Mapping[Literal["user", "assistant", "tool"], Callable[[_Reading, Fields], Message]] = {
    "user": _Reading.user,
    "assistant": _Reading.assistant,
    "tool": _Reading.tool,
}


# --- content -------------------------------------------------------------------------------------


def _content(turn: Fields, *, images: bool, needed: bool = True) -> str | tuple[str | Image, ...]:
    """Return the content of a turn: text, or texts and images in order."""
    content = turn.raw("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        if needed and not content:
            turn.fault("content", "must not be an empty list")
        parts = [_part(part, images=images) for part in turn.each("content")]
        return tuple(part for part in parts if part is not None)
    if content is not None:
        turn.fault("content", f"must be a text or a list of parts, not {shown(content)}")
    elif needed:
        turn.fault("content", "is missing")
    return ""


def _texts(turn: Fields, *, needed: bool = True) -> list[str]:
    """Return the texts of a turn that can have nothing else."""
    content = _content(turn, images=False, needed=needed)
    return [content] if isinstance(content, str) else [str(part) for part in content]


def _part(part: Fields, *, images: bool) -> str | Image | None:
    kinds = PARTS if images else {name: PARTS[name] for name in ("text", "refusal")}
    kind = part.need("type", choice(*kinds))
    if kind is None:
        return None
    found = kinds[kind](part)
    part.close()
    return found


def _text_part(part: Fields) -> str | None:
    text: str | None = part.need("text", TEXT)
    part.ignore("annotations", "cache_control")
    return text


def _refusal_part(part: Fields) -> str | None:
    text: str | None = part.need("refusal", TEXT)
    return text


def _image_part(part: Fields) -> Image | None:
    if isinstance(part.raw("image_url"), str):  # as some servers take it
        return _image(part.need("image_url", NAME), None, part, "image_url")
    if "image_url" not in part:
        part.fault("image_url", "is missing")
    image = part.inside("image_url")
    if image is None:
        return None
    detail = image.read("detail", DETAIL)
    found = _image(image.need("url", NAME), detail, image, "url")
    image.close()
    return found


def _image(url: str | None, detail: Any, fields: Fields, name: str) -> Image | None:
    if url is None:
        return None
    if not url.lower().startswith(("http://", "https://", "data:")):
        fields.fault(name, f"must begin with http://, https:// or data:, not {shown(url)}")
        return None
    return Image(url, detail)


PARTS: Mapping[str, Callable[[Fields], str | Image | None]] = {
    "text": _text_part,
    "image_url": _image_part,
    "refusal": _refusal_part,
}


# --- tool calls ----------------------------------------------------------------------------------


def _tool_call(call: Fields) -> ToolCall:
    """Read a tool call in OpenAI's shape, or in that of our own output."""
    id_ = call.need("id", NAME) or ""
    call.read("type", FUNCTION)
    call.ignore("index")
    function = call.inside("function") if "function" in call or "name" not in call else call
    if function is None:
        if "function" not in call:
            call.fault("function", "is missing")
        return ToolCall(id_, "", None)
    name = function.need("name", NAME) or ""
    arguments, raw = _arguments(function)
    if function is not call:
        function.close()
    call.close()
    return ToolCall(id_, name, arguments, raw)


def _arguments(function: Fields) -> tuple[dict[str, Any] | None, str]:
    """Return the arguments of a call: as an object, or None, and as text."""
    given = function.raw("arguments")
    raw = function.read("arguments_raw", TEXT)
    if isinstance(given, dict):
        return given, json.dumps(given, ensure_ascii=False)
    if given is not None and not isinstance(given, str):
        function.fault("arguments", f"must be a text or an object, not {shown(given)}")
    text = given if isinstance(given, str) else raw or ""
    return parsed_arguments(text), text
