"""Agents that ask some questions, and what became of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from runtime import Context, mag

if TYPE_CHECKING:
    from runtime import Agent
    from tests.echoes import Told

Ask = Callable[[Context], Awaitable[Any]]


def asks(*questions: Ask) -> Agent:
    """Return an agent that asks one question after the other."""

    @mag(name="asks")
    async def body(ctx: Context) -> list[str]:
        return [str(await each(ctx)) for each in questions]

    return body


def question(prompt: Any = "x y", *, use_cache: Any = True, **options: Any) -> Ask:
    return lambda ctx: ctx.ask(prompt, use_cache=use_cache, **options)


def statuses(came: Told) -> list[str]:
    return [row.status for row in came.calls]


def counted(came: Told) -> dict[str, int]:
    return dict(Counter(statuses(came)))
