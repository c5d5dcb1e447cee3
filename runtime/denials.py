"""What policy forbids is noted in the journal, where the audit trail has it from."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from runtime.catalog import Target
from runtime.errors import PolicyDenied

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runtime.invocation import Asker


@contextmanager
def denials_noted(asker: Asker, data_classes: frozenset[str]) -> Iterator[None]:
    """Note every target that policy denies in the block; see ``note_denied``."""
    try:
        yield
    except PolicyDenied as error:
        note_denied(asker, data_classes, error.denied)
        raise


def note_denied(
    asker: Asker, data_classes: frozenset[str], denied: Iterable[tuple[str, str]]
) -> None:
    """Note that some targets must not be asked.

    Args:
        asker: who wanted to ask them.
        data_classes: the kinds of data.
        denied: the targets, as ``provider/model``, each with the reason.
    """
    for name, why in denied:
        target = Target.read(name)
        note = {
            "provider": target.provider,
            "model": target.model,
            "task": asker.task_id,
            "agent": asker.agent,
            "path": "/".join(asker.path),
            "tenant": asker.run.tenant,
            "data_classes": ",".join(sorted(data_classes)),
            "policy": why,
            "error": why,
            "reason": PolicyDenied.reason,
        }
        op = asker.run.operation(asker.op, "denied", [name, why])
        asker.run.record("invocation_denied", op, note)
