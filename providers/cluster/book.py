"""One limit group of an account over all nodes: who is granted what, and when.

A grant is charged in full, as if all of it were started at its end, so it leaves the windows when
nothing of it can be in them any more. What a node reports as not used is taken off again.

Theory of operation. Each node that waits has one ticket in a fair queue, for the next portion that
it needs (a call, mostly), with the weight of the runs that wait on it. ``serve`` grants portions in
the queue's order while the limits, the calls in flight over all nodes and the record allow it; the
head blocks, so nobody starves. Only when nobody waits do nodes get what they will need ahead.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, inf
from typing import TYPE_CHECKING, ClassVar

from providers.admission import Ticket
from providers.admission.fair_queue import FairQueue
from providers.admission.reservations import Reservations
from providers.cluster.amount import NOTHING, Amount
from providers.cluster.cover import Cover, soon
from providers.cluster.messages import Grant
from providers.cluster.record import GroupRecord, buckets
from providers.cluster.runs import WaitingRuns
from providers.cluster.standing import VOID_S, Standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from providers.cluster.messages import Wish
    from runtime.messages import Limits

SHORTEST_S, LONGEST_S = 0.1, 2.0  # that a grant is good for
PART_OF_BURST = 1 / 3  # of the burst, which the time of a grant adds to
SPACINGS = 4  # between the reports of a node, that a grant is good for at least
WAYS = 2  # to the node and back, in addition: a grant is shorter there by one of them
MOST_NODES = 10_000
SWEEP_S, FORGET_S = 1.0, 60.0


class MoreTokens(Ticket):
    """What a call lacks that has its request already."""

    requests: ClassVar[int] = 0


class Book:
    """The grants of one limit group.

    Args:
        model: one of its models.
        limits: what is known of its limits.
        longest_s: how long a call may last.

    Attributes:
        cover: what the record allows.
    """

    def __init__(self, model: str, limits: Limits, longest_s: float) -> None:
        self.cover = Cover()
        self._model = model
        self._limits = limits
        self._longest_s = longest_s
        self._lease_s = min(LONGEST_S, max(SHORTEST_S, limits.burst_s * PART_OF_BURST))
        burst_s = max(0.0, limits.burst_s - self._lease_s)  # the rest is that grants may wait
        self._reservations = Reservations(replace(limits, burst_s=burst_s))
        self._standings: dict[str, Standing] = {}
        self._runs = WaitingRuns()
        self._waiting = FairQueue(MOST_NODES, 1)
        self._ahead = FairQueue(MOST_NODES, 1)
        self._out = 0
        self._paused_until = self._until = self._sweep_at = -inf
        self._opens_at = inf

    def __repr__(self) -> str:
        return (
            f"<Book {self._model}: {len(self._standings)} nodes, {len(self._waiting)} waiting,"
            f" {self._out} out of {self._limits.concurrency}>"
        )

    # --- what comes in ---------------------------------------------------------------------------

    def hear(self, node: str, wish: Wish, heard: float | None, now: float) -> None:
        """Take what a node reports.

        Args:
            node: who.
            wish: what it says.
            heard: the last reply of this authority that it has heard; None when it has heard none,
                infinity when it heeds no more of them, as it leaves.
            now: the instant.
        """
        standing = self._standings.get(node)
        if standing is None:
            if len(self._standings) >= MOST_NODES:
                return
            standing = self._standings[node] = Standing(node, now)
        before = standing.out
        for given, counts in standing.hear(wish, heard, now):
            self._reservations.adjust(given.charges, counts.minus(given.amount))
        self._out += standing.out - before
        self._runs.set(node, wish.runs, wish.weight)
        if wish.told is not None:
            self._reservations.hear(wish.told, now)
        self._line_up(standing, now)
        if heard == inf and not standing.out:
            self._forget(standing)

    def pause(self, seconds: float, now: float) -> None:
        """Grant nothing for a while."""
        self._paused_until = max(self._paused_until, now + seconds)

    # --- what goes out ---------------------------------------------------------------------------

    def serve(self, now: float, spacing_s: float, ways: Mapping[str, float]) -> set[str]:
        """Grant what may be granted now; return the nodes that are to be told of it.

        Args:
            now: the instant.
            spacing_s: how far apart the reports of a node are.
            ways: how many seconds a node's report and its reply take.
        """
        self._expire(now)
        least_s = max(self._lease_s, SPACINGS * spacing_s)
        served: set[str] = set()
        self._opens_at = inf
        while (standing := self._next(now)) is not None:
            ticket = standing.ticket
            self._opens_at = self._opens(ticket, now)
            portion = Amount(ticket.requests, ticket.tokens_in, ticket.tokens_out)
            if self._opens_at > now or not self.cover.allows(standing.node, portion):
                break
            lease_s = min(LONGEST_S, least_s + WAYS * ways.get(standing.node, 0.0))
            self._until = max(self._until, now + lease_s)
            self._grant(standing, portion, now)
            served.add(standing.node)
            self._opens_at = inf
        return served

    def next_at(self, now: float) -> float:
        """Return when ``serve`` may grant more if nothing is heard; infinity for never."""
        return self._opens_at if self._opens_at > now else inf

    def tell(self, node: str, number: int, now: float) -> Grant:
        """Return what a reply of that number tells a node of this group."""
        given = self._standings[node].tell(number) if node in self._standings else None
        paused_s = max(0.0, self._paused_until - now)
        scarce, spread = len(self._waiting) > 0, self._runs.spread(node)
        if given is None:
            return Grant(paused_s=paused_s, scarce=scarce, spread=spread)
        return Grant(given.amount, given.until - now, paused_s, scarce, spread)

    # --- the record ------------------------------------------------------------------------------

    def record(self, now: float) -> GroupRecord:
        """Return what the next authority would have to know, and propose what it covers."""
        self._expire(now)
        free = self._limits.concurrency - self._out
        advance, rooms = soon(self._standings.values(), self._reservations, free, now)
        self.cover.propose(advance, rooms)
        return GroupRecord(
            self._model,
            buckets(self._reservations.minute, now),
            buckets(self._reservations.day, now),
            advance,
            {node: each.out + rooms.get(node, 0) for node, each in self._standings.items()},
            max(0.0, self._paused_until - now),
        )

    def fill(self, at: float) -> None:
        """Begin with a minute that was used up at ``at``."""
        most = self._reservations.capacities
        into, both = most.get("itpm", 0.0), most.get("tpm", 0.0)
        used = (most.get("rpm", 0.0), max(into, both), most.get("otpm", 0.0))
        self._reservations.minute.charge(Amount(*map(ceil, used)), at)

    def restore(self, record: GroupRecord, now: float) -> None:
        """Begin with what another authority may have granted: only the rest is certainly free."""
        self._until = now + LONGEST_S
        kept = self._reservations
        for log, used in ((kept.minute, record.minute), (kept.day, record.day)):
            for each in used:
                log.charge(each.amount, min(now - each.age_s, self._until))
            log.charge(record.advance, self._until)
        kept.pacer.empty(now)
        self.pause(record.paused_s, now)
        for node, out in record.out.items():
            self._standings[node] = Standing(node, now, out)
            self._out += out

    # --- inside ----------------------------------------------------------------------------------

    def _opens(self, ticket: Ticket, now: float) -> float:
        if ticket.requests and self._out >= self._limits.concurrency:
            return inf
        return max(self._paused_until, self._reservations.opens(ticket, now))

    def _grant(self, standing: Standing, portion: Amount, now: float) -> None:
        self.cover.take(standing.node, portion)
        self._out += portion.requests
        charges = None if standing.pending is None else standing.pending.charges
        charges = self._reservations.charge(portion, self._until, charges, now)
        standing.grant(portion, charges, self._until, now)
        self._line_of(standing).take(standing.ticket)
        self._line_up(standing, now)

    def _next(self, now: float) -> Standing | None:
        """Return the node whose turn it is; those that fell silent lose theirs."""
        while (ticket := self._waiting.head() or self._ahead.head()) is not None:
            standing = self._standings[ticket.run_id]
            if now - standing.heard_at <= VOID_S:
                return standing
            self._line_of(standing).remove(ticket)
        return None

    def _line_of(self, standing: Standing) -> FairQueue:
        return self._waiting if standing.ticket in self._waiting else self._ahead

    def _line_up(self, standing: Standing, now: float) -> None:
        self._line_of(standing).remove(standing.ticket)
        portion, ahead = standing.next_portion()
        if portion != NOTHING:
            share = self._runs.share(standing.node)
            kind = Ticket if portion.requests else MoreTokens
            standing.ticket = kind(standing.node, *portion[1:], arrived=now, weight=share)
            (self._ahead if ahead else self._waiting).add(standing.ticket)

    def _expire(self, now: float) -> None:
        self._reservations.expire(now)
        if now < self._sweep_at:
            return
        self._sweep_at = now + SWEEP_S
        for node, standing in list(self._standings.items()):
            if now - standing.heard_at > VOID_S:
                self._runs.set(node, {})
            if now >= max(standing.over_at(self._longest_s), standing.heard_at + FORGET_S):
                self._forget(standing)

    def _forget(self, standing: Standing) -> None:
        self._line_of(standing).remove(standing.ticket)
        self._out -= standing.out
        del self._standings[standing.node]
