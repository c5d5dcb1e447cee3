"""Who is the authority of an account: whoever last wrote its record, for as long as that lasts.

Theory of operation. The record is one value in a store that counts its revisions and writes only
upon the revision that the writer has seen. Every node that needs an authority and hears of none
*watches* the record. When it is vacant, or stayed the same for a whole lease, the node tries to
write its own upon it, with the next epoch: one of them succeeds, the others see another revision
and go on watching. The holder writes again when its grants need it and at least every third of a
lease; two thirds of a lease after the last write that it knows to have succeeded it grants nothing,
and when a write is refused it is the holder no more.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from providers.cluster.authority import Authority

LEASE_S = 3.0
RENEW_S = LEASE_S / 3
GRANTS_S = LEASE_S * 2 / 3
IDLE_S = 30.0  # without a report for so long it leaves


class Seen(NamedTuple):
    """A revision of the record, and since when it has been the last."""

    revision: int
    since: float


class Seat:
    """One node's view of who is the authority of one account; perhaps it is itself.

    Args:
        node: who this is.
        make: makes the authority of an epoch.

    Attributes:
        authority: what this node grants by, when it is the holder or tries to be; else None.
    """

    def __init__(self, node: str, make: Callable[[int], Authority]) -> None:
        self.authority: Authority | None = None
        self._node = node
        self._make = make
        self._seen: Seen | None = None
        self._revision = 0
        self._is_holder = self._is_leaving = self._resigns = False
        self._sent_at: float | None = None  # of the write that is under way
        self._written_at = -inf
        self._heard_at = -inf

    def __repr__(self) -> str:
        part = "holder" if self._is_holder else "watching"
        return f"<Seat of {self._node}, {part}, {self.authority!r}>"

    def may_grant(self, now: float) -> bool:
        """Return whether it is the holder, and certainly so."""
        return self._is_holder and now < self._written_at + GRANTS_S

    @property
    def holds(self) -> bool:
        """Whether its record is the one that is written."""
        return self._is_holder

    # --- watching --------------------------------------------------------------------------------

    def saw(
        self, revision: int, record: dict[str, Any] | None, now: float, known_epoch: int = 0
    ) -> None:
        """Take what the store has; a record that is vacant or was left is taken over.

        Where there is none although somebody has granted something, the store has lost it: then
        all of a minute may be used up.

        Args:
            revision: the number of its last write; 0 when there was none.
            record: its value; None when there was none.
            now: the instant.
            known_epoch: of the last authority that this node has heard of.
        """
        if self.authority is not None or self._resigns:
            return
        is_lost = record is None and known_epoch > 0
        record = record or {"epoch": 0, "holder": "", "books": {}}
        former = self._seen
        since = former.since if former is not None and former.revision == revision else now
        self._seen = Seen(revision, since)
        if record["holder"] and now - since < LEASE_S:
            return
        self.authority = self._make(max(record["epoch"], known_epoch) + 1)
        self.authority.restore(record["books"], now)
        if is_lost:
            self.authority.begin_full(now)
        self._revision, self._heard_at = revision, now

    # --- holding ---------------------------------------------------------------------------------

    def heard(self, now: float) -> None:
        """Note that some node needs it."""
        self._heard_at = now

    def write_at(self, now: float) -> float:
        """Return when to write the record next; infinity while a write is under way."""
        if self.authority is None or self._sent_at is not None:
            return inf
        if not self._is_holder or self.authority.short or self._resigns:
            return now
        return self._written_at + RENEW_S

    def write(self, now: float) -> tuple[int, dict[str, Any]] | None:
        """Return what to write and upon which revision; None when there is nothing to write."""
        authority = self.authority
        if authority is None or self.write_at(now) > now:
            return None
        self._sent_at = now
        is_idle = now - self._heard_at >= IDLE_S
        self._is_leaving = self._is_holder and (is_idle or self._resigns)
        holder = "" if self._is_leaving else self._node
        return self._revision, {
            "epoch": authority.epoch, "holder": holder, "books": authority.record(now),
        }  # fmt: skip

    def wrote(self, revision: int) -> None:
        """Note that the write succeeded, under that revision."""
        if self.authority is None or self._sent_at is None:
            return
        self._revision, self._written_at, self._sent_at = revision, self._sent_at, None
        self._is_holder = True
        self.authority.written()
        if self._is_leaving:
            self.leave()

    def resign(self) -> None:
        """Leave by the next record, and take no other one over."""
        self._resigns = True

    def leave(self) -> None:
        """Be the authority no more; what was granted ends by itself."""
        self.authority = self._seen = self._sent_at = None
        self._is_holder = self._is_leaving = False
        self._written_at = -inf
