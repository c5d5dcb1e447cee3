"""Two contenders for one run, with clocks, stops and deaths as they come: one owner at any time.

A pure model of a store, in which each contender is what a journal's writer is: it renews by
``Tenure``, takes over by ``is_lost``, and is fenced by epochs. What it does between two instants is
what Hypothesis says; how fast its clock goes, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.journal import Fenced
from runtime.journal.entry import Entry, Right, encode
from runtime.journal.fold import RunState
from runtime.journal.ownership import is_lost
from runtime.journal.records import Record
from runtime.journal.tenure import Renewal, Tenure

if TYPE_CHECKING:
    from runtime.journal.ownership import Standing

LEASE_S = 30.0
RATES = st.floats(min_value=0.75, max_value=1.25)  # of a clock, by the store's


@dataclass
class Store:
    """The run, the leases, and the one clock that leases are of."""

    now: float = 0.0
    state: RunState = field(default_factory=lambda: RunState.first("run", 0.0))
    leases: dict[str, float] = field(default_factory=dict)


@dataclass
class Contender:
    """A process that works on the run while it owns it."""

    name: str
    rate: float
    store: Store
    is_dead: bool = False
    epoch: int = 0

    def __post_init__(self) -> None:
        self.tenure = Tenure(self.name, LEASE_S)

    @property
    def clock(self) -> float:
        return 1_000 + self.store.now * self.rate

    def commit(self, entry: Entry | None, asked_at: float) -> None:
        """Do as ``Store.commit`` does: the record, the lease, and then what is known of both."""
        store, tenure = self.store, self.tenure
        group = [] if entry is None else [entry]
        if entry is not None and entry.by is None and store.state.is_fenced(entry.epoch):
            entry.verdict = "fenced"
        elif entry is not None:
            store.state.take(store.now, entry.facts)
        if tenure.is_due(asked_at, group):
            is_in_doubt = tenure.is_in_doubt(store.leases.get(self.name), store.now)
            store.leases[self.name] = store.now + LEASE_S
            doubts = tenure.runs if is_in_doubt else {}
            lost = [run for run, epoch in doubts.items() if epoch != store.state.epoch]
            Renewal(tenure, asked_at, lost).note(group)
        else:
            Renewal(tenure, None).note(group)

    def renew(self, delay: float) -> None:
        """Renew the lease where it is due; the store takes some time for it."""
        asked_at = self.clock
        self.store.now += delay
        self.commit(None, asked_at)

    def start(self) -> None:
        self.epoch = 1
        body = {"target": "t", "pid": 1, "host": self.name, "owner": self.name}
        self.commit(encode(Record("run", "run_started", "", body, 0.0)), self.clock)

    def take_over(self, standing: Standing) -> bool:
        state, store = self.store.state, self.store
        epoch = state.epoch + 1
        lease = store.leases.get(state.owner or "")
        if state.owner == self.name or not state.may_be_taken(epoch):
            return False
        if not is_lost(standing, lease, store.now):
            return False
        body = {"pid": 1, "host": self.name, "owner": self.name, "epoch": epoch}
        record = Record("run", "run_resumed", f"resumed:{epoch}", body, 0.0, epoch=epoch)
        self.commit(encode(record, by=Right.NEW_OWNER), self.clock)
        self.epoch = epoch
        return True

    def write(self) -> bool:
        """Append a record, and return whether it was taken."""
        entry = encode(Record("run", "log", "x", {"event": "e"}, 0.0, epoch=self.epoch))
        self.commit(entry, self.clock)
        return entry.verdict != "fenced"

    def may_begin(self) -> bool:
        """Ask as ``room`` and ``check_owner`` do before a step."""
        if self.is_dead or not self.epoch or not self.tenure.may_begin(self.clock):
            return False
        try:
            self.tenure.check("run", self.epoch, None)
        except Fenced:
            return False
        return True


ACTIONS = st.tuples(
    st.sampled_from(["pass", "take", "renew", "know", "write", "die"]),
    st.integers(min_value=0, max_value=1),
    st.sampled_from([31.0, 11.0, 21.0, 5.0, 0.0]) | st.floats(min_value=0.0, max_value=45.0),
)


@settings(max_examples=500)
@given(st.tuples(RATES, RATES), st.lists(ACTIONS, max_size=60))
def test_at_any_time_at_most_one_process_may_begin_a_step_of_a_run(
    rates: tuple[float, float], actions: list[tuple[str, int, float]]
) -> None:
    store = Store()
    both = [Contender(name, rate, store) for name, rate in zip("ab", rates, strict=True)]
    both[0].start()
    for action, number, seconds in actions:
        one, other = both[number], both[1 - number]
        match action:
            case "pass":
                store.now += seconds
            case "renew" if not one.is_dead:
                one.renew(seconds / 10)
            case "die":
                one.is_dead = True
            case "write" if one.epoch and not one.is_dead:
                assert one.write() is (store.state.epoch == one.epoch)
            case "take" if not one.is_dead:
                one.take_over("unknown")
            case "know" if not one.is_dead:
                one.take_over("dead" if other.is_dead else "alive")
        owners = [each for each in both if each.may_begin()]
        assert len(owners) <= 1
        assert all(each.epoch == store.state.epoch for each in owners)


@given(st.lists(st.floats(min_value=0.0, max_value=LEASE_S / 3), max_size=30), RATES)
def test_who_renews_in_time_is_never_taken_over_by_somebody_who_cannot_know(
    pauses: list[float], rate: float
) -> None:
    store = Store()
    owner, other = Contender("a", rate, store), Contender("b", 1.0, store)
    owner.start()
    for pause in pauses:
        store.now += pause
        owner.renew(0.1)
        assert other.take_over("unknown") is False
        assert owner.may_begin()


@given(st.sampled_from(["unknown", "alive"]), st.booleans())
def test_whoever_is_stopped_or_dead_loses_the_run_when_its_lease_is_over(
    standing: Standing, wakes: bool
) -> None:
    store = Store()
    owner, other = Contender("a", 1.0, store), Contender("b", 1.0, store)
    owner.start()
    store.now += LEASE_S - 0.1
    assert other.take_over(standing) is False
    store.now += 0.2
    assert other.take_over(standing) is True
    if wakes:
        assert not owner.may_begin()
        assert owner.write() is False
        owner.renew(0.0)
        assert not owner.may_begin()
    assert other.may_begin()
