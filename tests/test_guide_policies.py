"""The guide's policies, written where the guide says, and what they allow and deny."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.cli_workspace import run_process
from tests.guide import block, covers
from tests.guide_vendors import OLLAMA, RESPONSES, vendors
from tests.guide_workspace import (
    ASKS,
    make_workspace,
    run,
    run_command,
    write_agent,
    write_policy,
)
from tests.shipped import of_kind

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real_time  # plain functions run in threads
POLICIES = "Policy Enforcement"
DENIED, OVER_BUDGET = 4, 3
SIX_TIMES = """
def run(payload, *, skills):
    return [skills.invoke("skill.analysis", payload) for _ in range(6)]
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    make_workspace(tmp_path)
    write_policy(tmp_path, block(POLICIES))
    return tmp_path


@covers(POLICIES)
def test_the_policies_are_read_from_the_file_that_the_guide_names(workspace: Path) -> None:
    told = explained(workspace, "gpt-4o")
    assert told["denied"] is None
    assert [each["what"] for each in told["policies"]] == ["production_models allows it"]
    assert told["policies"][0]["where"] == "catalog/policies/model_governance.yaml:2"
    assert (told["budget"]["what"], told["limits"][0]["limit_usd"]) == ("$5", 100)


def explained(workspace: Path, model: str) -> dict[str, Any]:
    done = run_process(workspace, "explain", "asks-mag", "--model", model, "--json")
    told: dict[str, Any] = json.loads(done.stdout)[0]
    return told


@covers(POLICIES)
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4o-mini", "claude-3-5-sonnet-20241022"])
async def test_an_allowed_model_is_asked(workspace: Path, model: str) -> None:
    with vendors() as server:
        ran = await run(workspace, server, "asks-mag", MAGSAG_MODEL=model)
    assert ran.outcome.error is None
    assert server.models == [model]


@covers(POLICIES)
def test_any_other_model_is_denied_and_not_asked(workspace: Path) -> None:
    with vendors() as server:
        done = run_command(workspace, "asks-mag", "--model", "o1-preview", **server.environ)
    assert (done.returncode, done.stdout, server.asked) == (DENIED, "", [])
    assert "production_models" in done.stderr
    assert "o1-preview" in done.stderr


@covers(POLICIES)
@pytest.mark.parametrize(
    ("data_class", "model"),
    [
        ("financial_data", "gpt-4o-mini"),
        ("financial_data", "claude-3-5-sonnet-20241022"),
        ("pii_processing", "gpt-4o"),
        ("pii_processing", "claude-3-5-sonnet-20241022"),
    ],
)
async def test_sensitive_data_goes_to_no_model_that_its_policy_does_not_name(
    workspace: Path, data_class: str, model: str
) -> None:
    write_agent(workspace, "guide-mag", ASKS, data_class=data_class)
    with vendors() as server:
        ran = await run(workspace, server, MAGSAG_MODEL=model)
    assert (ran.outcome.exit_code, server.asked) == (DENIED, [])
    assert "data_residency" in ran.outcome.error
    (denied,) = of_kind(ran.records, "invocation_denied")
    assert denied.body["data_classes"] == data_class


@covers(POLICIES)
async def test_financial_data_goes_to_the_model_that_its_policy_names(workspace: Path) -> None:
    write_agent(workspace, "guide-mag", ASKS, data_class="financial_data")
    with vendors() as server:
        ran = await run(workspace, server, MAGSAG_MODEL="gpt-4o")
    assert ran.outcome.error is None
    assert server.places == [(RESPONSES, "gpt-4o")]


@covers(POLICIES)
async def test_personal_data_goes_to_the_model_that_its_policy_names_and_no_other_data_does(
    workspace: Path,
) -> None:
    write_agent(workspace, "guide-mag", ASKS, data_class="pii_processing")
    with vendors() as server:
        ran = await run(workspace, server, MAGSAG_MODEL="llama3.1:70b")
        assert ran.outcome.error is None
        assert server.places == [(OLLAMA, "llama3.1:70b")]
        write_agent(workspace, "guide-mag", ASKS)
        denied = await run(workspace, server, MAGSAG_MODEL="llama3.1:70b")
    assert (denied.outcome.exit_code, len(server.asked)) == (DENIED, 1)
    assert "production_models" in denied.outcome.error


@covers(POLICIES)
async def test_a_run_is_refused_the_call_that_might_take_it_over_its_limit(
    workspace: Path,
) -> None:
    """Each call may generate 100,000 tokens, a dollar's worth, and does."""
    write_agent(workspace, "guide-mag", SIX_TIMES, max_output_tokens=100_000)
    talkative = {"match": {}, "then": {"output_tokens": 100_000}}
    with vendors(talkative) as server:
        ran = await run(workspace, server, MAGSAG_MODEL="gpt-4o")
    assert (ran.outcome.exit_code, ran.outcome.reason) == (OVER_BUDGET, "budget")
    assert "cost_limits" in ran.outcome.error
    assert server.models == ["gpt-4o"] * 4
    assert 4 < ran.outcome.cost_usd < 5


@covers(POLICIES)
async def test_an_agent_is_refused_the_call_that_might_take_its_day_over_its_limit(
    workspace: Path,
) -> None:
    """The limit of a run is lifted, which would be reached before."""
    policies = yaml.safe_load(block(POLICIES))
    policies["policies"][1]["thresholds"]["max_cost_per_run_usd"] = 500
    write_policy(workspace, yaml.safe_dump(policies))
    write_agent(workspace, "guide-mag", SIX_TIMES, max_output_tokens=2_000_000)
    talkative = {"match": {}, "then": {"output_tokens": 2_000_000}}
    with vendors(talkative) as server:
        ran = await run(workspace, server, MAGSAG_MODEL="gpt-4o")
    assert (ran.outcome.exit_code, ran.outcome.reason) == (OVER_BUDGET, "budget")
    assert "cost_limits" in ran.outcome.error
    assert server.models == ["gpt-4o"] * 4
