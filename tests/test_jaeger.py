"""What the runtime sends is what a real Jaeger gives back, and that is what the journal has."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.cli_workspace import ROOT, make_workspace, run_process
from tests.jaeger import CONFIGURATION, Jaeger, needs_jaeger, running_jaeger
from tests.simulated import simulator
from tests.traced_runs import (
    SCENARIO,
    journal_spans,
    journal_tree,
    make_traced_workspace,
    run_traced,
    trace_tree,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COST = "magsag.cost.nano_usd"


@pytest.fixture(scope="module")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    with running_jaeger(tmp_path_factory.mktemp("jaeger")) as jaeger:
        yield jaeger


@pytest.fixture(scope="module")
def traced(jaeger: Jaeger, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("traced")
    with simulator(SCENARIO) as server:
        make_traced_workspace(folder, server.url)
        return folder, run_traced(folder, jaeger.environ)


@needs_jaeger
@pytest.mark.real_time
def test_a_run_in_which_everything_happens_is_the_same_in_jaeger_and_in_the_journal(
    jaeger: Jaeger, traced: tuple[Path, dict[str, Any]]
) -> None:
    folder, outcome = traced
    told = journal_spans(folder, outcome["run_id"])
    expected = journal_tree(told)
    spans = jaeger.trace_when(outcome["trace_id"], lambda got: trace_tree(got) == expected)
    assert trace_tree(spans) == expected
    costs = [span.attributes.get(COST, 0) for span in spans if span.operation == "chat"]
    assert sum(costs) == round(outcome["cost_usd"] * 10**9) > 0
    models = Counter(
        span.attributes["gen_ai.request.model"] for span in spans if span.operation == "chat"
    )
    assert models == {
        "gpt-4o": 5,  # three workers, and a crasher that is started twice
        "gpt-4.1-mini": 3,
        "claude-haiku-4-5": 3,
        "gemini-2.5-flash": 1,
        "gpt-5-nano": 1,
    }


@needs_jaeger
@pytest.mark.real_time
def test_that_run_had_retries_a_fallback_tools_a_crash_a_cancel_and_a_denial(
    traced: tuple[Path, dict[str, Any]],
) -> None:
    folder, outcome = traced
    told = journal_spans(folder, outcome["run_id"])
    assert outcome["output"]["crashed"] == "crashed"
    statuses = Counter((span["operation"], span["name"], span["status"]) for span in told)
    assert statuses["invoke_agent", "slow", "cancelled"] == 1
    assert statuses["invoke_agent", "crasher", "failed"] == 1
    assert statuses["invoke_agent", "recovers", "completed"] == 1
    assert {s["name"]: s["attempts"] for s in told}["recovers"] == 2
    assert statuses["execute_tool", "breaks", "failed"] == 3
    assert statuses["execute_tool", "measure", "completed"] == 3
    assert statuses["chat", "gpt-4.1", "denied"] == 3
    assert any(span["operation"] == "chat" and span["attempts"] > 1 for span in told)
    fallen = [span["instead_of"] for span in told if span["name"] == "claude-haiku-4-5"]
    assert fallen == ["openai/gpt-4.1-mini"] * 3


@needs_jaeger
@pytest.mark.real_time
def test_jaeger_finds_a_run_by_what_its_spans_say(
    jaeger: Jaeger, traced: tuple[Path, dict[str, Any]]
) -> None:
    del traced
    services = jaeger.ask("/api/v3/services")["services"]
    assert "magsag-runtime" in services
    operations = jaeger.ask("/api/v3/operations?service=magsag-runtime")["operations"]
    assert {"invoke_workflow chief", "invoke_agent worker", "chat gpt-4o"} <= {
        each["name"] for each in operations
    }


@needs_jaeger
@pytest.mark.real_time
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_fan_out_of_five_hundred_arrives_whole(
    jaeger: Jaeger, tmp_path: Path, protocol: str
) -> None:
    make_workspace(tmp_path)
    environ = jaeger.grpc_environ if protocol == "grpc" else jaeger.environ
    argv = ("run", "tree", "--run-id", f"fan-{protocol}", "--input", '{"leaves": 500}')
    ended = run_process(tmp_path, *argv, **environ)
    assert ended.returncode == 0, ended.stderr
    told = journal_spans(tmp_path, f"fan-{protocol}")
    expected = journal_tree(told)
    opened = run_process(tmp_path, "trace", "open", f"fan-{protocol}", MAGSAG_TRACE_UI=jaeger.ui)
    assert opened.returncode == 0, opened.stderr
    trace_id = opened.stdout.strip().rpartition("/")[2]
    spans = jaeger.trace_when(trace_id, lambda got: trace_tree(got) == expected)
    assert trace_tree(spans) == expected
    assert len(told) == 502


@needs_jaeger
@pytest.mark.real_time
def test_an_acknowledged_trace_is_still_there_after_jaeger_was_killed(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    argv = ("run", "tree", "--run-id", "kept", "--input", '{"leaves": 20}')
    with running_jaeger(tmp_path) as jaeger:
        assert run_process(tmp_path, *argv, **jaeger.environ).returncode == 0
        jaeger.process.kill()
        jaeger.process.wait()
    expected = journal_tree(journal_spans(tmp_path, "kept"))
    with running_jaeger(tmp_path) as again:
        opened = run_process(tmp_path, "trace", "open", "kept", "--ui", again.ui)
        assert opened.returncode == 0, opened.stderr
        assert trace_tree(again.trace(opened.stdout.strip().rpartition("/")[2])) == expected


def test_the_container_is_reached_from_this_machine_only_and_acknowledges_what_is_stored() -> None:
    (service,) = yaml.safe_load((ROOT / "otel" / "compose.yaml").read_text())["services"].values()
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["volumes"][0] == "./jaeger.yaml:/etc/jaeger/jaeger.yaml:ro"
    assert service["command"] == ["--config", "/etc/jaeger/jaeger.yaml"]
    told = CONFIGURATION.read_text()
    assert yaml.safe_load(told)["service"]["pipelines"]["traces"]["processors"] == []
    assert set(service["environment"]) <= set(re.findall(r"\$\{env:(\w+)", told))


def test_make_jaeger_says_how_to_get_one_where_there_is_none(tmp_path: Path) -> None:
    for tool in ("sh", "dirname", "cat"):
        (tmp_path / tool).symlink_to(f"/bin/{tool}")
    ended = subprocess.run(
        ["/bin/sh", "otel/jaeger.sh"],
        cwd=ROOT,
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "go install github.com/jaegertracing/jaeger/cmd/jaeger" in ended.stderr
    assert "docker" in ended.stderr


def test_a_named_jaeger_gets_the_configuration_and_a_folder_that_it_may_write(
    tmp_path: Path,
) -> None:
    fake = tmp_path / "fake"
    fake.write_text('#!/bin/sh\necho "$JAEGER_DATA" "$@"\n')
    fake.chmod(0o755)
    for tool in ("sh", "dirname", "mkdir"):
        (tmp_path / tool).symlink_to(f"/bin/{tool}")
    environ = {"PATH": str(tmp_path), "HOME": str(tmp_path), "MAGSAG_JAEGER": str(fake)}
    ended = subprocess.run(
        ["/bin/sh", "otel/jaeger.sh"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    data = tmp_path / ".local" / "state" / "magsag" / "jaeger"
    assert ended.stdout == f"{data} --config otel/jaeger.yaml\n"
    assert data.is_dir()
