"""``flow gate``: every kind of rule passes and fails, and a malformed one has its place told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from runtime.governance.summary import Summary
from tests.cli_workspace import Cli, make_workspace

if TYPE_CHECKING:
    from pathlib import Path

EMPTY: dict[str, Any] = {
    "since": None,
    "agent": None,
    "workflow": None,
    "runs": 0,
    "running": 0,
    "successes": 0,
    "success_rate": None,
    "avg_latency_ms": None,
    "errors": {"total": 0, "by_type": {}},
    "tools": {"calls": 0, "errors": 0},
    "steps": [],
    "models": [],
    "model_stats": {},
    "costs": {"cost_usd": 0, "counted_usd": 0, "unpriced_calls": 0},
    "run_costs": [],
    "spending": [],
    "left_out": 0,
    "uses": [],
}


def step(name: str, runs: int = 10, errors: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "runs": runs,
        "successes": runs - errors,
        "errors": errors,
        "success_rate": (runs - errors) / runs,
        "avg_latency_ms": 100.0,
        "error_types": {},
        "tools": {"calls": 0, "errors": 0},
        "models": [],
        **fields,
    }


def use(model: str, *data_classes: str, provider: str = "openai", **fields: Any) -> dict[str, Any]:
    return {
        "provider": provider,
        "model": model,
        "region": "",
        "data_classes": list(data_classes),
        "calls": 3,
        "unpriced_calls": 0,
        **fields,
    }


def run_cost(dollars: float, unpriced: int = 0) -> dict[str, Any]:
    return {
        "run_id": "r-1",
        "target": "letters",
        "cost_usd": dollars,
        "counted_usd": dollars,
        "unpriced_calls": unpriced,
    }


def spent(
    subject: str, name: str, window: str, dollars: float, unpriced: int = 0
) -> dict[str, Any]:
    return {
        "subject": subject,
        "name": name,
        "window": window,
        "counted_usd": dollars,
        "unpriced_calls": unpriced,
    }


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.chdir(tmp_path)
    return Cli(tmp_path, capsys)


def gated(cli: Cli, policy: str, **summary: Any) -> tuple[int, str, str]:
    """Return what the gate says of a summary in which some things are as given."""
    (cli.workspace / "policy.yaml").write_text(policy)
    (cli.workspace / "summary.json").write_text(json.dumps(EMPTY | summary))
    return cli("flow", "gate", "summary.json", "--policy", "policy.yaml")


# What passes, what does not, and the line and the words that say so.
RULES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("min_runs: 2", {"runs": 2}, {"runs": 1}, "1: min_runs: there are 1 runs, fewer than 2"),
    (
        "min_success_rate: 0.95",
        {"runs": 20, "success_rate": 0.95},
        {"runs": 20, "success_rate": 0.90},
        "1: min_success_rate: 90.00% of 20 runs were successful, less than 95.00%",
    ),
    (
        "min_success_rate: 0.95",
        {"runs": 1, "success_rate": 1.0},
        {},
        "1: min_success_rate: no run is over, less than 95.00%",
    ),
    (
        "max_avg_latency_ms: 250",
        {"avg_latency_ms": 250.0},
        {"avg_latency_ms": 250.1},
        "1: max_avg_latency_ms: runs took 250.1 ms on average, more than 250.0 ms",
    ),
    (
        "required_steps:\n  - plan\n  - write",
        {"steps": [step("plan"), step("write")]},
        {"steps": [step("plan")]},
        "3: required_steps: step 'write' has not run",
    ),
    (
        "per_step:\n  write:\n    max_error_rate: 0.1",
        {"steps": [step("write", 10, 1), step("plan", 10, 9)]},
        {"steps": [step("write", 10, 2)]},
        (
            "3: per_step.write.max_error_rate: 20.00% of the 10 runs of step 'write' failed,"
            " more than 10.00%"
        ),
    ),
    (
        "per_step:\n  default: {max_avg_latency_ms: 100}",
        {"steps": [step("write")]},
        {"steps": [step("write", avg_latency_ms=100.5)]},
        (
            "2: per_step.default.max_avg_latency_ms: step 'write' took 100.5 ms on average,"
            " more than 100.0 ms"
        ),
    ),
    (
        "per_step:\n  default: {max_mcp_error_rate: 0.5}",
        {"steps": [step("write", tools={"calls": 2, "errors": 1})]},
        {"steps": [step("write", tools={"calls": 4, "errors": 3})]},
        (
            "2: per_step.default.max_mcp_error_rate: 75.00% of 4 uses of tools of step 'write'"
            " failed, more than 50.00%"
        ),
    ),
    (
        "mcp:\n  max_error_rate: 0",
        {"tools": {"calls": 9, "errors": 0}},
        {"tools": {"calls": 9, "errors": 1}},
        "2: mcp.max_error_rate: 11.11% of 9 uses of tools failed, more than 0.00%",
    ),
    (
        'models:\n  denylist: ["o1-*"]',
        {"uses": [use("gpt-4o")]},
        {"uses": [use("gpt-4o"), use("o1-preview")]},
        "2: models.denylist: model openai/o1-preview was asked, and 'o1-*' is denied",
    ),
    (
        'models:\n  allowlist: ["gpt-*", anthropic/claude-haiku-4-5]',
        {"uses": [use("gpt-4o"), use("claude-haiku-4-5", provider="anthropic")]},
        {"uses": [use("claude-haiku-4-5", provider="reseller")]},
        "2: models.allowlist: model reseller/claude-haiku-4-5 was asked, and is not allowed",
    ),
    (
        "policies:\n  - name: some\n    allowed_models: [gpt-4o]",
        {"uses": [use("gpt-4o")]},
        {"uses": [use("gpt-4o"), use("gpt-4"), use("gpt-4", "pii")]},
        "2: some: gpt-4 is not among the models: gpt-4o (6 calls)",
    ),
    (
        "policies:\n  - name: money\n    thresholds: {max_cost_per_run_usd: 5.0}",
        {"run_costs": [run_cost(5.0), run_cost(0.1)]},
        {"run_costs": [run_cost(5.000000001)]},
        "2: money: run r-1 of letters cost $5.000000001, more than $5 a run",
    ),
    (
        "policies:\n  - name: money\n    thresholds: {max_cost_per_agent_daily_usd: 100.0}",
        {
            "spending": [
                spent("agent", "a", "2026-11-01", 100.0),
                spent("agent", "a", "2026-11-02", 99.0),
                spent("provider", "a", "2026-11-01", 999.0),
            ]
        },
        {"spending": [spent("agent", "a", "2026-11-01", 100.01)]},
        "2: money: agent a on 2026-11-01 cost $100.01, more than $100 a day",
    ),
    (
        (
            "policies:\n  - name: money\n    thresholds:\n"
            "      max_cost_per_provider_monthly_usd: {openai: 10, '*': 1}"
        ),
        {
            "spending": [
                spent("provider", "openai", "2026-11", 6.0),
                spent("provider", "openai", "2026-12", 6.0),
                spent("provider", "openai", "2026-12-01", 99.0),
            ]
        },
        {
            "spending": [
                spent("provider", "openai", "2026-11", 12.0),
            ]
        },
        "2: money: provider openai on 2026-11 cost $12, more than $10 a month",
    ),
    (
        "policies:\n  - name: money\n    thresholds: {max_cost_per_tenant_daily_usd: {acme: 1}}",
        {"spending": [spent("tenant", "other", "2026-11-01", 5.0)]},
        {"spending": [spent("tenant", "acme", "2026-11-01", 5.0)]},
        "2: money: tenant acme on 2026-11-01 cost $5, more than $1 a day",
    ),
    (
        "policies:\n  - name: money\n    thresholds: {max_cost_per_run_usd: 5.0}",
        {"run_costs": [run_cost(1.0)]},
        {"run_costs": [run_cost(1.0, unpriced=2)]},
        "2: money: run r-1 of letters cost nobody knows what: 2 of its calls have no known price",
    ),
    (
        "policies:\n  - name: money\n    thresholds: {on_unknown_price: deny}",
        {"uses": [use("gpt-4o")]},
        {"uses": [use("mystery", unpriced_calls=3)]},
        "2: money: nobody knows the price of openai/mystery (3 calls)",
    ),
    (
        'policies:\n  - name: data\n    requirements: {pii_processing: ["llama3.1:70b"]}',
        {"uses": [use("llama3.1:70b", "pii_processing"), use("gpt-4o"), use("gpt-4o", "public")]},
        {"uses": [use("gpt-4o", "pii_processing")]},
        "2: data: gpt-4o may not see pii_processing, only llama3.1:70b may (3 calls)",
    ),
    (
        "policies:\n  - name: data\n    residency: {pii_processing: [local, eu]}",
        {"uses": [use("m", "pii_processing", region="eu"), use("m", region="us")]},
        {"uses": [use("m", "pii_processing", region="us")]},
        "2: data: openai/m is in us; pii_processing stays in eu, local (3 calls)",
    ),
]


@pytest.mark.parametrize(("policy", "right", "wrong", "line"), RULES)
def test_each_rule_passes_and_fails(
    cli: Cli, policy: str, right: dict[str, Any], wrong: dict[str, Any], line: str
) -> None:
    code, out, err = gated(cli, policy, **right)
    assert (code, out) == (0, "GOVERNANCE GATE PASSED\n")
    assert err.endswith(" model calls were checked\n")
    code, out, err = gated(cli, policy, **wrong)
    assert (code, out) == (2, f"policy.yaml:{line}\n")
    assert err.endswith("\nGOVERNANCE GATE FAILED: 1 violation\n")


def test_every_violation_is_a_line_of_its_own(cli: Cli) -> None:
    policy = "min_runs: 1\npolicies:\n  - name: some\n    allowed_models: [gpt-4o]\n"
    code, out, err = gated(cli, policy, uses=[use("a\nb"), use("c")])
    assert code == 2
    assert len(out.splitlines()) == 3
    assert err.endswith("\nGOVERNANCE GATE FAILED: 3 violations\n")


def test_a_named_step_s_rules_replace_the_default_ones(cli: Cli) -> None:
    policy = "per_step: {default: {max_error_rate: 0}, write: {max_avg_latency_ms: 1000}}"
    assert gated(cli, policy, steps=[step("write", 10, 9)])[0] == 0
    assert gated(cli, policy, steps=[step("plan", 10, 1)])[0] == 2


@pytest.mark.parametrize("allowing", ["on_unknown_price: allow", "unknown_price_usd_per_mtok: 50"])
def test_a_policy_that_lets_unknown_prices_be_lets_them_be_everywhere(
    cli: Cli, allowing: str
) -> None:
    policy = "policies:\n  - name: money\n    thresholds: {max_cost_per_run_usd: 5.0}\n"
    policy += f"  - name: unknown\n    thresholds: {{{allowing}}}\n"
    assert gated(cli, policy, run_costs=[run_cost(1.0, unpriced=2)])[0] == 0


def test_what_a_summary_does_not_tell_is_said_and_not_passed_over(cli: Cli) -> None:
    policy = "policies:\n  - name: old\n    retired: deny\n"
    code, out, err = gated(cli, policy)
    assert (code, out) == (0, "GOVERNANCE GATE PASSED\n")
    assert "note: policy old is about what a summary does not tell" in err


def test_a_summary_that_leaves_rows_out_does_not_pass_a_limit(cli: Cli) -> None:
    policy = "policies:\n  - name: money\n    thresholds: {max_cost_per_run_usd: 5.0}\n"
    code, out, _ = gated(cli, policy, left_out=3)
    assert (code, out) == (
        2,
        "left_out: summary: the summary leaves 3 rows out; write one of a shorter time\n",
    )
    assert gated(cli, "min_runs: 0\n", left_out=3)[0] == 0


MALFORMED = [
    ("policies:\n  - name: x\n    allowed_model: [a]\n", 2, "did you mean 'allowed_models'"),
    ("policies:\n  - name: x\n", 2, "exactly one of"),
    ("policies: []\n", 1, "policies"),
    (
        "policies:\n  - name: x\n    thresholds: {max_cost_per_run_usd: cheap}\n",
        3,
        "an amount of US dollars",
    ),
    ("policies:\n  - name: x\n    thresholds: {max_cost_per_run_usd: -1}\n", 3, "at least 0"),
    ("policies:\n  - name: x\n    thresholds: {}\n", 3, "say nothing"),
    ("min_success_rate: 95\n", 1, "min_success_rate"),
    ("min_runs: many\n", 1, "min_runs"),
    ("\nminimum_runs: 3\n", 2, "minimum_runs"),
    ("per_step:\n  write:\n    max_errors: 1\n", 3, "max_errors"),
    ("models:\n  denylist: o1\n", 2, "denylist"),
    ("{}\n", 1, "no rule"),
    ("description: nothing else\n", 1, "no rule"),
    ("- a\n- list\n", 1, "mapping"),
    ("", 1, "empty"),
    ("policies:\n  - name: x\n   allowed_models: [a]\n", 3, ""),
    ("policies: [\n", 2, ""),
    ("\tmin_runs: 1\n", 1, ""),
]


@pytest.mark.parametrize(("policy", "line", "said"), MALFORMED)
def test_a_malformed_policy_exits_with_1_and_its_line(
    cli: Cli, policy: str, line: int, said: str
) -> None:
    code, out, err = gated(cli, policy)
    assert (code, out) == (1, "")
    first = err.splitlines()[0]
    assert first.startswith(f"error: policy.yaml:{line}:"), err
    assert said in err


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        ("{", "line 1 column 1"),
        ("", "Invalid JSON"),
        ("[]", "summary.json"),
        ("{}", "summary.json: runs: "),
        (json.dumps(EMPTY | {"runs": "many"}), "summary.json: runs: "),
        (json.dumps(EMPTY | {"runs": -1}), "summary.json: runs: "),
        (json.dumps(EMPTY | {"steps": [step("a") | {"runs": None}]}), "summary.json: steps.0.runs"),
        (json.dumps(EMPTY | {"more": 1}), "summary.json: more: "),
        (json.dumps(EMPTY | {"success_rate": float("nan")}), "summary.json: "),
        ('{"model_stats": {"gpt-4o": {"calls": 1}}}', "summary.json: model_stats.gpt-4o.errors"),
    ],
)
def test_a_malformed_summary_exits_with_1_and_its_place(cli: Cli, summary: str, said: str) -> None:
    (cli.workspace / "policy.yaml").write_text("min_runs: 0\n")
    (cli.workspace / "summary.json").write_text(summary)
    code, out, err = cli("flow", "gate", "summary.json", "--policy", "policy.yaml")
    assert (code, out) == (1, "")
    assert said in err
    assert all(line.startswith("error: summary.json: ") for line in err.splitlines())


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["gone.json", "--policy", "policy.yaml"], "gone.json: No such file"),
        (["summary.json", "--policy", "gone.yaml"], "gone.yaml"),
        (["summary.json", "--policy", "."], "."),
        (["."], "."),
        ([], "SUMMARY"),
    ],
)
def test_files_that_cannot_be_read_exit_with_1(cli: Cli, argv: list[str], said: str) -> None:
    make_workspace(cli.workspace)
    (cli.workspace / "policy.yaml").write_text("min_runs: 0\n")
    (cli.workspace / "summary.json").write_text(json.dumps(EMPTY))
    code, out, err = cli("flow", "gate", *argv)
    assert (code, out) == (1, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_without_a_policy_those_of_the_catalog_count(cli: Cli) -> None:
    make_workspace(cli.workspace)
    policies = cli.workspace / "catalog" / "policies"
    policies.mkdir()
    (policies / "some.yaml").write_text("policies:\n  - name: some\n    allowed_models: [gpt-4o]\n")
    (cli.workspace / "summary.json").write_text(json.dumps(EMPTY | {"uses": [use("gpt-4")]}))
    code, out, _ = cli("flow", "gate", "summary.json")
    assert (code, out.partition(": ")[0]) == (2, "catalog/policies/some.yaml:2")


def test_a_summary_of_real_runs_passes_and_fails(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    make_workspace(cli.workspace)
    monkeypatch.setenv("MAGSAG_DB", str(cli.workspace / "journal.db"))
    cli("run", "asks", "-q")
    assert cli("flow", "summarize", "--output", "summary.json")[0] == 0
    Summary.model_validate_json((cli.workspace / "summary.json").read_bytes())
    (cli.workspace / "policy.yaml").write_text("models: {allowlist: [extract-1]}\n")
    assert cli("flow", "gate", "summary.json", "--policy", "policy.yaml")[0] == 0
    (cli.workspace / "policy.yaml").write_text("models: {allowlist: [echo-1]}\n")
    assert cli("flow", "gate", "summary.json", "--policy", "policy.yaml")[0] == 2
