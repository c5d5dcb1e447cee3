"""One document, checked as one kind of entry: its types, then its rules, all faults at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from runtime.catalog.document import Origin
from runtime.catalog.explain import explain
from runtime.catalog.rules import breaches

if TYPE_CHECKING:
    from runtime.catalog.document import Document
    from runtime.catalog.faults import Fault

M = TypeVar("M", bound=BaseModel)


def check(model: type[M], document: Document) -> tuple[M | None, tuple[Fault, ...]]:
    """Return a document as an entry of one kind, None where its types are wrong, and its faults."""
    origin = Origin(document)
    entry: M | None = None
    faults: list[Fault] = []
    try:
        entry = model.model_validate(document.data)
    except ValidationError as error:
        faults += explain(error, model, origin)
    for path, what, todo, key in breaches(model, document.data):
        faults.append(origin.fault(*path, what=what, todo=todo, key=key))
    return entry, tuple(faults)


def draft(model: type[M], document: Document) -> M:
    """Return what can be used of a faulty document, to check it against the other files.

    Its top-level fields are those of a good entry where they are right, and None elsewhere.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        wrong = {details["loc"][0] for details in error.errors(include_url=False)}
    right = {name: value for name, value in document.data.items() if name not in wrong}
    return model.model_construct(**{**dict.fromkeys(model.model_fields), **right})
