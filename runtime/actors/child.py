"""One row of a supervisor's table: a child's spec, its address and where it stands."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import asyncio

    from runtime.actors.exits import Exit
    from runtime.actors.parent import Parent
    from runtime.actors.ref import ActorRef
    from runtime.actors.restart import Strategy
    from runtime.actors.spec import ChildSpec, ChildType

ChildState = Literal["running", "stopping", "restarting", "stopped"]


class Child:
    """A supervisor's view of one child.

    Attributes:
        parent: its supervisor.
        id: its key in the supervisor's table.
        spec: how it is started; a temporary child's arguments are not kept.
        args: what a template's child is started with besides; not kept either.
        ref: its address; None while there is none.
        state: ``stopped`` keeps the spec without an actor.
        restarts: how many times it was restarted.
        retries: restarts since it last ran for a whole period; drives the back-off.
        started_at: when it was last started with ``retries`` to forget, in seconds of the loop's
            clock; 0 where it never was.
        timer: the pending restart.
        context: the context variables of the incarnation that failed last: what is logged about
            that goes by them.
    """

    __slots__ = (
        "args", "context", "id", "parent", "ref", "restarts", "retries", "spec", "started_at",
        "state", "timer",
    )  # fmt: skip

    def __init__(
        self, parent: Parent, id_: Any, spec: ChildSpec, args: tuple[Any, ...] = ()
    ) -> None:
        self.parent = parent
        self.id = id_
        self.spec = spec
        self.args = args
        self.ref: ActorRef | None = None
        self.state: ChildState = "stopped"
        self.restarts = 0
        self.retries = 0
        self.started_at = 0.0
        self.timer: asyncio.TimerHandle | None = None
        self.context: contextvars.Context | None = None

    @property
    def is_exhausted(self) -> bool:
        """Whether it has a bound of its own, and has used its restarts up."""
        return self.spec.max_restarts is not None and self.restarts >= self.spec.max_restarts

    def exited(self, ref: ActorRef, exit_: Exit) -> None:
        """Hear, in its own task, that an incarnation ended."""
        if exit_.kind == "crashed":
            self.context = contextvars.copy_context()  # it knows whose message that was
        self.parent.ended(self, ref, exit_)

    def cancel_timer(self) -> None:
        """Forget the pending restart."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class ChildInfo(NamedTuple):
    """What ``which_children`` says of one child."""

    id: Any
    ref: ActorRef | None
    state: ChildState
    type: ChildType
    restarts: int


class Counts(NamedTuple):
    """What ``count_children`` says: specs, running ones, and the supervisors and workers of all."""

    specs: int
    active: int
    supervisors: int
    workers: int


class SupervisorStatistics(NamedTuple):
    """A snapshot of one supervisor.

    Attributes:
        name: its name.
        strategy: its strategy.
        specs: the children that it knows.
        active: those that run.
        restarting: those that it tries to restart.
        restarts: all restarts so far.
    """

    name: str
    strategy: Strategy
    specs: int
    active: int
    restarting: int
    restarts: int


class ChildExited(NamedTuple):
    """A supervisor's own event: a child ended."""

    child: Child
    ref: ActorRef
    exit: Exit


class RestartDue(NamedTuple):
    """A supervisor's own event: the back-off of a child's restart, number ``restarts``, is over."""

    child: Child
    restarts: int


class Request(NamedTuple):
    """An administrative request: a method of the supervisor and its arguments."""

    method: str
    args: tuple[Any, ...]
