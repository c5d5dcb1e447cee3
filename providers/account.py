"""What one account knows, and must not forget when its actor crashes.

Limits that are used up, a pause that the server asked for, a circuit that is open: they are facts
about the server, not about our actor. So they live here, and the actor that is started again goes
on with them. Only what was under way is gone: its reservations stay charged, because nobody knows
whether the server counted it.
"""

from __future__ import annotations

import random
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from providers.admission import LimitGroup
from providers.breaker import Breaker
from providers.circuit import Circuit
from providers.estimate import Estimates
from providers.line import Line
from providers.retry import RetryTokens
from runtime.messages import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from providers.admission import GroupStatistics
    from providers.backend import Backend
    from providers.cluster.party import ClusterStatistics, Party
    from runtime.messages import ProviderProfile

MOST_MODELS = 1_024  # of one account; beyond it the ones that were asked first are forgotten
UNLIMITED = Limits()


class BreakerStatistics(NamedTuple):
    """A snapshot of what the circuit breakers say of one model, or of the account.

    Attributes:
        state: ``closed``, ``open``, ``half_open`` or ``disabled``.
        until: when a call may be tried, in seconds of the event loop's clock; None for now.
        reason: why it is not closed; empty when it is.
        waiting: calls that wait until it lets them in; nobody waits at the account's own.
    """

    state: str
    until: float | None
    reason: str
    waiting: int


class AccountStatistics(NamedTuple):
    """A snapshot of one account.

    Attributes:
        calls: calls that came, refused ones included.
        errors: how many of them failed.
        last_error: class and text of the last failure; None when there was none.
        attempts: how many attempts were sent.
        retry_tokens: how many retries may be made at once; successes earn more.
        groups: the limit groups by name: limits, in flight, queued by run, paused until, pace.
        breakers: the circuit breakers by model; what shuts the whole account shuts each of them.
        breaker: the circuit breaker of the whole account.
        cluster: what is known of who grants its limits; None where this process has them alone.
    """

    calls: int
    errors: int
    last_error: str | None
    attempts: int
    retry_tokens: float
    groups: Mapping[str, GroupStatistics]
    breakers: Mapping[str, BreakerStatistics]
    breaker: BreakerStatistics
    cluster: ClusterStatistics | None = None

    @property
    def in_flight(self) -> int:
        """Calls that the server has now."""
        return sum(group.in_flight for group in self.groups.values())

    @property
    def queued(self) -> int:
        """Calls that wait for their turn, those included that wait for an open circuit."""
        at_doors = sum(breaker.waiting for breaker in self.breakers.values())
        return at_doors + sum(group.queued for group in self.groups.values())


class Ward:
    """What stands before one model of the account: who starts, and whether at all.

    Attributes:
        group: the limits that the model shares with others, or has for itself.
        line: the calls that wait for them.
        circuit: the circuit breakers, the model's own and the account's, and who waits for them.
        estimates: how many tokens its calls have.
        limits: what the group was told of its limits.
        outcome: tells all who wait that something has changed; called after every settlement.
        calls: the calls under way, those included that sleep between two attempts.
    """

    __slots__ = ("calls", "circuit", "estimates", "group", "limits", "line", "outcome")

    def __init__(
        self,
        group: LimitGroup,
        line: Line,
        circuit: Circuit,
        limits: Limits,
        outcome: Callable[[Ward, float], None],
    ) -> None:
        self.group = group
        self.line = line
        self.circuit = circuit
        self.estimates = Estimates()
        self.limits = limits
        self.outcome = partial(outcome, self)
        self.calls: set[object] = set()


class Account:
    """One account: its backend, its limit groups and breakers, and what it counted.

    Args:
        profile: the account.
        backend: what makes its calls.
        draw: a random number in [0, 1).
        share: returns its part in what other nodes have of the same account; None for an account
            of this process alone.

    Attributes:
        profile: the account.
        backend: what makes its calls.
        retry_tokens: what retries are paid from.
        calls: calls that came.
        errors: how many of them failed.
        attempts: how many attempts were sent.
        last_error: the last failure.
    """

    def __init__(
        self,
        profile: ProviderProfile,
        backend: Backend,
        draw: Callable[[], float] = random.random,
        share: Callable[[Account], Party] | None = None,
    ) -> None:
        self.profile = profile
        self.backend = backend
        self.draw = draw
        self.retry_tokens = RetryTokens()
        self.calls = 0
        self.errors = 0
        self.attempts = 0
        self.last_error: str | None = None
        self._groups: dict[str, tuple[LimitGroup, Line, Limits]] = {}
        self._wards: dict[str, Ward] = {}
        self._party = None if share is None else share(self)
        self._breaker = self._new_breaker("")
        self._was_closed = True
        if self._party is not None:
            self._party.on_circuit = self._look

    def ward(self, model: str) -> Ward:
        """Return what stands before a model."""
        found = self._wards.get(model)
        if found is None:
            if len(self._wards) >= MOST_MODELS:
                self._forget_one()
            group, line, limits = self._group(model)
            name = f"{self.profile.name}/{model}"
            circuit = Circuit(name, self._breaker, self._new_breaker(model), line, limits.max_queue)
            found = self._wards[model] = Ward(group, line, circuit, limits, self._outcome)
        return found

    def statistics(self, now: float) -> AccountStatistics:
        """Return a snapshot."""
        return AccountStatistics(
            calls=self.calls,
            errors=self.errors,
            last_error=self.last_error,
            attempts=self.attempts,
            retry_tokens=self.retry_tokens.left,
            groups={name: group.statistics(now) for name, (group, _, _) in self._groups.items()},
            breakers={model: _snapshot(ward.circuit, now) for model, ward in self._wards.items()},
            breaker=BreakerStatistics(
                self._breaker.state(now), self._breaker.until(now), self._breaker.reason or "", 0
            ),
            cluster=None if self._party is None else self._party.statistics(now),
        )

    def after_crash(self, now: float) -> None:
        """Forget what was under way: it died with the actor."""
        for group, line, _ in self._groups.values():
            group.after_crash(now)
            line.forget()
        for ward in self._wards.values():
            ward.circuit.neutral(now, now)
            ward.circuit.after_crash()
            ward.calls.clear()

    def _outcome(self, ward: Ward, now: float) -> None:
        """Tell those who wait for a model; for all of them, if it concerns the account."""
        is_closed = self._breaker.is_closed
        concerned = [ward] if is_closed and self._was_closed else list(self._wards.values())
        self._was_closed = is_closed
        for each in concerned:
            each.circuit.look(now)
        ward.line.serve(now)

    def _look(self, now: float) -> None:
        """Tell all who wait that another node has shut or closed a circuit."""
        for ward in self._wards.values():
            ward.circuit.look(now)

    def _group(self, model: str) -> tuple[LimitGroup, Line, Limits]:
        pattern, limits = self._limits(model)
        name = {"model": model, "pattern": pattern, "account": "*"}[self.profile.group_by]
        found = self._groups.get(name)
        if found is None:
            found = self._groups[name] = (*self._new_group(name, model, limits), limits)
        return found

    def _new_group(self, name: str, model: str, limits: Limits) -> tuple[LimitGroup, Line]:
        longest_s, party = self.profile.max_pause_s, self._party
        if party is None:
            group = LimitGroup(name, limits, max_pause_s=longest_s, draw=self.draw)
            return group, Line(group)
        from providers.cluster import LeasedGroup  # noqa: PLC0415  # for accounts that are shared

        leased = LeasedGroup(name, model, limits, max_pause_s=longest_s, draw=self.draw)
        line = Line(leased)
        party.join(leased, line.serve)
        return leased, line

    def _new_breaker(self, target: str) -> Breaker:
        """Return a breaker for a model, or for the whole account, which has no name."""
        breaker = Breaker(self.draw)
        if self._party is not None:
            self._party.share(target, breaker)
        return breaker

    def limits_of(self, model: str) -> Limits:
        """Return what is known of the limits of a model's group."""
        return self._limits(model)[1]

    def _limits(self, model: str) -> tuple[str, Limits]:
        for pattern, limits in self.profile.limits.items():
            if fnmatchcase(model, pattern):
                return pattern, limits
        return "*", UNLIMITED

    def _forget_one(self) -> None:
        """Forget the model that was asked first and has no call under way."""
        model = next((model for model, ward in self._wards.items() if not ward.calls), None)
        if model is not None:
            del self._wards[model]
            if self._party is not None:
                self._party.keep(model)
            if self.profile.group_by == "model":
                del self._groups[model]
                if self._party is not None:
                    self._party.leave(model)


def _snapshot(circuit: Circuit, now: float) -> BreakerStatistics:
    reason = circuit.reason(now) or ""
    return BreakerStatistics(circuit.state(now), circuit.until(now), reason, circuit.waiting)
