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
    from contextlib import AbstractContextManager
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


class _Scoped:
    """By hand, because a generator would cost three times as much."""

    __slots__ = ("_inner", "_outer")
    _outer: Token[Scope]

    def __init__(self, inner: Scope) -> None:
        self._inner = inner

    def __enter__(self) -> None:
        self._outer = _scope.set(self._inner)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        _scope.reset(self._outer)


class _Handling(_Scoped):
    """A scope that an exception leaves in place."""

    __slots__ = ()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not issubclass(kind, Exception):
            _scope.reset(self._outer)


def handling(span: Span, fields: Mapping[str, object]) -> AbstractContextManager[None]:
    """Return ``with`` around an actor's work on one message.

    An exception that leaves it crashes the actor. The scope then stays until the actor's task
    ends, so that its last hooks and its supervisor say whose message that was.
    """
    return _Handling(Scope(fields, span))


def scoped(scope: Scope) -> AbstractContextManager[None]:
    """Return ``with`` around work in a scope; whatever was in place before is not part of it."""
    return _Scoped(scope)


def within(span: Span, **fields: object) -> AbstractContextManager[None]:
    """Return ``with`` around a part of the current work: its own span, and perhaps more fields."""
    outer = _scope.get().fields
    return _Scoped(Scope({**outer, **fields} if fields else outer, span))


def bind(**fields: object) -> AbstractContextManager[None]:
    """Put fields on every line that is logged inside the ``with``, in this task and its children.

    An inner ``bind`` adds to an outer one and wins over it; ``extra`` wins over both.
    """
    outer = _scope.get()
    return _Scoped(Scope({**outer.fields, **fields}, outer.span))
