"""How each style of author's code is called; the same behaviour for all.

| style            | gets                            | runs        |
|------------------|---------------------------------|-------------|
| async            | a ``Context``                   | on the loop |
| blocking         | a ``BlockingContext``           | in a thread |
| classic          | registry, skills, runner, obs   | on the loop |
| classic_blocking | the same                        | in a thread |
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime.blocking import BlockingContext
from runtime.classic import answer_of, dependencies
from runtime.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from runtime.activation import Activation
    from runtime.agent import Role, Style
    from runtime.context import Context
    from runtime.directory import Directory

IN_THREAD: frozenset[Style] = frozenset(("blocking", "classic_blocking"))
CLASSIC: frozenset[Style] = frozenset(("classic", "classic_blocking"))


class Bodies:
    """Runs agents' code.

    Args:
        directory: who is there, for the guide's contract.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        # Apart, so that MAGs that wait for SAGs can never take the threads that the SAGs need.
        self._threads: dict[Role, Threads] = {"mag": Threads(), "sag": Threads()}

    def run(
        self,
        context: Context,
        activation: Activation,
        state: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Awaitable[Any]:
        """Run one body; what is awaited is what it returns.

        Args:
            context: what the body may do.
            activation: the body at work.
            state: the object of an agent that keeps its state; None for a function.
            args: its input, by position.
            kwargs: its input, by name.
        """
        agent = activation.agent
        is_async = agent.style == "async" and agent.per == "delegation"
        if is_async and not isinstance(agent.body, type):
            body: Awaitable[Any] = agent.body(context, *args, **kwargs)
            return body  # the common case, which needs no coroutine around it
        return self._run_otherwise(context, activation, state, args, kwargs)

    async def _run_otherwise(
        self,
        context: Context,
        activation: Activation,
        state: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        agent = activation.agent
        if state is None and inspect.isclass(agent.body):
            state = agent.body()  # per="delegation": an object for each
        body = agent.body if state is None else state.run
        in_thread = agent.style in IN_THREAD
        if agent.style in CLASSIC:
            call = partial(body, *args, **kwargs, **dependencies(body, context, self._directory))
        else:
            given = BlockingContext(context) if in_thread else context
            call = partial(body, given, *args, **kwargs)
        output = await (self._threads[agent.role].run(activation, call) if in_thread else call())
        return answer_of(output) if agent.style in CLASSIC else output
