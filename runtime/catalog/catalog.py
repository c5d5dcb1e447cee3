"""What a loaded catalog is: entries by name, each of which knows where it is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from runtime.catalog.agents import AgentEntry, SkillEntry, WorkflowEntry
    from runtime.catalog.document import Origin
    from runtime.catalog.faults import Fault
    from runtime.catalog.policy import Policy
    from runtime.catalog.providers import ProviderEntry
    from runtime.catalog.routes import RoutingFile
    from runtime.messages import Price


class Retirement(NamedTuple):
    """When a vendor retires a model.

    Attributes:
        day: the first day on which it is gone, UTC.
        source: where that is written.
    """

    day: date
    source: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that a catalog says, checked.

    Attributes:
        root: the workspace, the folder's parent; entry points are relative to it.
        agents: by slug.
        skills: by name.
        workflows: by slug.
        routing: the routing file called ``default``.
        routings: all routing files, by name; each has at least the default one's tiers.
        providers: by name.
        prices: by ``provider/model``; each knows where it is written.
        policies: in the order in which they are written; each knows where that is.
        retirements: by ``vendor/model``: when it is retired, and where that is written.
    """

    root: Path
    agents: Mapping[str, AgentEntry]
    skills: Mapping[str, SkillEntry]
    workflows: Mapping[str, WorkflowEntry]
    routing: RoutingFile
    routings: Mapping[str, RoutingFile]
    providers: Mapping[str, ProviderEntry]
    prices: Mapping[str, Price]
    policies: tuple[Policy, ...]
    retirements: Mapping[str, Retirement] = field(default_factory=dict)
    _origins: Mapping[int, Origin] = field(default_factory=dict, repr=False)

    def origin(self, entry: object) -> Origin:
        """Return where an entry of this catalog comes from.

        Args:
            entry: an agent, skill, workflow, routing file or provider of this very catalog.

        Raises:
            LookupError: it is none of this catalog's.
        """
        try:
            return self._origins[id(entry)]
        except KeyError:
            raise LookupError(f"{entry!r} is no entry of this catalog") from None

    def position(self, entry: object, *path: str | int) -> str:
        """Return where a value of an entry is written, as ``file:line:column``.

        Args:
            entry: as for ``origin``.
            path: the keys and indices that lead to the value; the whole entry if empty.
        """
        return self.origin(entry).place(*path)

    def routing_of(self, name: str | None) -> RoutingFile:
        """Return a routing file by its name; the default one for None."""
        return self.routing if name is None else self.routings[name]

    def line(self, entry: object, *path: str | int) -> str:
        """Return where the key of a value of an entry is written, as ``file:line``.

        Args:
            entry: as for ``origin``.
            path: the keys and indices that lead to the value; the whole entry if empty.
        """
        return self.origin(entry).line(*path)

    def fault(self, entry: object, *path: str | int, what: str, todo: str) -> Fault:
        """Return a fault at a value of an entry, for what only a start can find out.

        Args:
            entry: as for ``origin``.
            path: the keys and indices that lead to the value; the whole entry if empty.
            what: what is wrong, one line.
            todo: what to do about it, one line.
        """
        return self.origin(entry).fault(*path, what=what, todo=todo)
