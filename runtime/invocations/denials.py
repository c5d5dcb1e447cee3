"""What policies and limits forbid is noted in the journal, where the audit trail has it from."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runtime.catalog import Target
from runtime.errors import BudgetExceeded, PolicyDenied
from runtime.invocations.notes import denied_note

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runtime.invocations.case import Asker

NOBODY = Target("", "")  # where it is not known yet whom to ask


@contextmanager
def denials_noted(
    asker: Asker, data_classes: frozenset[str], target: Target = NOBODY, step: str = ""
) -> Iterator[None]:
    """Note what is denied in the block.

    Args:
        asker: who wants to ask.
        data_classes: the kinds of data.
        target: whom, where the error does not say.
        step: the step that the call would have been, where it came so far.
    """
    try:
        yield
    except PolicyDenied as error:
        denied = error.denied or ((str(target), str(error)),)
        note_denied(asker, data_classes, denied, step)
        raise
    except BudgetExceeded as error:
        note = denied_note(asker, target, data_classes, why=str(error), reason=error.reason)
        _note(asker, note | {"scope": error.scope}, step)
        raise


def note_denied(
    asker: Asker, data_classes: frozenset[str], denied: Iterable[tuple[str, str]], step: str = ""
) -> None:
    """Note that policy forbids some targets.

    Args:
        asker: who wanted to ask them.
        data_classes: the kinds of data.
        denied: the targets, as ``provider/model``, each with the reason.
        step: the step that the call would have been, where it came so far.
    """
    for name, why in denied:
        target, reason = Target.read(name), PolicyDenied.reason
        _note(asker, denied_note(asker, target, data_classes, why=why, reason=reason), step)


def _note(asker: Asker, note: dict[str, Any], step: str) -> None:
    target = f"{note['provider']}/{note['model']}"
    op = asker.run.operation(asker.op, "denied", [target, note["error"]])
    asker.run.record("invocation_denied", op, note | ({"step": step} if step else {}))
