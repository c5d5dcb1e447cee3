"""The address of a supervisor: an actor's, and the administration of its children.

The awaited requests go through the supervisor's mailbox like any message. ``spawn``, ``dismiss``
and ``child`` are synchronous, for those who start a child per piece of work: no hop, no queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from runtime.actors.child import Request
from runtime.actors.errors import ActorGone
from runtime.actors.ref import ActorRef

if TYPE_CHECKING:
    import asyncio

    from runtime.actors.child import ChildInfo, Counts, SupervisorStatistics
    from runtime.actors.spec import ChildSpec
    from runtime.actors.supervisor import Supervisor


class SupervisorRef(ActorRef):
    """The address of a supervisor."""

    __slots__ = ()

    async def start_child(self, *what: Any) -> ActorRef | None:
        """Start a child and return its address, or None when it asked to be ignored.

        Args:
            what: a ``ChildSpec``; under ``simple_one_for_one`` the template's further arguments.

        Raises:
            StartError: its start raised; it is not kept.
            AlreadyStarted: one of that id runs.
            AlreadyPresent: one of that id is specified.
            SpecError: the spec is wrong.
        """
        return cast("ActorRef | None", await self._request("start_child", *what))

    async def terminate_child(self, id_: Any) -> None:
        """Stop a child and keep its spec (a temporary or a template's child is forgotten).

        Raises:
            NotFound: there is no such child.
        """
        await self._request("terminate_child", id_)

    async def restart_child(self, id_: Any) -> ActorRef | None:
        """Start a child that was stopped.

        Raises:
            NotFound: there is no such child.
            Running: it runs.
            Restarting: the supervisor is at it already.
            StartError: its start raised; its spec is kept.
        """
        return cast("ActorRef | None", await self._request("restart_child", id_))

    async def delete_child(self, id_: Any) -> None:
        """Forget the spec of a child that was stopped.

        Raises:
            NotFound: there is no such child.
            Running: it runs.
            Restarting: the supervisor is trying to restart it.
        """
        await self._request("delete_child", id_)

    async def which_children(self) -> list[ChildInfo]:
        """Return all children in start order."""
        return cast("list[ChildInfo]", await self._request("which_children"))

    async def count_children(self) -> Counts:
        """Count the children."""
        return cast("Counts", await self._request("count_children"))

    async def child_spec(self, id_: Any) -> ChildSpec:
        """Return a child's spec.

        Raises:
            NotFound: there is no such child.
        """
        return cast("ChildSpec", await self._request("child_spec", id_))

    def spawn(self, *args: Any) -> ActorRef:
        """Start a template's child now, without a hop; its ``on_start`` runs in its own time.

        Raises:
            ActorGone: the supervisor has ended or is stopping.
            TooManyChildren: it has as many as it may.
        """
        return self._supervisor.spawn(args)

    def dismiss(self, ref: ActorRef) -> None:
        """Kill a template's child now, without a hop, and do not restart it."""
        if self._actor is not None:
            self._supervisor.dismiss(ref)

    def child(self, id_: Any) -> ActorRef | None:
        """Return the address of a child now, without a hop; None while it has none that is alive.

        Raises:
            ActorGone: the supervisor has ended or is being restarted.
        """
        child = self._supervisor.children.get(id_)
        return (
            child.ref if child is not None and child.ref is not None and child.ref.alive else None
        )

    def supervision(self) -> SupervisorStatistics:
        """Return a snapshot of the supervisor.

        Raises:
            ActorGone: it has ended or is being restarted.
        """
        return self._supervisor.statistics()

    @property
    def _supervisor(self) -> Supervisor:
        if self._actor is None:
            raise ActorGone(f"supervisor {self.name} is not running")
        return cast("Supervisor", self._actor)

    def _request(self, method: str, *args: Any) -> asyncio.Future[Any]:
        return self.ask(Request(method, args))
