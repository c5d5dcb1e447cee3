"""A node's side of one account: what it reports to the authority, when, and what it hears.

A report is due at once when a call waits for want of a grant, and then at the distance that the
authority asks for; when the stock runs low; some time after something was used or has ended; and
again when no reply has come. What is due is asked for after each event (``due``), so that there is
one timer, and no polling.

A node that leaves says so in its last report, and has left when that is answered: what it had would
else count as in flight until no call of it can last any longer, as that of a dead node does.
"""

from __future__ import annotations

from collections import OrderedDict
from math import inf
from typing import TYPE_CHECKING

from providers.cluster.amount import NOTHING
from providers.cluster.messages import Report

if TYPE_CHECKING:
    from providers.cluster.amount import Amount
    from providers.cluster.leased_group import LeasedGroup, Needs
    from providers.cluster.messages import Grant, Reply

SPACING_S = 0.005  # between two reports, until the authority says otherwise
AHEAD_S = 0.25  # for so long a node has a stock
NEWS_S = 0.125  # what was used is told after so long, when nobody waits for it
PATIENCE_S = 0.5  # without a reply a report is sent again after so long
AWAY_S = 2.0  # and after so long the authority is said to be away
WAY_MEMORY = 0.9  # of the longest way to the authority and back, with each reply
MORE = 1.125  # times what was asked for is worth another report before that was granted
MOST_UNANSWERED = 128


class Member:
    """One account on one node.

    Args:
        node: who this is.

    Attributes:
        node: who this is.
        epoch: of the authority that was heard last; 0 for none.
        has_left: whether the authority knows that nothing more comes from here.
    """

    def __init__(self, node: str) -> None:
        self.node = node
        self.epoch = 0
        self.has_left = False
        self._leaves = False
        self._last: Report | None = None  # which says that it leaves
        self._groups: dict[str, LeasedGroup] = {}
        self._asked: dict[str, Amount] = {}
        self._sent: OrderedDict[int, float] = OrderedDict()
        self._number = 0
        self._heard = 0
        self._unheard_since: float | None = None
        self._spacing_s = SPACING_S
        self._scarce = False
        self._way_s = 0.0

    def join(self, group: LeasedGroup) -> None:
        """Report for one more limit group."""
        self._groups[group.name] = group

    def leave(self, group: str) -> None:
        """Report no more for a limit group."""
        del self._groups[group]

    def depart(self) -> None:
        """Start nothing more, and report until the authority knows that."""
        self._leaves = True
        self.has_left = not self._number
        for group in self._groups.values():
            group.lease.end()

    @property
    def held(self) -> int:
        """Requests that may start without another grant, in all groups."""
        return sum(group.lease.held.requests for group in self._groups.values())

    def away_s(self, now: float) -> float:
        """Return for how many seconds the authority has not answered; 0.0 while it does."""
        since = self._unheard_since
        return 0.0 if since is None or now - since < AWAY_S else now - since

    @property
    def needs_authority_since(self) -> float | None:
        """Since when it looks for an authority, as none answers; None while one does."""
        if self._unheard_since is None:
            return None
        return self._unheard_since + (PATIENCE_S if self.epoch else 0.0)

    @property
    def last_sent(self) -> float:
        """When the last report was sent."""
        return next(reversed(self._sent.values()), -inf)

    def due(self, now: float) -> float:
        """Return when the next report is due; infinity when nothing is to be said."""
        if self._leaves:
            return self._last_due()
        return min((self._due(group, now) for group in self._groups.values()), default=inf)

    def _last_due(self) -> float:
        if self.has_left:
            return inf
        is_said = self._last is not None and not any(g.has_news for g in self._groups.values())
        return self.last_sent + (PATIENCE_S if is_said else self._spacing_s)

    def _due(self, group: LeasedGroup, now: float) -> float:
        needs, last = group.needs(AHEAD_S, now), self.last_sent
        unheard = self._unheard_since is not None
        if needs.head != NOTHING:
            asks_more = not unheard and self._asks_more(group, needs)
            return last + (self._spacing_s if asks_more else PATIENCE_S)
        due = max(needs.at, last + self._spacing_s)
        if needs.ahead.requests > group.lease.held.requests:
            due = min(due, last + max(self._spacing_s, AHEAD_S / 4))
        if group.has_news:
            due = min(due, last + (self._spacing_s if self._scarce else NEWS_S))
        return min(due, max(group.lease.ends_at, last + self._spacing_s))

    def _asks_more(self, group: LeasedGroup, needs: Needs) -> bool:
        """Whether notably more waits than the authority knows of and has not granted yet."""
        asked = self._asked.get(group.name, NOTHING)
        waits = needs.head.plus(needs.rest)
        return waits.requests > MORE * asked.requests or not asked.covers(needs.head)

    def report(self, now: float) -> Report:
        """Return a report that is sent now."""
        self._number += 1
        self._sent[self._number] = now
        if len(self._sent) > MOST_UNANSWERED:
            self._sent.popitem(last=False)
        if self._unheard_since is None:
            self._unheard_since = now
        wishes = {
            name: group.wish(self._number, AHEAD_S, now) for name, group in self._groups.items()
        }
        if self._leaves:
            wishes = {name: wish.wanting_nothing() for name, wish in wishes.items()}
        self._asked = {name: wish.head.plus(wish.rest) for name, wish in wishes.items()}
        numbers = self.epoch, self._number, self._heard
        report = Report(self.node, *numbers, self._way_s, wishes, self._leaves)
        self._last = report if self._leaves else None
        return report

    def hear(self, reply: Reply, now: float) -> list[str]:
        """Take what the authority grants; what is late or of a former one is nothing.

        Returns:
            The groups that may start something now.
        """
        if reply.epoch > self.epoch:
            self._begin(reply.epoch)
        if reply.epoch < self.epoch or reply.number <= self._heard:
            return []
        self._heard = reply.number
        sent = self._sent.get(reply.answers)
        if sent is not None:
            self._way_s = max(now - sent - reply.held_s, WAY_MEMORY * self._way_s)
        self._settle(reply)
        known = [name for name in reply.grants if name in self._groups]
        for name in known:
            grant = reply.grants[name]
            until = -inf
            if sent is not None and not self._leaves:
                until = sent + reply.held_s + grant.for_s
            self._take(name, grant, reply, until, now)
        return [name for name in known if reply.grants[name].amount != NOTHING]

    def ask_again(self) -> None:
        """Report soon what waits: who grants now has not heard of it."""
        self._unheard_since = None
        self._last = None
        self._asked.clear()

    def pause(self, group: str, paused_s: float, now: float) -> None:
        """Pause a group as another node was told to."""
        if group in self._groups:
            self._groups[group].pause(paused_s, now)

    def _settle(self, reply: Reply) -> None:
        self._unheard_since = None
        self._spacing_s = reply.spacing_s
        self._scarce = any(grant.scarce for grant in reply.grants.values())
        for group in self._groups.values():
            group.lease.answered(reply.answers)
        if self._last is not None and reply.answers >= self._last.number:
            self.has_left = not any(wish.in_flight for wish in self._last.wishes.values())
        while self._sent and next(iter(self._sent)) < reply.answers:
            self._sent.popitem(last=False)

    def _take(self, name: str, grant: Grant, reply: Reply, until: float, now: float) -> None:
        group = self._groups[name]
        self._asked[name] = grant.amount.lacks(self._asked.get(name, NOTHING))
        group.lease.spread = grant.spread
        group.lease.add(reply.number, grant.amount, until, now)
        if grant.paused_s > 0:
            group.pause(grant.paused_s, now)

    def _begin(self, epoch: int) -> None:
        """Follow another authority: what the former one has granted is used up or void."""
        self.epoch = epoch
        self._heard = 0
        self._last = None
        for group in self._groups.values():
            group.lease.void()
