"""Everything that loses spans elsewhere, done to the spool, and every span accounted for.

The process that makes the spans, and the OTLP receiver that takes them or does not, are processes
of their own; outages and kills are real. A row is right when every span that began has arrived or
still waits, none is left over, and none is there twice once they are told apart by their ids.
"""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bench import Bench, Column
from benchmarks.row import Row, Spread
from benchmarks.span_source import ABREAST
from benchmarks.telemetry import ended, receiver, source, spool, until
from otel.spool.reading import contents

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contender import Settings
    from benchmarks.telemetry import ReceiverProcess

COUNTED = ("started", "received", "waiting", "refused", "again", "lost")
BURST = 100_000
PER_SECOND = 1_000
FAST = 20_000
OUTAGE_S = 20.0
SOME = 5_000
SMALL_DISK_MB = 16


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the spans of one scenario.

    Attributes:
        what: what happened.
        started: spans that began.
        received: different spans that the receiver has.
        waiting: spans that are in the spool at the end.
        refused: spans that the receiver refused and that are put aside.
        again: spans that the receiver got once more.
        lost: spans of which there is no trace.
    """

    what: str
    started: int
    received: int
    waiting: int
    refused: int
    again: int

    @property
    def lost(self) -> int:  # noqa: D102  # in the attributes above
        return self.started - self.received - self.waiting - self.refused


def burst(to: ReceiverProcess, folder: Path, scale: float) -> int:
    """Make spans as fast as it goes."""
    spans = int(BURST * scale)
    ended(source({"spans": spans, "end": "shutdown"}, to.url, folder))
    return spans


def outage(to: ReceiverProcess, folder: Path, scale: float) -> int:
    """Kill the receiver for a while, and start it again with nothing in it."""
    outage_s = OUTAGE_S * scale
    spans = int(PER_SECOND * outage_s * 2)
    made = source({"spans": spans, "per_second": PER_SECOND, "end": "shutdown"}, to.url, folder)
    time.sleep(outage_s / 2)  # nothing else runs here
    to.is_to(statuses=[503] * 1_000)  # so that what it has is known when it is killed
    before = to.seen()
    to.kill()
    time.sleep(outage_s)  # as above
    to.start()
    ended(made)
    return spans - before["different"]  # these are gone with the receiver that had them


def slow(to: ReceiverProcess, folder: Path, scale: float) -> int:
    """Let the receiver take half a second for each batch."""
    to.is_to(delay_s=0.5)
    spans = int(SOME * scale)
    ended(source({"spans": spans, "per_second": PER_SECOND, "end": "shutdown"}, to.url, folder))
    return spans


def answering(*statuses: int) -> Callable[[ReceiverProcess, Path, float], int]:
    """Return a scenario in which the receiver answers so, and then takes what comes."""

    def scenario(to: ReceiverProcess, folder: Path, scale: float) -> int:
        to.is_to(statuses=[*statuses, *([200] * 10_000)])
        spans = int(SOME * scale)
        ended(source({"spans": spans, "end": "shutdown"}, to.url, folder))
        return spans

    return scenario


def unwanted(to: ReceiverProcess, folder: Path, scale: float) -> int:
    """Let the receiver say that it did not want one span of each batch."""
    to.is_to(reject=1)
    spans = int(SOME * scale)
    ended(source({"spans": spans, "end": "shutdown"}, to.url, folder))
    return spans


def killed_by(number: signal.Signals) -> Callable[[ReceiverProcess, Path, float], int]:
    """Return a scenario in which the process is killed while the receiver is slow."""

    def scenario(to: ReceiverProcess, folder: Path, scale: float) -> int:
        to.is_to(delay_s=0.3)
        spans = int(SOME * scale)
        made = source({"spans": spans, "end": "wait"}, to.url, folder)
        until(made, "making")
        until(made, "started")
        made.send_signal(number)
        made.communicate()
        to.is_to()
        return spans + _sweep(to, folder)

    return scenario


def killed_in_the_middle(to: ReceiverProcess, folder: Path, scale: float) -> int:
    """Kill the process while it makes spans; those that had begun are closed with an error."""
    spans = int(BURST * scale)
    wanted = {"spans": spans, "per_second": FAST, "end": "wait", "tells": True}
    made = source(wanted, to.url, folder)
    until(made, "making")
    ended_, half = 0, spans // 2
    while ended_ < half and made.stdout is not None:
        ended_ = int(made.stdout.readline().split()[-1])
    made.kill()
    out, _ = made.communicate()
    ended_ = max([ended_, *(int(line.split()[-1]) for line in out.splitlines() if line)])
    arrived, left = to.seen()["different"], contents(folder)
    there = arrived + left.pending + left.crashed
    # The root was open, and up to ten had begun or ended beyond those that it told of.
    told = ended_ + 1
    return max(told, there if there <= told + ABREAST else told) + _sweep(to, folder)


def full_disk(to: ReceiverProcess, folder: Path, scale: float) -> int:
    """Let the spool have room for a few files only, while the receiver is away, then is back."""
    spans = int(BURST * max(scale, 0.5))  # fewer would fit
    to.kill()
    small = {"MAGSAG_SPOOL_MAX_MB": str(SMALL_DISK_MB)}
    made = source({"spans": spans, "per_second": FAST, "end": "shutdown"}, to.url, folder, **small)
    until(made, "making")
    time.sleep(2.0)  # nothing else runs here
    to.start()
    ended(made)
    return spans


def no_disk(to: ReceiverProcess, folder: Path, scale: float) -> int:
    """Let there be no folder to write to at all."""
    spans = int(SOME * scale)
    with tempfile.NamedTemporaryFile() as file:
        ended(source({"spans": spans, "end": "shutdown"}, to.url, Path(file.name)))
    folder.mkdir()
    return spans


SCENARIOS: dict[str, Callable[[ReceiverProcess, Path, float], int]] = {
    "a burst of 100,000": burst,
    "the receiver is away for 20 s, at 1,000 a second": outage,
    "the receiver takes 0.5 s for each batch": slow,
    "it answers 429, 503, 502, 504, then takes them": answering(429, 503, 502, 504),
    "it answers 400 once": answering(400),
    "it does not want one span of each batch": unwanted,
    "kill -9 after the last span": killed_by(signal.SIGKILL),
    "SIGTERM without a handler": killed_by(signal.SIGTERM),
    "kill -9 in the middle": killed_in_the_middle,
    "a spool of 16 MB and no receiver for 2 s": full_disk,
    "no disk at all": no_disk,
}


@dataclass(frozen=True, slots=True)
class Chaos(Bench):
    """The bench of what loses spans elsewhere."""

    def run(self, settings: Settings, tell: Callable[[Row], None]) -> list[Row]:
        """Go through all scenarios, each once."""
        rows = []
        for what, scenario in SCENARIOS.items():
            rows.append(_row(account_of(what, scenario, settings.scale)))
            tell(rows[-1])
        return rows


def account_of(
    what: str, scenario: Callable[[ReceiverProcess, Path, float], int], scale: float
) -> Account:
    """Go through one scenario, and return what became of its spans."""
    with receiver() as to, spool() as folder:
        started = scenario(to, folder, scale)
        left, seen = contents(folder), to.seen()
        return Account(what, started, seen["different"], left.pending, left.rejected, seen["twice"])


def _sweep(to: ReceiverProcess, folder: Path) -> int:
    """Let another process send what a dead one left; return how many spans it makes itself."""
    try:
        ended(source({"spans": 1, "end": "shutdown"}, to.url, folder))
    except subprocess.TimeoutExpired as error:
        raise RuntimeError("what a dead process left is not sent") from error
    return 1


def _row(account: Account) -> Row:
    counted = {name: float(getattr(account, name)) for name in COUNTED}
    values = {name: Spread.of([value]) for name, value in counted.items()}
    return Row(account.what, 0, "spool", "ours", values)


BENCH = Chaos(
    "spans: started = received + waiting + refused, whatever happens",
    (),
    tuple(Column(name, name, ",.0f") for name in COUNTED),
)
