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

from runtime.engines import Gate, Place
from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.activation import Activation
    from runtime.agent import Agent, Role, Skill
    from runtime.context import Context
    from runtime.messages import Delegation, Result

T = TypeVar("T")
THREADS = 40  # bodies in threads per role that run at once
READABLE = ("deadline", "budget", "cost_usd", "tokens")


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
        """Read ``deadline``, ``budget``, ``cost_usd`` and ``tokens`` on the event loop."""
        if name not in READABLE:
            raise AttributeError(f"BlockingContext has no attribute {name!r}")
        return wait_sync(getattr, self._context, name)

    def log(self, event: str, /, **fields: Any) -> None:
        """Note something in the run's journal and in the log; ``fields`` are JSON data."""
        wait_sync(partial(self._context.log, event, **fields))

    def ask(self, prompt: Any, /, **options: Any) -> Any:
        """Ask a model and return its answer; see ``Context.ask``."""
        return wait(self._context, self._context.ask, prompt, **options)

    def use(self, skill: Skill | str, /, *args: Any, **kwargs: Any) -> Any:
        """Run a skill and return what it returns; see ``Context.use``."""
        return wait(self._context, self._context.use, skill, *args, **kwargs)

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


class Threads:
    """The worker threads for bodies of plain agents, bounded per role."""

    def __init__(self, limit: int = THREADS) -> None:
        self._gates: dict[Role, Gate] = {"mag": Gate(limit), "sag": Gate(limit)}
        self._unlimited = anyio.CapacityLimiter(float("inf"))  # the gates are the limit

    def __repr__(self) -> str:
        return f"<Threads mag {self._gates['mag']!r} sag {self._gates['sag']!r}>"

    async def run(self, activation: Activation, function: Callable[[], T]) -> T:
        """Run a body in a thread. When it is cancelled, its thread is left to itself.

        A thread cannot be ended from outside; it keeps its place until it ends by itself, and
        everything that its context is asked for is refused.
        """
        place = Place(self._gates[activation.agent.role])
        activation.places.append(place)
        try:
            await place.take()
        except BaseException:
            place.abandon()
            raise
        body = _Body(function, place)
        try:
            return await anyio.to_thread.run_sync(
                body, abandon_on_cancel=True, limiter=self._unlimited
            )
        finally:
            body.loop_is_done()


class _Body:
    """A body in a thread: whoever of thread and loop is last gives its place back."""

    def __init__(self, function: Callable[[], Any], place: Place) -> None:
        self._function = function
        self._place = place
        self._token = anyio.lowlevel.current_token()
        self._thread_done = False
        self._abandoned = False

    def __call__(self) -> Any:
        try:
            return self._function()
        finally:
            self._thread_done = True
            if self._abandoned:
                self._leave_from_thread()

    def loop_is_done(self) -> None:
        self._abandoned = True
        if self._thread_done:
            self._place.abandon()

    def _leave_from_thread(self) -> None:
        try:
            anyio.from_thread.run_sync(self._place.abandon, token=self._token)
        except RuntimeError:
            return  # the loop has ended, and with it every place
