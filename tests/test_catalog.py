"""A folder of YAML becomes a catalog, or else every fault in it with its place."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.catalog import AgentEntry, CatalogFaults, Fault, discover, load_catalog
from runtime.catalog.prices import PriceEntry
from runtime.errors import ConfigurationError
from tests.catalog_workspace import Workspace, agent

SHIPPED = Path(__file__).parent.parent / "catalog"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


# --- what a good catalog gives -------------------------------------------------------------------


def test_a_catalog_has_its_entries_by_name(workspace: Workspace) -> None:
    catalog = workspace.load()
    assert set(catalog.agents) == {"digest-mag", "summarise"}
    assert set(catalog.skills) == {"find-documents"}
    assert set(catalog.workflows) == {"digest"}
    assert set(catalog.providers) == {"echo", "openai"}
    assert catalog.routing.tiers["fast"]["openai"] == "gpt-4o"
    assert catalog.root == workspace.root


def test_an_agent_that_says_little_has_bounded_defaults(workspace: Workspace) -> None:
    entry = workspace.load().agents["digest-mag"]
    assert (entry.concurrency, entry.mailbox, entry.max_restarts) == (1_000, 1_000, 1)
    assert (entry.deadline_s, entry.max_output_tokens) == (None, 4_096)
    assert (entry.backoff.schedule().first, entry.backoff.schedule().longest) == (0.2, 30)


def test_what_is_left_out_means_any_and_an_empty_list_means_none(workspace: Workspace) -> None:
    catalog = workspace.load(agent(skills="[]"))
    assert catalog.agents["a"].skills == ()
    assert catalog.agents["a"].agents is None


def test_every_entry_knows_where_its_values_are_written(workspace: Workspace) -> None:
    catalog = workspace.load()
    agents = catalog.agents["digest-mag"]
    assert catalog.position(agents, "entrypoint").endswith("agents/main/digest-mag.yaml:4:13")
    assert catalog.position(agents, "skills", 0).endswith("digest-mag.yaml:5:10")
    assert catalog.position(agents, "deadline_s").endswith("digest-mag.yaml:1:1")
    provider = catalog.providers["openai"]
    assert catalog.position(provider, "base_url").endswith("providers.yaml:7:15")


def test_a_fault_found_later_can_be_placed_at_its_value(workspace: Workspace) -> None:
    catalog = workspace.load()
    skill = catalog.skills["find-documents"]
    fault = catalog.fault(skill, "entrypoint", what="no such attribute", todo="define it")
    assert str(fault).endswith("documents.yaml:3:13: no such attribute; define it")


def test_a_fault_is_one_line_whatever_it_repeats(workspace: Workspace) -> None:
    catalog = workspace.load()
    skill = catalog.skills["find-documents"]
    fault = catalog.fault(skill, what="it says\nno", todo="read\r\nit")
    assert str(fault).endswith("documents.yaml:1:1: it says no; read it")


def test_a_foreign_entry_has_no_place(workspace: Workspace) -> None:
    stranger = AgentEntry(name="x", role="sag", description="d")
    with pytest.raises(LookupError, match="no entry of this catalog"):
        workspace.load().position(stranger)


def test_entries_cannot_be_changed(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match="frozen"):
        workspace.load().agents["summarise"].model = "gpt-4o"  # type: ignore[misc]  # what is tested


def test_prices_are_whole_nano_dollars_and_name_their_line(workspace: Workspace) -> None:
    text = """\
prices:
  openai/gpt-4o: {input_usd_per_mtok: 2.5, output_usd_per_mtok: "10", cached_input_usd_per_mtok: 0}
  echo/echo-1: {input_usd_per_mtok: 0.000000001, output_usd_per_mtok: 0.1}
"""
    prices = workspace.load({"prices.yaml": text}).prices
    paid = prices["openai/gpt-4o"]
    assert (paid.input, paid.output) == (2_500_000_000, 10_000_000_000)
    assert (paid.cached_input, paid.cache_write) == (0, 2_500_000_000)
    assert paid.source.endswith("catalog/prices.yaml:2")
    assert (prices["echo/echo-1"].input, prices["echo/echo-1"].output) == (1, 100_000_000)


@given(nano=st.integers(min_value=0, max_value=10**18 - 1))
def test_an_amount_written_as_text_is_exact(nano: int) -> None:
    written = f"{nano // 10**9}.{nano % 10**9:09}"
    entry = PriceEntry.model_validate({"input_usd_per_mtok": written, "output_usd_per_mtok": 0})
    assert entry.price("here").input == nano


def test_policies_keep_their_order_and_their_place(workspace: Workspace) -> None:
    text = """\
policies:
  - name: models
    description: These two.
    allowed_models: [gpt-4o, echo-1]
  - name: limit
    thresholds: {max_cost_per_run_usd: 0.25}
  - name: residency
    requirements: {pii: [echo-1], secret: []}
"""
    models, limit, residency = workspace.load({"policies/all.yaml": text}).policies
    assert models.allowed_models == frozenset({"gpt-4o", "echo-1"})
    assert (limit.max_cost_per_run, limit.allowed_models) == (250_000_000, None)
    assert residency.requirements == {"pii": {"echo-1"}, "secret": frozenset()}
    assert limit.source.endswith("catalog/policies/all.yaml:5")


def test_the_shipped_catalog_is_faultless() -> None:
    catalog = load_catalog(SHIPPED)
    assert catalog.routing.provider == "echo"
    assert {"echo", "openai", "compat", "local", "ollama"} <= set(catalog.providers)
    assert set(catalog.routing.tiers) >= {"fast", "careful", "echo"}
    residency = next(each for each in catalog.policies if each.name == "data_residency")
    assert residency.residency["pii_processing"] == {"local"}


# --- which files are read ------------------------------------------------------------------------


def test_yml_is_read_and_hidden_files_and_other_kinds_are_not(workspace: Workspace) -> None:
    catalog = workspace.load(
        {
            "skills/other.yml": "name: other\ndescription: d\nentrypoint: agents/digest.py:other\n",
            "skills/.hidden.yaml": "no: {",
            "skills/.git/config.yaml": "no: {",
            "skills/README.md": "no: {",
            "_schemas/agent.schema.json": "{",
        }
    )
    assert set(catalog.skills) == {"find-documents", "other"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("agent/a.yaml", "nobody reads the catalog's folder 'agent'; did you mean 'agents'?"),
        ("price.yaml", "nobody reads the catalog's file 'price.yaml'; did you mean 'prices.yaml'?"),
        ("providers.yml", "a second 'providers' file; move everything into one of the two"),
    ],
)
def test_yaml_that_nobody_would_read_is_a_fault(
    workspace: Workspace, name: str, expected: str
) -> None:
    assert workspace.faults({name: "a: 1\n"}) == [f"{name}:1:1: {expected}"]


def test_a_missing_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere: this catalog folder cannot be listed"):
        load_catalog(tmp_path / "nowhere")


def test_an_empty_catalog_is_one_clear_error(workspace: Workspace) -> None:
    workspace.catalog.mkdir()
    with pytest.raises(CatalogFaults, match="the catalog is empty; write routing/") as raised:
        load_catalog(workspace.catalog)
    assert len(raised.value.faults) == 1


def test_a_catalog_needs_providers_and_a_default_routing(workspace: Workspace) -> None:
    (fault,) = workspace.faults({"providers.yaml": None, "routing/default.yaml": None})
    assert "the catalog has no routing/default.yaml and no providers.yaml" in fault


def test_a_loop_of_links_ends(workspace: Workspace) -> None:
    workspace.load()
    (workspace.catalog / "agents" / "again").symlink_to(workspace.catalog / "agents")
    assert set(workspace.load().agents) == {"digest-mag", "summarise"}


def test_a_catalog_of_very_many_folders_or_files_is_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.load()
    with monkeypatch.context() as patch:
        patch.setattr(discover, "MOST_FOLDERS", 2)
        (fault,) = workspace.faults({})
        assert fault.startswith("agents: more than 2 folders; ")
    monkeypatch.setattr(discover, "MOST_FILES", 1)
    (fault,) = workspace.faults({})
    assert fault.startswith("agents: more than 1 YAML files; ")


def test_a_link_to_nowhere_is_a_fault(workspace: Workspace) -> None:
    workspace.load()
    (workspace.catalog / "agents" / "lost.yaml").symlink_to("nowhere")
    assert "agents/lost.yaml:1:1: the file cannot be read" in workspace.faults({})[0]


def test_a_pipe_is_a_fault_and_not_a_wait(workspace: Workspace) -> None:
    workspace.load()
    os.mkfifo(workspace.catalog / "skills" / "pipe.yaml")
    assert "skills/pipe.yaml:1:1: not a regular file" in workspace.faults({})[0]


def test_the_workspace_is_the_parent_of_the_folder_as_it_was_named(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.load()
    monkeypatch.chdir(workspace.catalog)
    assert load_catalog(Path()).root == workspace.root
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = Workspace(elsewhere).catalog
    link.symlink_to(workspace.catalog)
    assert load_catalog(link).root == elsewhere


def test_faults_name_files_relative_to_the_current_directory(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace.root)
    with pytest.raises(CatalogFaults) as raised:
        workspace.load(agent(role="boss"))
    assert str(raised.value).startswith("catalog/agents/a.yaml:2:7: ")


# --- all faults at once --------------------------------------------------------------------------


def test_all_faults_of_all_files_come_at_once_and_sorted(workspace: Workspace) -> None:
    with pytest.raises(CatalogFaults) as raised:
        workspace.load(
            {
                **agent(modle="fast", concurrency="ten", role="boss"),
                "skills/s.yaml": "name: [",
                "workflows/w.yaml": "name: w\ndescription: d\nagent: digest-mga\n",
            }
        )
    faults = raised.value.faults
    assert list(faults) == sorted(faults)
    assert [Path(fault.file).name for fault in faults] == ["a.yaml"] * 3 + ["s.yaml", "w.yaml"]
    assert str(raised.value).splitlines() == [str(fault) for fault in faults]


def test_a_file_with_a_fault_of_its_own_is_still_checked_against_the_others(
    workspace: Workspace,
) -> None:
    faults = workspace.faults(
        {
            **agent(concurrency="ten", skills="[find-documnets]", model="fats"),
            "workflows/w.yaml": "name: w\nagent: digest-mga\nprovider: opena\n",
            "skills/s.yaml": "name: s\ntimeout: d\nentrypoint: agents/none.py:run\n",
            "routing/cheap.yaml": "name: cheap\ntiers: {fast: {opena: x}}\n",
        }
    )
    places = [":".join(line.split(":")[:2]) for line in faults]
    assert places == [
        *("agents/a.yaml:5", "agents/a.yaml:6", "agents/a.yaml:7"),
        *["routing/cheap.yaml:1"] * 2,
        "routing/cheap.yaml:2",
        *("skills/s.yaml:1", "skills/s.yaml:2", "skills/s.yaml:3"),
        *("workflows/w.yaml:1", "workflows/w.yaml:2", "workflows/w.yaml:3"),
    ]


def test_an_unreadable_value_is_one_fault_and_does_not_hide_the_others(
    workspace: Workspace,
) -> None:
    faults = workspace.faults(agent(deadline_s="!!float x", role="boss"))
    assert [line.split(":")[1] for line in faults] == ["2", "5"]


def test_faults_survive_pickling() -> None:
    faults = CatalogFaults([Fault("b.yaml", 2, 1, "what", "todo"), Fault("a", 1, 1, "w", "t")])
    again = pickle.loads(pickle.dumps(faults))  # noqa: S301  it is our own
    assert again.faults == faults.faults
    assert str(again) == "a:1:1: w; t\nb.yaml:2:1: what; todo"
