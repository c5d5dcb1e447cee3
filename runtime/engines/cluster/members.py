"""Who is in a cluster, and whether they are still there. Pure.

    up, draining --- missed a refresh ---> suspect --- gone from the bucket ---> down
         ^                                    |
         +------------- refreshed ------------+

A node writes what it is doing into a bucket every ``REFRESH_S``; what is older than ``KEPT_S`` the
servers forget. That is for people and for whoever wants to know who is there. Who may go on with
the work of a node that is down is decided by leases in the journal, never by this.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

REFRESH_S = 3.0
SUSPECT_S = 5.0  # one refresh is missing, and the next is nearly due
KEPT_S = 10.0

Duty = Literal["up", "draining"]
Standing = Literal["up", "draining", "suspect", "down"]


@dataclass(frozen=True, slots=True)
class Load:
    """How much of one agent a node does.

    Attributes:
        running: bodies that run.
        waiting: Delegations that wait for their turn there.
        capacity: how many bodies may run at once.
    """

    running: int
    waiting: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Grant:
    """What a node may ask of one provider account.

    Attributes:
        held: requests that it may start without asking anybody.
        is_authority: whether it is the node that grants them to all.
    """

    held: int
    is_authority: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What a node says of itself.

    Attributes:
        id: its name in the cluster.
        host: the name of its machine.
        pid: the number of its process there.
        version: of the runtime.
        code: a digest of its agents and skills; nodes of one release have the same.
        duty: whether it takes new work.
        started_at: since when it is a node, in seconds since the Unix epoch.
        agents: what it serves, and how much of that it does.
        runs: how many runs are at home there.
        calls: model calls that it has made so far.
        delegations: Delegations that it has carried so far.
        calls_per_s: model calls in the last seconds.
        delegations_per_s: Delegations in the last seconds.
        grants: what it may ask of provider accounts whose limits the cluster shares, by account.
    """

    id: str
    host: str
    pid: int
    version: str
    code: str
    duty: Duty
    started_at: float
    agents: Mapping[str, Load]
    runs: int
    calls: int = 0
    delegations: int = 0
    calls_per_s: float = 0.0
    delegations_per_s: float = 0.0
    grants: Mapping[str, Grant] = field(default_factory=dict)

    @property
    def running(self) -> int:
        """How many bodies run there."""
        return sum(load.running for load in self.agents.values())

    @property
    def waiting(self) -> int:
        """How many Delegations wait there."""
        return sum(load.waiting for load in self.agents.values())


@dataclass(frozen=True, slots=True)
class Sighted:
    """A node as others see it.

    Attributes:
        member: what it has said last.
        age_s: how long ago, by the servers' clock.
    """

    member: Member
    age_s: float

    @property
    def standing(self) -> Standing:
        """Whether it is there."""
        if self.age_s >= KEPT_S:
            return "down"
        return "suspect" if self.age_s >= SUSPECT_S else self.member.duty

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        said = asdict(self.member)
        return {"id": said.pop("id"), "state": self.standing, "age_s": round(self.age_s, 3), **said}


def encode(member: Member) -> bytes:
    """Return what a node writes into the bucket."""
    return orjson.dumps(asdict(member))


def decode(data: bytes) -> Member:
    """Return what a node has written there.

    Raises:
        ValueError: it is of another version, and cannot be understood.
    """
    try:
        said = orjson.loads(data)
        agents = {name: Load(**load) for name, load in said.pop("agents").items()}
        grants = {name: Grant(**grant) for name, grant in said.pop("grants").items()}
        return Member(agents=agents, grants=grants, **said)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"a node's entry cannot be understood: {error}") from error
