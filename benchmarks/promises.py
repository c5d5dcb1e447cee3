"""What was promised of speed and size, and whether a run has kept it: one table, read off its rows.

A comparison is by CPU, which other processes on the machine hardly change: how many times as much
the other one takes. Where several processes work for one operation it is by operations a second, of
the same rounds. What a run has no figure for is said to be missing, and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.row import Row

    Rows = Mapping[str, Sequence[Row]]

ALL = "everything on"
ASKS = "agent asks, everything on"
CPU = "cpu_us"


class Missing(Exception):
    """A run has no such figure; the text says why."""


class Place(NamedTuple):
    """Where a figure is: a row of a bench.

    Attributes:
        bench: its name.
        case: the row's.
        contender: the row's.
        at_once: the row's.
        operations: how many it had; 0 where their number is not fixed.
    """

    bench: str
    case: str
    contender: str
    at_once: int = 0
    operations: int = 0

    def figure(self, rows: Rows, name: str) -> float:
        """Return a value of the row.

        Raises:
            Missing: there is no such row or value.
        """
        found = self._row(rows).median(name)
        if found is None:
            raise Missing(f"{self.bench} does not tell it here")
        return found

    def share(self, rows: Rows) -> float:
        """Return the CPU of the row's baseline as a share of its own.

        Raises:
            Missing: there is no such row or baseline.
        """
        return self._compared(self._row(rows).cpu_ratio)

    def rate(self, rows: Rows) -> float:
        """Return the row's operations a second as a share of its baseline's.

        Raises:
            Missing: there is no such row or baseline.
        """
        return self._compared(self._row(rows).ratio)

    def _compared(self, ratio: float | None) -> float:
        if ratio is None:
            raise Missing(f"{self.bench} has no baseline for it here")
        return ratio

    def _row(self, rows: Rows) -> Row:
        if self.bench not in rows:
            raise Missing(f"not in this run: python -m benchmarks {self.bench}")
        row = next((row for row in rows[self.bench] if self._is(row)), None)
        if row is None:
            raise Missing(f"{self.bench} was not asked for it: at full scale, with --peers")
        if row.reason is not None:
            raise Missing(row.reason)
        return row

    def _is(self, row: Row) -> bool:
        if self.operations and self.operations != row.median("operations"):
            return False
        return self[1:4] == (row.case, row.contender, row.at_once)


class Promise(NamedTuple):
    """A promise.

    Attributes:
        says: what of, in words.
        measured: reads the figure off the rows, or raises ``Missing``.
        bar: what it is to be.
        is_least: whether that at least; else at most.
        unit: of both; a comparison is in times.
    """

    says: str
    measured: Callable[[Rows], float]
    bar: float
    is_least: bool
    unit: str = "times"


def _of(place: Place, name: str) -> Callable[[Rows], float]:
    return lambda rows: place.figure(rows, name)


def _times(place: Place, other: Place) -> Callable[[Rows], float]:
    return lambda rows: other.figure(rows, CPU) / place.figure(rows, CPU)


def _times_dearer(place: Place) -> Callable[[Rows], float]:
    return lambda rows: 1 / place.share(rows)


ASK = Place("messages", "ask", "actor, supervised", 100)
DELEGATION = Place("delegations", "delegation", ALL, 100)
CALL = Place("invocations", "server takes 0 ms", ASKS, 100)
CALL_OF_50_MS = CALL._replace(case="server takes 50 ms")
RUN = Place("workflow", "2 calls, 1 tool", ALL, 1_000)
CROWD = Place("actors", "alive together", "actor", 1, 100_000)
MANY = Place("scaling", "delegations", "one run of all", 100, 100_000)
NODES = ("1 node", "2 nodes", "3 nodes")
CLUSTERS = {"delegations of a cluster of": "", "delegations that are all sent to": "all sent to "}
HELP = Place("startup", "--help", "python -m runtime --help")
HELLO = Place("startup", "hello", "python -m runtime run hello")
IMPORT = Place("startup", "import", "import runtime.launch")
LEAST, MOST = True, False

PROMISES = (
    Promise("an ask, as quick as of a bare deque and future", ASK.share, 0.5, LEAST),
    Promise(
        "an ask, as quick as of autogen-core",
        _times(ASK, ASK._replace(contender="autogen-core")),
        20,
        LEAST,
    ),
    Promise("delegations, everything on", _of(DELEGATION, "per_second"), 15_000, LEAST, "a second"),
    Promise(
        "a delegation, everything on, as quick as a bare message of autogen-core",
        _times(DELEGATION, DELEGATION._replace(contender="autogen-core, a bare message")),
        3,
        LEAST,
    ),
    Promise(
        "delegations, nothing on",
        _of(DELEGATION._replace(contender="nothing on"), "per_second"),
        40_000,
        LEAST,
        "a second",
    ),
    Promise("a model call, as quick as by a bare loop of the same client", CALL.share, 0.4, LEAST),
    Promise("CPU of a model call", _of(CALL, CPU), 200, MOST, "us"),
    *(
        Promise(
            f"a model call, as quick as of {peer}",
            _times(CALL, CALL._replace(contender=peer)),
            bar,
            LEAST,
        )
        for peer, bar in (("openai SDK", 6), ("litellm", 10), ("pydantic-ai", 20))
    ),
    Promise(
        "a model call of 1,000 at once, as quick as one of 100",
        _times(CALL._replace(at_once=1_000), CALL),
        0.8,
        LEAST,
    ),
    Promise(
        "added 99th percentile of a model call of 50 ms, 100 at once",
        _of(CALL_OF_50_MS, "added_p99_ms"),
        2,
        MOST,
        "ms",
    ),
    Promise("CPU of a run of 2 calls and 1 tool", _of(RUN, "run_ms"), 0.7, MOST, "ms"),
    Promise("100,000 idle actors", _of(CROWD, "crowd_mb"), 100, MOST, "MB"),
    Promise("CPU of making an actor, of 100,000", _of(CROWD, CPU), 3, MOST, "us"),
    Promise("a delegation of 100,000, as dear as one of 1,000", _times_dearer(MANY), 1.3, MOST),
    Promise(
        "a model call of 100,000, as dear as one of 1,000",
        _times_dearer(MANY._replace(case="calls")),
        1.3,
        MOST,
    ),
    *(
        Promise(
            f"{what} {nodes}, beside bare NATS requests",
            Place("cluster", "delegation", f"{where}{nodes}", 100).rate,
            0.5,
            LEAST,
        )
        for what, where in CLUSTERS.items()
        for nodes in NODES
    ),
    Promise("--help", _of(HELP, "wall_ms"), 150, MOST, "ms"),
    Promise("run hello", _of(HELLO, "wall_ms"), 400, MOST, "ms"),
    Promise(
        "installed beyond the needs of the packages that it is built of",
        _of(IMPORT, "beyond"),
        14,
        MOST,
        "distributions",
    ),
)
