"""A catalog's entries by kind and name, before they are checked against each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from runtime.catalog.faults import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runtime.catalog.agents import AgentEntry, SkillEntry, WorkflowEntry
    from runtime.catalog.document import Document, Origin
    from runtime.catalog.faults import Fault
    from runtime.catalog.policies import PolicyEntry
    from runtime.catalog.prices import PriceEntry
    from runtime.catalog.providers import ProviderEntry
    from runtime.catalog.routes import RoutingFile

T = TypeVar("T")


@dataclass(slots=True)
class Shelf(Generic[T]):
    """The entries of one kind.

    A name that only a faulty file has is neither known nor unknown: to call it unknown would be a
    second fault for the same mistake.

    Attributes:
        kind: what one of them is called, e.g. ``agent``.
        entries: the good ones, by name.
        origins: where each good one comes from, by name.
        drafts: what can be used of the faulty ones, only to check it against the good ones.
        doubtful: names that faulty files have, as far as they can be read.
        blind: whether a faulty file may have any name.
    """

    kind: str
    entries: dict[str, T] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    drafts: list[tuple[T, Origin]] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)
    blind: bool = False

    def add(self, name: str, entry: T, origin: Origin) -> Fault | None:
        """Put an entry on the shelf; a fault says that its name is taken."""
        if name not in self.entries:
            self.entries[name], self.origins[name] = entry, origin
            return None
        self.drafts.append((entry, origin))
        what = f"{self.kind} {name!r} is defined already, at {self.origins[name].place('name')}"
        return origin.fault("name", what=what, todo="rename or remove one of the two")

    def doubt(self, stem: str, document: Document | None) -> None:
        """Remember that a file is faulty, whatever name it may have."""
        name: Any = document.data.get("name") if document else None
        self.doubtful |= {stem, name} if isinstance(name, str) else {stem}
        # an agent's file has the agent's name, so its name is known in any case
        self.blind |= not isinstance(name, str) and self.kind != "agent"

    def lacks(self, name: str) -> bool:
        """Whether no file, good or faulty, can have this name."""
        return not self.blind and name not in self.entries and name not in self.doubtful

    def unknown(
        self, name: str | None, origin: Origin, *path: str | int, key: bool = False
    ) -> Iterator[Fault]:
        """Yield a fault if no file can have this name, at the place where it is mentioned."""
        if name is not None and self.lacks(name):
            todo = suggestion(name, self.entries, kind=f"{self.kind}s")
            yield origin.fault(*path, what=f"unknown {self.kind} {name!r}", todo=todo, key=key)

    @property
    def whole(self) -> bool:
        """Whether no file of this kind is faulty."""
        return not self.blind and not self.doubtful

    def __iter__(self) -> Iterator[tuple[str, T, Origin]]:
        return ((name, entry, self.origins[name]) for name, entry in self.entries.items())

    def written(self) -> Iterator[tuple[T, Origin]]:
        """Yield the good entries and the drafts, whose fields may be None against their types."""
        yield from ((entry, origin) for _, entry, origin in self)
        yield from self.drafts


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything that a catalog's files say.

    Attributes:
        workspace: the folder that entry points are relative to.
        agents: by slug.
        skills: by name.
        workflows: by slug.
        routing: by name.
        providers: by name.
        prices: by ``provider/model``.
        policies: by name.
        retirements: days, by ``vendor/model``.
    """

    workspace: Path
    agents: Shelf[AgentEntry] = field(default_factory=lambda: Shelf("agent"))
    skills: Shelf[SkillEntry] = field(default_factory=lambda: Shelf("skill"))
    workflows: Shelf[WorkflowEntry] = field(default_factory=lambda: Shelf("workflow"))
    routing: Shelf[RoutingFile] = field(default_factory=lambda: Shelf("routing"))
    providers: Shelf[ProviderEntry] = field(default_factory=lambda: Shelf("provider"))
    prices: Shelf[PriceEntry] = field(default_factory=lambda: Shelf("price"))
    policies: Shelf[PolicyEntry] = field(default_factory=lambda: Shelf("policy"))
    retirements: Shelf[str] = field(default_factory=lambda: Shelf("retirement"))

    def all_origins(self) -> Iterator[tuple[object, Origin]]:
        """Yield every entry that is an object with the place that it comes from."""
        shelves: tuple[Shelf[Any], ...] = (
            self.agents,
            self.skills,
            self.workflows,
            self.routing,
            self.providers,
            self.prices,
            self.policies,
        )
        for shelf in shelves:
            for _, entry, origin in shelf:
                yield entry, origin
