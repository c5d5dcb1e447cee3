"""What the files of ``catalog/agents``, ``skills`` and ``workflows`` say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from runtime.backoff import Backoff
from runtime.catalog.fields import Fields
from runtime.catalog.values import (
    Entry,
    EntryPoint,
    Given,
    Limit,
    ModelName,
    Name,
    Seconds,
    Slug,
    Text,
    Unique,
)

_PROMPT_ONLY = ("prompt", "system", "input", "output")
_ONE_BODY = [  # the JSON Schema of what `rules.py` says in sentences
    {
        "required": ["entrypoint"],
        "not": {"anyOf": [{"required": [key]} for key in _PROMPT_ONLY]},
    },
    {
        "required": ["prompt", "output"],
        "properties": {"role": {"const": "sag"}},
        "not": {"required": ["entrypoint"]},
    },
]


class BackoffEntry(Entry):
    """How long to wait before a crashed agent starts again; see ``runtime.backoff``.

    Attributes:
        first_s: seconds before the first restart; doubled for each further one.
        longest_s: seconds; no wait is longer.
        jitter: the share of a wait that chance may take away, 0 to 1.
    """

    first_s: Annotated[float, Field(ge=0, le=86_400)] = 0.2
    longest_s: Annotated[float, Field(ge=0, le=86_400)] = 30.0
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.2

    def schedule(self) -> Backoff:
        """Return it as the pure function of the retry's number that it describes."""
        return Backoff(first=self.first_s, longest=self.longest_s, jitter=self.jitter)


class AgentEntry(Entry, json_schema_extra={"oneOf": _ONE_BODY}):
    """One agent: Python behind an ``entrypoint``, or a ``prompt`` without any Python.

    Attributes:
        name: its slug; the file has the same name.
        role: ``mag`` orchestrates, ``sag`` is a specialist.
        description: what it does, for the people who look for it.
        entrypoint: ``path.py:attribute``, relative to the workspace.
        prompt: what a prompt-only agent asks; ``{field}`` stands for an input field.
        system: the system prompt of a prompt-only agent.
        input: what a prompt-only agent takes.
        output: what a prompt-only agent gives.
        model: a tier of the routing file, ``provider/model``, or the name of a model that exactly
            one provider lists; None for the routing file's default tier.
        skills: the skills that it may use; None for any.
        agents: the agents that it may delegate to; None for any.
        concurrency: how many of its bodies run at once.
        deadline_s: seconds that one piece of work may take; None for the rest of its run's.
        max_restarts: how often a crashed body starts again for the same work.
        backoff: how long to wait before each restart.
        mailbox: how many pieces of work may wait for it.
        task_type: the type of its tasks, for the routes of the routing file; its slug if not given.
        data_class: the kind of data that it handles, which a policy may tie to certain models.
        max_output_tokens: the most that each of its model calls may generate.
    """

    name: Slug
    role: Literal["mag", "sag"]
    description: Text
    entrypoint: Given[EntryPoint] = None
    prompt: Given[Text] = None
    system: Given[Text] = None
    input: Given[Fields] = None
    output: Given[Annotated[Fields, Field(min_length=1)]] = None
    model: Given[ModelName] = None
    skills: Given[Unique[Name]] = None
    agents: Given[Unique[Slug]] = None
    concurrency: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    deadline_s: Given[Seconds] = None
    max_restarts: Annotated[int, Field(ge=0, le=10)] = 1
    backoff: BackoffEntry = BackoffEntry.model_construct()
    mailbox: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    task_type: Given[Name] = None
    data_class: Given[Name] = None
    max_output_tokens: Annotated[int, Field(ge=1, le=10_000_000)] = 4_096


class SkillEntry(Entry):
    """One skill: a checked function.

    Attributes:
        name: letters, digits, ``.``, ``-`` and ``_``.
        entrypoint: ``path.py:attribute``, relative to the workspace.
        description: what it does.
        timeout_s: seconds that one call may take; None for the rest of its caller's.
    """

    name: Name
    entrypoint: EntryPoint
    description: Text
    timeout_s: Given[Seconds] = None


class WorkflowEntry(Entry):
    """One workflow: an agent at the top of a run, and the run's limits.

    Attributes:
        name: its slug, which no agent has.
        description: what it is for.
        agent: the slug of the agent that begins.
        input: what that agent gets when the caller gives nothing; JSON data.
        deadline_s: seconds that a run may take; None for no limit.
        budget_usd: US dollars that a run may cost; None for no limit of its own.
        model: for all agents of a run: a tier, ``provider/model`` or a model's name.
        provider: for all agents of a run, instead of the routing file's.
        routing: the routing file that its runs go by; the one called ``default`` if not given.
        on_code_change: what ``resume`` does with a run of it whose code has changed: ``refuse``,
            ``continue``, which is the default, or ``pin``: goes on with that of then.
    """

    name: Slug
    description: Text
    agent: Slug
    input: Given[Mapping[str, Any]] = None
    deadline_s: Given[Seconds] = None
    budget_usd: Given[Limit] = None
    model: Given[ModelName] = None
    provider: Given[Name] = None
    routing: Given[Name] = None
    on_code_change: Given[Literal["refuse", "continue", "pin"]] = None
