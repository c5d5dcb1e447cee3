"""An actor with children: how they are started, ended and forgotten.

Children stand in a table in start order. Which of them are started or ended, and when, is decided
by the ``Supervisor``; here is how. Nothing outlives its parent.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime.actors.actor import Actor, Errand
from runtime.actors.child import Child
from runtime.actors.errors import ActorGone, Ignore, TooManyChildren
from runtime.actors.exits import LEAKED, NORMAL, SHUTDOWN, Exit
from runtime.actors.ref import ActorRef, end_all
from runtime.actors.report import Context, SupervisorReport
from runtime.actors.supervisor_ref import SupervisorRef

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.actors.spec import ChildSpec

EXPECTED_AT_STOP = ("normal", "shutdown")


class Parent(Actor, ABC):
    """The half of a supervisor that holds its children.

    Args:
        template: what every child is started from; None where each has a spec of its own.
        max_children: the most children; one more is refused.
    """

    def __init__(self, template: ChildSpec | None, max_children: int) -> None:
        self.template = template
        self.max_children = max_children
        self.children: dict[Any, Child] = {}
        self._starts_at_once = template is None or not _is_lazy(template.start)
        self._stopping = False
        self._numbers = itertools.count(1)

    async def on_stop(self, exit_: Exit) -> None:
        """Stop the children, the youngest first; a template's all at once."""
        del exit_
        self._stopping = True
        children = tuple(self.children.values())
        if self.template is not None:
            await self.end_together(children)
        else:
            await self.stop_in_reverse(children)
        self.children.clear()

    def on_killed(self) -> None:
        """Take the children along."""
        self._stopping = True
        children = tuple(self.children.values())
        self.children.clear()
        for child in children:
            child.cancel_timer()
            child.state = "stopped"
            if child.ref is not None:
                child.ref.discard()

    # --- starting --------------------------------------------------------------------------------

    def spawn(self, args: tuple[Any, ...]) -> ActorRef:
        """Start a template's child without waiting for its ``on_start``.

        One that has none is made when its first message comes: until then it is its address.

        Raises:
            ActorGone: the supervisor is stopping.
            TooManyChildren: it has ``max_children``.
        """
        child = self.new_child(args)
        try:
            ref = self._new_address(child)
        except Exception:
            self.forget(child)
            raise
        child.state = "running"
        if self._starts_at_once:
            ref.start()
        return ref

    def new_child(self, args: tuple[Any, ...]) -> Child:
        """Put a template's child into the table.

        Raises:
            ActorGone: the supervisor is stopping.
            TooManyChildren: it has ``max_children``.
        """
        if self.template is None or self._stopping:
            raise ActorGone(f"supervisor {self.ref.name} starts no such children now")
        self.check_room()
        id_ = f"{self.template.id}#{next(self._numbers)}"
        child = self.children[id_] = Child(self, id_, self.template, args)
        return child

    def check_room(self) -> None:
        """Refuse one child too many.

        Raises:
            TooManyChildren: there are ``max_children`` already.
        """
        if len(self.children) >= self.max_children:
            raise TooManyChildren(f"supervisor {self.ref.name} has {self.max_children} children")

    async def start(self, child: Child) -> ActorRef | None:
        """Start a child, wait for its ``on_start`` and return its address; None if it ignores.

        Raises:
            Exception: what its start raised; the child is then without an actor.
        """
        before = child.ref
        ref = self._address(child)
        try:
            await ref.started()
        except Ignore:
            self._ignored(child, ref)
            return None
        except Exception as error:
            if child.ref is ref:
                self._not_started(child, ref, before, Exit("crashed", error=error))
            raise
        if child.ref is not ref:
            raise ActorGone(f"{ref.name} was dismissed while it started")
        self._running(child)
        if ref.exit is not None:
            self.ended(child, ref, ref.exit)  # it ended before this heard that it had begun
        return ref

    def _address(self, child: Child) -> ActorRef:
        """Return the address that the child is started behind: new, or the one it keeps."""
        child.context = None
        if child.ref is not None and child.ref.alive:
            child.ref.revive()
            return child.ref
        return self._new_address(child)

    def _new_address(self, child: Child) -> ActorRef:
        spec = child.spec
        kind = SupervisorRef if spec.type == "supervisor" else ActorRef
        args = spec.args + child.args
        is_temporary = spec.restart == "temporary"
        ref = child.ref = kind(
            self.ref._system,  # noqa: SLF001  # a supervisor is the kernel's own
            str(child.id),
            partial(spec.start, *args) if args else spec.start,
            spec.mailbox(),
            child.exited,
            spec.keep_address and not is_temporary,
        )
        if is_temporary and args:
            child.spec, child.args = spec.without_args(), ()  # it is never started again
        return ref

    def _running(self, child: Child) -> None:
        """Note that the child runs now."""
        child.state = "running"
        if child.retries:  # else it has failed never, or not for long
            child.started_at = self.ref.now

    def _ignored(self, child: Child, ref: ActorRef) -> None:
        ref.bury(NORMAL)
        child.ref, child.state = None, "stopped"
        if child.spec.restart == "temporary" or self.template is not None:
            self.forget(child)

    def _not_started(
        self, child: Child, ref: ActorRef, before: ActorRef | None, exit_: Exit
    ) -> None:
        child.state = "stopped"
        self.report("start_error", child, exit_)
        if ref is not before:
            ref.bury(exit_)
            child.ref = before  # by which a template's child is still known

    # --- ending ----------------------------------------------------------------------------------

    @abstractmethod
    def ended(self, child: Child, ref: ActorRef, exit_: Exit) -> None:
        """Decide what follows from the end of an incarnation, or post an event."""

    def dismiss(self, ref: ActorRef) -> None:
        """Kill a template's child now and forget it; does nothing for one that is gone."""
        child = self.children.get(ref.name)
        if child is None or child.ref is not ref or self.template is None:
            return
        self.forget(child)
        child.cancel_timer()
        child.ref, child.state = None, "stopped"
        ref.discard()

    async def stop_in_reverse(self, children: Sequence[Child], *, keep: bool = False) -> None:
        """Stop children one after another, the youngest first."""
        for child in reversed(children):
            await self.end_together((child,), keep=keep)

    async def end_together(self, children: Sequence[Child], *, keep: bool = False) -> None:
        """Ask the children to end, kill those that take too long, and leave them without actors.

        Args:
            children: those to end; they share the grace of the first.
            keep: keep the addresses of children whose specs say so, as they are to be restarted.
        """
        ending = [(child, child.ref) for child in children if child.ref is not None]
        running = [(child, ref) for child, ref in ending if child.state == "running"]
        for child in children:
            child.cancel_timer()
            if child.ref is None:
                self.settle(child, SHUTDOWN)  # perhaps it was to be started again
        for child, _ in running:
            child.state = "stopping"
        if running:
            await end_all([ref for _, ref in running], running[0][0].spec.grace)
        for child, ref in ending:
            self._ended_by_us(child, ref, keep=keep)

    def _ended_by_us(self, child: Child, ref: ActorRef, *, keep: bool) -> None:
        exit_ = ref.exit or SHUTDOWN
        if exit_ is LEAKED:
            self.report("leaked", child, exit_)
        elif child.state == "stopping" and child.spec.grace > 0:
            self._report_unexpected("shutdown_error", child, exit_)
        if keep and ref.alive:
            child.state = "stopped"
        else:
            self.settle(child, exit_)

    def settle(self, child: Child, exit_: Exit) -> None:
        """Leave a child without an actor; forget those whose spec is not kept."""
        if child.timer is not None:
            child.cancel_timer()
        ref, child.ref, child.state = child.ref, None, "stopped"
        if child.spec.restart == "temporary" or self.template is not None:
            self.forget(child)
        if ref is not None:
            ref.bury(exit_)

    def forget(self, child: Child) -> None:
        """Take a child out of the table; it is never started again."""
        child.args = ()
        if self.children.get(child.id) is child:
            del self.children[child.id]

    # --- reports ---------------------------------------------------------------------------------

    def report(self, context: Context, child: Child, reason: Exit, delay: float = 0.0) -> None:
        """Record and log what happened to a child."""
        now = self.ref.now
        report = SupervisorReport(
            self.ref.name, context, child.id, reason, child.restarts, now, delay
        )
        if child.context is None:
            report.log()
        else:
            child.context.run(report.log)
        self.ref._system.report(report)  # noqa: SLF001  # a supervisor is the kernel's own

    def _report_unexpected(self, context: Context, child: Child, exit_: Exit) -> None:
        if exit_.kind not in EXPECTED_AT_STOP:
            self.report(context, child, exit_)


def _is_lazy(start: Callable[..., Actor]) -> bool:
    """Whether what makes an actor is a class that has nothing to do until a message comes."""
    while isinstance(start, partial):
        start = start.func
    if not isinstance(start, type) or issubclass(start, Errand):
        return False
    return getattr(start, "on_start", None) is Actor.on_start
