"""A record made ready for the writer: checked, encoded, out of its caller's reach.

Encoding happens in ``append``, on the caller's thread, though the writer's would be free: a body
that is no JSON then fails where it was made, with that traceback, and a body that its owner
changes afterwards is journalled as it was. It costs a few microseconds for a usual body.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, cast

import orjson

from runtime.journal.body import check_count
from runtime.journal.branches import Ours
from runtime.journal.calls import call_facts
from runtime.journal.fold import Facts, facts_of
from runtime.journal.records import KINDS, Branch, Record

if TYPE_CHECKING:
    from runtime.journal.branches import Answer, Claiming, Leaving
    from runtime.journal.calls import CallFacts
    from runtime.journal.ledger import Claim, Shortfall
    from runtime.journal.records import Kind, KindRule

Verdict: TypeAlias = (
    "Literal['admitted', 'taken', 'not_taken', 'noted', 'not_noted', 'fenced', 'moves']"
    " | Shortfall | Answer | None"
)


class Right(Enum):
    """By what right something is written that its writer need not own the run for."""

    NEW_OWNER = "its writer takes the run over"
    ANYONE = "it is a request"
    CLAIMANT = "it is no record: it changes who has a branch"


class Parking(NamedTuple):
    """The owner's right, if nobody has asked anything of the run after a record.

    Attributes:
        seen: the record.
    """

    seen: int


By: TypeAlias = Right | Parking | Branch | None  # ``Branch``: by that of its guest


class Entry:
    """A record that can be stored without a further look. Only its verdict changes.

    Attributes:
        text: the body as JSON.
        size: its length in bytes.
        facts: what it changes in the row of its run; or what becomes of a branch, and then it is
            no record.
        call: what it says of a model call.
        claims: the limits that must hold for it to be stored; None if nobody waits to hear.
        verdict: what became of its claims, of its wish to take its run over or to have a branch,
            of a request or of a wish to park, or that somebody else owns the run; None until that
            is known, or where nothing was in question.
        if_begun: whether it is only stored if the call that it ends has begun.
        by: by what right it is written; None by that of the run's owner.

    The others are those of ``Record``.
    """

    # Of the class, as few records say anything else.
    claims: tuple[Claim, ...] | None = None
    verdict: Verdict = None
    if_begun = False

    def __init__(  # noqa: PLR0917  # called by position, which costs less, and from one place
        self, record: Record, rule: KindRule, text: str, size: int, facts: Facts, call: CallFacts
    ) -> None:
        self.run_id, self.kind, self.op, _, at, self.cost_nano_usd, terminal, epoch, by = record
        self.epoch = epoch
        self.by: By = by
        self.at = float(at)
        self.terminal = rule.terminal if terminal is None else terminal
        self.text = text
        self.size = size
        self.facts = facts
        self.call = call


def encode(
    record: Record, claims: tuple[Claim, ...] | None = None, *, by: Right | Parking | None = None
) -> Entry:
    """Return a record ready to be stored.

    Args:
        record: the record.
        claims: the limits that must hold for it to be stored; None if nobody waits to hear.
        by: by what other right it is written than that of the run's owner or of its guest.

    Raises:
        TypeError: the body is not JSON, or a field of it that is summed up has a wrong type.
        ValueError: the kind is unknown, or a number or a text cannot be stored.
    """
    rule = KINDS.get(record.kind)
    if rule is None:
        raise ValueError(f"unknown kind of record {record.kind!r}, known are {', '.join(KINDS)}")
    if by is not None or record.kind == "run_resumed":
        _check_right(record, rule, by)
    try:
        _check(record)
        facts, call = None, None
        if record.kind in _SUMMED_UP:
            facts = facts_of(record.kind, record.body, record.cost_nano_usd)
            call = call_facts(record)
    except ValueError as error:
        raise ValueError(f"{record.kind} of {record.op!r}: {error}") from error
    except TypeError as error:
        raise TypeError(f"{record.kind} of {record.op!r}: {error}") from error
    text, size = _json(record)
    entry = Entry(record, rule, text, size, facts, call)
    if claims is not None:
        entry.claims = claims
    if by is not None:
        entry.by = by
    return entry


def move(run_id: str, op: str, epoch: int, facts: Claiming | Leaving) -> Entry:
    """Return what is no record, but changes who has a branch.

    Args:
        run_id: the run.
        op: the branch.
        epoch: the how-manieth owner the run has.
        facts: who wants it, or leaves it.
    """
    about = Record(run_id, "delegation_started", op, {}, 0.0, epoch=epoch)
    entry = Entry(about, KINDS[about.kind], "", 0, facts, None)
    entry.by = Right.CLAIMANT
    return entry


def left(leaving: Leaving) -> Branch | None:
    """Return the branch that somebody leaves; None where they never got it."""
    if not isinstance(leaving.what, Entry):
        return leaving.what
    claimed = leaving.what.verdict
    return claimed.branch if isinstance(claimed, Ours) else None


def withdrawal(begun: Record) -> Entry:
    """Return what ends a call that was given up while nobody knew whether it had begun."""
    why = {
        "error": "it was given up before anybody was asked",
        "error_class": "Cancelled",
        "reason": "cancelled",
        "billed": "no",
        "settled_nano_usd": 0,
        **{name: begun.body[name] for name in ("task",) if name in begun.body},
    }
    entry = encode(begun._replace(kind="invocation_failed", body=why))
    entry.if_begun = True
    return entry


def _check_right(record: Record, rule: KindRule, by: Right | Parking | None) -> None:
    if (by is Right.NEW_OWNER) != (record.kind == "run_resumed"):
        raise ValueError(f"{record.kind} is no record for that; a run is taken over by take_over")
    if by is Right.ANYONE and not rule.by_anyone:
        raise ValueError(f"{record.kind} is no request; only the owner of a run may write it")


def _check(record: Record) -> None:
    run_id, _, op, body, at, cost, _, _, _ = record
    if type(body) is not dict and not isinstance(body, Mapping):
        raise TypeError(f"the body must be a mapping, got {type(body).__name__}")
    if not run_id:
        raise ValueError("a record needs a run_id")
    if not isfinite(at):
        raise ValueError(f"at must be a time, got {at}")
    try:
        names = "".join((run_id, op))  # noqa: FLY002  # which would take anything for a text
    except TypeError:
        types = f"{type(run_id).__name__} and {type(op).__name__}"
        raise TypeError(f"run_id and op must be str, got {types}") from None
    if not names.isascii():
        names.encode()  # half a surrogate pair: the database could not refuse it yet
    if cost or type(cost) is not int:
        check_count("cost_nano_usd", cost)


def _is_summed_up(kind: str) -> bool:
    """Whether a record of a kind changes the row of its run, or that of a call; few do."""
    empty = Record("", cast("Kind", kind), "", {}, 0.0)
    return facts_of(kind, {}, 0) is not None or call_facts(empty) is not None


_SUMMED_UP = frozenset(kind for kind in KINDS if _is_summed_up(kind))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


# A tenth of the time of the standard library's; but NaN, which is no JSON, it writes as null: read
# back, that is not what was written.
_ONLY_JSON = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_encoder = json.JSONEncoder(
    separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain
)
_ascii_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain)


def _json(record: Record) -> tuple[str, int]:
    body = record.body
    try:
        fast = orjson.dumps(body, _plain, _ONLY_JSON)
        text = fast.decode()
        if "null" not in text or orjson.loads(text) == body:
            return text, len(fast)
    except TypeError:
        pass  # what only Python takes for JSON, or nobody: the slow one decides
    try:
        text = _encoder.encode(body)
        return _storable(text, body)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"the body of {record.kind} of {record.op!r} is not JSON: {error}"
        raise TypeError(message) from error


def _storable(text: str, body: Mapping[str, Any]) -> tuple[str, int]:
    if text.isascii():
        return text, len(text)
    try:
        return text, len(text.encode())
    except UnicodeEncodeError:  # half of a surrogate pair: JSON can escape it, UTF-8 cannot hold it
        text = _ascii_encoder.encode(body)
        return text, len(text)
