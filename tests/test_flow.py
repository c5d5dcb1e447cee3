"""``flow``: runs summed up, workflows run and checked by their names."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from itertools import product
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from runtime.governance.summary import Summary
from runtime.journal import Record, SqliteJournal
from tests.cli_workspace import Cli, command, environment, make_workspace, run_process

if TYPE_CHECKING:
    from pathlib import Path

STATS = {"calls", "errors", "input_tokens", "output_tokens", "total_tokens", "cost_usd"}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.chdir(make_workspace(tmp_path))
    monkeypatch.setenv("MAGSAG_DB", str(tmp_path / "journal.db"))
    return Cli(tmp_path, capsys)


def summary(cli: Cli, *argv: str) -> dict[str, Any]:
    code, out, err = cli("flow", "summarize", *argv)
    assert (code, err) == (0, "")
    Summary.model_validate_json(out)
    found: dict[str, Any] = json.loads(out)
    return found


def note(cli: Cli, *records: Record) -> None:
    """Write records into the journal."""

    async def write() -> None:
        journal = await SqliteJournal.open(cli.workspace / "journal.db")
        for record in records:
            journal.append(record)
        await journal.close()

    anyio.run(write)


# --- summarize -----------------------------------------------------------------------------------


def test_runs_steps_errors_and_models_are_summed_up(cli: Cli) -> None:
    cli("run", "two-leaves", "-q")
    cli("run", "tree", "--input", '{"leaves": 5}', "-q")
    cli("run", "asks", "-q")
    cli("run", "crashes", "-q")
    found = summary(cli)
    assert (found["runs"], found["running"], found["successes"]) == (4, 0, 3)
    assert found["success_rate"] == 0.75
    assert found["avg_latency_ms"] > 0
    assert found["errors"] == {"total": 1, "by_type": {"crashed": 1}}
    steps = {step["name"]: step for step in found["steps"]}
    assert {name: step["runs"] for name, step in steps.items()} == {
        "tree": 2,
        "leaf": 7,
        "asks": 1,
        "crashes": 1,
    }
    assert (steps["leaf"]["errors"], steps["leaf"]["error_types"]) == (1, {"crashed": 1})
    assert steps["leaf"]["success_rate"] == pytest.approx(6 / 7)
    assert steps["asks"]["models"] == ["echo/extract-1"]
    (model,) = found["models"]
    assert (model["name"], model["calls"], model["errors"]) == ("echo/extract-1", 1, 0)
    stats = found["model_stats"]["extract-1"]
    assert set(stats) == STATS
    assert stats["total_tokens"] == stats["input_tokens"] + stats["output_tokens"] > 0
    assert model["tokens"]["total"] == stats["total_tokens"]
    assert stats["cost_usd"] == 0


def test_an_empty_journal_has_an_empty_summary(cli: Cli) -> None:
    code, out, err = cli("flow", "summarize")
    found = json.loads(out)
    assert (code, found["runs"], found["success_rate"], found["model_stats"]) == (0, 0, None, {})
    assert "there is no journal" in err


def test_only_the_runs_of_a_workflow_are_summed_up(cli: Cli) -> None:
    cli("run", "two-leaves", "-q")
    cli("run", "asks", "-q")
    found = summary(cli, "--workflow", "two-leaves")
    assert (found["runs"], found["workflow"], found["model_stats"]) == (1, "two-leaves", {})
    assert [step["name"] for step in found["steps"]] == ["leaf", "tree"]


def test_only_the_work_of_an_agent_and_of_those_below_it_is_summed_up(cli: Cli) -> None:
    cli("run", "two-leaves", "-q")
    cli("run", "asks", "-q")
    assert [step["name"] for step in summary(cli, "--agent", "leaf")["steps"]] == ["leaf"]
    of_tree = summary(cli, "--agent", "tree")
    assert [step["name"] for step in of_tree["steps"]] == ["leaf", "tree"]
    assert (of_tree["runs"], of_tree["model_stats"]) == (1, {})
    assert summary(cli, "--agent", "asks")["model_stats"]["extract-1"]["calls"] == 1
    code, out, err = cli("flow", "summarize", "--agent", "nobody")
    assert (code, json.loads(out)["runs"]) == (0, 0)
    assert err == "warning: the journal has no run of agent 'nobody'\n"


def one_call(run_id: str, at: float) -> tuple[Record, ...]:
    asked = {"provider": "p", "model": run_id, "agent": "a", "reserved_nano_usd": 5}
    answered = {"usage": {"input_tokens": 1, "output_tokens": 2}}
    return (
        Record(run_id, "run_started", "", {"target": "t"}, at),
        Record(run_id, "invocation_started", "chat:1", asked, at),
        Record(run_id, "invocation_completed", "chat:1", answered, at + 1, 3),
        Record(run_id, "run_completed", "", {}, at + 2),
    )


def test_only_what_began_since_then_is_summed_up(cli: Cli) -> None:
    note(cli, *one_call("old", 1_700_000_000), *one_call("new", 1_800_000_000))
    assert set(summary(cli)["model_stats"]) == {"old", "new"}
    since = summary(cli, "--since", "2025-01-01")
    assert (since["runs"], since["since"]) == (1, "2025-01-01T00:00:00.000Z")
    assert since["model_stats"]["new"]["cost_usd"] == 3e-9
    assert since["avg_latency_ms"] == 2_000
    assert [run["run_id"] for run in since["run_costs"]] == ["new"]
    spent = {(each["subject"], each["name"], each["window"]) for each in since["spending"]}
    windows = ("2027-01-15", "2027-01")
    assert spent == {*product(["agent"], "a", windows), *product(["provider"], "p", windows)}


def test_calls_without_a_price_cost_null_and_never_nothing(cli: Cli) -> None:
    records = [Record("r", "run_started", "", {"target": "t"}, 1.0)]
    for number, (model, unpriced, cost) in enumerate(
        [("free", False, 0), ("unknown", True, 0), ("both", True, 0), ("both", False, 7)]
    ):
        op = f"chat:{number}"
        asked = {"provider": "p", "model": model, "agent": "a"}
        records.append(Record("r", "invocation_started", op, asked, 2.0))
        body = {"usage": {"input_tokens": 1}, "unpriced": unpriced}
        records.append(Record("r", "invocation_completed", op, body, 3.0, cost))
    note(cli, *records)
    found = summary(cli)
    costs = {name: stats["cost_usd"] for name, stats in found["model_stats"].items()}
    assert costs == {"free": 0, "unknown": None, "both": 7e-9}
    unpriced = {model["name"]: model["unpriced_calls"] for model in found["models"]}
    assert unpriced == {"p/free": 0, "p/unknown": 1, "p/both": 1}
    assert found["costs"] == {"cost_usd": 7e-9, "counted_usd": 7e-9, "unpriced_calls": 2}


def test_denied_and_cached_calls_are_told_apart_from_those_that_were_made(cli: Cli) -> None:
    asked = {"provider": "p", "model": "m", "agent": "a"}
    failed = {"error": "e", "reason": "rate_limited"}
    note(
        cli,
        Record("r", "run_started", "", {"target": "t"}, 1.0),
        Record("r", "invocation_denied", "denied:1", asked, 2.0),
        Record("r", "invocation_cached", "cached:1", asked, 2.0),
        Record("r", "invocation_started", "chat:1", asked, 2.0),
        Record("r", "invocation_failed", "chat:1", failed, 3.0),
    )
    found = summary(cli)
    (model,) = found["models"]
    counts = {name: model[name] for name in ("calls", "errors", "denied", "cached")}
    assert counts == {"calls": 1, "errors": 1, "denied": 1, "cached": 1}
    assert model["error_types"] == {"rate_limited": 1}
    assert found["model_stats"]["m"]["calls"] == 1
    assert [use["calls"] for use in found["uses"]] == [1]


def test_a_run_whose_process_was_killed_has_failed(cli: Cli) -> None:
    process = subprocess.Popen(
        command("run", "sleeps"),
        cwd=cli.workspace,
        env=environment(MAGSAG_DB=str(cli.workspace / "journal.db")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stderr is not None
            while "the body began" not in process.stderr.readline():
                assert process.poll() is None
            while not (running := summary(cli)["running"]):
                assert process.poll() is None
        finally:
            process.send_signal(signal.SIGKILL)
    assert running == 1
    found = summary(cli)
    assert (found["runs"], found["running"], found["success_rate"]) == (1, 0, 0.0)
    assert found["errors"] == {"total": 1, "by_type": {"lost": 1}}


def test_a_file_gets_the_summary_and_its_name_only_when_it_is_whole(cli: Cli) -> None:
    cli("run", "asks", "-q")
    code, out, err = cli("flow", "summarize", "--output", "summary.json")
    assert (code, out, err) == (0, "", "summary.json: 1 run\n")
    assert json.loads((cli.workspace / "summary.json").read_text()) == summary(cli)
    assert not [*cli.workspace.glob("*.part")]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--since", "yesterday"], "--since 'yesterday' is no time"),
        (["--output", "no/such/folder/s.json"], "cannot be written"),
        (["--output", "."], "is a folder"),
        (["--output", "journal.db"], "is the journal"),
        (["--db", ":memory:"], "keeps nothing"),
        (["--db", "agents"], "is a folder"),
        (["--db", "agents/some.py"], "agents/some.py"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(cli: Cli, argv: list[str], said: str) -> None:
    cli("run", "asks", "-q")
    before = (cli.workspace / "journal.db").stat().st_size
    code, out, err = cli("flow", "summarize", *argv)
    assert (code, out) == (1, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert (cli.workspace / "journal.db").stat().st_size == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110  # no file
def test_a_full_disk_is_said_in_a_line(cli: Cli) -> None:
    cli("run", "asks", "-q")
    with open("/dev/full", "w") as full:  # noqa: PTH123  # no file
        ended = subprocess.run(
            command("flow", "summarize"),
            cwd=cli.workspace,
            env=environment(MAGSAG_DB=str(cli.workspace / "journal.db")),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert ended.returncode != 0
    assert "No space left on device" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


# --- run, list, validate, agent ------------------------------------------------------------------


def test_flow_run_runs_workflows_and_agent_run_runs_agents(cli: Cli) -> None:
    code, out, _ = cli("flow", "run", "two-leaves", "-q")
    assert (code, json.loads(out)) == (0, {"ok": 2})
    code, out, _ = cli("agent", "run", "tree", "--input", '{"leaves": 1}', "-q")
    assert (code, json.loads(out)) == (0, {"ok": 1})


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["flow", "run", "tree"], "no workflow 'tree'"),
        (["agent", "run", "two-leaves"], "no agent 'two-leaves'"),
        (["flow", "run", "two-leafs"], "did you mean 'two-leaves'?"),
        (["flow", "validate", "nobody"], "no workflow 'nobody'"),
        (["flow", "validate", "elsewhere/two-leaves.yaml"], "is not in"),
    ],
)
def test_what_is_of_another_kind_is_refused(cli: Cli, argv: list[str], said: str) -> None:
    code, out, err = cli(*argv)
    assert (code, out) == (1, "")
    assert said in err.splitlines()[-1]


def test_flow_and_agent_list_their_own(cli: Cli) -> None:
    assert "two-leaves" in cli("flow", "list")[1]
    names = [each["name"] for each in json.loads(cli("agent", "list", "--json")[1])["agents"]]
    assert "tree" in names
    assert "two-leaves" not in names


def test_workflows_are_checked_by_name_by_file_or_all(cli: Cli) -> None:
    line = "catalog/workflows/two-leaves.yaml:1: two-leaves: ok\n"
    for named in ([], ["two-leaves"], ["catalog/workflows/two-leaves.yaml"]):
        assert cli("flow", "validate", *named)[:2] == (0, line)


def test_a_workflow_that_is_wrong_is_said_with_its_line(cli: Cli) -> None:
    file = cli.workspace / "catalog" / "workflows" / "two-leaves.yaml"
    file.write_text(file.read_text().replace("agent: tree", "agent: tre"))
    code, out, err = cli("flow", "validate")
    assert (code, out) == (1, "")
    assert err.startswith("error: catalog/workflows/two-leaves.yaml:3:8: ")


@pytest.mark.parametrize("group", ["flow", "agent"])
def test_help_names_every_command(tmp_path: Path, group: str) -> None:
    ended = run_process(tmp_path, group, "--help")
    assert ended.returncode == 0
    assert "run " in ended.stdout
