"""The guide's practices: which model for what, errors, costs and rate limits."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from runtime.cli.main import main
from tests.guide import block, covers, section
from tests.guide_vendors import MESSAGES, RESPONSES, failing, vendors
from tests.guide_workspace import TEXT, make_workspace, run, write_agent
from tests.shipped import CATALOG

if TYPE_CHECKING:
    from pathlib import Path

    from runtime import System

pytestmark = pytest.mark.real_time  # plain functions run in threads
GUIDELINES = "1. Model Selection Guidelines"
ERRORS = "2. Error Handling"
COSTS = "3. Cost Management"
RATE_LIMITS = "4. Rate Limit Handling"
SHORT_PAUSE = {"name": "rate_limit", "retry_after": 0.05}
ROBUST = """
def run(payload, *, skills, obs):
    return robust_invoke("skill.analysis", payload, skills, obs)
"""
CHECKED = """
def run(payload, *, skills, obs):
    model = {"model_config": {"model": "gpt-4o"}}
    skills.invoke("skill.analysis", {"text": payload["text"], **model})
    check_budget(obs, **payload["limits"])
    return {"cost": obs.get_current_cost()}
"""
RETRIED = """
def run(payload, *, skills):
    return invoke_with_retry("skill.analysis", payload, skills)
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path)


@covers(GUIDELINES)
@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("o1-preview", "openai"),
        ("claude-3-5-sonnet-20241022", "anthropic"),
        ("gpt-4o", "openai"),
        ("gpt-4o-mini", "openai"),
        ("llama3.1:70b", "ollama"),
    ],
)
def test_every_recommended_model_has_a_provider_in_the_shipped_catalog(
    model: str, provider: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert model in recommended()
    where = ("--catalog", str(CATALOG), "--db", ":memory:")
    assert main(("explain", "hello-mag", "--model", model, "--json", *where)) == 0
    assert json.loads(capsys.readouterr().out)[0]["asks"] == f"{provider}/{model}"


@covers(GUIDELINES)
def test_these_are_all_the_models_that_are_recommended() -> None:
    assert recommended() == {
        *("o1-preview", "claude-3-5-sonnet-20241022", "gpt-4o", "gpt-4o-mini", "llama3.1:70b")
    }


def recommended() -> set[str]:
    """Return the models of the second column."""
    (table,) = section(GUIDELINES).tables
    return {list(row.values())[1] for row in table}


@covers(ERRORS)
async def test_another_vendor_answers_when_a_rate_limit_is_used_up(workspace: Path) -> None:
    write_agent(workspace, "guide-mag", block(ERRORS) + ROBUST)
    with vendors(failing("gpt-4o", SHORT_PAUSE)) as server:
        ran = await run(workspace, server)
    assert ran.outcome.error is None
    assert server.places == [(RESPONSES, "gpt-4o"), (MESSAGES, "claude-3-5-sonnet-20241022")]
    assert ran.events == [("rate_limit", {"model": "gpt-4o"})]


@covers(ERRORS)
async def test_any_other_error_is_noted_and_ends_the_run(workspace: Path) -> None:
    write_agent(workspace, "guide-mag", block(ERRORS) + ROBUST)
    with vendors(failing("gpt-4o", "server_error")) as server:
        ran = await run(workspace, server)
    assert server.models == ["gpt-4o"]
    ((event, fields),) = ran.events
    assert (event, fields["model"]) == ("error", "gpt-4o")
    assert fields["error"] in ran.outcome.error


@covers(COSTS)
@pytest.mark.parametrize("limits", [{}, {"max_cost_usd": 1.0}])
async def test_a_run_goes_on_below_its_budget(workspace: Path, limits: dict[str, float]) -> None:
    write_agent(workspace, "guide-mag", block(COSTS) + CHECKED)
    with vendors() as server:
        ran = await run(workspace, server, payload=TEXT | {"limits": limits})
    assert ran.outcome.error is None
    assert ran.outcome.output == {"cost": ran.outcome.cost_usd}
    assert 0 < ran.outcome.cost_usd < 1.0


@covers(COSTS)
async def test_a_run_ends_above_its_budget(workspace: Path) -> None:
    write_agent(workspace, "guide-mag", block(COSTS) + CHECKED)
    with vendors() as server:
        ran = await run(workspace, server, payload=TEXT | {"limits": {"max_cost_usd": 0.00001}})
    assert ran.outcome.status == "failed"
    assert "RuntimeError" in ran.outcome.error
    assert ran.outcome.cost_usd > 0.00001


@covers(RATE_LIMITS)
@pytest.mark.parametrize(
    ("refused", "waits", "status"),
    [(0, [], "completed"), (2, [1, 2], "completed"), (3, [1, 2], "failed")],
)
async def test_a_rate_limit_is_waited_for_and_longer_each_time(
    workspace: Path, refused: int, waits: list[int], status: str
) -> None:
    """The waits are noted and not made: the module's ``time`` is another one."""
    write_agent(workspace, "guide-mag", block(RATE_LIMITS) + RETRIED)
    waited: list[int] = []

    def patch(system: System) -> None:
        names: Any = system.directory.agents["guide-mag"][0].body
        names.__globals__["time"] = SimpleNamespace(sleep=waited.append)

    rules = [failing("*", SHORT_PAUSE, nth={"last": refused})] if refused else []
    with vendors(*rules) as server:
        payload = TEXT | {"model_config": {"model": "gpt-4o"}}
        ran = await run(workspace, server, payload=payload, before=patch)
    assert (ran.outcome.status, waited) == (status, waits)
    assert len(server.asked) == len(waits) + 1
    assert ran.outcome.reason == ("rate_limit" if status == "failed" else None)
