"""What calls teach about targets: within a system, and from the journal of those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runtime import Context, mag, sag
from runtime.catalog import ProviderEntry, RouteEntry, Target
from runtime.identity import wall_clock
from runtime.journal import MemoryJournal, Record
from runtime.routing import Learned
from runtime.routing.learned import HALF_LIFE_S
from tests.echoes import catalog_of, price, provider, told
from tests.worlds import HOME, a_world, order, route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.catalog import Catalog


@mag
async def ask(ctx: Context, times: int) -> None:
    for number in range(times):
        await ctx.ask(f"{number}")


def three(prefer: str = "latency") -> Catalog:
    """Return a catalog whose route lists a slow, a quick and a quicker provider."""
    seconds = {"slow": 9.0, "quick": 2.0, "quicker": 1.0}
    providers: dict[str, ProviderEntry] = {
        name: provider("echo-1", options={"latency_s": each}) for name, each in seconds.items()
    }
    targets = tuple(f"{name}/echo-1" for name in providers)
    route: Any = RouteEntry(task_type="ask", targets=targets, prefer=prefer)
    return catalog_of(providers, routing={"routes": (route,)})


async def test_each_is_tried_once_and_then_the_quickest_is_asked() -> None:
    came = await told(three(), ask, 8)
    assert came.asked[:3] == ["slow/echo-1", "quick/echo-1", "quicker/echo-1"]
    assert came.asked[3:] == ["quicker/echo-1"] * 5


async def test_a_route_that_prefers_its_order_learns_nothing() -> None:
    assert set((await told(three("order"), ask, 4)).asked) == {"slow/echo-1"}


@pytest.mark.parametrize(
    ("status", "seconds", "first"),
    [("completed", 0.2, "slow/echo-1"), ("failed", 0.2, "quick/echo-1")],
)
async def test_a_system_begins_with_what_the_journal_knows(
    status: str, seconds: float, first: str
) -> None:
    """The calls of earlier runs: all are known, and how the slow one did decides."""
    journal, at = MemoryJournal(), wall_clock() - 60.0
    calls = {"slow": (status, seconds), "quick": ("completed", 1.0), "quicker": ("completed", 2.0)}
    for name, (ended, took) in calls.items():
        for number in range(20):
            op, body = f"{name}/{number}", {"provider": name, "model": "echo-1", "agent": "ask"}
            journal.append(Record("earlier", "invocation_started", op, body, at))
            kind: Any = f"invocation_{ended}"
            journal.append(Record("earlier", kind, op, {"reason": "provider"}, at + took))
    came = await told(three(), ask, 1, journal=journal)
    assert came.asked == [first]


# --- the averages alone --------------------------------------------------------------------------


def taught(seconds: Mapping[str, float], calls: int = 20, *, failing: str = "") -> Learned:
    learned = Learned()
    for number in range(calls):
        for model, each in seconds.items():
            ok = model not in failing
            learned.add(Target(HOME, model), each, 100, float(number), ok=ok)
    return learned


def by_latency(models: str, learned: Learned, now: float) -> str:
    return order(a_world(route("t", *models, prefer="latency"), learned=learned), now=now)


def test_who_answers_fastest_comes_first() -> None:
    learned = taught({"a": 3.0, "b": 1.0, "c": 2.0})
    assert by_latency("abc", learned, 20.0) == "bca"


def test_without_any_experience_the_order_of_the_file_holds() -> None:
    assert by_latency("cab", Learned(), 5.0) == "cab"


@pytest.mark.parametrize("seconds", [{"a": 1.0}, {"a": 1.0, "b": 3.0}, {"a": 1.0, "b": 1.0}])
def test_a_target_that_nobody_knows_gets_a_try(seconds: dict[str, float]) -> None:
    assert by_latency("abc", taught(seconds), 20.0)[0] == ("b" if "b" not in seconds else "c")


@pytest.mark.parametrize("slow", [2.0, 5.0, 60.0])
def test_a_target_that_was_slow_once_gets_another_try_when_that_is_long_ago(slow: float) -> None:
    learned = Learned()
    learned.add(Target(HOME, "b"), slow, 100, 0.0, ok=True)
    day = 24 * 3_600
    for now in range(0, day, 60):
        learned.add(Target(HOME, "a"), 1.0, 100, float(now), ok=True)
        if now == HALF_LIFE_S / 10:
            assert by_latency("ab", learned, float(now)) == "ab"
    assert by_latency("ab", learned, float(day)) == "ba"


@pytest.mark.parametrize("seconds", [0.001, 0.1, 1.0, 30.0])
def test_a_target_that_fails_goes_back_however_fast_it_fails(seconds: float) -> None:
    learned = taught({"a": seconds, "b": 1.0, "c": 1.5}, failing="a")
    assert by_latency("abc", learned, 20.0)[0] == "b"
    assert by_latency("ab", learned, 20.0) == "ba"


def test_a_target_that_fails_costs_more_than_its_answers_do() -> None:
    learned = Learned()
    for number in range(10):
        learned.add(Target(HOME, "b"), 1.0, 500 if number == 0 else 0, 0.0, ok=number == 0)
        learned.add(Target(HOME, "c"), 1.0, 500, 0.0, ok=True)
    assert learned.output_tokens(Target(HOME, "b")) == 500
    same = {"b": price(), "c": price()}
    world = a_world(route("t", "b", "c", prefer="cost"), prices=same, learned=learned)
    assert order(world) == "cb"


async def test_a_target_that_hangs_until_the_time_is_over_goes_back() -> None:
    @mag
    async def patient(ctx: Context) -> None:
        for number in range(3):
            await ctx.delegate(hurried, number, deadline=4)

    @sag
    async def hurried(ctx: Context, number: int) -> str:
        return await ctx.ask(str(number))

    providers = {
        "hung": provider("echo-1", options={"latency_s": 600.0}),
        "well": provider("echo-1"),
    }
    targets = ("hung/echo-1", "well/echo-1")
    route_: Any = RouteEntry(task_type="hurried", targets=targets, prefer="latency")
    catalog = catalog_of(providers, routing={"routes": (route_,), "fallback_on": ("quota",)})
    came = await told(catalog, patient, agents=(hurried,))
    assert came.asked == ["hung/echo-1", "well/echo-1", "well/echo-1"]


def test_a_target_that_recovers_comes_back() -> None:
    learned = taught({"a": 1.0, "b": 2.0}, failing="a")
    assert by_latency("ab", learned, 20.0) == "ba"
    for number in range(40):
        learned.add(Target(HOME, "a"), 1.0, 100, 20.0 + number * 60, ok=True)
    assert by_latency("ab", learned, 20.0 + 40 * 60) == "ab"
