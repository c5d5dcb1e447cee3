"""What pydantic found wrong, in plain sentences, at the place in the file where it is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from runtime.catalog.faults import shown, suggestion
from runtime.catalog.tree import BROKEN
from runtime.catalog.values import PATTERNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from runtime.catalog.document import Origin, Path
    from runtime.catalog.faults import Fault

_ENTRIES = ("must be a mapping", "write 'key: value' lines below it")
_LIMIT = "choose a value within the limit"
_SENTENCES = {  # pydantic's type of error -> what is wrong, what to do
    "string_type": ("must be text", "write a text; quote what YAML would read as something else"),
    "int_type": ("must be a whole number", "write digits only, without quotes"),
    "float_type": ("must be a number", "write a number such as 1.5, without quotes"),
    "bool_type": ("must be true or false", "write true or false, without quotes"),
    "tuple_type": ("must be a list", "write [a, b], or one '- item' a line"),
    "dict_type": _ENTRIES,
    "mapping_type": _ENTRIES,
    "model_type": _ENTRIES,
    "greater_than": ("must be more than {gt}", _LIMIT),
    "greater_than_equal": ("must be at least {ge}", _LIMIT),
    "less_than": ("must be less than {lt}", _LIMIT),
    "less_than_equal": ("must be at most {le}", _LIMIT),
    "too_short": ("must have at least {min_length} in it", "add to it"),
    "too_long": ("must have at most {max_length} in it", "make it shorter"),
    "string_too_long": ("must have at most {max_length} characters", "make it shorter"),
}
_SECRET = frozenset({"api_key_env", "base_url"})  # where a person may paste a credential


def explain(error: ValidationError, model: type[BaseModel], origin: Origin) -> Iterator[Fault]:
    """Yield a fault for everything that pydantic found.

    Args:
        error: what it raised.
        model: the model that the document was read as.
        origin: the document.
    """
    found = error.errors(include_url=False)
    for details in found:
        path = details["loc"]
        if details["input"] is BROKEN:  # its fault is known
            continue
        if details["type"] == "too_short" and _has_more(found, path):
            continue  # it was counted without what is wrong in it
        if path[-1:] == ("[key]",):
            yield _wrong_key(details, path[:-1], origin)
        elif details["type"] == "extra_forbidden":
            yield _unknown_key(path, model, origin)
        elif details["type"] == "missing":
            yield _missing(path, origin)
        else:
            yield _wrong_value(details, path, origin)


def _has_more(found: Iterable[ErrorDetails], path: Path) -> bool:
    """Return whether something below a path is wrong."""
    depth = len(path)
    return any(len(each["loc"]) > depth and each["loc"][:depth] == path for each in found)


def _unknown_key(path: Path, model: type[BaseModel], origin: Origin) -> Fault:
    key, holder = str(path[-1]), _holder(model, path[:-1])
    todo = suggestion(key, holder.model_fields, kind="keys")
    return origin.fault(*path, what=f"unknown key {shown(key)}", todo=todo, key=True)


def _missing(path: Path, origin: Origin) -> Fault:
    *parent, key = path
    what = f"{_dotted(path)} is missing"
    return origin.fault(*parent, what=what, todo=f"add '{key}: …'", key=True)


def _wrong_key(details: ErrorDetails, path: Path, origin: Origin) -> Fault:
    must, todo = _sentence(details)
    what = f"the key {shown(str(path[-1]))} {must}"
    return origin.fault(*path, what=what, todo=todo, key=True)


def _wrong_value(details: ErrorDetails, path: Path, origin: Origin) -> Fault:
    context = details.get("ctx", {})
    must, todo = _sentence(details)
    what = f"{_dotted(path)} {must}"
    if details["type"] != "catalog" and not _SECRET.intersection(map(str, path)):
        what += f", got {_got(details['input'], origin.document.spot((*origin.path, *path)).raw)}"
    return origin.fault(*path, *context.get("path", ()), what=what, todo=todo)


def _sentence(details: ErrorDetails) -> tuple[str, str]:
    """Return what is wrong, a phrase that follows the field's name, and what to do."""
    kind, context = details["type"], details.get("ctx", {})
    if kind == "catalog":
        return context["what"], context["todo"]
    if kind == "string_pattern_mismatch":
        return PATTERNS[context["pattern"]]
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        todo = suggestion(str(details["input"]), choices, kind="choices")
        return f"must be {context['expected']}", todo
    if kind not in _SENTENCES:
        return f"is refused: {details['msg']}", "correct it"
    must, todo = _SENTENCES[kind]
    return must.format_map({name: _plain(value) for name, value in context.items()}), todo


def _plain(limit: Any) -> Any:
    """Return a limit as a person writes it: 1, not 1.0."""
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _got(value: Any, raw: str | None) -> str:
    """Return a value as the file has it, and what YAML makes of it where that surprises."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        plain = str(value).lower()
        return plain if raw == plain else f"{raw}, which YAML reads as {plain}"
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, int | float):
        return f"the number {raw}"
    return "a list" if isinstance(value, list) else "a mapping"


def _dotted(path: Path) -> str:
    """Return a path as a person would write it, e.g. ``'policies[0].name'``."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return shown("".join(steps).removeprefix("."))


def _holder(model: type[BaseModel], path: Path) -> type[BaseModel]:
    """Return the model that the value at a path is read as."""
    holder: Any = model
    for step in path:
        holder = _bare(_part(holder, step))
    found: type[BaseModel] = holder  # pydantic reports unknown keys of models only
    return found


def _part(annotation: Any, step: str | int) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.model_fields[str(step)].annotation
    return get_args(annotation)[1 if get_origin(annotation) is Mapping else 0]


def _bare(annotation: Any) -> Any:
    """Return an annotation without ``Annotated`` and ``| None``."""
    while get_origin(annotation) in (Annotated, Union, UnionType):
        annotation = get_args(annotation)[0]
    return annotation
