"""What a supervisor is told about a child, and the check that names every wrong field."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from math import inf, isnan
from typing import TYPE_CHECKING, Any, Literal, get_args

from runtime.actors.errors import SpecError
from runtime.actors.mailbox import Mailbox
from runtime.actors.restart import AutoShutdown, Restart, Strategy
from runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runtime.actors.actor import Actor

ChildType = Literal["worker", "supervisor"]
Shutdown = float | Literal["brutal_kill"]
WORKER_SHUTDOWN = 5.0
Checks = tuple[tuple[str, "Callable[[Any], bool]", str], ...]  # a name, its check, what is expected


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How a child is started, ended and restarted. The defaults are OTP's.

    Attributes:
        id: its name under this supervisor.
        start: makes the actor; called with ``args`` at every (re)start.
        args: the arguments of ``start``; a template's children add their own.
        restart: ``permanent`` always, ``transient`` unless it ended normally or was shut down,
            ``temporary`` never; its spec is forgotten when it ends.
        shutdown: the seconds it gets to end by itself before it is killed, ``math.inf`` to wait for
            ever, ``brutal_kill`` for none. 5 for workers and infinity for supervisors.
        type: ``worker`` or ``supervisor``.
        significant: whether its end may end its supervisor, see ``auto_shutdown``.
        keep_address: keep ref and mailbox over a restart, so that what is queued survives; without
            it a restarted child has a new address and the old one is dead.
        max_restarts: a child with a bound of its own answers for itself: its restarts do not count
            against the supervisor's intensity, and when they are used up it is left ended. None
            counts against the intensity.
        mailbox: makes the child's mailbox.
    """

    id: Any
    start: Callable[..., Actor]
    args: tuple[Any, ...] = ()
    restart: Restart = "permanent"
    shutdown: Shutdown | None = None
    type: ChildType = "worker"
    significant: bool = False
    keep_address: bool = False
    max_restarts: int | None = None
    mailbox: Callable[[], Mailbox] = Mailbox

    @property
    def grace(self) -> float:
        """The seconds between the request to end and the kill; 0 for a brutal kill."""
        if self.shutdown == "brutal_kill":
            return 0.0
        if self.shutdown is None:
            return inf if self.type == "supervisor" else WORKER_SHUTDOWN
        return float(self.shutdown)

    def with_args(self, args: tuple[Any, ...]) -> ChildSpec:
        """Return the spec of a template's child that is started with ``args`` more."""
        return dataclasses.replace(self, args=(*self.args, *args)) if args else self

    def without_args(self) -> ChildSpec:
        """Return the spec without what the child is started with."""
        return dataclasses.replace(self, args=()) if self.args else self


def _shutdown_is_valid(value: Any) -> bool:
    if value is None or value == "brutal_kill":
        return True
    return _is_number(value) and value >= 0


def _is_number(value: Any) -> bool:
    """Say whether a value is a number that can be compared with others."""
    return isinstance(value, int | float) and not isinstance(value, bool) and not isnan(value)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def names_a_child(value: Any) -> bool:
    """Say whether a value can be the id of a child."""
    try:
        hash(value)
    except TypeError:
        return False
    return value is not None


FIELDS: Checks = (
    ("id", names_a_child, "something hashable that names the child"),
    ("start", callable, "a function that makes the actor"),
    ("args", lambda value: isinstance(value, tuple), "a tuple"),
    ("restart", lambda value: value in get_args(Restart), f"one of {get_args(Restart)}"),
    ("shutdown", _shutdown_is_valid, "seconds of 0 or more, or 'brutal_kill'"),
    ("type", lambda value: value in get_args(ChildType), f"one of {get_args(ChildType)}"),
    ("significant", lambda value: isinstance(value, bool), "a bool"),
    ("keep_address", lambda value: isinstance(value, bool), "a bool"),
    (
        "max_restarts",
        lambda value: value is None or _is_count(value),
        "a whole number of 0 or more, or None",
    ),
    ("mailbox", callable, "a function that makes a mailbox"),
)
FLAGS: Checks = (
    ("strategy", lambda value: value in get_args(Strategy), f"one of {get_args(Strategy)}"),
    ("intensity", _is_count, "a whole number of 0 or more"),
    ("period", lambda value: _is_number(value) and 0 < value < inf, "finite seconds above 0"),
    (
        "auto_shutdown",
        lambda value: value in get_args(AutoShutdown),
        f"one of {get_args(AutoShutdown)}",
    ),
    ("max_children", _is_count, "a whole number of 0 or more"),
    ("backoff", lambda value: value is None or isinstance(value, Backoff), "a Backoff or None"),
    ("draw", callable, "a function"),
)


def check_spec(spec: Any, auto_shutdown: AutoShutdown = "never") -> ChildSpec:
    """Return ``spec`` if every field of it is good.

    Raises:
        SpecError: it is no ChildSpec, or a field is wrong; the message names it.
    """
    if not isinstance(spec, ChildSpec):
        raise SpecError(f"a child is given as a ChildSpec, not as {spec!r}")
    for field, is_valid, expected in FIELDS:
        value = getattr(spec, field)
        if not is_valid(value):
            raise SpecError(f"child {spec.id!r}: {field} must be {expected}, got {value!r}")
    if spec.significant and auto_shutdown == "never":
        raise SpecError(f"child {spec.id!r}: significant needs a supervisor with auto_shutdown")
    if spec.significant and spec.restart == "permanent":
        raise SpecError(f"child {spec.id!r}: significant and permanent exclude each other")
    return spec


def check_specs(specs: Iterable[Any], auto_shutdown: AutoShutdown) -> tuple[ChildSpec, ...]:
    """Return the specs if all are good and no id stands twice.

    Raises:
        SpecError: one is wrong, or an id stands twice.
    """
    checked = tuple(check_spec(spec, auto_shutdown) for spec in specs)
    seen: set[Any] = set()
    for spec in checked:
        if spec.id in seen:
            raise SpecError(f"child {spec.id!r} is specified twice")
        seen.add(spec.id)
    return checked


def check_flags(children: int, **flags: Any) -> None:
    """Check a supervisor's flags, by name, and that a template stands alone.

    Raises:
        SpecError: a flag is wrong; the message names it.
    """
    for flag, is_valid, expected in FLAGS:
        if not is_valid(flags[flag]):
            raise SpecError(f"{flag} must be {expected}, got {flags[flag]!r}")
    if flags["strategy"] == "simple_one_for_one" and children != 1:
        raise SpecError(f"simple_one_for_one takes exactly one child, its template, got {children}")
