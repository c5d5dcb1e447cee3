"""Which files a catalog has, and how each becomes entries: a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.catalog.agents import AgentEntry, SkillEntry, WorkflowEntry
from runtime.catalog.policies import PolicyFile
from runtime.catalog.prices import PricesFile
from runtime.catalog.providers import ProvidersFile
from runtime.catalog.retirements import RetirementsFile
from runtime.catalog.routes import RoutingFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic import BaseModel

    from runtime.catalog.contents import Contents, Shelf


class Part(NamedTuple):
    """One entry of a file.

    Attributes:
        name: its name.
        entry: itself.
        path: where in the file it is; empty if it is the whole file.
    """

    name: str
    entry: Any
    path: tuple[str | int, ...]


class Kind(NamedTuple):
    """How one kind of file is read.

    Attributes:
        model: what a file is read as.
        shelf: where its entries are put.
        parts: the entries of a file.
    """

    model: type[BaseModel]
    shelf: Callable[[Contents], Shelf[Any]]
    parts: Callable[[Any], Iterator[Part]]

    @property
    def whole(self) -> bool:
        """Whether a file is one entry."""
        return self.parts is _whole


def _whole(entry: Any) -> Iterator[Part]:
    yield Part(entry.name, entry, ())


def _policies(file: PolicyFile) -> Iterator[Part]:
    for index, policy in enumerate(file.policies):
        yield Part(policy.name, policy, ("policies", index))


def _providers(file: ProvidersFile) -> Iterator[Part]:
    return (Part(name, entry, ("providers", name)) for name, entry in file.providers.items())


def _prices(file: PricesFile) -> Iterator[Part]:
    return (Part(name, entry, ("prices", name)) for name, entry in file.prices.items())


def _retirements(file: RetirementsFile) -> Iterator[Part]:
    return (
        Part(f"{vendor}/{model}", day, ("retirements", vendor, model))
        for vendor, models in file.retirements.items()
        for model, day in models.items()
    )


FOLDERS: Mapping[str, Kind] = {
    "agents": Kind(AgentEntry, lambda contents: contents.agents, _whole),
    "skills": Kind(SkillEntry, lambda contents: contents.skills, _whole),
    "workflows": Kind(WorkflowEntry, lambda contents: contents.workflows, _whole),
    "routing": Kind(RoutingFile, lambda contents: contents.routing, _whole),
    "policies": Kind(PolicyFile, lambda contents: contents.policies, _policies),
}
FILES: Mapping[str, Kind] = {
    "providers": Kind(ProvidersFile, lambda contents: contents.providers, _providers),
    "prices": Kind(PricesFile, lambda contents: contents.prices, _prices),
    "retirements": Kind(RetirementsFile, lambda contents: contents.retirements, _retirements),
}

KINDS: Mapping[str, Kind] = {**FOLDERS, **FILES}
