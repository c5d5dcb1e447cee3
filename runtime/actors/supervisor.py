"""A supervisor: an actor that starts, watches, restarts and stops others, as OTP's do.

Theory of operation. Children stand in a table in start order. A child's end is an event in the
supervisor's control lane; ``_child_exited`` decides by the table in ``restart.py``. A restart waits
for its back-off *outside* the mailbox, as a timer that posts ``RestartDue`` behind the requests
that are already there, and a failed restart goes the same way again, so the supervisor answers
requests and can be stopped in between, however many children it restarts in vain.

| strategy           | stopped with the failed child      | started again                        |
|--------------------|------------------------------------|--------------------------------------|
| one_for_one        | -                                  | the child                            |
| rest_for_one       | those started after it             | the child, then those                |
| one_for_all        | all others                         | all                                  |
| simple_one_for_one | -                                  | the child, from the one template     |

Siblings are stopped in reverse start order and started in start order; temporary ones are stopped
and forgotten. More than ``intensity`` restarts in ``period`` seconds: the supervisor stops its
children and ends with ``shutdown``, which is its own supervisor's event.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, get_args

from runtime.actors.administration import REQUESTS
from runtime.actors.child import Child, ChildExited, Request, RestartDue, SupervisorStatistics
from runtime.actors.errors import Ignore, StartError
from runtime.actors.exits import SHUTDOWN, Exit, ExitKind
from runtime.actors.parent import EXPECTED_AT_STOP, Parent
from runtime.actors.restart import RESTARTED, AutoShutdown, RestartIntensity, Strategy
from runtime.actors.spec import ChildSpec, check_flags, check_specs
from runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runtime.actors.ref import ActorRef


class Supervisor(Parent):
    """Supervises children; see the top of this file.

    Args:
        children: their specs in start order; for ``simple_one_for_one`` exactly one, the template.
        strategy: who else is restarted with a failed child.
        intensity: the most restarts within a period.
        period: seconds; a child that ran for so long is healthy and its back-off begins anew.
        auto_shutdown: whether the end of significant children ends the supervisor.
        backoff: how long to wait before a restart.
        max_children: the most children; one more is refused.
        draw: returns a random number in [0, 1) for the back-off's jitter.

    Raises:
        SpecError: a flag or a spec is wrong.
    """

    def __init__(
        self,
        children: Iterable[ChildSpec] = (),
        *,
        strategy: Strategy = "one_for_one",
        intensity: int = 1,
        period: float = 5.0,
        auto_shutdown: AutoShutdown = "never",
        backoff: Backoff | None = None,
        max_children: int = 100_000,
        draw: Callable[[], float] = random.random,
    ) -> None:
        specs = check_specs(children, auto_shutdown)
        check_flags(
            len(specs),
            strategy=strategy,
            intensity=intensity,
            period=period,
            auto_shutdown=auto_shutdown,
            max_children=max_children,
            backoff=backoff,
            draw=draw,
        )
        template = specs[0] if strategy == "simple_one_for_one" else None
        super().__init__(template, max_children)
        self.strategy: Strategy = strategy
        self.auto_shutdown: AutoShutdown = auto_shutdown
        self.restarts = 0
        self._static = () if template is not None else specs
        self._final = _final_exits(template, auto_shutdown)
        self._patience = RestartIntensity(intensity, period)
        self._backoff = backoff if backoff is not None else Backoff()
        self._draw = draw

    def __repr__(self) -> str:
        states = [child.state for child in self.children.values()]
        name = self.ref.name if hasattr(self, "ref") else "not started"
        return (
            f"<Supervisor {name} {self.strategy} [{states.count('running')} active,"
            f" {states.count('restarting')} restarting, {len(states)} specs,"
            f" {self.restarts} restarts, {self._patience!r}]>"
        )

    # --- the actor -------------------------------------------------------------------------------

    async def on_start(self) -> None:
        """Start the static children in order; one that fails stops those before it."""
        for spec in self._static:
            child = self.children[spec.id] = Child(self, spec.id, spec)
            try:
                await self.start(child)
            except Exception as error:
                await self.stop_in_reverse(tuple(self.children.values()))
                raise StartError(str(spec.id), error) from error
        self._static = ()

    def statistics(self) -> SupervisorStatistics:
        """Return a snapshot of this supervisor."""
        states = [child.state for child in self.children.values()]
        return SupervisorStatistics(
            name=self.ref.name,
            strategy=self.strategy,
            specs=len(states),
            active=states.count("running"),
            restarting=states.count("restarting"),
            restarts=self.restarts,
        )

    async def receive(self, message: Any) -> Any:
        """Handle an event or a request."""
        if isinstance(message, ChildExited):
            return await self._child_exited(message)
        if isinstance(message, RestartDue):
            return await self._restart_due(*message)
        if isinstance(message, Request):
            return await self._requested(message)
        return self.unhandled(message)

    async def _requested(self, request: Request) -> Any:
        try:
            return await REQUESTS[request.method](self, *request.args)
        except Exception as error:  # noqa: BLE001  # a wrong request is its asker's failure
            return self.ref.fail(error)

    # --- a child ended ---------------------------------------------------------------------------

    def ended(self, child: Child, ref: ActorRef, exit_: Exit) -> None:
        """Decide at once where that is easy, else post an event."""
        if child.ref is not ref:
            ref.bury(exit_)
        elif child.state == "running":
            if exit_.kind in self._final:
                if exit_.kind not in EXPECTED_AT_STOP:
                    self.report("child_terminated", child, exit_)
                self.settle(child, exit_)  # the common case of a template's child: no hop, no event
            elif exit_.kind == "normal" and isinstance(exit_.error, Ignore):
                self.settle(child, exit_)
            else:
                self.ref.control(ChildExited(child, ref, exit_))

    async def _child_exited(self, event: ChildExited) -> None:
        child, ref = event.child, event.ref
        if self._stopping or child.state != "running" or child.ref is not ref:
            return  # all end anyway, or it was stopped in the meantime
        if self.ref.now - child.started_at >= self._patience.period:
            child.retries = 0
        if event.exit.kind not in RESTARTED[child.spec.restart]:
            self._gone(child, event.exit)
            return
        self.report("child_terminated", child, event.exit)
        if child.ref is not ref:
            return  # whoever heard of it has dismissed it
        if child.is_exhausted:
            self._leave(child, event.exit)
        else:
            await self._restart(child, event.exit)

    def _gone(self, child: Child, exit_: Exit) -> None:
        """A child ended, and its spec says that it is not restarted."""
        self._report_unexpected("child_terminated", child, exit_)
        self._leave(child, exit_)

    def _leave(self, child: Child, exit_: Exit) -> None:
        """Leave a child ended, and end with it if it is significant."""
        self.settle(child, exit_)
        if child.spec.significant and self._ends_with_the_significant():
            self._conclude(SHUTDOWN)

    def _ends_with_the_significant(self) -> bool:
        if self.auto_shutdown == "any_significant":
            return True
        return not any(
            other.spec.significant and other.state in ("running", "restarting")
            for other in self.children.values()
        )

    def _conclude(self, exit_: Exit) -> None:
        """End, and decide nothing more until then."""
        self._stopping = True
        self.stop(exit_)

    # --- restarting ------------------------------------------------------------------------------

    async def _restart(self, child: Child, exit_: Exit) -> None:
        """Count the restart, stop those who go with the child, and wait for the back-off."""
        loop = asyncio.get_running_loop()
        if child.spec.max_restarts is None and not self._patience.spend(loop.time()):
            self._give_up(child, exit_)
            return
        self.restarts += 1
        child.restarts += 1
        child.state = "restarting"
        others = [other for other in self._group(child) if other is not child]
        await self.stop_in_reverse(others, keep=True)
        delay = self._backoff.delay(child.retries, self._draw())
        child.retries += 1
        self.report("restart", child, exit_, delay)
        due = RestartDue(child, child.restarts)
        child.timer = loop.call_later(delay, self.ref.notice, due)

    def _group(self, child: Child) -> list[Child]:
        """Return those who are stopped and started with the child, and itself, in start order."""
        if self.strategy in ("one_for_one", "simple_one_for_one"):
            return [child]
        children = list(self.children.values())
        return children if self.strategy == "one_for_all" else children[children.index(child) :]

    async def _restart_due(self, child: Child, restarts: int) -> None:
        if self._stopping or child.state != "restarting" or child.restarts != restarts:
            return  # all end anyway, or it was stopped, perhaps started again, in the meantime
        child.timer = None
        for member in self._group(child):
            if member.state == "running":
                continue  # it came up in an earlier round
            try:
                await self.start(member)
            except Exception as error:  # noqa: BLE001  # a failed restart is counted and tried again
                if await self._is_left_down(member, Exit("crashed", error=error)):
                    continue
                return

    async def _is_left_down(self, member: Child, exit_: Exit) -> bool:
        """Try a child that did not come up again later, with its group, unless it is given up."""
        if self.children.get(member.id) is not member:
            return True  # it was dismissed while it started
        if member.is_exhausted:
            self._leave(member, exit_)
            return not self._stopping
        await self._restart(member, exit_)
        return False

    def _give_up(self, child: Child, exit_: Exit) -> None:
        patience = f"{self._patience.intensity} restarts in {self._patience.period:g} s"
        reason = Exit(
            "shutdown", f"child {child.id} needed more than {patience} ({exit_})", exit_.error
        )
        self.report("shutdown", child, reason)
        self.settle(child, exit_)
        self._conclude(reason)


def _final_exits(template: ChildSpec | None, auto_shutdown: AutoShutdown) -> frozenset[ExitKind]:
    """Return the ends of a template's children that nothing follows from."""
    if template is None or auto_shutdown != "never":
        return frozenset()
    return frozenset(get_args(ExitKind)) - RESTARTED[template.restart]
