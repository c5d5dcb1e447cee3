"""What a model may call, how its answer shall look and how much it shall think, in chat's shapes.

Next to OpenAI's nested shapes the flat ones of its Responses API are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.messages import Reasoning, Tool
from runtime.shapes.fields import COUNT, FLAG, NAME, OBJECT, TEXT, Fields, choice, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.messages import ToolChoice

FUNCTION = choice("function")
CHOICES = ("auto", "none", "required")
FORMS = choice("text", "json_object", "json_schema")
SUMMARIES = choice("auto", "concise", "detailed", "none")
SCHEMA_NAME = "answer"


class Choice(NamedTuple):
    """How tools may be chosen.

    Attributes:
        choice: whether one may, must not or must be called; None leaves it to the model.
        forced: the name of the one that must be called.
    """

    choice: ToolChoice | None = None
    forced: str | None = None


class Form(NamedTuple):
    """How the answer shall look.

    Attributes:
        json_object: whether it must be some JSON object.
        schema: the JSON Schema that it must satisfy; None for none.
        name: the name of the schema.
        strict: whether the vendor shall hold the model to it; None: wherever it can.
    """

    json_object: bool = False
    schema: Mapping[str, Any] | None = None
    name: str = SCHEMA_NAME
    strict: bool | None = None


def tools_of(line: Fields) -> tuple[Tool, ...]:
    """Read ``tools``."""
    found = [_tool(tool) for tool in line.each("tools")]
    return tuple(tool for tool in found if tool is not None)


def _tool(tool: Fields) -> Tool | None:
    tool.read("type", FUNCTION)
    function = _nested(tool, "function")
    if function is None:
        return None
    found = Tool(
        name=function.need("name", NAME) or "",
        description=function.read("description", TEXT) or "",
        parameters=function.read("parameters", OBJECT) or {},
        strict=function.read("strict", FLAG),
    )
    _close(tool, function)
    return found


def choice_of(line: Fields, tools: tuple[Tool, ...], *, others: bool) -> Choice:
    """Read ``tool_choice``.

    Args:
        line: the line.
        tools: what may be called.
        others: whether there may be tools that are not among them, as those of ``extra_body``.
    """
    given = line.raw("tool_choice")
    if given is None:
        return Choice()
    if isinstance(given, str) and given in CHOICES:
        return Choice(given)  # type: ignore[arg-type]  # it is one of them, as was just asked
    if not isinstance(given, dict):
        forms = f'{", ".join(CHOICES)} or {{"type": "function", "function": {{"name": ...}}}}'
        line.fault("tool_choice", f"must be {forms}, not {shown(given)}")
        return Choice()
    forced = _forced(line)
    if forced is not None and not others and all(forced != tool.name for tool in tools):
        line.fault("tool_choice", f"names {shown(forced)}, which is none of the tools")
    return Choice(forced=forced)


def _forced(line: Fields) -> str | None:
    given = line.inside("tool_choice")
    function = None if given is None else _nested(given, "function")
    if given is None or function is None:
        return None
    given.need("type", FUNCTION)
    name: str | None = function.need("name", NAME)
    _close(given, function)
    return name


def form_of(line: Fields) -> Form:
    """Read ``response_format``."""
    given = line.raw("response_format")
    if isinstance(given, str):
        kind = line.read("response_format", choice("text", "json_object"))
        return Form(json_object=kind == "json_object")
    form = line.inside("response_format")
    if form is None:
        return Form()
    kind = form.need("type", FORMS)
    if kind is None:
        return Form()
    found = _schema(form) if kind == "json_schema" else Form(json_object=kind == "json_object")
    form.close()
    return found


def _schema(form: Fields) -> Form:
    described = _nested(form, "json_schema", sign="schema")
    if described is None:
        return Form()
    described.read("description", TEXT)
    found = Form(
        schema=described.need("schema", OBJECT),
        name=described.read("name", NAME) or SCHEMA_NAME,
        strict=described.read("strict", FLAG),
    )
    if described is not form:
        described.close()
    return found


def reasoning_of(line: Fields) -> Reasoning | None:
    """Read ``reasoning``: a word for the effort, or an object that may say more."""
    given = line.raw("reasoning")
    if isinstance(given, str):
        effort = line.read("reasoning", NAME)
        return None if effort is None else Reasoning(effort=effort)
    fields = line.inside("reasoning")
    if fields is None:
        return None
    budgets = [fields.read(name, COUNT) for name in ("max_tokens", "budget_tokens")]
    if all(budgets) and budgets[0] != budgets[1]:
        fields.fault("budget_tokens", "is another number than max_tokens, which means the same")
    summary = fields.raw("summary")
    if not isinstance(summary, bool):
        summary = (fields.read("summary", SUMMARIES) or "none") != "none"
    found = Reasoning(
        effort=fields.read("effort", NAME), budget_tokens=budgets[0] or budgets[1], summary=summary
    )
    fields.close()
    return found


def _nested(outer: Fields, name: str, *, sign: str = "name") -> Fields | None:
    """Return the object inside ``outer``, or ``outer`` itself where it is written flat."""
    if name not in outer and sign in outer:
        outer.ignore(name)
        return outer
    if name not in outer:
        outer.fault(name, "is missing")
    return outer.inside(name)


def _close(outer: Fields, inner: Fields) -> None:
    for fields in (outer,) if inner is outer else (outer, inner):
        fields.close()
