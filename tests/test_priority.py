"""Who is asked when several levels of priority wish for somebody, from the command line to code.

Each level is said the way its people say it; the audit trail says whom that came to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import pytest

from runtime import Context, mag, sag, skill
from runtime.agent import Limits
from runtime.catalog import RouteEntry
from runtime.catalog.agents import WorkflowEntry
from runtime.routing import LEVELS as ALL_LEVELS
from tests.echoes import any_model_answers, catalog_of, provider, told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.catalog import Catalog
    from tests.echoes import Told


@pytest.fixture(autouse=True)
def _models(monkeypatch: pytest.MonkeyPatch) -> None:
    any_model_answers(monkeypatch)


@dataclass
class Said:
    """What everybody says before one question is asked."""

    ask: dict[str, Any] = field(default_factory=dict)
    payload: dict[str, Any] = field(default_factory=dict)
    skill: dict[str, Any] | None = None
    context: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    workflow: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    routes: list[RouteEntry] = field(default_factory=list)
    proposal: str | None = None


def says(place: str, **named: Any) -> Callable[[Said], None]:
    """Return what puts some values into one of the dictionaries."""
    return lambda said: getattr(said, place).update(named)


def in_a_skill(**named: Any) -> Callable[[Said], None]:
    return lambda said: setattr(said, "skill", {"model_config": named})


def proposes(model: str) -> Callable[[Said], None]:
    return lambda said: setattr(said, "proposal", model)


def routed(task_type: str, *named: Callable[[Said], None], **way: Any) -> Callable[[Said], None]:
    """Return what adds a route, and what names its type of task."""

    def add(said: Said) -> None:
        said.routes.append(RouteEntry(task_type=task_type, **way))
        for each in named:
            each(said)

    return add


def routes_to(level: str) -> Mapping[str, Mapping[str, Any]]:
    return {
        "tier": {"tier": level},
        "targets": {"targets": (f"home/{level}",)},
        "weights": {"targets": ({"target": f"home/{level}", "weight": 2.0},)},
        "model": {"provider": "home", "model": level},
    }


LEVELS = ALL_LEVELS[1:]  # whom a fork wants asked goes before all of them: tests/test_fork.py
BY_ASK = says("ask", task_type="named")
BY_CONTEXT = says("context", task_type="named")
# Level -> the ways to wish for the model that is called like the level.
MODELS: Mapping[str, Mapping[str, Callable[[Said], None]]] = {
    "ask": {"ask": says("ask", model="home/ask")},
    "model_config": {
        "input": says("payload", model_config={"model": "model_config"}),
        "skill": in_a_skill(model="home/model_config"),
    },
    "llm_overrides": {
        "llm": says("context", llm_overrides={"model": "llm_overrides"}),
        "plan": says("context", plan_overrides={"model": "home/llm_overrides"}),
    },
    "preferred": {"preferred": says("context", preferred_model="preferred")},
    "cost_tier": {"cost": says("context", cost_tier="cost_tier")},
    "command": {"--model": says("options", model="command")},
    "environment": {"MAGSAG_MODEL": says("environ", MAGSAG_MODEL="environment")},
    "workflow": {"entry": says("workflow", model="home/workflow")},
    "named_route": {
        **{f"by ask, {way}": routed("named", BY_ASK, **to)
           for way, to in routes_to("named_route").items()},
        "by context": routed("named", BY_CONTEXT, tier="named_route"),
        "by input": routed("named", says("payload", task_type="named"), tier="named_route"),
        "by pattern": routed("na*", BY_CONTEXT, targets=("home/named_route",)),
    },
    "agent": {"entry": says("limits", model="home/agent")},
    "route": {
        **{f"of the name, {way}": routed("clerk", **to) for way, to in routes_to("route").items()},
        "of the entry's type": routed("own", says("limits", task_type="own"), tier="route"),
        "of all": routed("*", targets=("home/route",)),
    },
    "proposal": {"@sag": proposes("proposal")},
    "default": {"nobody": lambda _: None},
}  # fmt: skip
# Level -> the ways to wish for the provider that is called like the level.
PROVIDERS: Mapping[str, Mapping[str, Callable[[Said], None]]] = {
    "ask": {"ask": says("ask", provider="p-ask")},
    "model_config": {
        "input": says("payload", model_config={"provider": "p-model_config"}),
        "skill": in_a_skill(provider="p-model_config"),
    },
    "llm_overrides": {
        "llm": says("context", llm_overrides={"provider": "p-llm_overrides"}),
        "plan": says("context", plan_overrides={"provider": "p-llm_overrides"}),
    },
    "preferred": {"preferred": says("context", preferred_provider="p-preferred")},
    "command": {"--provider": says("options", provider="p-command")},
    "environment": {"MAGSAG_PROVIDER": says("environ", MAGSAG_PROVIDER="p-environment")},
    "workflow": {"entry": says("workflow", provider="p-workflow")},
}


def the_catalog(said: Said) -> Catalog:
    """Every level has a model at ``home`` and a provider ``p-LEVEL`` with one model, ``other``.

    ``other`` stands for all models of ``home``; the default tier has it, too.
    """
    others = [f"p-{level}" for level in PROVIDERS]
    tiers = {level: {"home": level} for level in ("cost_tier", "named_route", "route")}
    aliases = ({"home": tuple(LEVELS), **dict.fromkeys(others, ("other",))},)
    flow = WorkflowEntry(name="flow", description="d", agent="main", **said.workflow)
    return catalog_of(
        {"home": provider(*LEVELS), **{name: provider("other") for name in others}},
        routing={
            "tiers": {"usual": {"home": "default", **dict.fromkeys(others, "other")}, **tiers},
            "aliases": aliases,
            "routes": tuple(said.routes),
        },
        workflows={"flow": flow},
    )


async def who_is_asked(*saying: Callable[[Said], None]) -> Told:
    said = Said()
    for each in saying:
        each(said)

    @skill
    async def tell(ctx: Context, text: str) -> str:
        return await ctx.ask(text, **said.ask)

    @sag(model=said.proposal)
    async def clerk(ctx: Context, text: str) -> str:
        if said.skill is None:
            return await ctx.ask(text, **said.ask)
        answer: str = await ctx.use_payload(tell, {"text": text, **said.skill})
        return answer

    @mag
    async def main(ctx: Context) -> str:
        result = await ctx.delegate(clerk, {"text": "x"} | said.payload, context=said.context)
        return str(result.unwrap())

    clerk_entry = (clerk, Limits(**said.limits))
    return await told(
        the_catalog(said),
        "flow",
        agents=(main, clerk_entry),
        environ=said.environ,
        **said.options,
    )


def ways(of: Mapping[str, Mapping[str, Any]], level: str) -> list[tuple[str, Any]]:
    return [(f"{level} ({name})", say) for name, say in of[level].items()]


def pairs(of: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """Return every way of each level with every way of each weaker one, strongest first."""
    levels = [level for level in LEVELS if level in of]
    return [
        pytest.param(level, strong, weak, id=f"{name} over {other}")
        for level, weaker in combinations(levels, 2)
        for (name, strong), (other, weak) in product(ways(of, level), ways(of, weaker))
        if not (name == "model_config (input)" and other == name)
    ]


def test_every_level_is_tried() -> None:
    assert ("fork", *MODELS) == ALL_LEVELS


@pytest.mark.parametrize(("level", "strong", "weak"), pairs(MODELS))
async def test_a_stronger_wish_for_a_model_goes_before_a_weaker_one(
    level: str, strong: Callable[[Said], None], weak: Callable[[Said], None]
) -> None:
    came = await who_is_asked(weak, strong)
    assert came.asked == [f"home/{level}"], came.outcome.error
    assert came.begun[0]["level"] == level


@pytest.mark.parametrize(("level", "strong", "weak"), pairs(PROVIDERS))
async def test_a_stronger_wish_for_a_provider_goes_before_a_weaker_one(
    level: str, strong: Callable[[Said], None], weak: Callable[[Said], None]
) -> None:
    came = await who_is_asked(weak, strong)
    assert came.asked == [f"p-{level}/other"], came.outcome.error


def _crossed(*, provider_first: bool) -> list[Any]:
    return [
        pytest.param(level, say_model, other, say_provider, id=f"{name} and {provider_name}")
        for level, other in product(LEVELS[:-1], PROVIDERS)
        for name, say_model in ways(MODELS, level)
        for provider_name, say_provider in ways(PROVIDERS, other)
        if (LEVELS.index(other) < LEVELS.index(level)) == provider_first
        and level != other
        and "llm_overrides" not in (level, other)  # both ways at once are one dictionary
        and not (level == other == "model_config")
    ]


@pytest.mark.parametrize(
    ("level", "say_model", "other", "say_provider"), _crossed(provider_first=True)
)
async def test_a_stronger_provider_is_asked_for_what_stands_for_a_weaker_model_there(
    level: str,
    say_model: Callable[[Said], None],
    other: str,
    say_provider: Callable[[Said], None],
) -> None:
    came = await who_is_asked(say_model, say_provider)
    assert came.asked == [f"p-{other}/other"], came.outcome.error
    assert came.begun[0]["level"] == level


@pytest.mark.parametrize(
    ("level", "say_model", "other", "say_provider"),
    [each for each in _crossed(provider_first=False) if each.values[0] != "cost_tier"],
)
async def test_a_stronger_model_does_not_go_to_a_weaker_provider_that_does_not_have_it(
    level: str,
    say_model: Callable[[Said], None],
    other: str,
    say_provider: Callable[[Said], None],
) -> None:
    came = await who_is_asked(say_model, say_provider)
    assert came.asked == [f"home/{level}"], came.outcome.error


async def test_all_levels_at_once_are_asked_in_their_order() -> None:
    """With the strongest level left out one by one, the next one decides."""
    first = {level: next(iter(each.values())) for level, each in MODELS.items()}
    for number, level in enumerate(LEVELS):
        came = await who_is_asked(*(first[each] for each in LEVELS[number:]))
        assert came.asked == [f"home/{level}"], came.outcome.error


async def test_what_an_input_says_for_itself_is_not_taken_for_a_wish() -> None:
    """A type of task that is a number."""
    came = await who_is_asked(says("payload", task_type=7))
    assert came.asked == ["home/default"]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (says("payload", model_config={"modle": "ask"}), "model_config.modle is no field"),
        (says("context", llm_overrides={"temperature": "hot"}), "llm_overrides.temperature must"),
        (says("context", plan_overrides="large"), "plan_overrides must be an object"),
        (says("context", preferred_model=7), "preferred_model must be"),
        (says("context", cost_tier=["cheap"]), "cost_tier must be"),
        (in_a_skill(model=""), "model_config.model must be"),
    ],
)
async def test_a_wish_that_cannot_be_read_is_said_so_and_nobody_is_asked(
    wrong: Callable[[Said], None], why: str
) -> None:
    came = await who_is_asked(wrong)
    assert came.asked == []
    assert why in (came.outcome.error or "")
