"""What the entries of a catalog say about each other is checked before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.catalog import Target, find_targets
from tests.catalog_workspace import FILES, Workspace, agent

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


ROUTING = FILES["routing/default.yaml"]
PROVIDERS = FILES["providers.yaml"]
WORKFLOW = "name: w\ndescription: d\nagent: digest-mag\n"
COMPAT = """\
  compat:
    dialect: openai_chat
    base_url: http://localhost
    models: {gpt-4o: {}}
    any_model: true
"""


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            {"skills": "[find-documnets]"},
            "5:10: unknown skill 'find-documnets'; did you mean 'find",
        ),
        ({"agents": "[summarize]"}, "5:10: unknown agent 'summarize'; did you mean 'summarise'?"),
        ({"model": "fats"}, "5:8: 'fats' is neither a tier nor a model of a provider; did you"),
        ({"model": "openai/o9"}, "5:8: 'openai/o9' is neither a tier nor a model of a provider; "),
        ({"model": "openai/"}, "5:8: 'openai/' is neither a tier nor a model of a provider; "),
    ],
)
def test_an_agent_names_only_what_there_is(
    workspace: Workspace, lines: dict[str, str], expected: str
) -> None:
    (fault,) = workspace.faults(agent(**lines))
    assert expected in fault


@pytest.mark.parametrize("model", ["fast", "gpt-4o", "openai/gpt-4o", "echo/echo-1", "extract-1"])
def test_a_model_may_be_a_tier_a_model_or_both_names(workspace: Workspace, model: str) -> None:
    assert workspace.load(agent(model=model)).agents["a"].model == model


def test_a_model_that_two_providers_list_must_be_named_in_full(workspace: Workspace) -> None:
    (fault,) = workspace.faults({**agent(model="gpt-4o"), "providers.yaml": PROVIDERS + COMPAT})
    assert (
        "several providers list the model 'gpt-4o'; write openai/gpt-4o or compat/gpt-4o" in fault
    )


def test_any_model_takes_names_that_are_not_listed(workspace: Workspace) -> None:
    changed = {**agent(model="compat/meta/llama"), "providers.yaml": PROVIDERS + COMPAT}
    providers = workspace.load(changed).providers
    assert find_targets("compat/meta/llama", providers) == (Target("compat", "meta/llama"),)
    assert find_targets("meta/llama", providers) == ()
    assert find_targets("compat/", providers) == ()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("agent: digest-mga", "unknown agent 'digest-mga'; did you mean 'digest-mag'?"),
        ("provider: opena", "4:11: unknown provider 'opena'; did you mean 'openai'?"),
        ("model: slow", "4:8: 'slow' is neither a tier nor a model of a provider; "),
        ("provider: openai\nmodel: gpt-5", "5:8: the provider 'openai' has no model 'gpt-5'; "),
        ("provider: openai\nmodel: echo-1", "5:8: the provider 'openai' has no model 'echo-1'; "),
    ],
)
def test_a_workflow_names_only_what_there_is(
    workspace: Workspace, line: str, expected: str
) -> None:
    kept = "" if line.startswith("agent") else WORKFLOW
    text = kept + line + "\n" + ("" if kept else "name: w\ndescription: d\n")
    (fault,) = workspace.faults({"workflows/w.yaml": text})
    assert expected in fault


@pytest.mark.parametrize("model", ["gpt-4o", "openai/gpt-4o", "fast"])
def test_a_workflow_may_name_a_provider_and_one_of_its_models(
    workspace: Workspace, model: str
) -> None:
    text = f"{WORKFLOW}provider: openai\nmodel: {model}\n"
    assert workspace.load({"workflows/w.yaml": text}).workflows["w"].model == model


def test_a_workflows_provider_must_have_a_model_for_its_agents_tier(workspace: Workspace) -> None:
    changed = {
        "routing/default.yaml": ROUTING + "  careful: {echo: echo-1}\n",
        "workflows/w.yaml": "name: w\ndescription: d\nagent: a\nprovider: openai\n",
        **agent(model="careful"),
    }
    (fault,) = workspace.faults(changed)
    assert "w.yaml:4:11: the tier 'careful' names no model of 'openai'; add" in fault


def test_a_workflow_and_an_agent_have_different_names(workspace: Workspace) -> None:
    text = WORKFLOW.replace("name: w", "name: summarise")
    (fault,) = workspace.faults({"workflows/w.yaml": text})
    assert "workflows/w.yaml:1:7: an agent is called 'summarise', too, at " in fault
    assert "agents/sub/summarise.yaml:1:1; rename the workflow" in fault


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ("agents/sub/summarise.yaml", "agents/z/summarise.yaml", "agent 'summarise'"),
        ("skills/documents.yaml", "skills/z.yaml", "skill 'find-documents'"),
        ("workflows/digest.yaml", "workflows/z.yaml", "workflow 'digest'"),
        ("routing/default.yaml", "routing/z.yaml", "routing 'default'"),
    ],
)
def test_a_name_in_two_files_is_a_fault_that_names_both(
    workspace: Workspace, first: str, second: str, kind: str
) -> None:
    (fault,) = workspace.faults({second: FILES[first]})
    assert fault.startswith(f"{second}:1:7: {kind} is defined already, at ")
    assert f"{first}:1:7; rename or remove one of the two" in fault


def test_a_policy_in_two_files_is_a_fault_that_names_both(workspace: Workspace) -> None:
    (fault,) = workspace.faults({"policies/b.yaml": FILES["policies/all.yaml"]})
    assert "policies/b.yaml:2:11: policy 'run_limit' is defined already, at " in fault
    assert "policies/all.yaml:2:11" in fault


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "default: fast",
            "default: fats",
            "3:10: the default tier 'fats' is not among the tiers; ",
        ),
        ("echo: extract-1, ", "", "5:3: tier 'fast' has no model of the provider that is asked; "),
        (
            "openai: gpt-4o",
            "opena: gpt-4o",
            "5:27: unknown provider 'opena'; did you mean 'openai'",
        ),
        ("gpt-4o", "gpt-40", "5:35: the provider 'openai' has no model 'gpt-40'; did you mean"),
        ("name: default", "name: other", "1:7: no routing file is called 'default'; "),
        (
            "fast: {echo: extract-1, openai: gpt-4o}",
            "fast: {}",
            "5:9: 'tiers.fast' must have at least",
        ),
    ],
)
def test_a_route_leads_somewhere(workspace: Workspace, old: str, new: str, expected: str) -> None:
    faults = workspace.faults({"routing/default.yaml": ROUTING.replace(old, new)})
    assert any(line.startswith(f"routing/default.yaml:{expected}") for line in faults)


def test_every_routing_has_the_tiers_of_the_default_one(workspace: Workspace) -> None:
    other = ROUTING.replace("name: default", "name: cheap").replace("fast", "slow")
    (fault,) = workspace.faults({"routing/cheap.yaml": other})
    assert "routing/cheap.yaml:4:1: routing 'cheap' has no tier 'fast', which the default" in fault
    routings = workspace.load(
        {"routing/cheap.yaml": ROUTING.replace("name: default", "name: cheap")}
    ).routings
    assert set(routings) == {"default", "cheap"}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("opena/gpt-4o", "1:10: unknown provider 'opena'; did you mean 'openai'?"),
        ("openai/gpt-5", "1:10: the provider 'openai' has no model 'gpt-5'; did you mean"),
    ],
)
def test_a_price_is_of_a_model_that_can_be_asked(
    workspace: Workspace, key: str, expected: str
) -> None:
    text = f"prices: {{{key}: {{input_usd_per_mtok: 1, output_usd_per_mtok: 1}}}}\n"
    (fault,) = workspace.faults({"prices.yaml": text})
    assert fault.startswith(f"prices.yaml:{expected}")


def test_a_misspelt_data_class_does_not_escape_its_policy(workspace: Workspace) -> None:
    policies = {"policies/p.yaml": "policies: [{name: p, requirements: {pii_processing: []}}]\n"}
    (fault,) = workspace.faults({**policies, **agent(data_class="pii_procesing")})
    assert "5:13: no policy mentions the data class 'pii_procesing'; did you mean" in fault
    free = workspace.load({**policies, **agent(data_class="weather")})
    assert free.agents["a"].data_class == "weather"


def test_a_name_from_a_faulty_file_is_not_called_unknown(workspace: Workspace) -> None:
    changed = {
        "skills/documents.yaml": "name: find-documents\n",
        "agents/sub/summarise.yaml": "name: [",
        "workflows/digest.yaml": WORKFLOW.replace("digest-mag", "summarise"),
    }
    files = {line.split(":")[0] for line in workspace.faults(changed)}
    assert files == {"skills/documents.yaml", "agents/sub/summarise.yaml"}


def test_a_faulty_providers_file_is_not_blamed_on_its_users(workspace: Workspace) -> None:
    (fault,) = workspace.faults({"providers.yaml": "providers: {", **agent(model="gpt-4o")})
    assert fault.startswith("providers.yaml:")


def test_an_entry_point_does_not_leave_the_workspace_by_a_link(
    workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "body.py"
    outside.write_text("")
    (workspace.root / "agents" / "body.py").symlink_to(outside)
    (fault,) = workspace.faults(agent(entrypoint="agents/body.py:run"))
    assert "'agents/body.py' is not inside the workspace; " in fault


def test_an_entry_point_behind_a_loop_of_links_is_a_fault(workspace: Workspace) -> None:
    loop = workspace.root / "agents" / "loop.py"
    loop.symlink_to(loop)
    (fault,) = workspace.faults(agent(entrypoint="agents/loop.py:run"))
    assert "agents/loop.py" in fault
