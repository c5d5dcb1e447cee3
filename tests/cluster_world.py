"""A cluster in virtual time: nodes with clocks of their own, a network that loses, delays, repeats.

There is no event loop: a heap of instants is all the time there is. What the provider sees is
written down by the true clock, which nobody in the cluster knows.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import orjson

from providers.admission import Ticket
from providers.cluster import LeasedGroup
from providers.cluster.party import Party
from runtime.errors import QueueFull, RequestTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from runtime.messages import Limits

LONGEST_S = 20.0  # that a call lasts
DEPARTING_S = 2.0
GROUP = "m"


@dataclass(frozen=True, slots=True)
class Network:
    """What may become of a message.

    Attributes:
        delay_s: how long it takes at the most.
        lost: the share that never comes.
        repeated: the share that comes twice.
        in_order: whether each takes exactly that long, so that none overtakes another.
    """

    delay_s: float = 0.002
    lost: float = 0.0
    repeated: float = 0.0
    in_order: bool = False


@dataclass(slots=True, eq=False)
class Sent:
    """A call as the provider sees it, at true instants; ``ended`` is infinity while it is out."""

    node: str
    run: str
    at: float
    reserved: tuple[int, int]
    used: tuple[int, int]
    ended: float = math.inf


@dataclass(slots=True)
class Store:
    """One value with a revision, as a key of NATS has it."""

    revision: int = 0
    value: bytes | None = None

    def write(self, upon: int, value: bytes) -> int | None:
        if upon != self.revision:
            return None
        self.revision, self.value = self.revision + 1, value
        return self.revision


class World:
    """Nodes, their network, and what they send to the provider."""

    def __init__(self, limits: Limits, random: Random, network: Network | None = None) -> None:
        self.limits = limits
        self.random = random
        self.network = network or Network()
        self.now = 1_000.0
        self.store = Store()
        self.nodes: dict[str, Node] = {}
        self.sent: list[Sent] = []
        self.messages = 0
        self.writes = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def node(self, name: str, offset: float = 0.0, rate: float = 1.0) -> Node:
        node = self.nodes[name] = Node(self, name, offset, rate)
        return node

    def later(self, seconds: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), happens))

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            at, _, happens = heapq.heappop(self._events)
            self.now = max(self.now, at)
            happens()
        self.now = until

    def deliver(self, happens: Callable[[], None]) -> None:
        """Carry a message, or not."""
        self.messages += 1
        if self.random.random() < self.network.lost:
            return
        for _ in range(2 if self.random.random() < self.network.repeated else 1):
            part = 1.0 if self.network.in_order else self.random.random()
            self.later(part * self.network.delay_s, happens)

    # --- what the provider saw -------------------------------------------------------------------

    def most_in_a_minute(self, amount: Callable[[Sent], float]) -> float:
        """Return the most of something in any 60 s, by the true clock."""
        most = total = 0.0
        first = 0
        for call in self.sent:
            total += amount(call)
            while self.sent[first].at <= call.at - 60.0:
                total -= amount(self.sent[first])
                first += 1
            most = max(most, total)
        return most

    def most_tokens_in_a_minute(self, *, into: bool, out_of: bool) -> float:
        """Return the most tokens in the minute before any start: reserved, or used once known."""
        most = 0.0
        for number, last in enumerate(self.sent):
            total = 0.0
            for call in reversed(self.sent[: number + 1]):
                if call.at <= last.at - 60.0:
                    break
                counted = call.reserved if call.ended > last.at else call.used
                total += counted[0] * into + counted[1] * out_of
            most = max(most, total)
        return most

    @property
    def most_in_flight(self) -> int:
        changes = [(call.at, 1) for call in self.sent] + [(call.ended, -1) for call in self.sent]
        most = out = 0
        for _, change in sorted(changes):
            out += change
            most = max(most, out)
        return most


class Node:
    """One node: a party, its limit group, and calls that come to it."""

    def __init__(self, world: World, name: str, offset: float, rate: float) -> None:
        self.world = world
        self.name = name
        self.alive = self.connected = True
        self._offset, self._rate = offset, rate
        self.party = Party(name, lambda _: world.limits, LONGEST_S)
        self.group = LeasedGroup(
            GROUP,
            "model",
            world.limits,
            max_pause_s=60.0,
            draw=world.random.random,
        )
        self.party.join(self.group, lambda _: None)
        self.service: Callable[[Ticket], tuple[float, int, int]] = lambda t: (
            1.0,
            t.tokens_in,
            t.tokens_out,
        )
        self.out: dict[Ticket, Sent] = {}
        self.late = 0  # calls that could not start in the instant in which they came
        self._wakes_at = math.inf
        self._stopped_until = 0.0

    @property
    def clock(self) -> float:
        return self.world.now * self._rate + self._offset

    def call(self, run: str, tokens_in: int = 0, tokens_out: int = 0) -> None:
        if not self.alive:
            return
        try:
            self.group.enqueue(Ticket(run, tokens_in, tokens_out, self.clock), self.clock)
        except (QueueFull, RequestTooLarge):
            return
        self.step()
        self.late += self.group.statistics(self.clock).queued > 0

    def die(self) -> None:
        """Lose everything at once; its calls are cut off, which the provider sees."""
        self.alive = False
        for call in self.out.values():
            call.ended = self.world.now
        del self.world.nodes[self.name]

    def depart(self) -> None:
        """Leave in order; what is in flight after a while is cut off."""
        self.party.depart()
        self.step()
        self.world.later(DEPARTING_S, lambda: self.alive and self.die())

    def stop(self, seconds: float) -> None:
        """Stand still for a while, as a stopped process does; what comes meanwhile comes later."""
        self._stopped_until = self.world.now + seconds
        self.world.later(seconds, self.step)

    @property
    def _stands_still(self) -> bool:
        return self.world.now < self._stopped_until

    def step(self) -> None:
        if not self.alive or self._stands_still:
            return
        for ticket in self.group.start(self.clock):
            self._send(ticket)
        self.party.act(self, self.clock)
        self._sleep()

    def _sleep(self) -> None:
        at = min(self.party.wake_at(self.clock), self.group.next_start(self.clock) or math.inf)
        seconds = max(1e-6, (at - self.clock) / self._rate)
        if self.world.now + seconds < self._wakes_at:
            self._wakes_at = self.world.now + seconds
            self.world.later(seconds, self._wake)

    def _wake(self) -> None:
        if self.world.now >= self._wakes_at:
            self._wakes_at = math.inf
            self.step()

    def _send(self, ticket: Ticket) -> None:
        tokens = ticket.tokens_in, ticket.tokens_out
        sent = Sent(self.name, ticket.run_id, self.world.now, tokens, tokens)
        self.world.sent.append(sent)
        self.out[ticket] = sent
        seconds, tokens_in, tokens_out = self.service(ticket)

        def ends() -> None:
            if self._stands_still:
                self._after_standstill(ends)
                return
            if not self.alive:
                return
            self.out.pop(ticket).ended = self.world.now
            sent.used = tokens_in, tokens_out
            self.group.succeeded(ticket, tokens_in, tokens_out, self.clock)
            self.step()

        self.world.later(seconds, ends)

    # --- what its party lets be carried ----------------------------------------------------------

    def ask(self, report: list[Any]) -> None:
        self._to_all("reported", report)

    def tell(self, notice: list[Any]) -> None:
        self._to_all("told", notice)

    def answer(self, node: str, reply: list[Any]) -> None:
        wire, nodes = orjson.dumps(reply), self.world.nodes
        if self.connected:
            self.world.deliver(lambda: node in nodes and nodes[node].heard("answered", wire))

    def read(self) -> None:
        self.world.later(self.world.network.delay_s, self._read)

    def write(self, upon: int, record: dict[str, Any]) -> None:
        self.world.writes += 1
        wire = orjson.dumps(record)
        self.world.later(self.world.network.delay_s, lambda: self._write(upon, wire))

    def _to_all(self, what: str, message: list[Any]) -> None:
        wire = orjson.dumps(message)
        for node in list(self.world.nodes.values()) if self.connected else ():
            self.world.deliver(lambda node=node: node.heard(what, wire))

    def heard(self, what: str, wire: bytes) -> None:
        if self._stands_still:
            self._after_standstill(lambda: self.heard(what, wire))
        elif self.alive and self.connected:
            getattr(self.party, what)(orjson.loads(wire), self.clock)
            self.step()

    def _after_standstill(self, happens: Callable[[], None]) -> None:
        self.world.later(self._stopped_until - self.world.now, happens)

    def _read(self) -> None:
        store = self.world.store
        if self._stands_still:
            self._after_standstill(self._read)
            return
        if not self.alive:
            return
        if self.connected:
            value = None if store.value is None else orjson.loads(store.value)
            self.party.seen(store.revision, value, self.clock)
        else:
            self.party.unread()
        self.step()

    def _write(self, upon: int, wire: bytes) -> None:
        revision = self.world.store.write(upon, wire) if self.connected else None

        def known() -> None:
            if self._stands_still:
                self._after_standstill(known)
                return
            if not self.alive:
                return
            if revision is None or not self.connected:
                self.party.lost()
            else:
                self.party.written(revision)
            self.step()

        self.world.later(self.world.network.delay_s, known)
