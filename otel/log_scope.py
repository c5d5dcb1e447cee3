"""Whose work it is that logs: the fields and the span that stand on every line meanwhile.

A scope is one immutable pair in one context variable, so that tasks and worker threads have their
own, and entering one costs less than a microsecond. It is entered in four ways:

    handling   an actor begins with a message: nothing of what was before it stays
    scoped     the same around anything else, e.g. a whole run
    within     a part of that work with a span of its own: a skill, a model call
    bind       more fields, for authors

A scope that is to go on in another actor travels in the message: ``current_scope`` takes it along,
``scoped`` goes on with it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token

    from otel.span import Span


class Scope(NamedTuple):
    """Whose work it is.

    Attributes:
        fields: what every line says, e.g. ``run_id``.
        span: the span of the work; None where there is none.
    """

    fields: Mapping[str, object]
    span: Span | None


NOBODY: Final = Scope({}, None)
_scope: ContextVar[Scope] = ContextVar("log_scope", default=NOBODY)

current_scope = _scope.get
"""Return the scope of the current task or thread; ``NOBODY`` outside of any."""


class scoped:  # noqa: N801 - it reads as what it is, ``with scoped(...):``
    """``with`` around work in a scope; whatever was in place before is not part of it.

    A class, because a generator would cost three times as much.
    """

    __slots__ = ("_inner", "_outer")
    _outer: Token[Scope]

    def __init__(self, inner: Scope) -> None:
        self._inner = inner

    def __enter__(self) -> None:
        self._outer = _scope.set(self._inner)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        _scope.reset(self._outer)


class handling(scoped):  # noqa: N801 - as above
    """``with`` around an actor's work on one message.

    An exception that leaves it crashes the actor. The scope then stays until the actor's task
    ends, so that its last hooks and its supervisor say whose message that was.
    """

    __slots__ = ()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not issubclass(kind, Exception):
            _scope.reset(self._outer)


def within(span: Span, **fields: object) -> scoped:
    """Return ``with`` around a part of the current work: its own span, and perhaps more fields."""
    outer = _scope.get().fields
    return scoped(Scope({**outer, **fields} if fields else outer, span))


def bind(**fields: object) -> scoped:
    """Put fields on every line that is logged inside the ``with``, in this task and its children.

    An inner ``bind`` adds to an outer one and wins over it; ``extra`` wins over both.
    """
    outer = _scope.get()
    return scoped(Scope({**outer.fields, **fields}, outer.span))
