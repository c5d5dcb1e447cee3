"""What travels between nodes, as JSON: a Delegation with what must be known of its run, an outcome.

A deadline travels twice, as a time of day and as the seconds that are left; the smaller of both
holds, so a clock that is wrong gives nobody more time. What is too large for NATS stays behind: it
is in the journal, from which whoever needs it reads it. Pure.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from runtime.messages import Delegation

if TYPE_CHECKING:
    from collections.abc import Mapping

_AUTHORS = ("task_id", "sag_id", "input", "context")
_REST = ("run", "epoch", "number", "reply_to", "is_whole", "is_again")
_RUNTIMES = ("run_id", "op", "parent", "traceparent", "trace_id")


class Now(NamedTuple):
    """The time, by both clocks.

    Attributes:
        wall: in seconds since the Unix epoch.
        loop: in seconds of the event loop's clock.
    """

    wall: float
    loop: float


PARKED, REFUSED, PARTED = "parked", "refused", "parted"


class Outcome(NamedTuple):
    """How a Delegation ended, as the journal has it; or why it did not end.

    ``PARKED``: it waits, as people are ``asked``, each with its step, its time and its question.
    ``REFUSED``: that node has other code of it than its run, which wants none. ``PARTED``: its code
    came to other steps than before, which its run does not want; ``why`` tells which.

    Attributes:
        kind: the kind of its record, or one of these.
        body: what the record says, or what belongs to these.
    """

    kind: str
    body: Mapping[str, Any]


class CallOff(NamedTuple):
    """Word that nobody waits any more for something that was asked.

    Attributes:
        number: what was asked.
        is_left: whether its run goes on at another home, which asks for it again.
    """

    number: str
    is_left: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """A Delegation that another node is asked to do.

    Attributes:
        delegation: what is to be done.
        run: what must be known of its run, JSON data.
        epoch: the how-manieth owner of the run wants it.
        number: which one it is of all that its asker has asked, for whoever gives it up.
        reply_to: the subject on which its asker waits.
        is_whole: whether its input and context came with it; else they are in the journal.
        is_again: whether it was handed over before: the journal may have some of its steps.
    """

    delegation: Delegation
    run: Mapping[str, Any]
    epoch: int
    number: str
    reply_to: str
    is_whole: bool = True
    is_again: bool = False


def encode(asked: Asked, now: Now, most: int) -> bytes:
    """Return a Delegation as it travels.

    Args:
        asked: the Delegation.
        now: the time.
        most: how many bytes may travel.
    """
    data = _encode(asked, now)
    if len(data) <= most:
        return data
    left_behind = replace(asked.delegation, input=None, context={})
    return _encode(replace(asked, delegation=left_behind, is_whole=False), now)


def _encode(asked: Asked, now: Now) -> bytes:
    given = asked.delegation
    deadline = None
    if given.deadline is not None:
        left = given.deadline - now.loop
        deadline = [now.wall + left, left]
    return _json(
        {
            "delegation": {name: getattr(given, name) for name in (*_AUTHORS, *_RUNTIMES)},
            "ancestors": given.ancestors,
            "deadline": deadline,
            "run": asked.run,
            "epoch": asked.epoch,
            "number": asked.number,
            "reply_to": asked.reply_to,
            "is_whole": asked.is_whole,
            "is_again": asked.is_again,
        }
    )


def decode(data: bytes, now: Now) -> Asked:
    """Return a Delegation that has come, its deadline by this node's clock.

    Raises:
        ValueError: it is none, or of another version.
    """
    try:
        said = json.loads(data)
        fields = said["delegation"]
        delegation = Delegation(
            *(fields[name] for name in _AUTHORS),
            **{name: fields[name] for name in _RUNTIMES},
            ancestors=tuple(said["ancestors"]),
            deadline=_deadline(said["deadline"], now),
        )
        return Asked(delegation, **{name: said[name] for name in _REST})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"a message is no Delegation: {error!r}") from error


def _deadline(said: tuple[float, float] | None, now: Now) -> float | None:
    if said is None:
        return None
    wall, left = said
    return now.loop + min(wall - now.wall, left)


def encode_outcome(outcome: Outcome, most: int) -> bytes:
    """Return an outcome as it travels; nothing where it is in the journal alone.

    Args:
        outcome: the outcome.
        most: how many bytes may travel.
    """
    data = _json([outcome.kind, outcome.body])
    return data if len(data) <= most else b""


def decode_outcome(data: bytes) -> Outcome | None:
    """Return an outcome that has come; None where it is in the journal alone."""
    if not data:
        return None
    kind, body = json.loads(data)
    return Outcome(kind, body)


def _json(data: object) -> bytes:
    try:
        return orjson.dumps(data, default=dict)
    except TypeError:  # a number of more than 64 bits; the journal takes it, too
        return json.dumps(data, default=dict).encode()
