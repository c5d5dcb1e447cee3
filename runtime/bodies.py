"""How each style of author's code is called. One row a style, the same behaviour for all."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime.blocking import BlockingContext
from runtime.classic import dependencies
from runtime.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.activation import Activation
    from runtime.agent import Role, Style
    from runtime.context import Context
    from runtime.directory import Directory


class Bodies:
    """Runs agents' code.

    Args:
        directory: who is there, for the guide's contract.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        # Apart, so that MAGs that wait for SAGs can never take the threads that the SAGs need.
        self._threads: dict[Role, Threads] = {"mag": Threads(), "sag": Threads()}
        self._styles: dict[Style, Callable[..., Awaitable[Any]]] = {
            "async": self._async,
            "blocking": self._blocking,
            "classic": self._classic,
            "classic_blocking": self._classic_blocking,
        }

    async def run(
        self,
        context: Context,
        activation: Activation,
        state: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Run one body and return what it returns.

        Args:
            context: what the body may do.
            activation: the body at work.
            state: the object of an agent that keeps its state; None for a function.
            args: its input, by position.
            kwargs: its input, by name.
        """
        agent = activation.agent
        if state is None and inspect.isclass(agent.body):
            state = agent.body()  # per="delegation": an object for each
        body = agent.body if state is None else state.run
        style = self._styles[agent.style]
        return await style(body, context, activation, args, kwargs)

    async def _async(
        self,
        body: Callable[..., Awaitable[Any]],
        context: Context,
        _: Activation,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        return await body(context, *args, **kwargs)

    async def _blocking(
        self,
        body: Callable[..., Any],
        context: Context,
        activation: Activation,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        call = partial(body, BlockingContext(context), *args, **kwargs)
        return await self._threads[activation.agent.role].run(activation, call)

    async def _classic(
        self,
        body: Callable[..., Awaitable[Any]],
        context: Context,
        _: Activation,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        return await body(*args, **kwargs, **dependencies(body, context, self._directory))

    async def _classic_blocking(
        self,
        body: Callable[..., Any],
        context: Context,
        activation: Activation,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        provided = dependencies(body, context, self._directory)
        return await self._threads[activation.agent.role].run(
            activation, partial(body, *args, **kwargs, **provided)
        )
