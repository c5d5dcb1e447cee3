"""One account on several nodes of one process, and what carries their messages, at once."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import anyio
import orjson

from providers.account import Account
from providers.cluster import Party
from runtime.actors import current_time
from tests.fake_backends import OPEN, Scripted, a_profile

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from runtime.messages import Limits


class Ether:
    """Carries everything at once, while it is there, and keeps one record.

    Attributes:
        is_there: whether it carries anything.
        parties: the nodes' parts, by name.
        asked: reports so far.
    """

    def __init__(self, tasks: TaskGroup) -> None:
        self.is_there = True
        self.parties: dict[str, Party] = {}
        self.asked = 0
        self._tasks = tasks
        self._record: tuple[int, bytes | None] = (0, None)

    def account(
        self, node: str, backend: Scripted, limits: Limits = OPEN, **fields: Any
    ) -> Account:
        """Return the account of one node; its every draw is one half."""

        def share(account: Account) -> Party:
            party = Party(node, account.limits_of, account.profile.timeouts.total)
            self.parties[node] = party
            self._tasks.start_soon(Courier(self, party).run)
            return party

        return Account(a_profile(limits, **fields), backend, draw=lambda: 0.5, share=share)

    def read(self) -> tuple[int, Any]:
        revision, value = self._record
        return revision, None if value is None else orjson.loads(value)

    def write(self, upon: int, record: Any) -> int | None:
        if upon != self._record[0]:
            return None
        self._record = (upon + 1, orjson.dumps(record))
        return upon + 1


class Courier:
    """Carries what one party lets be carried."""

    def __init__(self, ether: Ether, party: Party) -> None:
        self._ether = ether
        self._party = party
        self._wakes = anyio.Event()
        party.on_change = self._wake

    async def run(self) -> None:
        for _ in itertools.count():
            self._wakes = anyio.Event()
            self._party.act(self, current_time())
            with anyio.CancelScope(deadline=self._party.wake_at(current_time())):
                await self._wakes.wait()
            await anyio.lowlevel.checkpoint()

    def _wake(self) -> None:
        self._wakes.set()

    def ask(self, report: list[Any]) -> None:
        self._ether.asked += 1
        self._to_all("reported", report)

    def tell(self, notice: list[Any]) -> None:
        self._to_all("told", notice)

    def answer(self, node: str, reply: list[Any]) -> None:
        if self._ether.is_there:
            party = self._ether.parties[node]
            party.answered(orjson.loads(orjson.dumps(reply)), current_time())
            party.on_change()

    def read(self) -> None:
        if self._ether.is_there:
            self._party.seen(*self._ether.read(), current_time())
        else:
            self._party.unread()
        self._wakes.set()

    def write(self, upon: int, record: dict[str, Any]) -> None:
        revision = self._ether.write(upon, record) if self._ether.is_there else None
        if revision is None:
            self._party.lost()
        else:
            self._party.written(revision)
        self._wakes.set()

    def _to_all(self, what: str, message: list[Any]) -> None:
        for party in self._ether.parties.values() if self._ether.is_there else ():
            getattr(party, what)(orjson.loads(orjson.dumps(message)), current_time())
            party.on_change()
