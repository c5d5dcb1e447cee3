"""Who asks, and all that the way and the terms of a question depend on. Pure data."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtime.messages import Image
from runtime.routing import Needs, Wish

if TYPE_CHECKING:
    from datetime import date

    from runtime.agent import Limits
    from runtime.catalog import Target
    from runtime.messages import Message, ModelRequest
    from runtime.routing import Task
    from runtime.wishes import Question


class Who(NamedTuple):
    """Who asks.

    Attributes:
        agent: the agent's slug.
        limits: what the catalog says of it.
        proposal: the model that its code proposes.
        wishes: whom the one who started the run wants asked, strongest first.
        routing: the routing file of the run; None for the catalog's default.
        tenant: for whom the run is; empty for nobody.
        seed: what chance is drawn from.
        now: the time, in seconds of the event loop's clock.
        override: whom a fork wants asked, whatever others wish; None where it is none.
    """

    agent: str
    limits: Limits
    proposal: str | None = None
    wishes: tuple[Wish, ...] = ()
    routing: str | None = None
    tenant: str = ""
    seed: str = ""
    now: float = 0.0
    override: Wish | None = None


class Sought(NamedTuple):
    """All that the way of a question depends on.

    Attributes:
        strong: wishes down to the level ``workflow``, strongest first.
        weak: wishes of the levels ``agent`` and ``proposal``, strongest first.
        task: what routing must know of it.
        routing: the routing file of its run; None for the catalog's default.
        data_classes: the kinds of data in it.
        base_url: where it is asked, if not at its provider's own address.
        today: the day, on which a model may be retired.
    """

    strong: tuple[Wish, ...]
    weak: tuple[Wish, ...]
    task: Task
    routing: str | None
    data_classes: frozenset[str]
    base_url: str | None
    today: date


class Called(NamedTuple):
    """All that the terms of a call depend on.

    Attributes:
        target: who is called.
        agent: the agent that calls.
        tenant: for whom its run is; empty for nobody.
        level: on which level of priority the target was chosen.
        route: the type of task whose route it goes by; empty for none.
        data_classes: the kinds of data in it.
        base_url: where it goes, if not to its provider's own address.
        today: the day, on which prices may change.
    """

    target: Target
    agent: str
    tenant: str
    level: str
    route: str
    data_classes: frozenset[str]
    base_url: str | None
    today: date


def data_classes_of(who: Who, question: Question) -> frozenset[str]:
    """Return the kinds of data in a question: all that anybody says."""
    classes = question.hints.data_classes
    for said in (who.limits.data_class, question.data_class):
        if said:
            classes |= {said}
    return classes


def task_type_of(who: Who, question: Question) -> str:
    """Return the type of task that routes go by."""
    return question.task_type or question.hints.task_type or who.limits.task_type or who.agent


def wishes_of(who: Who, question: Question) -> tuple[Wish, ...]:
    """Return whom everybody wants asked, strongest first, without what a route says."""
    return (*strong_wishes(who, question), *weak_wishes(who))


def strong_wishes(who: Who, question: Question) -> tuple[Wish, ...]:
    """Return the wishes down to the level ``workflow``, strongest first."""
    asked = Wish(question.model, question.provider, "ask")
    wishes = (asked, *question.hints.wishes(), *who.wishes)
    return wishes if who.override is None else (who.override, *wishes)


def weak_wishes(who: Who) -> tuple[Wish, ...]:
    """Return the wishes of the levels ``agent`` and ``proposal``, strongest first."""
    return Wish(who.limits.model, None, "agent"), Wish(who.proposal, None, "proposal")


def needs_of(request: ModelRequest, *, strict: bool | None) -> Needs:
    """Return what a question needs, but for room: that is only measured where it counts.

    Args:
        request: what is asked.
        strict: whether the vendor shall hold the model to the schema; None leaves it to others.
    """
    return Needs(
        tools=bool(request.tools),
        vision=any(map(_shows_something, request.messages)),
        structured_output=bool(request.schema_strict or (strict and request.schema is not None)),
    )


def seed_of(who: Who, question: Question) -> str:
    """Return what chance is drawn from: an equal question of a task goes the same way again."""
    return f"{who.seed}/{[message.content for message in question.messages]}"


def _shows_something(message: Message) -> bool:
    content = message.content
    return not isinstance(content, str) and any(isinstance(part, Image) for part in content)
