"""The same context for authors of plain ``def`` agents: their code runs in a worker thread.

Threads are bounded per role, MAGs apart from SAGs, and a thread that waits for its own delegations
does not count, so MAGs that wait for SAGs can never take the threads that the SAGs need.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from runtime.agent import Agent, Skill
    from runtime.approval import Decision
    from runtime.context import Context
    from runtime.messages import Delegation, ModelEvent, Result
    from runtime.model_stream import ModelStream

T = TypeVar("T")
READABLE = ("deadline", "budget", "cost_usd", "tokens", "idempotency_key")


class BlockingContext:
    """What a running plain agent may do: the methods of ``Context``, without ``await``."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.run_id = context.run_id
        self.task_id = context.task_id
        self.agent = context.agent
        self.hints = context.hints

    def __repr__(self) -> str:
        return f"<Blocking{repr(self._context)[1:]}"

    def __getattr__(self, name: str) -> Any:
        """Read on the event loop what an agent may know."""
        if name not in READABLE:
            raise AttributeError(f"BlockingContext has no attribute {name!r}")
        return wait_sync(getattr, self._context, name)

    def log(self, event: str, /, **fields: Any) -> None:
        """Note something in the run's journal and in the log; ``fields`` are JSON data."""
        wait_sync(partial(self._context.log, event, **fields))

    def ask(self, prompt: Any, /, **options: Any) -> Any:
        """Ask a model and return its answer; see ``Context.ask``."""
        return wait(self._context, self._context.ask, prompt, **options)

    def plan(self, prompt: Any, /, **options: Any) -> Any:
        """Ask a model what to do next; see ``Context.plan``."""
        return wait(self._context, self._context.plan, prompt, **options)

    def stream(self, prompt: Any, /, **options: Any) -> Iterator[ModelEvent]:
        """Yield a model's answer in pieces; see ``Context.stream``. Who stops early pays less."""
        stream = wait_sync(partial(self._context.stream, prompt, **options))
        try:
            while (event := wait(self._context, next_of, stream)) is not None:
                yield event
        finally:
            wait_sync(stream.close)

    def use(self, skill: Skill | str, /, *args: Any, **kwargs: Any) -> Any:
        """Run a skill and return what it returns; see ``Context.use``."""
        return wait(self._context, self._context.use, skill, *args, **kwargs)

    def approve(self, question: str, data: Any = None, **options: Any) -> Decision:
        """Ask people whether something may be done; see ``Context.approve``."""
        return wait(self._context, self._context.approve, question, data, **options)

    def delegate(
        self, agent: Agent | str | Delegation, payload: Any = None, /, **options: Any
    ) -> Result[Any]:
        """Hand work to another agent and wait for its Result; see ``Context.delegate``."""
        return wait(self._context, self._context.delegate, agent, payload, **options)

    def fan_out(self, agent: Agent | str, payloads: Any, /, **options: Any) -> list[Result[Any]]:
        """Delegate every payload at once; see ``Context.fan_out``."""
        return wait(self._context, self._context.fan_out, agent, list(payloads), **options)

    def map(self, agent: Agent | str, payloads: Any, /, **options: Any) -> list[Result[Any]]:
        """Delegate every payload, some at a time; see ``Context.map``."""
        return wait(self._context, self._context.map, agent, list(payloads), **options)

    def first(self, agents: Any, payload: Any = None, /, **options: Any) -> Result[Any]:
        """Delegate one payload to several agents; see ``Context.first``."""
        return wait(self._context, self._context.first, agents, payload, **options)


async def next_of(stream: ModelStream) -> ModelEvent | None:
    """Return the next piece of an answer, or None at its end."""
    return await anext(stream, None)


def wait(context: Context, function: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
    """Run a coroutine function on the event loop from a worker thread, and return its result.

    Raises:
        Cancelled: the body that this thread runs is being ended.
        ConfigurationError: this is not a worker thread; waiting here would stop the event loop.
        Exception: what the function raised.
    """
    try:
        return anyio.from_thread.run(partial(context.for_thread, function, *args, **kwargs))
    except (RuntimeError, anyio.NoEventLoopError) as error:
        _explain(error)
        raise


def wait_sync(function: Callable[..., T], *args: Any) -> T:
    """Run a plain function on the event loop from a worker thread, and return its result."""
    try:
        return anyio.from_thread.run_sync(function, *args)
    except (RuntimeError, anyio.NoEventLoopError) as error:
        _explain(error)
        raise


def _explain(error: Exception) -> None:
    """Say what to do when it was the wrong thread; any other error is the function's own."""
    if "worker thread" in str(error):
        raise ConfigurationError(
            "this call waits, and an async function must not wait on the event loop;"
            " await the method of the same name with _async, or make the agent a plain def"
        ) from error
