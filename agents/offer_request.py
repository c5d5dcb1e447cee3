"""What ``offer-orchestrator-mag`` takes: one candidate, or tasks about several."""

from __future__ import annotations

from collections import Counter
from typing import Any, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from agents.pay import CandidateProfile, Given

ADVISOR = "compensation-advisor-sag"
MOST_TASKS = 1_000


class Task(Given):
    """One candidate. Without a profile of its own it is about the one of the request.

    The profile is ``input.candidate_profile``, ``candidate_profile``, or the task's own fields.

    Attributes:
        task_id: its name; numbered when not given.
        sag_id: who works on it: an agent that answers as the compensation advisor does.
        input: what that agent gets besides the profile.
        candidate_profile: the candidate.
    """

    task_id: str = ""
    sag_id: str = ADVISOR
    input: dict[str, Any] = Field(default={})
    candidate_profile: dict[str, Any] | None = None

    def profile(self) -> Any:
        """Return the task's own profile; empty if it has none."""
        own = self.input.get("candidate_profile") or self.candidate_profile
        return own or _profile_in(self.model_extra or {}) or _profile_in(self.input)


class OfferRequest(
    CandidateProfile, json_schema_extra={"anyOf": [{"required": ["role"]}, {"required": ["tasks"]}]}
):
    """A candidate, or tasks about several.

    Attributes:
        tasks: the candidates; empty for the one whose profile this is.
    """

    role: str = ""
    tasks: list[Task] = Field(default=[], max_length=MOST_TASKS)

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if not self.role and not self.tasks:
            raise PydanticCustomError("missing", "role is required where there are no tasks")
        (name, count), *_ = Counter(name for name, _ in self.named_tasks()).most_common(1)
        if count > 1:
            raise PydanticCustomError("twice", "two tasks are called {name}", {"name": repr(name)})
        return self

    def own_profile(self) -> dict[str, Any]:
        """Return the candidate that the request itself is about, as it was given."""
        return self.model_dump(exclude={"tasks"}, exclude_unset=True)

    def named_tasks(self) -> list[tuple[str, Task]]:
        """Return the tasks and their names; at least one."""
        tasks = self.tasks or [Task()]
        return [(task.task_id or f"task-{number}", task) for number, task in enumerate(tasks)]


def _profile_in(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key in CandidateProfile.model_fields}
