"""The guide's agents: each snippet is an agent's code, and the simulator says who was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.guide import block, covers
from tests.guide_vendors import MESSAGES, OLLAMA, RESPONSES, failing, vendors
from tests.guide_workspace import TEXT, make_workspace, run, write_agent
from tests.shipped import of_kind

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real_time  # plain functions run in threads
IN_CODE = "Model Selection in Agent Code"
BY_TASK = "Strategy 1: Task-Based Routing"
BY_COST = "Strategy 2: Cost-Based Selection"
CASCADE = "Strategy 3: Fallback Cascade"
MIGRATION = "Example Migration"
GPT, CLAUDE = (RESPONSES, "gpt-4o"), (MESSAGES, "claude-3-5-sonnet-20241022")
OF_A_TIER = """
def run(payload, *, skills):
    model = {"model": select_by_budget(payload["tier"])}
    return skills.invoke("skill.analysis", {"text": payload["text"], "model_config": model})
"""
WITH_FALLBACK = """
def run(payload, *, skills, obs):
    return invoke_with_fallback("skill.analysis", payload, skills, obs)
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path)


@covers(IN_CODE)
async def test_a_payload_and_a_delegation_each_say_which_model_is_asked(workspace: Path) -> None:
    """That model knows no JSON Schema, so what it answers is the test's."""
    write_agent(workspace, "guide-mag", block(IN_CODE))
    answer = {"match": {"model": CLAUDE[1]}, "then": {"text": '{"summary": "More orders."}'}}
    with vendors(answer) as server:
        ran = await run(workspace, server)
    assert server.places == [GPT, CLAUDE]
    assert ran.outcome.error is None
    assert ran.outcome.output["status"] == "success"
    assert ran.outcome.output["task_id"] == "analyze-1"
    assert ran.outcome.output["output"] == {"summary": "More orders."}


@covers(BY_TASK)
@pytest.mark.parametrize(
    ("task", "place"),
    [
        ({"task_type": "reasoning"}, (RESPONSES, "o1-preview")),
        ({"task_type": "coding"}, CLAUDE),
        ({"task_type": "analysis"}, GPT),
        ({"task_type": "summarization"}, (RESPONSES, "gpt-4o-mini")),
        ({"task_type": "local"}, (OLLAMA, "llama3.1:70b")),
        ({"task_type": "something else"}, GPT),
        ({}, GPT),
    ],
    ids=str,
)
async def test_the_type_of_the_task_decides_on_the_model(
    workspace: Path, task: dict[str, str], place: tuple[str, str]
) -> None:
    write_agent(workspace, "guide-mag", block(BY_TASK))
    with vendors() as server:
        ran = await run(workspace, server, payload=TEXT | task)
    assert ran.outcome.error is None
    assert server.places == [place]


@covers(BY_COST)
@pytest.mark.parametrize(
    ("tier", "place"),
    [
        ("premium", (RESPONSES, "o1-preview")),
        ("standard", CLAUDE),
        ("economy", (RESPONSES, "gpt-4o-mini")),
        ("no such tier", CLAUDE),
    ],
)
async def test_the_tier_decides_on_the_model(
    workspace: Path, tier: str, place: tuple[str, str]
) -> None:
    write_agent(workspace, "guide-mag", block(BY_COST) + OF_A_TIER)
    with vendors() as server:
        ran = await run(workspace, server, payload=TEXT | {"tier": tier})
    assert ran.outcome.error is None
    assert server.places == [place]


@covers(CASCADE)
async def test_the_second_model_answers_when_the_first_one_fails(workspace: Path) -> None:
    write_agent(workspace, "guide-mag", block(CASCADE) + WITH_FALLBACK)
    with vendors(failing("claude-*", "server_error")) as server:
        ran = await run(workspace, server)
    assert ran.outcome.error is None
    assert server.places == [CLAUDE, GPT]
    (failed, why), succeeded = ran.events
    assert (failed, why["model"]) == ("model_failed", CLAUDE[1])
    assert succeeded == ("model_success", {"model": "gpt-4o", "skill": "skill.analysis"})
    assert why["error"] == of_kind(ran.records, "invocation_failed")[0].body["error"]


@covers(CASCADE)
async def test_the_run_fails_when_every_model_does(workspace: Path) -> None:
    write_agent(workspace, "guide-mag", block(CASCADE) + WITH_FALLBACK)
    with vendors(failing("*", "server_error")) as server:
        ran = await run(workspace, server)
    assert server.models == [CLAUDE[1], "gpt-4o", "gpt-4o-mini"]
    assert [event for event, _ in ran.events] == ["model_failed"] * 3
    assert (ran.outcome.status, ran.outcome.exit_code) == ("failed", 2)
    assert "RuntimeError" in ran.outcome.error
    assert ran.events[-1][1]["error"] in ran.outcome.error


@covers(MIGRATION)
async def test_before_the_migration_whoever_starts_it_says_which_model_is_asked(
    workspace: Path,
) -> None:
    write_agent(workspace, "guide-mag", before_and_after()[0])
    with vendors() as server:
        await run(workspace, server, MAGSAG_MODEL="gpt-4o-mini")
    assert server.places == [(RESPONSES, "gpt-4o-mini")]


@covers(MIGRATION)
@pytest.mark.parametrize(
    ("rules", "places", "events"),
    [
        ((), [GPT], [("model_used", {"model": "gpt-4o"})]),
        (
            (failing("gpt-4o", "server_error"),),
            [GPT, CLAUDE],
            [("fallback", {"from": "gpt-4o", "to": CLAUDE[1]})],
        ),
    ],
    ids=["first", "fallback"],
)
async def test_after_the_migration_the_agent_has_two_models(
    workspace: Path, rules: tuple[Any, ...], places: list[Any], events: list[Any]
) -> None:
    write_agent(workspace, "guide-mag", before_and_after()[1])
    with vendors(*rules) as server:
        ran = await run(workspace, server, MAGSAG_MODEL="gpt-4o-mini")
    assert ran.outcome.error is None
    assert server.places == places
    assert [(event, without_reason(fields)) for event, fields in ran.events] == events


def before_and_after() -> list[str]:
    """Return the two agents of the block, each from its comment on."""
    first, second = block(MIGRATION).split("\n\n# ", maxsplit=1)
    return [first, f"# {second}"]


def without_reason(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "reason"}
