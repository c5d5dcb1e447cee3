"""Who owns a run, and whether somebody else may have it. Pure: every store decides by this.

Rule 1: a process is one process for ever: its number is given to others later, its identity never.
Rule 2: an owner that is dead for certain has lost its runs at once, whatever its lease says.
Rule 3: whoever else owns one keeps it until its lease is over; then its runs may be taken over,
even where it is known to be alive: it was stopped, or its disk was, and epochs fence it out.
Rule 4: a process has its lease in a store no later than its first run there. Where there is none,
it was given back, or an earlier version wrote the run: only an owner that is alive keeps it then.

All leases of a store are of one clock: the machine's for a file, the server's for a database. The
clock's ``now`` is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

Standing = Literal["alive", "dead", "unknown"]

_KNOWN: dict[bool | None, Standing] = {True: "alive", False: "dead", None: "unknown"}


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process, told apart from all others; what nobody knows is empty, or None.

    Attributes:
        host: the name of its machine, or of its container.
        pid: its number, as its own pid namespace counts.
        started: when it started, in clock ticks after the boot.
        namespace: the pid namespace that its number is of.
        boot: the id of the boot of the kernel that it runs on.
        machine: the id of the installation, the same after a boot.
    """

    host: str
    pid: int
    started: int | None = None
    namespace: str = ""
    boot: str = ""
    machine: str = ""

    def __str__(self) -> str:
        """Return it as a key, which ``identity_of`` reads."""
        started = "" if self.started is None else self.started
        return f"{self.pid}/{started}/{self.namespace}/{self.boot}/{self.machine}/{self.host}"


def identity_of(owner: str | None, pid: int | None, host: str | None) -> ProcessIdentity | None:
    """Return the process that a run's row names; None where it names none.

    Args:
        owner: its identity as text; None in rows of an earlier version.
        pid: its number.
        host: the name of its machine.
    """
    if owner:
        number, started, namespace, boot, machine, name = owner.split("/", 5)
        ticks = int(started) if started else None
        return ProcessIdentity(name, int(number), ticks, namespace, boot, machine)
    return None if pid is None or host is None else ProcessIdentity(host, pid)


class Sighting(NamedTuple):
    """What can be seen of a number in our own pid namespace.

    Attributes:
        exists: whether a process has it; None where that cannot be asked.
        started: when that process started, in clock ticks after the boot; None if nobody knows.
    """

    exists: bool | None
    started: int | None = None


def standing_of(
    owner: ProcessIdentity, here: ProcessIdentity, look: Callable[[int], Sighting]
) -> Standing:
    """Return whether a process is alive or dead for certain, or nobody here can know.

    Args:
        owner: the process.
        here: the one that asks.
        look: looks for a number in the pid namespace of the one that asks.
    """
    if owner == here:
        return "alive"
    if owner.boot and here.boot and owner.boot != here.boot:
        is_former_boot = bool(owner.machine) and owner.machine == here.machine
        return "dead" if is_former_boot and owner.host == here.host else "unknown"
    if not _are_neighbours(owner, here):
        return "unknown"
    seen = look(owner.pid)
    if seen.exists and None not in (seen.started, owner.started):
        return "alive" if seen.started == owner.started else "dead"
    return _KNOWN[seen.exists]


def _are_neighbours(owner: ProcessIdentity, here: ProcessIdentity) -> bool:
    """Whether their numbers are of one pid namespace."""
    if owner.boot and here.boot:  # which are equal: one kernel, whatever its name is now
        return bool(owner.namespace) and owner.namespace == here.namespace
    return owner.host == here.host


def is_lost(standing: Standing, held_until: float | None, now: float) -> bool:
    """Whether an owner's runs may be taken over.

    Args:
        standing: whether it is alive.
        held_until: when its lease is over, by the store's clock; None where it has none.
        now: the time by the same clock.
    """
    if standing == "dead":
        return True
    return standing == "unknown" if held_until is None else held_until <= now
