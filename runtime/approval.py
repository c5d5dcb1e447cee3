"""Asking people whether something may be done: what they are asked, and what they decide.

There is one way to ask, whoever does: an agent with ``ctx.approve``, or a policy that wants a tool
approved. Each question has a ticket. Whoever started the run may answer at once (``--approve``,
``RunOptions.approve``); all else waits for people, who decide in any process, and once.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from runtime.patterns import fits

if TYPE_CHECKING:
    from collections.abc import Mapping

TICKET_LENGTH = 8  # 40 bits: of a thousand questions of a run no two have the same


class ApprovalRequest(NamedTuple):
    """What somebody is asked to approve.

    Attributes:
        run_id: the run.
        ticket: what people name it by; it stays the same when the run goes on elsewhere.
        agent: who asks.
        task_id: for which piece of work.
        question: what is asked, in words.
        data: what it is about; of a tool its arguments. JSON data.
        tool: the tool that may be used or not; None where an agent's code asks.
        policy: the policy that wants the tool approved, and where it is written; None likewise.
        asked_at: when, in seconds since the Unix epoch.
        expires_at: from when on it counts as denied; None for never.
    """

    run_id: str
    ticket: str
    agent: str
    task_id: str
    question: str
    data: Any
    tool: str | None
    policy: str | None
    asked_at: float
    expires_at: float | None

    def as_body(self) -> dict[str, Any]:
        """Return what the journal keeps of it, besides its run and its time."""
        said = self._asdict()
        for name in ("run_id", "asked_at"):
            del said[name]
        return {name: value for name, value in said.items() if value is not None}

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data; times are ISO 8601 in UTC."""
        expires_at = self.expires_at
        return self._asdict() | {
            "asked_at": _iso(self.asked_at),
            "expires_at": None if expires_at is None else _iso(expires_at),
        }

    @classmethod
    def of_body(cls, run_id: str, asked_at: float, body: Mapping[str, Any]) -> ApprovalRequest:
        """Return what the journal tells of."""
        return cls(
            run_id=run_id,
            ticket=str(body.get("ticket")),
            agent=str(body.get("agent")),
            task_id=str(body.get("task_id")),
            question=str(body.get("question")),
            data=body.get("data"),
            tool=body.get("tool"),
            policy=body.get("policy"),
            asked_at=asked_at,
            expires_at=body.get("expires_at"),
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody has decided; it is true if that is a yes.

    Attributes:
        approved: whether it may be done.
        by: who has decided, e.g. ``anna@laptop``.
        at: when, in seconds since the Unix epoch.
        comment: what they say about it; empty for nothing.
    """

    approved: bool
    by: str
    at: float
    comment: str = ""

    def __bool__(self) -> bool:
        return self.approved

    def __str__(self) -> str:
        """Return it as a sentence about who has decided."""
        what = f"{self.by} has {'approved' if self.approved else 'denied'} it"
        return f"{what}: {self.comment}" if self.comment else what

    def as_body(self) -> dict[str, Any]:
        """Return what the journal keeps of it, besides its time."""
        return {"approved": self.approved, "by": self.by, "comment": self.comment}

    @classmethod
    def of_body(cls, at: float, body: Mapping[str, Any]) -> Decision:
        """Return what the journal tells of."""
        return cls(
            body.get("approved") is True, str(body.get("by")), at, str(body.get("comment") or "")
        )


Approve: TypeAlias = Callable[[ApprovalRequest], Awaitable[bool | None]]
"""Answers a question at once; None leaves it to people. The agent waits for it."""


def approval_of(patterns: Sequence[str]) -> Approve | None:
    """Return what approves the tools that some patterns stand for; None for no patterns."""

    async def approve(wish: ApprovalRequest) -> bool | None:
        known = wish.tool is not None and any(fits(pattern, wish.tool) for pattern in patterns)
        return True if known else None

    return approve if patterns else None


def _iso(at: float) -> str:
    moment = datetime.fromtimestamp(at, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ticket_of(op: str) -> str:
    """Return what people call the question that is a step of a run: short, and always the same."""
    digest = base64.b32encode(hashlib.sha256(op.encode()).digest()).decode().lower()
    return digest[:TICKET_LENGTH]
