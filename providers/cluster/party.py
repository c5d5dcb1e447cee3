"""One account on one node, whatever its part: it asks for grants, and perhaps it is who grants.

Whoever carries the messages tells it what has come, lets it ``act`` after that and when it says
``on_change``, and again at ``wake_at``. It decides, and does nothing itself.
"""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from providers.cluster.authority import Authority
from providers.cluster.member import PATIENCE_S, Member
from providers.cluster.messages import Reply, Report
from providers.cluster.seat import Seat

if TYPE_CHECKING:
    from collections.abc import Callable

    from providers.breaker import Breaker, State
    from providers.cluster.leased_group import LeasedGroup
    from runtime.messages import Limits


class Carrier(Protocol):
    """Carries messages, and keeps the record; what it cannot do at once it does later, or not."""

    def ask(self, report: list[Any]) -> None:
        """Send a report to the authority, whoever it is."""

    def answer(self, node: str, reply: list[Any]) -> None:
        """Send a reply to a node."""

    def tell(self, notice: list[Any]) -> None:
        """Send a notice to all nodes."""

    def read(self) -> None:
        """Read the record; the party hears what was ``seen``, or ``unread``."""

    def write(self, upon: int, record: dict[str, Any]) -> None:
        """Write the record upon a revision; the party hears that it is ``written``, or ``lost``."""


PAUSED, BEGINS, CIRCUIT = "paused", "begins", "circuit"  # kinds of notices


class ClusterStatistics(NamedTuple):
    """What one node knows of its account's authority.

    Attributes:
        epoch: of the authority that it heard last; 0 for none.
        is_here: whether that is this node.
        away_s: for how many seconds none has answered; 0.0 while one does.
        held: requests that may start without another grant.
    """

    epoch: int
    is_here: bool
    away_s: float
    held: int


class Party:
    """One account on one node.

    Args:
        node: who this is.
        limits_of: the limits of a model's group.
        longest_s: how long a call may last.

    Attributes:
        member: its part as one who asks.
        seat: its part as one who may grant.
        on_change: called when there may be something to do.
        on_circuit: called when another node has shut or closed a circuit breaker here.
    """

    def __init__(self, node: str, limits_of: Callable[[str], Limits], longest_s: float) -> None:
        self.member = Member(node)
        self.seat = Seat(node, lambda epoch: Authority(epoch, limits_of, longest_s))
        self.on_change: Callable[[], None] = lambda: None
        self.on_circuit: Callable[[float], None] = lambda _: None
        self._serves: dict[str, Callable[[float], None]] = {}
        self._breakers: dict[str, Breaker] = {}
        self._notices: list[list[Any]] = []
        self._heed: dict[str, Callable[..., None]] = {
            PAUSED: self._pause,
            BEGINS: self._begins,
            CIRCUIT: self._circuit,
        }
        self._is_reading = False
        self._read_at = -inf

    def __repr__(self) -> str:
        return f"<Party of {self.member.node}, epoch {self.member.epoch}, {self.seat!r}>"

    def join(self, group: LeasedGroup, serve: Callable[[float], None]) -> None:
        """Ask for one more limit group.

        Args:
            group: the group.
            serve: lets start what may start now.
        """
        group.on_pause = partial(self._paused, group.name)
        group.on_change = self._changed
        self._serves[group.name] = serve
        self.member.join(group)

    def leave(self, group: str) -> None:
        """Ask for a limit group no more."""
        self.member.leave(group)
        del self._serves[group]

    def share(self, target: str, breaker: Breaker) -> None:
        """Let all nodes know what a circuit breaker says."""
        breaker.on_change = partial(self._opened, target, breaker)
        self._breakers[target] = breaker

    def keep(self, target: str) -> None:
        """Share a circuit breaker no more."""
        self._breakers.pop(target).on_change = None

    def depart(self) -> None:
        """Give back what it holds, and then leave what it grants to another node."""
        self.member.depart()
        self.on_change()

    @property
    def is_gone(self) -> bool:
        """Whether the others know that it has departed, and one of them may grant what it did."""
        return self.member.has_left and self.seat.authority is None

    def away_s(self, now: float) -> float:
        """Return for how many seconds nobody has answered it; 0.0 while somebody does."""
        return self.member.away_s(now)

    def statistics(self, now: float) -> ClusterStatistics:
        """Return a snapshot."""
        is_here = self.seat.may_grant(now)
        return ClusterStatistics(
            self.member.epoch, is_here, self.member.away_s(now), self.member.held
        )

    def _changed(self) -> None:
        self.on_change()

    def _tell(self, kind: str, *what: Any) -> None:
        self._notices.append([self.member.node, kind, *what])
        self.on_change()

    def _paused(self, group: str, seconds: float, now: float) -> None:
        if self.seat.authority is not None:
            self.seat.authority.pause(group, seconds, now)
        self._tell(PAUSED, group, seconds)

    def _opened(self, target: str, breaker: Breaker, now: float) -> None:
        seconds = (breaker.until(now) or now) - now
        self._tell(CIRCUIT, target, breaker.state(now), breaker.reason or "", seconds)

    # --- what is to be done ----------------------------------------------------------------------

    def wake_at(self, now: float) -> float:
        """Return when to act again if nothing happens; infinity for never."""
        times = [self.member.due(now), self._look_at(now), self.seat.write_at(now)]
        if self.seat.authority is not None and self.seat.may_grant(now):
            times.append(self.seat.authority.next_at(now))
        return max(now, min(times))

    def act(self, carrier: Carrier, now: float) -> None:
        """Let all be carried out that is to be done now."""
        if self.member.has_left:
            self.seat.resign()
        notices, self._notices = self._notices, []
        for notice in notices:
            carrier.tell(notice)
        if self.member.due(now) <= now:
            carrier.ask(self.member.report(now).as_data())
        if self._look_at(now) <= now:
            self._is_reading, self._read_at = True, now
            carrier.read()
        authority = self.seat.authority
        if authority is not None and authority.is_over:
            self.seat.leave()
        elif authority is not None and self.seat.may_grant(now):
            for node, reply in authority.replies(now):
                carrier.answer(node, reply.as_data())
        writes = self.seat.write(now)
        if writes is not None:
            carrier.write(*writes)

    def _look_at(self, now: float) -> float:
        since = self.member.needs_authority_since
        if since is None or self._is_reading or self.seat.authority is not None:
            return inf
        return max(since, self._read_at + PATIENCE_S, now)

    # --- what has come ---------------------------------------------------------------------------

    def reported(self, report: list[Any], now: float) -> None:
        """Take a report, where this is the authority."""
        if self.seat.authority is not None:
            self.seat.heard(now)
            self.seat.authority.hear(Report.from_data(report), now)

    def answered(self, reply: list[Any], now: float) -> None:
        """Take a reply to this node, and let start what may start now."""
        for group in self.member.hear(Reply.from_data(reply), now):
            self._serves[group](now)

    def told(self, notice: list[Any], now: float) -> None:
        """Take what another node has told all; of what is not known here nothing is made."""
        node, kind, *what = notice
        if node != self.member.node and kind in self._heed:
            self._heed[kind](*what, now)

    def seen(self, revision: int, record: dict[str, Any] | None, now: float) -> None:
        """Take the record as it stands; revision 0 and None when there is none."""
        self._is_reading = False
        self.seat.saw(revision, record, now, self.member.epoch)

    def unread(self) -> None:
        """Read again later."""
        self._is_reading = False

    def written(self, revision: int) -> None:
        """Go on with what was written; after the first time let all know who grants now."""
        began = self.seat.holds
        self.seat.wrote(revision)
        if self.seat.holds and not began:
            self.member.ask_again()
            self._tell(BEGINS)

    def lost(self) -> None:
        """Be the authority no more: another one's write came first, or nobody knows."""
        self.seat.leave()

    def _pause(self, group: str, paused_s: float, now: float) -> None:
        if self.seat.authority is not None:
            self.seat.authority.pause(group, paused_s, now)
        self.member.pause(group, paused_s, now)
        if group in self._serves:
            self._serves[group](now)

    def _begins(self, now: float) -> None:
        del now
        self.member.ask_again()

    def _circuit(self, target: str, state: State, reason: str, seconds: float, now: float) -> None:
        breaker = self._breakers.get(target)
        if breaker is not None:
            breaker.impose(state, reason, seconds, now)
            self.on_circuit(now)
