"""The digests of the agents and skills that a run may reach, and what has changed since.

Each agent and skill has a digest of its own, so that it can be said which one has changed, and an
edit of one that a run cannot reach does not count. Whom a run may reach is read from the code: the
agents and skills that it names as objects or by their names in texts, and those that the catalog
lets it use. Whoever else it comes to is noted when it begins.

Digests of different versions of Python say nothing about each other, so the version is noted, too.
"""

from __future__ import annotations

import hashlib
import logging
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.agent import Agent, Skill
from runtime.code.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runtime.directory import Directory

logger = logging.getLogger("runtime.run")
PYTHON = f"{sys.implementation.cache_tag}{'-O' * sys.flags.optimize}"
DIGITS = 16
Name = tuple[str, str]  # "agent" or "skill", and what it is called


class Code(NamedTuple):
    """The code of a run.

    Attributes:
        python: the version of Python whose instructions were read.
        agents: the digests of agents by slug.
        skills: those of skills by name.
    """

    python: str
    agents: Mapping[str, str]
    skills: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The digest of all of it."""
        return _digest([self.python, *_lines(self.agents), *_lines(self.skills)])

    def as_json(self) -> dict[str, Any]:
        """Return what the journal keeps of it."""
        return {
            "digest": self.digest,
            "python": self.python,
            "agents": dict(self.agents),
            "skills": dict(self.skills),
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Code:
        """Return what the journal has kept."""
        return cls(said["python"], dict(said["agents"]), dict(said["skills"]))


NOT_FORESEEN = Code(PYTHON, {}, {})


class Codes:
    """Reads the code of a system's agents and skills, each once.

    Args:
        directory: the agents and skills.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._read: dict[Name, tuple[str, Reading]] = {}
        self._reached: dict[str, Code] = {}

    def of(self, slug: str) -> Code:
        """Return the code of a run that begins with an agent."""
        code = self._reached.get(slug)
        if code is None:
            reached: dict[Name, str] = {}
            waiting: list[tuple[Name, Agent | Skill]] = [(("agent", slug), self._agent(slug))]
            while waiting:
                name, thing = waiting.pop()
                if name not in reached:
                    reached[name], reading = self._reading(name, thing)
                    waiting += self._next(thing, reading)
            code = Code(PYTHON, _of_kind(reached, "agent"), _of_kind(reached, "skill"))
            self._reached[slug] = code
        return code

    def digest(self, kind: str, name: str) -> str | None:
        """Return the digest of an agent or a skill; None where there is none of that name."""
        directory = self._directory
        if kind == "agent":
            thing: Any = self._agent(name) if name in directory.agents else None
        else:
            thing = directory.skills.get(name)
        return None if thing is None else self._reading((kind, name), thing)[0]

    def digest_of(self, thing: Agent | Skill) -> str:
        """Return the digest of an agent or a skill that may be in no catalog."""
        kind = "agent" if isinstance(thing, Agent) else "skill"
        return self._reading((kind, thing.name), thing)[0]

    def _agent(self, slug: str) -> Agent:
        return self._directory.agents[slug].agent

    def _reading(self, name: Name, thing: Agent | Skill) -> tuple[str, Reading]:
        known = self._read.get(name)
        if known is None:
            if isinstance(thing, Agent):
                body, proposed = thing.body, str((thing.model, thing.skills))
            else:
                body, proposed = thing.function, thing.description
            reading = _read(name, body)
            known = _digest([proposed, str(thing.style), *reading.parts]), reading
            reading.parts.clear()
            self._read[name] = known
        return known

    def _next(self, thing: Agent | Skill, reading: Reading) -> Iterator[tuple[Name, Agent | Skill]]:
        """Yield whom an agent or skill may come to."""
        directory = self._directory
        for each in reading.named:
            if isinstance(each, Skill):
                found = directory.skill(each)
                yield ("skill", found.name), found
            else:
                slug = directory.called(each)
                yield ("agent", slug), each
        agents, skills = set(reading.words), set(reading.words)
        if isinstance(thing, Agent):
            entry = directory.agents.get(thing.name)
            agents |= (entry.limits.agents if entry else None) or set()
            skills |= {*thing.skills, *((entry.limits.skills if entry else None) or ())}
        for slug in sorted(agents & directory.agents.keys()):
            yield ("agent", slug), self._agent(slug)
        for name in sorted(skills & directory.skills.keys()):
            yield ("skill", name), directory.skills[name]


class CodeOfRun:
    """The code of one run while it lasts.

    Args:
        code: what it may reach, as far as that can be read.
        codes: reads what it comes to besides.
    """

    __slots__ = ("_codes", "code")

    def __init__(self, code: Code, codes: Codes) -> None:
        self.code = code
        self._codes = codes

    def foresees(self, thing: Agent | Skill) -> bool:
        """Whether an agent or skill is among what the run may reach, as far as that was read."""
        return thing.name in (self.code.agents if isinstance(thing, Agent) else self.code.skills)

    def note(self, thing: Agent | Skill) -> dict[str, str]:
        """Return what is noted of an agent or skill that begins: only where it was not foreseen."""
        return {} if self.foresees(thing) else {"code": self._codes.digest_of(thing)}


def changes(then: Code, codes: Codes, slug: str) -> list[str]:
    """Return what has changed since, in words.

    Args:
        then: the code of a run.
        codes: the code of today.
        slug: the agent that the run begins with.
    """
    now = codes.of(slug)
    if now.python != then.python:
        return [f"Python (it was {then.python}, this is {now.python})"]
    found = []
    for kind, before, today in (
        ("agent", then.agents, now.agents),
        ("skill", then.skills, now.skills),
    ):
        for name, digest in sorted(before.items()):
            other = today.get(name) or codes.digest(kind, name)
            if other is not None and other != digest:
                found.append(f"{kind} {name}")
            elif other is None:
                found.append(f"{kind} {name} (not here any more)")
    return found


def _read(name: Name, body: Any) -> Reading:
    """Read a body; one that cannot be read must not fail its runs."""
    reading = Reading()
    try:
        reading.take(body)
    except Exception as error:  # noqa: BLE001  # whatever the author's objects do when looked at
        why = f"{type(error).__name__}: {error}"
        what = "the code of %s cannot be read whole, so that not every change is noticed: %s"
        logger.warning(what, " ".join(name), why)
    return reading


def _of_kind(reached: Mapping[Name, str], kind: str) -> dict[str, str]:
    return {name: digest for (of, name), digest in sorted(reached.items()) if of == kind}


def _lines(digests: Mapping[str, str]) -> list[str]:
    return [f"{name} {digest}" for name, digest in sorted(digests.items())]


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="backslashreplace")).hexdigest()[:DIGITS]
