"""One policy of ``flow gate``, read from its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtime.catalog.check import check
from runtime.catalog.document import Origin
from runtime.catalog.faults import CatalogFaults, Fault
from runtime.catalog.gates import GateFile
from runtime.catalog.policy import Policy, policy_of
from runtime.catalog.source import read_document, shown_path

if TYPE_CHECKING:
    from pathlib import Path


class Gate(NamedTuple):
    """What summaries have to satisfy.

    Attributes:
        rules: the rules of a file; None where there are only policies.
        origin: where these are written; None likewise.
        policies: policies as of a catalog.
    """

    rules: GateFile | None
    origin: Origin | None
    policies: tuple[Policy, ...]


def read_gate(path: Path) -> Gate:
    """Read a policy of ``flow gate``.

    Args:
        path: its file: rules, or a file of ``catalog/policies``.

    Raises:
        CatalogFaults: something in it is wrong; it carries every fault.
    """
    document, unread = read_document(path)
    entry, faults = check(GateFile, document) if document else (None, ())
    if document is not None and not set(document.data) - {"description"}:
        what, todo = "this policy has no rule", "add one, e.g. 'min_success_rate: 0.95'"
        faults = (*faults, Fault(shown_path(path), 1, 1, what, todo))
    if unread or faults or entry is None or document is None:
        raise CatalogFaults([*unread, *faults])
    policies = tuple(
        policy_of(each, Origin(document, ("policies", number)).line())
        for number, each in enumerate(entry.policies)
    )
    return Gate(entry, Origin(document), policies)
