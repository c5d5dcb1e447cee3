"""``explain``: whom an agent would ask and why, and that a run then does just that."""

from __future__ import annotations

import json
import re
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli_workspace import Cli

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

AGENT = """\
from runtime import Context, mag, sag


@sag(model="careful")
async def writer(ctx: Context, text: str = "hello") -> str:
    return await ctx.ask(text)


@mag
async def chief(ctx: Context) -> str:
    return (await ctx.delegate(writer, "hello")).output
"""
FILES = {
    "agents/some.py": AGENT,
    "catalog/providers.yaml": """\
providers:
  home:
    dialect: echo
    models: {echo-1: {}, extract-1: {}}
  away:
    dialect: echo
    vendor: openai
    region: eu
    models: {echo-1: {}, extract-1: {}}
    model_names: [gpt-*]
  strange:
    dialect: openai_chat
    base_url: http://127.0.0.1:9/v1
    models: {mystery: {}}
""",
    "catalog/prices.yaml": """\
prices:
  away/echo-1: {input_usd_per_mtok: 2, output_usd_per_mtok: 10}
  away/extract-1: {input_usd_per_mtok: 1, output_usd_per_mtok: 4}
""",
    "catalog/routing/default.yaml": """\
name: default
provider: home
default: fast
tiers:
  fast: {home: extract-1, away: extract-1}
  careful: {home: echo-1, away: echo-1}
routes:
  - task_type: report
    targets: [away/echo-1, home/echo-1]
  - task_type: "poem.*"
    tier: careful
fallback:
  home/extract-1: [home/echo-1]
""",
    "catalog/agents/writer.yaml": """\
name: writer
role: sag
description: Writes.
entrypoint: agents/some.py:writer
""",
    "catalog/agents/chief.yaml": """\
name: chief
role: mag
description: Has others write.
entrypoint: agents/some.py:chief
agents: [writer]
""",
    "catalog/workflows/letters.yaml": """\
name: letters
description: Letters.
agent: writer
budget_usd: 2.50
model: fast
input: {text: a letter}
""",
}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.chdir(tmp_path)
    for name in ("MAGSAG_PROVIDER", "MAGSAG_MODEL", "MAGSAG_ROUTING", "MAGSAG_TENANT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MAGSAG_DB", str(tmp_path / "journal.db"))
    write(tmp_path, FILES)
    return Cli(tmp_path, capsys)


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def line_of(root: Path, name: str, text: str) -> str:
    """Return where a text stands, as ``file:line``."""
    lines = (root / name).read_text().splitlines()
    return f"{name}:{next(n for n, line in enumerate(lines, 1) if text in line)}"


def explained(cli: Cli, *argv: str) -> dict[str, Any]:
    """Return the explanation of the target itself."""
    code, out, err = cli("explain", "--json", *argv)
    assert code in (0, 3, 4), err
    told: dict[str, Any] = json.loads(out)[0]
    return told


def reasons(told: dict[str, Any]) -> dict[str, str]:
    return {each["what"]: each["where"] for each in told["because"]}


WAYS: list[tuple[list[str], dict[str, str], str]] = [
    ([], {}, "home/echo-1"),
    (["--model", "fast"], {}, "home/extract-1"),
    (["--provider", "away"], {}, "away/echo-1"),
    (["--provider", "away", "--model", "extract-1"], {}, "away/extract-1"),
    (["--model", "away/extract-1"], {}, "away/extract-1"),
    ([], {"MAGSAG_MODEL": "fast"}, "home/extract-1"),
    ([], {"MAGSAG_PROVIDER": "away"}, "away/echo-1"),
    (["--model", "fast"], {"MAGSAG_MODEL": "careful"}, "home/extract-1"),
    (["--model", "fast"], {"MAGSAG_PROVIDER": "away"}, "away/extract-1"),
]


@pytest.mark.parametrize(("options", "environ", "target"), WAYS)
def test_a_run_asks_whom_explain_names(
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    environ: dict[str, str],
    target: str,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    told = explained(cli, "writer", *options)
    assert told["asks"] == target
    assert cli("run", "writer", *options, "--run-id", "one")[0] == 0
    with sqlite3.connect(cli.workspace / "journal.db") as journal:
        asked = journal.execute("SELECT provider || '/' || model FROM call").fetchall()
    assert asked == [(target,)]
    said = [*options, *environ.values()]
    strongest = next(value for value in said if not value.startswith("--")) if said else "careful"
    assert any(strongest in what for what in reasons(told))


def test_every_reason_names_the_line_that_says_it(cli: Cli) -> None:
    told = explained(cli, "letters", "--provider", "away")
    root = cli.workspace
    routing, workflow = "catalog/routing/default.yaml", "catalog/workflows/letters.yaml"
    assert reasons(told) == {
        "the command line asks for provider away": "--provider",
        "the workflow asks for fast": line_of(root, workflow, "model: fast"),
        "tier fast of away is extract-1": line_of(root, routing, "fast: {home"),
    }
    overruled = {each["what"]: each["where"] for each in told["overruled"]}
    assert overruled == {
        "the agent's code proposes careful": line_of(root, "agents/some.py", "@sag"),
    }
    assert told["budget"] == {
        "what": "$2.5",
        "where": line_of(root, workflow, "budget_usd"),
    }
    assert told["where"] == "catalog/agents/writer.yaml:1"


def test_the_default_and_its_fallback_are_told(cli: Cli) -> None:
    told = explained(cli, "chief")
    routing = "catalog/routing/default.yaml"
    assert (told["asks"], told["then"]) == ("home/extract-1", ["home/echo-1"])
    where = reasons(told)
    assert where["the routing file's default is fast"] == line_of(
        cli.workspace, routing, "default: fast"
    )
    assert where["the routing file's provider is home"] == f"{routing}:2"
    assert where["when home/extract-1 fails: home/echo-1"] == line_of(
        cli.workspace, routing, "home/extract-1: ["
    )


def test_agents_that_may_be_delegated_to_are_explained_too(cli: Cli) -> None:
    code, out, _ = cli("explain", "chief", "--json")
    assert code == 0
    assert [each["agent"] for each in json.loads(out)] == ["chief", "writer"]


@pytest.mark.parametrize(
    ("context", "target", "what"),
    [
        ({"task_type": "report"}, "away/echo-1", "route report: targets away/echo-1, home/echo-1"),
        ({"task_type": "poem.short"}, "home/echo-1", "route poem.*: tier careful"),
        ({"preferred_model": "away/extract-1"}, "away/extract-1", "the context prefers"),
        ({"llm_overrides": {"model": "fast"}}, "home/extract-1", "llm_overrides ask for fast"),
        ({"cost_tier": "fast"}, "home/extract-1", "cost_tier is fast"),
    ],
)
def test_a_context_counts_as_in_a_delegation(
    cli: Cli, context: dict[str, Any], target: str, what: str
) -> None:
    told = explained(cli, "writer", "--context", json.dumps(context))
    assert told["asks"] == target
    assert any(what in reason for reason in reasons(told)), reasons(told)


def test_the_input_counts_as_in_a_run(cli: Cli) -> None:
    given = {"text": "x", "model_config": {"model": "away/extract-1", "max_tokens": 7}}
    told = explained(cli, "writer", "--input", json.dumps(given), "--model", "careful")
    assert told["asks"] == "away/extract-1"
    assert told["output_tokens"] == 7
    assert reasons(told)["the input's model_config asks for away/extract-1"] == (
        "input: model_config.model"
    )
    assert told["overruled"][0]["where"] == "--model"


def test_what_a_call_may_cost_at_most_is_the_worst_case_that_a_run_reserves(cli: Cli) -> None:
    given = json.dumps({"text": "x" * 1_000})
    told = explained(cli, "writer", "--provider", "away", "--input", given)
    assert told["price"]["output_usd_per_mtok"] == 10
    assert told["price"]["source"] == "catalog/prices.yaml:2"
    prompt, answer = told["prompt_tokens"], told["output_tokens"]
    assert prompt >= 1_000
    assert told["at_most_usd"] == pytest.approx((prompt * 2 + answer * 10) / 1e6, abs=1e-9)
    cli("run", "writer", "--provider", "away", "--input", given)
    with sqlite3.connect(cli.workspace / "journal.db") as journal:
        (reserved,) = journal.execute("SELECT reserved_nano_usd FROM call").fetchone()
    assert reserved <= round(told["at_most_usd"] * 1e9)


POLICY = """\
policies:
  - name: models
    allowed_models: [home/echo-1, "gpt-*"]
  - name: money
    thresholds: {max_cost_per_run_usd: 1.0, max_cost_per_agent_daily_usd: 20.0}
  - name: personal
    requirements: {pii_processing: [home/echo-1]}
"""


def test_policies_that_apply_are_told_with_their_lines(cli: Cli) -> None:
    write(cli.workspace, {"catalog/policies/all.yaml": POLICY})
    context = json.dumps({"data_class": "pii_processing"})
    told = explained(cli, "writer", "--context", context, "--budget-usd", "3")
    assert told["data_classes"] == ["pii_processing"]
    assert told["policies"] == [
        {"what": "models allows it", "where": "catalog/policies/all.yaml:2"},
        {"what": "personal allows it with pii_processing", "where": "catalog/policies/all.yaml:6"},
    ]
    assert told["budget"] == {"what": "$1", "where": "policy money, catalog/policies/all.yaml:4"}
    (limit,) = told["limits"]
    assert (limit["subject"], limit["name"], limit["window"]) == ("agent", "writer", "day")
    assert (limit["limit_usd"], limit["spent_usd"]) == (20.0, 0.0)


def test_what_is_spent_of_a_limit_is_told(cli: Cli) -> None:
    money = POLICY.partition("  - name: personal")[0].replace("home/echo-1", "away/echo-1")
    write(cli.workspace, {"catalog/policies/all.yaml": money})
    assert cli("run", "writer", "--provider", "away")[0] == 0
    (limit,) = explained(cli, "writer", "--provider", "away")["limits"]
    assert 0 < limit["spent_usd"] < 20
    assert limit["reserved_usd"] == 0


def test_a_denial_is_told_with_its_line_and_exits_with_4(cli: Cli) -> None:
    write(cli.workspace, {"catalog/policies/all.yaml": POLICY})
    code, out, _ = cli("explain", "writer", "--model", "fast")
    assert code == 4
    assert "denied" in out
    assert "catalog/policies/all.yaml:2" in out
    assert cli("run", "writer", "--model", "fast")[0] == 4


def test_what_would_have_decided_is_told_of_a_denial_too(cli: Cli) -> None:
    write(cli.workspace, {"catalog/policies/all.yaml": POLICY})
    told = explained(cli, "letters")
    assert (told["asks"], told["passed_over"][0]["target"]) == (None, "home/extract-1")
    assert "the workflow asks for fast" in reasons(told)


def test_data_of_the_agent_that_delegates_is_data_of_those_that_it_asks(cli: Cli) -> None:
    chief = FILES["catalog/agents/chief.yaml"] + "data_class: pii_processing\n"
    write(cli.workspace, {"catalog/policies/all.yaml": POLICY, "catalog/agents/chief.yaml": chief})
    _, out, _ = cli("explain", "chief", "--model", "careful", "--json")
    assert [each["data_classes"] for each in json.loads(out)] == [["pii_processing"]] * 2


def test_an_input_that_a_run_refuses_is_refused(cli: Cli) -> None:
    assert cli("run", "writer", "--input", "[1]")[0] == 1
    code, _, err = cli("explain", "writer", "--input", "[1]")
    assert code == 1
    assert "text" in err


def test_a_payloads_address_is_judged_by_the_provider_that_it_is_of(cli: Cli) -> None:
    rule = "policies:\n  - name: x\n    allowed_models: [home/*, away/*]\n"
    write(cli.workspace, {"catalog/policies/all.yaml": rule})
    given = json.dumps({"model_config": {"model": "mystery", "base_url": "http://127.0.0.1:9/v1"}})
    code, out, _ = cli("explain", "writer", "--input", given)
    assert code == cli("run", "writer", "--input", given)[0] == 4
    assert "strange" in out


# --- money ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("threshold", "argv", "said"),
    [
        ("", ["--budget-usd", "0.001"], "the run's budget is $0.001,"),
        ("max_cost_per_run_usd: 0.001", [], "the run's budget is $0.001 (policy money"),
        ("max_cost_per_agent_daily_usd: 0.001", [], "the budget of agent writer, 20"),
        ("max_cost_per_agent_daily_usd: {writer: 0.001}", [], "the budget of agent writer, 20"),
        ("max_cost_per_provider_monthly_usd: {away: 0.001}", [], "the budget of provider away, 20"),
    ],
)
def test_a_call_that_no_limit_has_room_for_is_told_and_exits_with_3(
    cli: Cli, threshold: str, argv: list[str], said: str
) -> None:
    if threshold:
        rule = f"policies:\n  - name: money\n    thresholds: {{{threshold}}}\n"
        write(cli.workspace, {"catalog/policies/all.yaml": rule})
    code, out, _ = cli("explain", "writer", "--provider", "away", *argv)
    assert code == cli("run", "writer", "--provider", "away", *argv)[0] == 3
    assert said in out


def test_a_routes_target_whose_provider_has_spent_all_is_passed_over(cli: Cli) -> None:
    rule = "thresholds: {max_cost_per_provider_monthly_usd: {away: 0.001}}"
    policy = f"policies:\n  - name: money\n    {rule}\n"
    entry = FILES["catalog/agents/writer.yaml"] + "task_type: report\n"
    files = {"catalog/policies/all.yaml": policy, "catalog/agents/writer.yaml": entry}
    write(cli.workspace, files)
    told = explained(cli, "writer")
    assert told["denied"] is None
    assert "away/echo-1 is passed over: the budget of provider away" in told["warnings"][-1]
    assert cli("run", "writer")[0] == 0
    with sqlite3.connect(cli.workspace / "journal.db") as journal:
        rows = journal.execute("SELECT provider, status FROM call ORDER BY started_at").fetchall()
    assert sorted(rows) == [("away", "denied"), ("home", "completed")]


def test_the_dearest_of_the_targets_counts(cli: Cli) -> None:
    routing = FILES["catalog/routing/default.yaml"] + "  away/extract-1: [away/echo-1]\n"
    write(cli.workspace, {"catalog/routing/default.yaml": routing})
    told = explained(cli, "writer", "--model", "away/extract-1")
    assert told["price"]["output_usd_per_mtok"] == 4
    assert told["at_most_usd"] > told["output_tokens"] * 10 / 1e6


# --- the way from target to target ---------------------------------------------------------------


def test_a_list_of_fallbacks_is_told_with_the_line_of_its_own(cli: Cli) -> None:
    routing = FILES["catalog/routing/default.yaml"] + "  careful: [away/extract-1]\n"
    write(cli.workspace, {"catalog/routing/default.yaml": routing})
    told = explained(cli, "letters")
    name = "catalog/routing/default.yaml"
    assert reasons(told)["when home/extract-1 fails: home/echo-1"] == f"{name}:13"
    assert reasons(told)["when careful fails: away/extract-1"] == f"{name}:14"
    assert "rate_limited" in told["fallback_on"]


def test_who_asks_by_weight_is_told_so(cli: Cli) -> None:
    listed = "[{target: away/echo-1, weight: 3}, home/echo-1]"
    routing = FILES["catalog/routing/default.yaml"].replace("[away/echo-1, home/echo-1]", listed)
    write(cli.workspace, {"catalog/routing/default.yaml": routing})
    told = explained(cli, "writer", "--context", '{"task_type": "report"}')
    assert told["by_weight"]
    row = "route report: targets away/echo-1 (weight 3), home/echo-1, by weight"
    assert row in reasons(told)
    _, out, _ = cli("explain", "writer", "--context", '{"task_type": "report"}')
    assert "asks       one of these by weight: " in out


def test_a_route_whose_targets_are_overruled_still_says_how(cli: Cli) -> None:
    settings = "    use_cache: true\n    fallback_on: [quota]\n"
    routing = FILES["catalog/routing/default.yaml"].replace(
        "[away/echo-1, home/echo-1]\n", f"[away/echo-1, home/echo-1]\n{settings}"
    )
    write(cli.workspace, {"catalog/routing/default.yaml": routing})
    context = '{"task_type": "report"}'
    told = explained(cli, "writer", "--context", context, "--model", "fast")
    assert told["asks"] == "home/extract-1"
    assert (told["cache_ttl_s"], told["fallback_on"]) == (86_400, ["quota"])
    assert "route report: how, not whom" in reasons(told)
    assert told["overruled"][-1]["what"] == "route report: targets away/echo-1, home/echo-1"


def test_half_of_a_wish_may_be_overruled(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = FILES["catalog/workflows/letters.yaml"] + "provider: home\n"
    write(cli.workspace, {"catalog/workflows/letters.yaml": letters})
    monkeypatch.setenv("MAGSAG_PROVIDER", "away")
    told = explained(cli, "letters")
    assert told["asks"] == "away/extract-1"
    assert {"the environment asks for provider away", "the workflow asks for fast"} < {
        *reasons(told)
    }
    assert told["overruled"][0]["what"] == "the workflow asks for provider home"


def test_targets_that_a_route_passes_over_are_told_with_the_reason(cli: Cli) -> None:
    write(cli.workspace, {"catalog/policies/all.yaml": POLICY})
    told = explained(cli, "writer", "--context", '{"task_type": "report"}')
    assert told["asks"] == "home/echo-1"
    (passed,) = told["passed_over"]
    assert passed["target"] == "away/echo-1"
    assert "policy models" in passed["why"]


def test_an_unknown_price_is_told_and_denied_where_a_policy_says_so(cli: Cli) -> None:
    told = explained(cli, "writer", "--model", "mystery")
    assert (told["price"], told["at_most_usd"], told["denied"]) == (None, None, None)
    deny = "policies:\n  - name: money\n    thresholds: {on_unknown_price: deny}\n"
    write(cli.workspace, {"catalog/policies/all.yaml": deny})
    code, out, _ = cli("explain", "writer", "--model", "mystery")
    assert code == 4
    assert "nobody knows the price of strange/mystery" in out
    assert cli("run", "writer", "--model", "mystery")[0] == 4


def test_models_that_are_retired_or_soon_will_be_are_warned_of(cli: Cli) -> None:
    dates = "retirements:\n  openai:\n    echo-1: 2020-01-01\n    extract-1: 2999-01-01\n"
    write(cli.workspace, {"catalog/retirements.yaml": dates})
    told = explained(cli, "writer", "--provider", "away")
    assert told["warnings"] == [
        "away/echo-1 is retired since 2020-01-01 (catalog/retirements.yaml:3)"
    ]
    assert explained(cli, "writer", "--provider", "away", "--model", "fast")["warnings"] == []


def test_a_missing_key_is_a_warning_for_nobody_is_asked(cli: Cli) -> None:
    providers = FILES["catalog/providers.yaml"].replace(
        "    dialect: echo\n    vendor: openai",
        "    dialect: openai_chat\n    base_url: https://api.openai.com/v1\n"
        "    api_key_env: [NO_SUCH_KEY]\n    api_key_required: true\n    vendor: openai",
    )
    write(cli.workspace, {"catalog/providers.yaml": providers})
    told = explained(cli, "writer", "--provider", "away")
    assert told["asks"] == "away/echo-1"
    assert "NO_SUCH_KEY" in told["warnings"][0]


def test_the_page_has_all_of_it_on_lines_with_places(cli: Cli) -> None:
    write(cli.workspace, {"catalog/policies/all.yaml": POLICY})
    code, out, err = cli("explain", "letters", "--model", "careful")
    assert (code, err) == (0, "")
    head, *lines = out.splitlines()
    assert head == "writer, task type writer (catalog/agents/writer.yaml:1)"
    shown = {line[2:13].strip() for line in lines} - {""}
    assert shown == {"asks", "because", "overruled", "costs", "policy", "limit"}
    because = next(line for line in lines if "because" in line)
    assert re.search(r"the command line asks for careful +--model$", because)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["nobody"], "no workflow or agent 'nobody'"),
        (["writer", "--model", "nomodel"], "nomodel"),
        (["writer", "--provider", "hom"], "hom"),
        (["writer", "--routing", "none"], "no routing file is called 'none'"),
        (["writer", "--context", "[1]"], "--context must be a JSON object"),
        (["writer", "--context", "{"], "--context"),
        (["writer", "--input", "-", "--context", "-"], "standard input"),
        (["writer", "--context", '{"llm_overrides": 7}'], "llm_overrides must be an object"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(cli: Cli, argv: list[str], said: str) -> None:
    code, out, err = cli("explain", *argv)
    assert code == 1
    assert out == ""
    assert said in err
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1


def test_explaining_writes_nothing(cli: Cli) -> None:
    before = sorted(cli.workspace.rglob("*"))
    assert cli("explain", "letters")[0] == 0
    after = {path for path in cli.workspace.rglob("*") if "__pycache__" not in path.parts}
    assert after == {path for path in before if "__pycache__" not in path.parts}
