"""Random crash schedules: the kernel beside a pure model of OTP, event for event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.actors import ActorError, ActorRef, ActorSystem, SupervisorRef
from runtime.backoff import NO_DELAY, Backoff
from tests.kernel import World, settle, states, supervised
from tests.otp_model import Model

if TYPE_CHECKING:
    from runtime.actors import ChildSpec

IDS = ("a", "b", "c")
PERIOD = 5.0
BACKOFFS: dict[str, tuple[Backoff, tuple[float, ...]]] = {
    "none": (NO_DELAY, (0.0,)),
    "doubling": (Backoff(first=1.0, longest=4.0, jitter=0.0), (1.0, 2.0, 4.0)),
}
RESTARTS = st.sampled_from(["permanent", "permanent", "transient", "temporary"])
# No sum of these is a sum of the delays or the period: two things at one moment have no order.
PAUSES = st.sampled_from([0.0, 0.313, 0.717, 1.379, 2.571, 6.113])

children = st.lists(st.tuples(RESTARTS, st.booleans()), min_size=1, max_size=3)
ids = st.sampled_from(IDS)
steps = st.one_of(
    st.tuples(st.sampled_from(["crash", "normal", "shutdown", "kill"]), ids),
    st.tuples(st.sampled_from(["crash", "kill"]), ids),
    st.tuples(st.sampled_from(["terminate_child", "restart_child", "delete_child"]), ids),
    st.tuples(st.just("start_child"), ids, RESTARTS, st.booleans()),
    st.tuples(st.just("fail"), ids, st.integers(1, 3)),
    st.tuples(st.just("trouble"), ids, ids, st.integers(1, 3)),
    st.tuples(st.just("sleep"), PAUSES),
    st.tuples(st.just("ask"), ids),
)


class Twins:
    """A supervisor and its model, to which the same happens."""

    def __init__(self, system: ActorSystem, sup: SupervisorRef, world: World, model: Model) -> None:
        self.system = system
        self.sup = sup
        self.world = world
        self.model = model
        self.refs: dict[str, ActorRef] = {}
        self.asks: list[Any] = []

    async def step(self, kind: str, *args: Any) -> None:
        """Let one thing happen to both."""
        now = anyio.current_time()
        if kind == "trouble":  # rare when left to chance: a crash, and another that cannot start
            await self.step("fail", *args[1:])
            await self.step("crash", args[0])
            await self.step("sleep", 1.379)
            return
        if kind in ("crash", "normal", "shutdown", "kill"):
            self._end_child(kind, args[0], now)
        elif kind == "fail":
            self.world.fail(*args)
            self.model.failures[args[0]] = args[1]
        elif kind == "sleep":
            await anyio.sleep(args[0])
        elif kind == "ask":
            self._ask(args[0])
        else:
            await self._request(kind, args, now)
        await settle()
        self.model.time_passes(anyio.current_time())
        await self.compare()

    def _end_child(self, how: str, id_: str, now: float) -> None:
        ref = self.sup.child(id_) if self.sup.alive else None
        row = self.model.row(id_)
        if ref is None or row is None or row.state != "running":
            return
        if how == "kill":
            ref.kill()
        else:
            ref.tell(how)
        self.model.child_ends(id_, {"crash": "crashed", "kill": "killed"}.get(how, how), now)

    def _ask(self, id_: str) -> None:
        ref = self.sup.child(id_) if self.sup.alive else None
        ref = self.refs.setdefault(id_, ref) if ref is not None else self.refs.get(id_)
        if ref is not None:
            self.asks.append(ref.ask("there?"))

    async def _request(self, kind: str, args: tuple[Any, ...], now: float) -> None:
        if not self.model.alive:
            expected = "ActorGone"
        elif kind == "terminate_child":
            expected = self.model.terminate_child(*args)
        elif kind == "delete_child":
            expected = self.model.delete_child(*args)
        elif kind == "restart_child":
            expected = self.model.restart_child(args[0], now)
        else:
            expected = self.model.start_child(args[0], args[1], now)
        if kind == "start_child":
            args = (self._spec(*args),)
        assert await self._answer(kind, args) == expected

    async def _answer(self, kind: str, args: tuple[Any, ...]) -> str:
        try:
            await getattr(self.sup, kind)(*args)
        except ActorError as error:
            return type(error).__name__
        return "ok"

    def _spec(self, id_: str, restart: str, kept: bool) -> ChildSpec:
        return self.world.spec(id_, restart=restart, keep_address=kept)

    async def compare(self) -> None:
        """The kernel did what the model did, in the same order, and stands where it stands."""
        assert self.world.events == self.model.events
        assert self.sup.alive == self.model.alive
        if self.sup.alive:
            rows = {row.id: row.state for row in self.model.rows}
            assert await states(self.sup) == rows
            assert list(await states(self.sup)) == list(rows)
            counted = self.sup.supervision()
            assert (counted.specs, counted.restarts) == (len(rows), self.model.restarts)
            assert counted.active == list(rows.values()).count("running")

    def settled(self) -> None:
        """Whoever waited has been answered, and what was reported is what was counted."""
        assert all(ask.done() for ask in self.asks)
        for ask in self.asks:
            assert isinstance(ask.exception(), ActorError) or ask.result() == "there?"
        contexts = [report.context for report in self.system.reports]
        assert contexts.count("restart") == self.model.restarts
        assert contexts.count("leaked") == contexts.count("shutdown_error") == 0
        assert self.system.leaked == 0


@settings(deadline=None, max_examples=400)
@given(
    strategy=st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"]),
    intensity=st.integers(0, 4),
    backoff=st.sampled_from(list(BACKOFFS)),
    specs=children,
    schedule=st.lists(steps, max_size=25),
)
async def test_any_schedule_of_crashes_and_requests_goes_as_in_otp(
    strategy: str,
    intensity: int,
    backoff: str,
    specs: list[tuple[str, bool]],
    schedule: list[tuple[Any, ...]],
) -> None:
    """Same events in the same order, same table, same answers, same end."""
    world = World()
    kernels, models = BACKOFFS[backoff]
    model = Model(strategy, intensity, PERIOD, models)
    static = []
    for id_, (restart, kept) in zip(IDS, specs, strict=False):
        static.append(world.spec(id_, restart=restart, keep_address=kept))
        model.start_child(id_, restart, anyio.current_time())
    flags: dict[str, Any] = {"intensity": intensity, "period": PERIOD, "backoff": kernels}
    async with supervised(static, strategy=strategy, **flags) as (system, sup):
        twins = Twins(system, sup, world, model)
        await twins.compare()
        for step in schedule:
            await twins.step(*step)
        sup.stop()
        await sup.ended()
        if model.alive:
            model.stop()
        await twins.compare()
        twins.settled()
