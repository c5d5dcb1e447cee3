"""Models that are retired, or soon will be: where a catalog names them, and who hears of it."""

from __future__ import annotations

import logging
from datetime import date
from typing import TYPE_CHECKING

import pytest

from runtime import running
from runtime.catalog import Target, load_catalog
from runtime.cli.places import SHIPPED_CATALOG
from runtime.governance.doubts import doubts_of
from runtime.governance.lifecycle import in_short, stage_of, warnings_of
from tests.catalog_workspace import FILES, Workspace, agent
from tests.cli_workspace import Cli

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.catalog import Catalog

DATES = "retirements:\n  openai:\n    gpt-4: 2026-10-23\n    gpt-4o: 2027-01-14\n"
PROVIDERS = FILES["providers.yaml"].replace("gpt-4o: {}", "gpt-4o: {}, gpt-4: {}, gpt-5: {}")
BEFORE, SOON, AFTER = date(2026, 11, 1), date(2026, 12, 1), date(2027, 2, 1)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def loaded(workspace: Workspace, **changed: str | None) -> Catalog:
    files = {name.replace("__", "/") + ".yaml": text for name, text in changed.items()}
    return workspace.load({"retirements.yaml": DATES, "providers.yaml": PROVIDERS, **files})


@pytest.mark.parametrize(
    ("day", "word"),
    [
        (date(2026, 11, 14), None),
        (date(2026, 11, 15), "soon"),
        (date(2027, 1, 13), "soon"),
        (date(2027, 1, 14), "retired"),
        (date(2030, 1, 1), "retired"),
    ],
)
def test_a_model_is_soon_retired_sixty_days_before(
    workspace: Workspace, day: date, word: str | None
) -> None:
    stage = stage_of(Target("openai", "gpt-4o"), loaded(workspace), day)
    assert (stage and stage.word) == word


def test_a_model_of_another_provider_with_that_name_is_not(workspace: Workspace) -> None:
    assert stage_of(Target("echo", "gpt-4"), loaded(workspace), AFTER) is None


def test_a_provider_of_the_same_vendor_has_the_same_dates(workspace: Workspace) -> None:
    reseller = PROVIDERS + "  reseller: {dialect: openai_chat, vendor: openai, any_model: true}\n"
    reseller = reseller.replace("vendor: openai,", "vendor: openai, base_url: http://x.example/v1,")
    catalog = workspace.load({"retirements.yaml": DATES, "providers.yaml": reseller})
    stage = stage_of(Target("reseller", "gpt-4"), catalog, AFTER)
    assert stage is not None
    assert (
        str(stage) == f"is retired since 2026-10-23 ({catalog.retirements['openai/gpt-4'].source})"
    )


ROUTING = FILES["routing/default.yaml"]
PLACES: list[tuple[dict[str, str | None], str, int]] = [
    ({}, "routing/default.yaml", 5),
    (
        {"routing/default.yaml": ROUTING + "  old: {echo: echo-1, openai: gpt-4}\n"},
        "routing/default.yaml",
        6,
    ),
    (
        {
            "routing/default.yaml": ROUTING
            + "routes:\n  - {task_type: x, targets: [openai/gpt-4]}\n"
        },
        "routing/default.yaml",
        7,
    ),
    (
        {
            "routing/default.yaml": ROUTING
            + "routes:\n  - task_type: x\n    provider: openai\n    model: gpt-4\n"
        },
        "routing/default.yaml",
        9,
    ),
    (
        {"routing/default.yaml": ROUTING + "fallback:\n  echo/echo-1: [openai/gpt-4]\n"},
        "routing/default.yaml",
        7,
    ),
    (
        {
            "routing/default.yaml": ROUTING
            + "aliases:\n  - {openai: [gpt-4, gpt-5], echo: echo-1}\n"
        },
        "routing/default.yaml",
        7,
    ),
    (agent(model="gpt-4"), "agents/a.yaml", 5),
    (
        {"workflows/digest.yaml": FILES["workflows/digest.yaml"] + "model: openai/gpt-4\n"},
        "workflows/digest.yaml",
        5,
    ),
    (
        {"policies/all.yaml": "policies:\n  - name: some\n    allowed_models: [gpt-4, echo-1]\n"},
        "policies/all.yaml",
        2,
    ),
    (
        {"policies/all.yaml": "policies:\n  - name: some\n    requirements: {pii: [gpt-4]}\n"},
        "policies/all.yaml",
        2,
    ),
]


@pytest.mark.parametrize(("changed", "file", "line"), PLACES)
def test_each_place_that_names_such_a_model_is_warned_of(
    workspace: Workspace, changed: dict[str, str | None], file: str, line: int
) -> None:
    catalog = workspace.load({"retirements.yaml": DATES, "providers.yaml": PROVIDERS, **changed})
    warnings = warnings_of(catalog, AFTER)
    assert any(f"{file}:{line}: openai/gpt-4" in each for each in warnings), warnings
    assert warnings_of(catalog, date(2020, 1, 1)) == []


def test_a_run_is_told_of_two_places_and_how_many_more_there_are() -> None:
    assert in_short(["a", "b"]) == ["a", "b"]
    first, second, rest = in_short(["a", "b", "c", "d"])
    assert (first, second) == ("a", "b")
    assert rest.startswith("2 more places name models")
    assert "catalog validate" in rest


def test_what_an_alias_stands_for_may_be_as_old_as_it_likes(workspace: Workspace) -> None:
    aliases = ROUTING.replace("gpt-4o", "gpt-5")
    aliases += "aliases:\n  - {openai: [gpt-5, gpt-4], echo: echo-1}\n"
    assert warnings_of(loaded(workspace, routing__default=aliases), AFTER) == []


def test_a_catalog_without_dates_warns_of_nothing(workspace: Workspace) -> None:
    assert warnings_of(workspace.load(), AFTER) == []


def test_the_shipped_catalog_named_no_such_model_when_its_dates_were_written() -> None:
    assert warnings_of(load_catalog(SHIPPED_CATALOG), date(2026, 11, 29)) == []


async def test_a_system_logs_them_when_it_opens(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    old = "retirements:\n  openai:\n    gpt-4o: 2020-01-01\n"
    changed = {"retirements.yaml": old, "agents/main/digest-mag.yaml": None}
    changed |= {"skills/documents.yaml": None, "workflows/digest.yaml": None}
    with caplog.at_level(logging.WARNING):
        async with running(workspace.load(changed), environ={}):
            pass
    (record,) = [each for each in caplog.records if each.name == "runtime.catalog"]
    assert "openai/gpt-4o is retired since 2020-01-01" in record.getMessage()


def test_agents_and_tools_that_only_a_policy_names_are_doubted(workspace: Workspace) -> None:
    """Only code may have them; a slip of the pen it may be, too."""
    policies = """\
policies:
  - name: money
    thresholds: {max_cost_per_agent_daily_usd: {digest-mga: 1, digest-mag: 1, invoke: 1, "*": 9}}
  - name: tools
    tool_permissions: {tools: {find-documents: always, find-document: never, "x*": never}}
"""
    first, second = doubts_of(workspace.load({"policies/all.yaml": policies}))
    assert "policies/all.yaml:2: policy money names agent 'digest-mga'" in first
    assert "policies/all.yaml:4: policy tools names skill 'find-document'" in second


def test_validating_prints_them_and_is_still_right(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    old = "retirements:\n  openai:\n    gpt-4o: 2020-01-01\n"
    changed = {"retirements.yaml": old, "agents/main/digest-mag.yaml": None}
    changed |= {"skills/documents.yaml": None, "workflows/digest.yaml": None}
    workspace.load(changed)
    code, out, err = Cli(workspace.root, capsys)(
        "catalog", "validate", "--catalog", str(workspace.catalog)
    )
    assert (code, out.endswith(": ok\n")) == (0, True)
    assert err.startswith("warning: ")
    assert "routing/default.yaml:5: openai/gpt-4o is retired since 2020-01-01" in err
