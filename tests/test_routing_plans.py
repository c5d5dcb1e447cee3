"""``runtime.routing.plan``: whom to ask, in which order, and who is passed over. Pure."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.catalog import ModelEntry, RouteEntry, Target
from runtime.errors import PolicyDenied, UnknownName
from runtime.routing import Learned, Needs, Task, Wish, plan
from tests.echoes import price
from tests.worlds import HOME, MODELS, a_world, entry, names_of, order, route, weighed

if TYPE_CHECKING:
    from collections.abc import Mapping

UNABLE = {
    "tools": ModelEntry(tools=False),
    "vision": ModelEntry(vision=False),
    "structured_output": ModelEntry(structured_output=False),
    "context_tokens": ModelEntry(context_tokens=999),
}
ABLE = ModelEntry(tools=True, vision=True, structured_output=True, context_tokens=1_000)


# --- which route ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("routes", "task_type", "level", "models"),
    [
        ((route("*", "b"), route("re*", "c"), route("report", "d")), "report", "route", "d"),
        ((route("*", "b"), route("re*", "c"), route("report", "d")), "request", "route", "c"),
        ((route("*", "b"), route("re*", "c"), route("report", "d")), "other", "route", "b"),
        ((route("re*", "c"), route("report", "d")), "other", "default", "a"),
        # Exactness goes before priority, priority before the order of the file.
        ((route("re*", "c", priority=9), route("report", "d")), "report", "route", "d"),
        ((route("re*", "c"), route("rep*", "d", priority=1)), "report", "route", "d"),
        ((route("rep*", "d"), route("re*", "c")), "report", "route", "d"),
        ((route("re*", "c"), route("rep*", "d")), "report", "route", "c"),
        ((route("*", "c", priority=9), route("re*", "d", priority=-9)), "report", "route", "d"),
        ((route("repor?", "c"),), "report", "route", "c"),
        ((route("Report", "c"),), "report", "default", "a"),
    ],
)
def test_a_name_goes_before_a_pattern_and_any_pattern_before_the_star(
    routes: tuple[RouteEntry, ...], task_type: str, level: str, models: str
) -> None:
    found = plan((), (), Task(task_type), a_world(*routes))
    assert (found.level, names_of(found)) == (level, models)
    assert (found.route is None) == (level == "default")


@pytest.mark.parametrize(
    ("task_type", "is_named", "level", "models"),
    [
        ("t", True, "named_route", "b"),  # above the agent's entry
        ("t", False, "agent", "e"),  # below it
        ("u", True, "agent", "e"),  # to name a type that only the star fits is to say nothing
        ("u", False, "agent", "e"),
    ],
)
def test_a_type_that_code_names_goes_before_the_agents_entry(
    task_type: str, is_named: bool, level: str, models: str
) -> None:
    world = a_world(route("t", "b"), route("*", "c"))
    weak = (Wish("e", None, "agent"), Wish("f", None, "proposal"))
    found = plan((), weak, Task(task_type, is_named), world)
    assert (found.level, names_of(found)) == (level, models)


def test_a_routes_settings_hold_whoever_decides_about_the_model() -> None:
    world = a_world(route("t", "b", use_cache=True))
    found = plan((Wish("c", None, "command"),), (), Task("t"), world)
    assert (names_of(found), found.level) == ("c", "command")
    assert found.route is not None
    assert found.route.use_cache


def test_a_route_that_names_nobody_only_says_how() -> None:
    world = a_world(RouteEntry(task_type="t", temperature=0.5))
    found = plan((), (Wish("e", None, "agent"),), Task("t"), world)
    assert (names_of(found), found.level) == ("e", "agent")


# --- in which order ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fallback", "models"),
    [
        ({}, "bc"),
        ({"home/b": ("home/d",)}, "bcd"),
        ({"home/b": ("home/c", "home/d"), "home/c": ("home/e",)}, "bced"),
        ({"home/*": ("home/e",)}, "bce"),
        ({"home/c": ("home/b",)}, "bc"),
    ],
)
def test_a_routes_targets_come_first_and_then_their_fallbacks_each_once(
    fallback: Mapping[str, tuple[str, ...]], models: str
) -> None:
    assert order(a_world(route("t", "b", "c"), fallback=fallback)) == models


def test_a_named_model_is_followed_by_its_own_fallbacks_and_not_by_the_routes() -> None:
    world = a_world(route("t", "b", "c"), fallback={"home/e": ("home/f",)})
    assert order(world, Wish("e", None, "ask")) == "ef"


def test_the_same_seed_gives_the_same_order_and_another_one_another() -> None:
    world = a_world(weighed(a=1, b=1, c=1, d=1))
    orders = {seed: order(world, seed=lambda seed=seed: seed) for seed in map(str, range(50))}
    assert orders == {seed: order(world, seed=lambda seed=seed: seed) for seed in orders}
    assert len(set(orders.values())) > 10


@pytest.mark.parametrize(
    "weights", [{"a": 1.0, "b": 1.0}, {"a": 3.0, "b": 1.0}, {"a": 90.0, "b": 9.0, "c": 1.0}]
)
def test_over_many_questions_each_target_comes_first_as_often_as_its_weight_says(
    weights: dict[str, float],
) -> None:
    """Within five standard deviations; the seeds are fixed, so it never fails by chance."""
    questions, world = 2_000, a_world(weighed(**weights))
    first = Counter(order(world, seed=lambda n=n: f"run/{n}")[0] for n in range(questions))
    for model, weight in weights.items():
        share = weight / sum(weights.values())
        spread = math.sqrt(questions * share * (1 - share))
        assert abs(first[model] - questions * share) <= 5 * spread


def test_whoever_does_not_come_first_by_weight_is_still_asked_when_the_first_fails() -> None:
    world = a_world(weighed(a=1_000_000, b=0.001))
    assert order(world, seed=lambda: "x") == "ab"


PRICES = {"b": price(30), "c": price(10), "d": price(20)}


@pytest.mark.parametrize(
    ("models", "input_tokens", "expected"),
    [
        ("bcd", 100, "cdb"),
        ("bcde", 100, "cdbe"),  # whose price nobody knows comes last
        ("edb", 0, "dbe"),
        ("bc", 10, "cb"),
    ],
)
def test_the_cheapest_comes_first_where_a_route_prefers_that(
    models: str, input_tokens: int, expected: str
) -> None:
    world = a_world(route("t", *models, prefer="cost"), prices=PRICES)
    assert order(world, input_tokens=input_tokens) == expected


def test_a_cheap_prompt_and_a_dear_answer_are_both_counted() -> None:
    """What an answer usually takes decides between a dear prompt and a dear answer."""
    dear_in = price(1, input=100 * 10**6)
    dear_out = price(1, output=100 * 10**6)
    learned = Learned()
    for target in (Target(HOME, "b"), Target(HOME, "c")):
        learned.add(target, 1.0, 50, 0.0, ok=True)
    world = a_world(
        route("t", "b", "c", prefer="cost"), prices={"b": dear_in, "c": dear_out}, learned=learned
    )
    assert order(world, input_tokens=1_000) == "cb"
    assert order(world, input_tokens=10) == "bc"


# --- what a model is known to lack ---------------------------------------------------------------


@pytest.mark.parametrize("lack", UNABLE)
def test_a_target_that_is_known_to_lack_what_is_needed_is_passed_over(lack: str) -> None:
    world = a_world(route("t", "b", "c", "d"), known={"b": UNABLE[lack], "c": ABLE})
    needs = Needs(True, True, True, 1_000)
    found = plan((), (), Task("t", needs=needs), world)
    assert names_of(found) == "cd"  # of d nobody knows anything
    (passed,) = found.passed_over
    assert (passed.target.model, passed.denied) == ("b", False)
    assert passed.why.startswith("home/b cannot ")


@pytest.mark.parametrize("lack", UNABLE)
def test_what_the_route_needs_counts_like_what_the_question_needs(lack: str) -> None:
    needed: Any = {lack: 1_000 if lack == "context_tokens" else True}
    world = a_world(route("t", "b", "c", needs=needed), known={"b": UNABLE[lack]})
    assert order(world) == "c"


@pytest.mark.parametrize("lack", UNABLE)
@pytest.mark.parametrize("way", [{"tier": "usual"}, {"provider": HOME, "model": "b"}])
def test_what_the_route_needs_counts_where_it_names_one_model_too(
    way: dict[str, Any], lack: str
) -> None:
    needed: Any = {lack: 1_000 if lack == "context_tokens" else True}
    unable = {"b": UNABLE[lack], "c": UNABLE[lack]}
    only = RouteEntry(task_type="t", needs=needed, **way)
    tiers = {"usual": {HOME: "b"}}
    fallback = {"home/b": ("home/c", "home/d")}
    assert order(a_world(only, known=unable, tiers=tiers, fallback=fallback)) == "d"
    with pytest.raises(UnknownName, match="none of the route's models will do"):
        order(a_world(only, known=unable, tiers=tiers))


@pytest.mark.parametrize(("has_schema", "expected"), [(True, "c"), (False, "bc")])
def test_a_route_with_structured_output_passes_over_who_cannot_hold_to_a_schema(
    has_schema: bool, expected: str
) -> None:
    routes = route("t", "b", "c", structured_output=True)
    world = a_world(routes, known={"b": UNABLE["structured_output"]})
    found = plan((), (), Task("t", has_schema=has_schema), world)
    assert names_of(found) == expected


@pytest.mark.parametrize("lack", UNABLE)
def test_what_is_not_needed_is_of_no_matter(lack: str) -> None:
    world = a_world(route("t", "b", "c"), known={"b": UNABLE[lack]})
    assert order(world, needs=Needs(context_tokens=999)) == "bc"


def test_who_names_a_model_is_taken_at_their_word_but_its_fallbacks_are_not() -> None:
    unable = UNABLE["tools"]
    world = a_world(known={"b": unable, "c": unable}, fallback={"home/b": ("home/c", "home/d")})
    assert order(world, Wish("b", None, "ask"), needs=Needs(tools=True)) == "bd"


def test_a_route_none_of_whose_models_will_do_is_one_clear_error() -> None:
    world = a_world(route("t", "b"), known={"b": UNABLE["vision"]})
    with pytest.raises(UnknownName, match=r"none of the route's models will do: .* see images"):
        order(world, needs=Needs(vision=True))


# --- another provider, and other names -----------------------------------------------------------

AWAY = {"away": entry("x", "y"), "far": entry("z")}
ROWS = ({HOME: ("b",), "away": ("x",)}, {HOME: ("c",), "away": ("y",)})


@pytest.mark.parametrize(
    ("targets", "provider", "expected", "stands_for"),
    [
        (("home/b", "home/c"), "away", "xy", "home/b"),
        (("home/a", "home/c"), "away", "y", "home/c"),  # nothing stands for a
        (("home/b", "away/y", "home/c"), "away", "y", None),  # its own targets go first
        (("away/x", "home/c"), HOME, "c", None),
        (("home/b", "home/c"), HOME, "bc", None),
    ],
)
def test_a_provider_that_is_wished_is_asked_for_what_stands_for_the_routes_targets(
    targets: tuple[str, ...], provider: str, expected: str, stands_for: str | None
) -> None:
    world = a_world(RouteEntry(task_type="t", targets=targets), others=AWAY, aliases=ROWS)
    found = plan((Wish(None, provider, "command"),), (), Task("t"), world)
    assert (names_of(found), found.stands_for) == (expected, stands_for)
    assert {target.provider for target in found.targets} == {provider}


@pytest.mark.parametrize(("provider", "why"), [("far", "stands for"), ("nobody", "no provider")])
def test_a_provider_for_which_nothing_stands_is_one_clear_error(provider: str, why: str) -> None:
    world = a_world(route("t", "b", "c"), others=AWAY, aliases=ROWS)
    with pytest.raises(UnknownName, match=why):
        order(world, Wish(None, provider, "command"))


@pytest.mark.parametrize(
    ("way", "expected"),
    [({"tier": "other"}, "x"), ({"provider": HOME, "model": "c"}, "y")],
)
def test_a_routes_tier_or_model_is_translated_for_the_provider_that_is_wished(
    way: dict[str, str], expected: str
) -> None:
    world = a_world(RouteEntry(task_type="t", **way), others=AWAY, aliases=ROWS)
    found = plan((Wish(None, "away", "environment"),), (), Task("t"), world)
    assert (names_of(found), found.level) == (expected, "route")


# --- policy --------------------------------------------------------------------------------------

SETS = st.sets(st.sampled_from([f"{HOME}/{model}" for model in MODELS]))
LISTS = st.lists(st.sampled_from(MODELS), min_size=1, max_size=4, unique=True)


@settings(max_examples=300, deadline=None)
@given(
    listed=st.none() | LISTS,
    named=st.none() | st.sampled_from((*MODELS, "usual", "other")),
    fallback=st.dictionaries(
        st.sampled_from([f"{HOME}/{model}" for model in MODELS]),
        LISTS.map(lambda models: tuple(f"{HOME}/{model}" for model in models)),
    ),
    forbidden=SETS,
)
def test_nobody_is_asked_whom_policy_forbids_and_only_that_denies(
    listed: list[str] | None,
    named: str | None,
    fallback: dict[str, tuple[str, ...]],
    forbidden: set[str],
) -> None:
    routes = () if listed is None else (route("t", *listed),)
    world = a_world(*routes, forbidden=forbidden, fallback=fallback)
    free = plan((Wish(named, None, "ask"),), (), Task("t"), world._replace(forbids=lambda _: None))
    wanted = [str(target) for target in free.targets]
    try:
        found = plan((Wish(named, None, "ask"),), (), Task("t"), world)
    except PolicyDenied as error:
        denied = {name for name, _ in error.denied}
        named_one = named is not None or listed is None
        assert denied == ({wanted[0]} if named_one else set(wanted))
        return
    asked = [str(target) for target in found.targets]
    assert asked == [name for name in wanted if name not in forbidden]
    passed_over = [str(each.target) for each in found.passed_over]
    assert passed_over == [name for name in wanted if name in forbidden]
    assert len(set(asked)) == len(asked)
