"""A cluster on this machine: Delegations over NATS, journalled in PostgreSQL, beside NATS alone.

*1 node* is a cluster as it comes: a client places runs, each is at home at one of the nodes, and
what it delegates is done there while there is room. *All sent* is the worst that can be: one home,
and every one of its Delegations goes to another process. *Others' CPU us* is what the other
processes take of the CPU for one, without the servers.

The baseline is a request of nats-py that one other process answers; *durable* is a message that
JetStream has on its disk before another process pulls, answers and acknowledges it. The local
engine has the same journal, and no other process. All of them share the cores of this machine, so
more nodes are no more power here than there are cores. Where a server's program is missing nothing
is measured, and that is said.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchmarks.bench import PLAIN, Bench, Column
from benchmarks.contender import Case, Contender
from benchmarks.rounds import measure
from benchmarks.row import Row
from runtime.errors import ConfigurationError
from tests import postgres
from tests.nats_server import nats_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from benchmarks.contender import Settings

NODES = (1, 2, 3)
AT_ONCE = (1, 100, 1_000)
BARE = (
    Contender("bare NATS request", "nats:requests", "baseline", pinned=False),
    Contender("bare durable message", "nats:jobs", "baseline", pinned=False),
)


def _ours(*, calls: bool) -> tuple[Contender, ...]:
    def one(name: str, place: str, nodes: int) -> Contender:
        given = {"calls": calls, "nodes": nodes}
        return Contender(name, f"clustered:{place}", "ours", options=given, pinned=False)

    return (
        one("local engine", "delegations", 0),
        *(one(_nodes(number), "runs", number) for number in NODES),
        *(one(f"all sent to {_nodes(number)}", "delegations", number) for number in NODES),
    )


def _nodes(number: int) -> str:
    return f"{number} node{'s' * (number > 1)}"


@dataclass(frozen=True, slots=True)
class Cluster(Bench):
    """The bench of clusters, which starts their servers."""

    def run(self, settings: Settings, tell: Callable[[Row], None]) -> list[Row]:
        """Measure with servers of its own; tell why not where there are none."""
        missing = _missing()
        if missing is not None:
            rows = [*_unmeasured(self.cases, settings.at_once, missing)]
            for row in rows:
                tell(row)
            return rows
        rows = []
        with _servers() as (url, server):
            for case in self.cases:
                with ExitStack() as stack:
                    there = tuple(_at(one, url, server, stack) for one in case.contenders)
                    rows += measure([replace(case, contenders=there)], settings, tell)
        return rows


def _missing() -> str | None:
    try:
        from runtime.engines.cluster.local_server import program  # noqa: PLC0415  # an extra
    except ConfigurationError as fault:
        return str(fault)
    if program() is None:
        return "no nats-server in PATH: apt-get install nats-server"
    if postgres.programs() is None:
        return "no initdb in PATH or in /usr/lib/postgresql/*/bin: apt-get install postgresql"
    return None


def _unmeasured(cases: Iterable[Case], numbers: tuple[int, ...], reason: str) -> Iterator[Row]:
    for case in cases:
        for at_once in numbers or case.at_once:
            for one in case.contenders:
                yield Row(case.name, at_once, one.name, one.role, reason=reason)


@contextmanager
def _servers() -> Iterator[tuple[str, postgres.Server]]:
    with nats_server() as nats:
        server = postgres.new_server("fsync = on", "max_connections = 200")
        try:
            yield nats.url, server
        finally:
            server.remove()


def _at(one: Contender, url: str, server: postgres.Server, stack: ExitStack) -> Contender:
    """Return a contender with its servers; each of ours has a database of its own."""
    if one in BARE:
        return replace(one, options={"url": url})
    database = stack.enter_context(server.database())
    options: dict[str, Any] = {**one.options, "database": server.url(database)}
    if options["nodes"]:
        options |= {"nats": url, "name": database}
    return replace(one, options=options)


BENCH = Cluster(
    "a cluster on this machine, its journal in PostgreSQL",
    (
        Case("delegation", (*BARE, *_ours(calls=False)), AT_ONCE),
        Case("with a model call", (*BARE[:1], *_ours(calls=True)), AT_ONCE),
    ),
    (*PLAIN, Column("others' CPU us", "others_us")),
)
