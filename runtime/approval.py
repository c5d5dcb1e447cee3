"""Asking somebody whether an agent may use a tool that a policy wants approved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from runtime.catalog.patterns import fits


class ApprovalRequest(NamedTuple):
    """What is to be approved.

    Attributes:
        run_id: the run.
        agent: who wants to use the tool.
        task_id: for which piece of work.
        tool: the tool.
        arguments: what it would be given; JSON data.
        policy: the policy that wants it approved, and where it is written.
    """

    run_id: str
    agent: str
    task_id: str
    tool: str
    arguments: Any
    policy: str


Approve: TypeAlias = Callable[[ApprovalRequest], Awaitable[bool]]
"""Decides whether a tool may be used; the agent waits for it."""


def approval_of(patterns: Sequence[str]) -> Approve | None:
    """Return a decision that approves the tools that some patterns stand for; None for none."""

    async def approve(wish: ApprovalRequest) -> bool:
        return any(fits(pattern, wish.tool) for pattern in patterns)

    return approve if patterns else None
