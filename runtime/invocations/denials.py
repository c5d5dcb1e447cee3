"""What policies and limits forbid is noted in the journal, where the audit trail has it from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.catalog import Target
from runtime.errors import BudgetExceeded, PolicyDenied
from runtime.invocations.notes import denied_note

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.invocations.case import Asker

NOBODY = Target("", "")  # where it is not known yet whom to ask


class denials_noted:  # noqa: N801  # it reads as what it is, ``with denials_noted(...):``
    """``with`` around what may be denied: it is noted. A class, as a generator would cost thrice.

    Args:
        asker: who wants to ask.
        data_classes: the kinds of data.
        target: whom, where the error does not say.
        step: the step that the call would have been, where it came so far.
    """

    __slots__ = ("_asker", "_data_classes", "_step", "_target")

    def __init__(
        self, asker: Asker, data_classes: frozenset[str], target: Target = NOBODY, step: str = ""
    ) -> None:
        self._asker = asker
        self._data_classes = data_classes
        self._target = target
        self._step = step

    def __enter__(self) -> None:
        """Note nothing yet."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        asker, data_classes = self._asker, self._data_classes
        target, step = self._target, self._step
        if isinstance(error, PolicyDenied):
            denied = error.denied or ((str(target), str(error)),)
            note_denied(asker, data_classes, denied, step)
        elif isinstance(error, BudgetExceeded):
            note = denied_note(asker, target, data_classes, why=str(error), reason=error.reason)
            _note(asker, note | {"scope": error.scope}, step)


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
