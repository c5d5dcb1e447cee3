"""What may be asked of a supervisor while it runs; each request is a message like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.actors.child import Child, ChildInfo, Counts
from runtime.actors.errors import (
    AlreadyPresent,
    AlreadyStarted,
    ChildError,
    NotFound,
    Restarting,
    Running,
    StartError,
)
from runtime.actors.exits import SHUTDOWN
from runtime.actors.ref import ActorRef
from runtime.actors.spec import check_spec, names_a_child

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.actors.child import ChildState
    from runtime.actors.spec import ChildSpec
    from runtime.actors.supervisor import Supervisor


async def start_child(supervisor: Supervisor, *what: Any) -> ActorRef | None:
    """Start a child from a spec, or from a template and further arguments."""
    child = supervisor.new_child(what) if supervisor.template else _specified(supervisor, *what)
    try:
        return await supervisor.start(child)
    except Exception as error:
        supervisor.forget(child)
        raise StartError(str(child.id), error) from error


def _specified(supervisor: Supervisor, *what: Any) -> Child:
    spec = check_spec(what[0] if len(what) == 1 else what, supervisor.auto_shutdown)
    present = supervisor.children.get(spec.id)
    if present is not None:
        kind = AlreadyStarted if present.state == "running" else AlreadyPresent
        raise kind(f"supervisor {supervisor.ref.name} has a child {spec.id!r} already")
    supervisor.check_room()
    child = supervisor.children[spec.id] = Child(supervisor, spec.id, spec)
    return child


async def terminate_child(supervisor: Supervisor, id_: Any) -> None:
    """Stop a child; idempotent."""
    try:
        child = _find(supervisor, id_)
    except NotFound:
        if supervisor.template is not None and isinstance(id_, ActorRef) and not id_.alive:
            return  # a template's child that has ended, and so is not known any more
        raise
    await supervisor.end_together((child,))


async def restart_child(supervisor: Supervisor, id_: Any) -> ActorRef | None:
    """Start a stopped child."""
    child = _stopped(supervisor, id_)
    try:
        return await supervisor.start(child)
    except Exception as error:
        raise StartError(str(child.id), error) from error


async def delete_child(supervisor: Supervisor, id_: Any) -> None:
    """Forget a stopped child."""
    child = _stopped(supervisor, id_)
    supervisor.settle(child, SHUTDOWN)  # gives an address up that was kept for a restart
    supervisor.forget(child)


async def which_children(supervisor: Supervisor) -> list[ChildInfo]:
    """List all children."""
    return [
        ChildInfo(child.id, child.ref, child.state, child.spec.type, child.restarts)
        for child in supervisor.children.values()
    ]


async def count_children(supervisor: Supervisor) -> Counts:
    """Count all children."""
    children = supervisor.children.values()
    supervisors = sum(child.spec.type == "supervisor" for child in children)
    active = sum(child.state == "running" for child in children)
    specs = 1 if supervisor.template is not None else len(children)
    return Counts(specs, active, supervisors, len(children) - supervisors)


async def child_spec(supervisor: Supervisor, id_: Any) -> ChildSpec:
    """Return a child's spec."""
    child = _find(supervisor, id_)
    return child.spec.with_args(child.args)


def _find(supervisor: Supervisor, id_: Any) -> Child:
    """Look a child up: by its id, or, under a template, by its address only."""
    by_ref = supervisor.template is not None
    key = id_.name if isinstance(id_, ActorRef) else id_
    may_be_there = isinstance(id_, ActorRef) == by_ref and names_a_child(key)
    child = supervisor.children.get(key) if may_be_there else None
    if child is None or (by_ref and child.ref is not id_):
        raise NotFound(f"supervisor {supervisor.ref.name} has no child {id_!r}")
    return child


def _stopped(supervisor: Supervisor, id_: Any) -> Child:
    child = _find(supervisor, id_)
    if child.state != "stopped":
        raise BUSY[child.state](f"child {child.id!r} is {child.state}")
    return child


BUSY: dict[ChildState, type[ChildError]] = {
    "running": Running,
    "stopping": Running,
    "restarting": Restarting,
}
REQUESTS: dict[str, Callable[..., Awaitable[Any]]] = {
    request.__name__: request
    for request in (
        start_child,
        terminate_child,
        restart_child,
        delete_child,
        which_children,
        count_children,
        child_spec,
    )
}
