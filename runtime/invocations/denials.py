"""What policies and limits forbid is noted in the journal, where the audit trail has it from."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from runtime.catalog import Target
from runtime.errors import BudgetExceeded, PolicyDenied
from runtime.invocations.notes import denied_note

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runtime.invocations.case import Asker

NOBODY = Target("", "")  # where it is not known yet whom to ask


@contextmanager
def denials_noted(
    asker: Asker, data_classes: frozenset[str], target: Target = NOBODY
) -> Iterator[None]:
    """Note what is denied in the block.

    Args:
        asker: who wants to ask.
        data_classes: the kinds of data.
        target: whom, where the error does not say.
    """
    try:
        yield
    except PolicyDenied as error:
        note_denied(asker, data_classes, error.denied or ((str(target), str(error)),))
        raise
    except BudgetExceeded as error:
        _note(asker, data_classes, target, str(error), BudgetExceeded.reason)
        raise


def note_denied(
    asker: Asker, data_classes: frozenset[str], denied: Iterable[tuple[str, str]]
) -> None:
    """Note that policy forbids some targets.

    Args:
        asker: who wanted to ask them.
        data_classes: the kinds of data.
        denied: the targets, as ``provider/model``, each with the reason.
    """
    for name, why in denied:
        _note(asker, data_classes, Target.read(name), why, PolicyDenied.reason)


def _note(
    asker: Asker, data_classes: frozenset[str], target: Target, why: str, reason: str
) -> None:
    op = asker.run.operation(asker.op, "denied", [str(target), why])
    note = denied_note(asker, target, data_classes, why=why, reason=reason)
    asker.run.record("invocation_denied", op, note)
