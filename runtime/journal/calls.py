"""The audit trail: one row for each model call, folded from its records. Pure.

Rule 1: a call begins with ``invocation_started`` and ends with one outcome; an outcome whose
beginning is not there is a row of its own, because money spent is spent.
Rule 2: a call that policy denied, and one that a cache answered, are rows, too, and cost nothing.
Rule 3: what a call may cost at worst is reserved while it runs, and replaced by what it was. Each
further attempt after one whose fate nobody knows adds its own worst case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from runtime.journal.body import count_in, counts_in, field_in

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from runtime.journal.records import Record

CallStatus: TypeAlias = Literal["running", "completed", "failed", "denied", "cached", "lost"]
TOKENS = (
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
_GRACE_S = 60.0  # after its deadline a call that says nothing is taken for lost


@dataclass(slots=True)
class CallRow:
    """One model call, as the audit trail has it. The fields are the columns of the table ``call``.

    Attributes:
        run_id: the run.
        op: the step of the run that it is.
        started_at: seconds since the Unix epoch.
        day: the same as a day of UTC, on which it counts.
        ended_at: seconds since the Unix epoch; None while it runs.
        expires_at: when it is over in any case; None when nobody says.
        agent: who asked.
        path: that agent and those above it, outermost first, with slashes between them.
        task: the piece of work that it was asked for.
        tenant: for whom the run is; empty for nobody.
        provider: the provider's name in the catalog.
        model: the model that was asked.
        level: on which level of priority it was chosen.
        route: the type of task whose route it went by; empty for none.
        served_model: the model that answered, as its server names it.
        status: where it stands; ``lost`` when its process died before the answer.
        input_tokens: of the prompt; this and the other counts are 0 where nobody said.
        output_tokens: of the answer.
        cached_input_tokens: the part of the prompt read from a cache.
        cache_write_tokens: the part of the prompt written to one.
        reasoning_tokens: the part of the answer spent on reasoning.
        cost_nano_usd: what it cost; 0 when that is not known, see ``unpriced``.
        unpriced: whether nobody knows its price.
        reserved_nano_usd: what it may cost at worst.
        settled_nano_usd: what budgets count for it; None while it runs.
        usage_source: whether the counts are the server's word or an estimate.
        service_tier: the tier that served it.
        attempts: how many requests it took.
        finish_reason: why the answer ended.
        reason: the class of a failure.
        error_class: the name of the error.
        error: the error, one line.
        decision: what policies said: ``allowed`` or ``denied``.
        policy: the policy that denied it.
        data_classes: the kinds of data in it, with commas between them.
        region: where its provider's data stays; empty where nobody says.
        contents: ``keep`` if prompt and reply may be in the audit trail, ``digest`` if they are
            kept nowhere, empty if only the journal has them.
        request_sha256: the digest of what was asked.
        reply_sha256: the digest of what was answered.
        request_id: the server's id of the exchange.
        price_source: where its price is from.
    """

    run_id: str
    op: str
    started_at: float
    day: str
    ended_at: float | None = None
    expires_at: float | None = None
    agent: str = ""
    path: str = ""
    task: str = ""
    tenant: str = ""
    provider: str = ""
    model: str = ""
    level: str = ""
    route: str = ""
    served_model: str = ""
    status: CallStatus = "running"
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano_usd: int = 0
    unpriced: bool = False
    reserved_nano_usd: int = 0
    settled_nano_usd: int | None = None
    usage_source: str = ""
    service_tier: str = ""
    attempts: int = 0
    finish_reason: str = ""
    reason: str = ""
    error_class: str = ""
    error: str = ""
    decision: str = "allowed"
    policy: str = ""
    data_classes: str = ""
    region: str = ""
    contents: str = ""
    request_sha256: str = ""
    reply_sha256: str = ""
    request_id: str = ""
    price_source: str = ""

    @property
    def settled(self) -> int:
        """What budgets count for it, in nano-USD; the worst case while it runs."""
        return self.reserved_nano_usd if self.settled_nano_usd is None else self.settled_nano_usd

    def end(self, facts: Ended) -> None:
        """Count its outcome in."""
        self.status, self.ended_at = facts.status, facts.at
        for name, value in facts.said.items():
            setattr(self, name, value)
        self.settled_nano_usd = facts.settled

    def grow(self, facts: Retried) -> None:
        """Reserve what a further attempt may cost."""
        self.reserved_nano_usd += facts.reserved

    def lose(self, at: float) -> None:
        """Its process died: whatever it may have cost counts as spent."""
        self.status, self.ended_at = "lost", at
        self.settled_nano_usd = self.reserved_nano_usd

    def is_late(self, now: float) -> bool:
        """Whether it should be over by now."""
        return self.expires_at is not None and now > self.expires_at

    def is_overdue(self, now: float) -> bool:
        """Whether nobody can be waiting for it any more."""
        return self.is_late(now - _GRACE_S)


class Begun(NamedTuple):
    """What the beginning of a call says of it.

    Attributes:
        at: when.
        said: the fields of its row.
        status: where it stands; a denied or cached call ends where it begins.
    """

    at: float
    said: Mapping[str, Any]
    status: CallStatus = "running"

    @property
    def needed(self) -> int:
        """What has to fit into its limits, in nano-USD."""
        needed: int = self.said.get("reserved_nano_usd", 0)
        return needed

    def row(self, run_id: str, op: str) -> CallRow:
        """Return the row of the call."""
        row = CallRow(run_id, op, self.at, day_of(self.at), status=self.status)
        for name, value in self.said.items():
            setattr(row, name, value)
        if self.status != "running":
            row.ended_at, row.settled_nano_usd = self.at, 0
        return row


class Ended(NamedTuple):
    """What the outcome of a call says of it.

    Attributes:
        at: when.
        said: the fields of its row.
        status: ``completed`` or ``failed``.
        settled: nano-USD that budgets count for it.
    """

    at: float
    said: Mapping[str, Any]
    status: CallStatus
    settled: int

    @property
    def needed(self) -> int:
        """What has to fit into its limits: nothing, as it is over."""
        return 0


class Retried(NamedTuple):
    """A call is tried again while nobody knows what became of the last attempt.

    Attributes:
        at: when.
        reserved: nano-USD that it may cost more at worst.
    """

    at: float
    reserved: int

    @property
    def needed(self) -> int:
        """What has to fit into its limits, in nano-USD."""
        return self.reserved


CallFacts: TypeAlias = "Begun | Retried | Ended | None"

_TEXTS_AT_START = frozenset(
    (
        *("agent", "path", "task", "tenant", "provider", "model", "level", "route"),
        *("data_classes", "region", "contents", "request_sha256", "price_source"),
    )
)
_TEXTS_AT_END = frozenset(
    (
        *("usage_source", "service_tier", "finish_reason", "reason", "error_class", "error"),
        *("reply_sha256", "request_id"),
    )
)
_UNSAID = (None, "")
_STATUS_OF: Mapping[str, CallStatus] = {
    "invocation_started": "running",
    "invocation_denied": "denied",
    "invocation_cached": "cached",
    "invocation_completed": "completed",
    "invocation_failed": "failed",
}


def call_facts(record: Record) -> CallFacts:
    """Return what a record says of a model call; None for most kinds.

    Raises:
        TypeError: a field of the row has a wrong type.
        ValueError: a count is negative or absurdly large.
    """
    if "inherited" in record.body:
        return None  # the run that this one was forked from has it
    if record.kind == "invocation_retried":
        return Retried(float(record.at), count_in(record.body, "reserved_nano_usd"))
    status = _STATUS_OF.get(record.kind)
    if status is None:
        return None
    body = record.body
    if status in ("completed", "failed"):
        return _ended(record, status)
    said: dict[str, Any] = _texts(body, _TEXTS_AT_START)
    if status == "running":
        said["reserved_nano_usd"] = count_in(body, "reserved_nano_usd")
        said["expires_at"] = field_in(body, "expires_at", float, int)
    if status == "cached":
        said |= _texts(body, {"reply_sha256"})
    if status == "denied":
        said |= {"decision": "denied"} | _texts(body, {"policy", "reason", "error"})
    return Begun(float(record.at), said, status)


def _ended(record: Record, status: CallStatus) -> Ended:
    body, usage = record.body, field_in(record.body, "usage", Mapping) or {}
    said: dict[str, Any] = _texts(body, _TEXTS_AT_END)
    said |= counts_in(usage, TOKENS)
    said["attempts"] = count_in(body, "attempts")
    said["unpriced"] = body.get("unpriced") is True
    said["cost_nano_usd"] = record.cost_nano_usd
    if status == "completed":
        said["served_model"] = field_in(body, "model", str) or ""
    settled = body.get("settled_nano_usd")
    spent = record.cost_nano_usd if settled is None else count_in(body, "settled_nano_usd")
    return Ended(float(record.at), said, status, spent)


def _texts(body: Mapping[str, Any], names: AbstractSet[str]) -> dict[str, str]:
    said = {name: body[name] for name in body.keys() & names if body[name] not in _UNSAID}
    try:
        is_usual = "".join(said.values()).isascii()
    except TypeError:  # one is no text: it is named
        is_usual = False
    return said if is_usual else {name: field_in(body, name, str) for name in said}


def day_of(at: float) -> str:
    """Return seconds since the Unix epoch as a day of UTC, ``YYYY-MM-DD``."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()


CALL_COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(CallRow))
call_values = attrgetter(*CALL_COLUMNS)
