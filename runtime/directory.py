"""Who is there: every agent and skill of a system, by name and by the object that defines it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

from runtime.agent import Agent, Limits, Skill
from runtime.errors import ConfigurationError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Entry(NamedTuple):
    """An agent and its limits."""

    agent: Agent
    limits: Limits


class Directory:
    """Agents and skills. One that code names by its object need not be in the catalog.

    Attributes:
        agents: by slug.
        skills: by name.
    """

    def __init__(self) -> None:
        self.agents: dict[str, Entry] = {}
        self.skills: dict[str, Skill] = {}
        self._slugs: dict[Agent, str] = {}
        self._aliases: dict[Skill, Skill] = {}

    def __repr__(self) -> str:
        return f"<Directory [{len(self.agents)} agents, {len(self.skills)} skills]>"

    def add_agent(self, agent: Agent, limits: Limits, *, alias: Agent | None = None) -> None:
        """Add an agent.

        Args:
            agent: the agent.
            limits: what the catalog says of it.
            alias: the object that its code knows it by, if that is another one.
        """
        self.agents[agent.name] = Entry(agent, limits)
        self._slugs[alias if alias is not None else agent] = agent.name

    def add_skill(self, skill: Skill, *, alias: Skill | None = None) -> None:
        """Add a skill, and the object that its code knows it by, if that is another one."""
        self.skills[skill.name] = skill
        if alias is not None:
            self._aliases[alias] = skill

    def keeps_state(self, slug: str) -> bool:
        """Whether an agent keeps state from one Delegation to the next."""
        entry = self.agents.get(slug)
        return entry is not None and entry.agent.per != "delegation"

    def slug(self, agent: Agent | str) -> str:
        """Return the slug of an agent; one that is new gets the default limits.

        Raises:
            UnknownName: there is no such agent.
            ConfigurationError: another agent has its name already.
        """
        if isinstance(agent, str):
            if agent not in self.agents:
                raise UnknownName(f"no agent {agent!r}{suggest(agent, self.agents)}")
            return agent
        if not isinstance(agent, Agent):
            raise ConfigurationError(
                f"{agent!r} is no agent; decorate it with @sag or @mag, or name one of the catalog"
            )
        known = self._slugs.get(agent)
        if known is not None:
            return known
        if agent.name in self.agents:
            raise ConfigurationError(f"two agents are called {agent.name!r}; give one a name=")
        self.add_agent(agent, Limits())
        return agent.name

    def called(self, agent: Agent) -> str:
        """Return the slug that an agent has, or would have: it is not added for that."""
        return self._slugs.get(agent, agent.name)

    def skill(self, skill: Skill | str) -> Skill:
        """Return a skill.

        Raises:
            UnknownName: there is no such skill.
        """
        if isinstance(skill, Skill):
            return self._aliases.get(skill, skill)
        found = self.skills.get(skill)
        if found is None:
            raise UnknownName(f"no skill {skill!r}{suggest(skill, self.skills)}")
        return found


def suggest(name: str, known: Mapping[str, object] | Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: the nearest known one, or all."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are {', '.join(names)}" if names else "; there are none"
