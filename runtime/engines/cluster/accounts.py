"""What carries the limits of provider accounts between nodes: subjects, and a bucket of records.

The decisions are with each account's party, which is the providers'; here is only the way from one
to the others. Reports, replies and notices may be lost, so they go as plain messages. The record of
who grants is a key whose writes name the revision that they are upon; the bucket forgets nothing
by itself, as what was granted has to be known to who grants next.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from nats.errors import Error
from nats.js.api import StorageType
from nats.js.errors import BucketNotFoundError, KeyNotFoundError

from runtime.actors import current_time
from runtime.engines.cluster.node import ended
from runtime.engines.cluster.streams import replicas
from runtime.engines.cluster.subjects import token

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from nats.aio.msg import Msg
    from nats.js.kv import KeyValue

    from runtime.engines.cluster.node import Node

STORE_S = 2.0  # for one read or write of a record
PARTING_S = 2.0  # in which one that departs can find who grants, or do so itself for a moment
MOST_BYTES = 1 << 28  # of all records
logger = logging.getLogger("runtime.cluster")


class Party(Protocol):
    """One account on this node, as whoever carries its messages sees it."""

    on_change: Callable[[], None]

    def wake_at(self, now: float) -> float:
        """Return when to let it act again if nothing happens."""

    def act(self, carrier: Courier, now: float) -> None:
        """Let all be carried that is to be said now."""

    def depart(self) -> None:
        """Give back what it holds, and then leave what it grants to another node."""

    @property
    def is_gone(self) -> bool:
        """Whether the others know that it has departed, and one of them may grant what it did."""

    def away_s(self, now: float) -> float:
        """Return for how many seconds nobody has answered it."""

    def reported(self, report: list[Any], now: float) -> None:
        """Take a node's report."""

    def answered(self, reply: list[Any], now: float) -> None:
        """Take a reply to this node."""

    def told(self, notice: list[Any], now: float) -> None:
        """Take a notice to all nodes."""

    def seen(self, revision: int, record: dict[str, Any] | None, now: float) -> None:
        """Take the record as it stands."""

    def unread(self) -> None:
        """Hear that it could not be read."""

    def written(self, revision: int) -> None:
        """Hear that it is written."""

    def lost(self) -> None:
        """Hear that another one's was first, or that nobody knows."""


class SharedAccounts:
    """The accounts of one node whose limits the cluster shares.

    Args:
        node: this process in the cluster.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._couriers: dict[str, Courier] = {}

    def share(self, account: str, party: Party) -> None:
        """Carry from now on what an account's party says.

        Args:
            account: its name, the same on all nodes.
            party: its part here.
        """
        courier = self._couriers[account] = Courier(self._node, account, party)
        self._node.start(courier.run(), f"shares the limits of {account}")

    async def close(self) -> None:
        """Give back what this node holds, and leave what it grants to others."""
        await asyncio.gather(*(courier.part() for courier in self._couriers.values()))


class Courier:
    """Carries what one party says; what cannot be sent now is not sent, as it will be said again.

    Args:
        node: this process in the cluster.
        account: the account's name.
        party: its part here.
    """

    def __init__(self, node: Node, account: str, party: Party) -> None:
        self._node = node
        self._account = account
        self._party = party
        self._changed = asyncio.Event()
        self._outgoing: list[tuple[str, bytes]] = []
        self._stored: asyncio.Task[None] | None = None
        self._bucket: KeyValue | None = None
        self._gone = asyncio.Event()
        self._is_away = False
        party.on_change = self._changed.set

    async def run(self) -> None:
        """Carry until cancelled."""
        subjects, party = self._node.subjects, self._party
        heard = {
            subjects.report(self._account): party.reported,
            subjects.grant(self._account, self._node.name): party.answered,
            subjects.notice(self._account): party.told,
        }
        async with AsyncExitStack() as stack:
            for subject, take in heard.items():
                subscription = await self._node.hear(subject, self._taking(take))
                stack.push_async_callback(ended, subscription)
            while True:
                await self._act()
                await self._rest()

    async def part(self) -> None:
        """Wait until the others know that this node departs, if they can be told so."""
        self._party.depart()
        with suppress(TimeoutError):
            async with asyncio.timeout(PARTING_S):
                await self._gone.wait()

    # --- what the party lets be carried ----------------------------------------------------------

    def ask(self, report: list[Any]) -> None:
        """Send a report to whoever grants."""
        self._send(self._node.subjects.report(self._account), report)

    def answer(self, node: str, reply: list[Any]) -> None:
        """Send a reply to a node."""
        self._send(self._node.subjects.grant(self._account, node), reply)

    def tell(self, notice: list[Any]) -> None:
        """Send a notice to all nodes."""
        self._send(self._node.subjects.notice(self._account), notice)

    def read(self) -> None:
        """Read the record."""
        self._store(self._read())

    def write(self, upon: int, record: dict[str, Any]) -> None:
        """Write the record upon a revision of it."""
        self._store(self._write(upon, orjson.dumps(record)))

    # --- inside ----------------------------------------------------------------------------------

    def _send(self, subject: str, message: list[Any]) -> None:
        self._outgoing.append((subject, orjson.dumps(message)))

    def _store(self, work: Coroutine[None, None, None]) -> None:
        self._stored = asyncio.get_running_loop().create_task(work)

    def _taking(self, take: Callable[[list[Any], float], None]) -> Callable[[Msg], None]:
        def took(message: Msg) -> None:
            take(orjson.loads(message.data), current_time())
            self._changed.set()

        return took

    async def _act(self) -> None:
        self._changed.clear()
        self._party.act(self, current_time())
        if self._party.is_gone:
            self._gone.set()
        outgoing, self._outgoing = self._outgoing, []
        for subject, data in outgoing if self._node.client.is_connected else ():
            with suppress(Error):
                await self._node.client.publish(subject, data)

    async def _rest(self) -> None:
        now = current_time()
        self._note(self._party.away_s(now))
        at = self._party.wake_at(now)
        loop = asyncio.get_running_loop()
        timer = loop.call_at(at, self._changed.set) if at < float("inf") else None
        try:
            await self._changed.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _note(self, away_s: float) -> None:
        if bool(away_s) is not self._is_away:
            self._is_away = bool(away_s)
            what = "authority_away" if away_s else "authority_back"
            logger.warning(what, extra={"account": self._account, "node": self._node.name})

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(STORE_S):
                revision, value = await self._record()
        except (TimeoutError, Error, OSError) as error:
            logger.debug("the record of %s cannot be read: %r", self._account, error)
            self._party.unread()
        else:
            record = None if value is None else orjson.loads(value)
            self._party.seen(revision, record, current_time())
        self._changed.set()

    async def _record(self) -> tuple[int, bytes | None]:
        bucket = await self._records()
        try:
            entry = await bucket.get(token(self._account))
        except KeyNotFoundError:
            return 0, None
        return entry.revision or 0, entry.value

    async def _write(self, upon: int, value: bytes) -> None:
        try:
            async with asyncio.timeout(STORE_S):
                bucket = await self._records()
                revision = await bucket.update(token(self._account), value, last=upon)
        except (TimeoutError, Error, OSError) as error:
            logger.info("authority_lost", extra={"account": self._account, "error": repr(error)})
            self._bucket = None  # perhaps it is gone, with all that NATS had
            self._party.lost()
        else:
            self._party.written(revision)
        self._changed.set()

    async def _records(self) -> KeyValue:
        if self._bucket is None:
            self._bucket = await _bucket(self._node)
        return self._bucket


async def _bucket(node: Node) -> KeyValue:
    """Return the bucket of records; whoever comes first makes it."""
    name = node.subjects.authorities
    try:
        return await node.jetstream.key_value(name)
    except BucketNotFoundError:
        return await node.jetstream.create_key_value(
            bucket=name,
            history=1,
            storage=StorageType.FILE,
            max_bytes=MOST_BYTES,
            replicas=replicas(node),
            direct=False,
        )
