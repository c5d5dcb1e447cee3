"""Writing what the model may call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from providers.openai_chat.draft import Draft
    from runtime.messages import Tool

NO_PARAMETERS = {"type": "object", "properties": {}}


def put_tools(draft: Draft) -> None:
    """Write the tools and how they may be chosen.

    Without tools servers refuse the fields about choosing, unless tools come with ``extra_body``.
    """
    request = draft.request
    if request.tools:
        draft.put("tools", [_tool(tool, draft) for tool in request.tools])
    choice: Any = request.tool_choice
    if request.forced_tool:
        choice = {"type": "function", "function": {"name": request.forced_tool}}
    if choice is not None:
        _put_choice("tool_choice", choice, draft)
    if request.parallel_tool_calls is not None:
        _put_choice("parallel_tool_calls", request.parallel_tool_calls, draft)


def _put_choice(field: str, value: Any, draft: Draft) -> None:
    reason = _obstacle(field, draft)
    if reason is None:
        draft.put(field, value)
    else:
        draft.leave_out(field, reason)


def _obstacle(field: str, draft: Draft) -> str | None:
    if not draft.request.tools and "tools" not in draft.request.extra_body:
        return "there are no tools"
    omitted = field == "parallel_tool_calls" and draft.options.parallel_tool_calls == "omit"
    return "the account's options say so" if omitted else None


def _tool(tool: Tool, draft: Draft) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.parameters or NO_PARAMETERS
    if tool.strict is not None and draft.options.strict_schema == "auto":
        function["strict"] = tool.strict
    elif tool.strict:
        draft.leave_out(f"strict of the tool {tool.name}", "the account's options say so")
    return {"type": "function", "function": function}
