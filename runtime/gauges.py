"""What can be read off a running system at any moment: the gauges of its metrics.

Whoever collects does so in a thread, and all that is read here changes on the event loop. So the
loop takes a snapshot, one for each collection, and the gauges are read from that. Agents go by
their slugs and accounts by their names in the catalog; accounts at addresses that payloads name are
one. No run has a name here.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from otel import Reading
from otel import conventions as names
from runtime.actors import LoopGone, Visits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from otel import Metrics
    from runtime.actors.dead_letters import Why
    from runtime.engines import EngineStatistics
    from runtime.journal import JournalStatistics

LOOP_S = 1.0  # how long a collection waits for the event loop; then it shows what it saw last
ELSEWHERE = "elsewhere"
CIRCUIT_STATES = ("closed", "half_open", "open", "disabled")
logger = logging.getLogger("runtime.gauges")


class Snapshot(NamedTuple):
    """A system at one instant.

    Attributes:
        now: the instant, in seconds of the event loop's clock.
        agents: its agents.
        accounts: its provider accounts, by name.
        dead_letters: messages that reached nobody, by reason.
        journal: its journal.
        runs: how many runs are under way.
        reserved: nano-USD that their model calls may cost at most.
        spans: spans that ended and have not arrived.
    """

    now: float
    agents: list[EngineStatistics]
    accounts: Mapping[str, Any]
    dead_letters: Mapping[Why, int]
    journal: JournalStatistics
    runs: int
    reserved: int
    spans: int


class Gauges:
    """Reads gauges; made on the event loop.

    Args:
        take: takes a snapshot; called on the event loop.
        accounts: the names that accounts may have as a dimension.
    """

    def __init__(self, take: Callable[[], Snapshot], accounts: Collection[str]) -> None:
        self._take = take
        self._accounts = accounts
        self._visits = Visits()
        self._snapshot: Snapshot | None = None
        self._shown: set[str] = set()
        self._lock = threading.Lock()

    def show(self, metrics: Metrics) -> None:
        """Let the metrics read every gauge."""
        for name in (*READINGS, *OF_ACCOUNTS):
            metrics.observe(name, partial(self.read, name))

    def read(self, name: str) -> Iterable[Reading]:
        """Return the values of a gauge. Called from a thread; waits ``LOOP_S`` at most."""
        snapshot = self._snapshot_for(name)
        if snapshot is None:
            return ()
        if name in READINGS:
            return READINGS[name](snapshot)
        return OF_ACCOUNTS[name](self._by_name(snapshot.accounts), snapshot.now)

    def _snapshot_for(self, name: str) -> Snapshot | None:
        """Return the snapshot of this collection: a gauge that is read again begins a new one."""
        with self._lock:
            if name in self._shown or not self._shown:
                self._shown.clear()
                try:
                    self._snapshot = self._visits.call(self._take, LOOP_S)
                except TimeoutError:
                    logger.debug("the event loop is busy: gauges show what was seen last")
                except LoopGone:
                    self._snapshot = None
            self._shown.add(name)
            return self._snapshot

    def _by_name(self, accounts: Mapping[str, Any]) -> Mapping[str, list[Any]]:
        named: defaultdict[str, list[Any]] = defaultdict(list)
        for name, account in accounts.items():
            named[name if name in self._accounts else ELSEWHERE].append(account)
        return named


def _by_agent(value: Callable[[EngineStatistics], int], snapshot: Snapshot) -> Iterator[Reading]:
    for agent in snapshot.agents:
        yield Reading(value(agent), {names.AGENT_NAME: agent.agent})


def _dead_letters(snapshot: Snapshot) -> Iterator[Reading]:
    for reason, count in snapshot.dead_letters.items():
        yield Reading(count, {names.DEAD_LETTER_REASON: reason})


def _one(value: Callable[[Snapshot], int], snapshot: Snapshot) -> Iterator[Reading]:
    yield Reading(value(snapshot))


READINGS: Mapping[str, Callable[[Snapshot], Iterable[Reading]]] = {
    names.RUNS_ACTIVE: partial(_one, lambda seen: seen.runs),
    names.MAILBOX_DEPTH: partial(_by_agent, lambda agent: agent.waiting),
    names.ACTORS_ALIVE: partial(_by_agent, lambda agent: agent.supervision.active),
    names.DEAD_LETTERS: _dead_letters,
    names.BUDGET_RESERVED: partial(_one, lambda seen: seen.reserved),
    names.JOURNAL_PENDING: partial(_one, lambda seen: seen.journal.pending),
    names.SPOOL_PENDING: partial(_one, lambda seen: seen.spans),
}


def _in_all(value: Callable[[Any], int], accounts: Any, _: float) -> Iterator[Reading]:
    for name, alike in accounts.items():
        yield Reading(sum(map(value, alike)), {names.ACCOUNT: name})


def _pause(accounts: Any, now: float) -> Iterator[Reading]:
    for name, alike in accounts.items():
        ends = [g.paused_until for account in alike for g in account.groups.values()]
        left = max((end - now for end in ends), default=0.0)
        yield Reading(max(0.0, left), {names.ACCOUNT: name})


def _circuits(accounts: Any, _: float) -> Iterator[Reading]:
    for name, alike in accounts.items():
        states = [b.state for one in alike for b in (one.breaker, *one.breakers.values())]
        for state in CIRCUIT_STATES:
            which = {names.ACCOUNT: name, names.CIRCUIT_STATE: state}
            yield Reading(states.count(state), which)


OF_ACCOUNTS: Mapping[str, Callable[[Any, float], Iterable[Reading]]] = {
    names.ADMISSION_QUEUE: partial(_in_all, lambda account: account.queued),
    names.ADMISSION_IN_FLIGHT: partial(_in_all, lambda account: account.in_flight),
    names.ADMISSION_PAUSE: _pause,
    names.CIRCUITS: _circuits,
}
