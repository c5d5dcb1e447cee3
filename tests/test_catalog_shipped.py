from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime import RunOptions
from runtime.catalog import load_catalog
from runtime.definitions import load_directory
from tests.shipped import CATALOG, WORKSPACE, of_kind, shipped

if TYPE_CHECKING:
    from runtime.journal import Record

LOADED = load_catalog(CATALOG)


def test_every_entry_point_of_the_shipped_catalog_can_be_imported() -> None:
    directory = load_directory(LOADED)
    assert set(directory.agents) == set(LOADED.agents)
    assert set(directory.skills) == set(LOADED.skills)


def test_the_guide_s_agents_are_there_with_their_roles() -> None:
    roles = {name: entry.role for name, entry in LOADED.agents.items()}
    assert roles["offer-orchestrator-mag"] == "mag"
    assert roles["compensation-advisor-sag"] == "sag"
    assert all(name.endswith(f"-{role}") for name, role in roles.items())


def test_every_agent_and_skill_is_used_by_a_workflow_or_by_another_agent() -> None:
    """What nobody uses would be the first thing that a newcomer reads in vain."""
    agents = {entry.agent for entry in LOADED.workflows.values()}
    agents |= {slug for entry in LOADED.agents.values() for slug in entry.agents or ()}
    assert agents == set(LOADED.agents)


def test_every_agent_says_what_it_takes_and_gives() -> None:
    directory = load_directory(LOADED)
    for agent, _ in directory.agents.values():
        assert agent.description
        assert agent.signature.input_schema
        assert agent.signature.output_schema


@pytest.mark.real_time  # some of them run in worker threads
@pytest.mark.parametrize("workflow", sorted(LOADED.workflows))
async def test_every_workflow_runs_offline_with_its_own_input(
    workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(WORKSPACE)
    records: list[Record] = []
    async with shipped() as system:
        outcome = await system.run(workflow, None, RunOptions(listener=records.append))
    assert (outcome.error, outcome.exit_code) == (None, 0)
    assert outcome.output
    assert {r.body["provider"] for r in of_kind(records, "invocation_started")} <= {"echo"}
    assert of_kind(records, "delegation_failed") == []
