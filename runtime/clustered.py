"""A system's part in a cluster: a client of it, and a node once it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from runtime.clients import Client
from runtime.engines.cluster.accounts import SharedAccounts
from runtime.engines.cluster.connection import connect, disconnect
from runtime.engines.cluster.members import Grant
from runtime.engines.cluster.membership import Doing, Membership
from runtime.engines.cluster.node import Node
from runtime.engines.cluster.orders import Orders
from runtime.engines.nats import NatsEngine
from runtime.errors import Cancelled
from runtime.guests import Guests
from runtime.homes import Household
from runtime.identity import wall_clock
from runtime.journal import JournalFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from runtime.actors import ActorSystem
    from runtime.code import Codes
    from runtime.control import Control
    from runtime.directory import Directory
    from runtime.dispatch import Dispatcher
    from runtime.engines import LocalEngine
    from runtime.engines.cluster.settings import ClusterSettings
    from runtime.homes import GoOn
    from runtime.journal import Journal
    from runtime.outcome import RunOutcome
    from runtime.start import Start


WATCH_S = 1.0  # between two looks at whether anything can be noted
LEAVE_S = 10.0  # what bodies get to end that are left to other nodes


class Part(NamedTuple):
    """What a node serves, and what else it tells of itself.

    Attributes:
        agents: the slugs of its agents; None for all.
        most: how many bodies of each run at once at most; None as the catalog says.
        spread: whether what its bodies delegate is for all, also while there is room for it here.
        code: returns a digest of the code of all agents that it knows, also of those it serves not.
        accounts: returns a snapshot of each provider account that was asked.
    """

    agents: Sequence[str] | None
    most: int | None
    spread: bool
    code: Callable[[], str]
    accounts: Callable[[], Mapping[str, Any]]


class Clustered:
    """A system's part in a cluster; made by ``joined``.

    Attributes:
        engine: where its Delegations go.
        client: has its runs carried out.
        node: what it is in the cluster.
        accounts: carries the limits of its provider accounts.
        membership: its place among the nodes, once it serves.
    """

    def __init__(self, node: Node, engine: NatsEngine, journal: Journal) -> None:
        self.node = node
        self.engine = engine
        self.accounts = SharedAccounts(node)
        self._journal = journal
        self._orders = Orders(node)
        self._dispatcher: Dispatcher
        self._control: Control
        self.client: Client
        self.membership: Membership

    def __repr__(self) -> str:
        return f"<Clustered {self.engine!r} {self._orders!r}>"

    async def open(
        self, dispatcher: Dispatcher, directory: Directory, control: Control, codes: Codes
    ) -> None:
        """Let Delegations and runs go to the cluster from now on.

        Raises:
            ConfigurationError: the servers do not take what waits to be done.
            nats.errors.Error: the cluster takes nobody now.
        """
        self._dispatcher, self._control = dispatcher, control
        self.client = Client(self._orders, self._journal, directory)
        guests = Guests(
            dispatcher,
            directory,
            self._journal,
            control,
            codes=codes,
            clock=wall_clock,
            ask_home=self.engine.ask_home,
        )
        try:
            await self.engine.open(guests)
            await self._orders.open()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.close()
            raise

    async def serve(
        self,
        begin: Callable[[Start], Awaitable[RunOutcome]],
        go_on: GoOn,
        part: Part,
    ) -> None:
        """Be a node from now on, which works for all and is the home of runs.

        Args:
            begin: begins a run here.
            go_on: goes on with one here.
            part: what it serves.

        Raises:
            UnknownName: there is no such agent.
            nats.errors.Error: the cluster takes nobody now.
        """
        agents = await self._dispatcher.serve(part.agents)

        def doing() -> Doing:
            accounts = part.accounts()
            return Doing(
                agents=self.engine.loads(agents),
                runs=self._dispatcher.runs,
                delegations=self.engine.done,
                calls=sum(account.calls for account in accounts.values()),
                grants=_grants(accounts),
            )

        self.membership = Membership(self.node, part.code(), doing, wall_clock)
        self.node.start(self._watch(), "watches the journal")
        household = Household(self._journal, begin, go_on)
        await self.engine.work(agents, household, part.most, spread=part.spread)
        await self.membership.enter()

    async def _watch(self) -> None:
        """Leave all runs whenever nothing can be noted here: others go on with them."""
        while True:
            await anyio.sleep(WATCH_S)
            try:
                await self._journal.room()
            except JournalFailed as fault:
                self._control.leave(fault)

    async def drain(self, grace_s: float) -> int:
        """Leave in order: take nothing new, let end what does in time, and leave the rest.

        Args:
            grace_s: how long what was begun may take.

        Returns:
            How many runs were left, for other nodes to go on with.
        """
        await self.membership.drain()
        with anyio.move_on_after(grace_s):
            await self.engine.idle()
        left = self._dispatcher.runs
        self._control.leave(Cancelled("its node leaves the cluster; another one goes on with it"))
        with anyio.move_on_after(LEAVE_S):
            await self.engine.idle()
        await self.membership.leave()
        return left

    async def close(self) -> None:
        """Leave the cluster."""
        await self.accounts.close()
        await disconnect(self.node.client)


def _grants(accounts: Mapping[str, Any]) -> dict[str, Grant]:
    """Return what is granted of the accounts whose limits the cluster shares."""
    shared = {name: each.cluster for name, each in accounts.items() if each.cluster is not None}
    return {name: Grant(each.held, each.is_here) for name, each in shared.items()}


async def joined(
    settings: ClusterSettings, local: LocalEngine, actors: ActorSystem, journal: Journal
) -> Clustered:
    """Join a cluster.

    Args:
        settings: the cluster.
        local: runs the bodies that are here.
        actors: holds the lifetime of what goes on in the background.
        journal: the one that all nodes share.

    Raises:
        ConfigurationError: no server is there, or it refuses.
    """
    node = Node(settings, actors.spawn)
    node.connected(await connect(settings, label=node.name, changed=node.changed))
    return Clustered(node, NatsEngine(local, node, journal), journal)
