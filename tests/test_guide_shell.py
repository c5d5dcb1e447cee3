"""The guide's shell blocks, run by bash as they stand in a workspace with recorded runs."""

from __future__ import annotations

import csv
import io
import json
import re
from contextlib import contextmanager
from shutil import which
from typing import TYPE_CHECKING, Any

import pytest

from tests.guide import block, covers
from tests.guide_vendors import KEYS, failing, vendors
from tests.guide_workspace import (
    make_workspace,
    run_command,
    run_shell,
    write_agent,
    write_policy,
)
from tests.loopback import loopback, response
from tests.simulated import Simulated

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from tests.guide_vendors import Vendors
    from tests.loopback import Received

METRICS, STATISTICS = "Model Usage Metrics", "Query Model Statistics"
QUERIES, AUDIT = "Storage Layer Queries", "Audit Trail"
RATE_LIMITS, OVERRUNS = "Rate Limit Issues", "Cost Overruns"
AUTHENTICATION = "Provider Authentication Errors"
needs_jq = pytest.mark.skipif(which("jq") is None, reason="jq is not installed")
needs_curl = pytest.mark.skipif(which("curl") is None, reason="curl is not installed")
RUN = "mag-abc123"
TWO_MODELS = """
def run(payload, *, skills):
    for model in ("gpt-4o", "claude-3-5-sonnet-20241022"):
        skills.invoke("skill.analysis", {**payload, "model_config": {"model": model}})
    return {}
"""
ONE_MODEL = """
def run(payload, *, skills):
    return skills.invoke("skill.analysis", {**payload, "model_config": {"model": "gpt-4o"}})
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a workspace with four runs: two went well, two failed, one of them at its limit."""
    root = make_workspace(tmp_path_factory.mktemp("recorded"))
    write_agent(root, "my-mag", TWO_MODELS)
    write_agent(root, "sensitive-data-mag", ONE_MODEL, data_class="financial_data")
    overloaded = failing("claude-*", "overloaded", nth=2)
    limited = failing("gpt-4o", {"name": "rate_limit", "retry_after": 0.05}, nth=3)
    with vendors(overloaded, limited) as server:
        codes = [
            run_command(root, "my-mag", "--run-id", RUN, **server.environ).returncode,
            run_command(root, "my-mag", "--run-id", "overloaded", **server.environ).returncode,
            run_command(root, "my-mag", "--run-id", "limited", **server.environ).returncode,
            run_command(root, "sensitive-data-mag", **server.environ).returncode,
        ]
    assert codes == [0, 2, 2, 0]
    return root


def shell(workspace: Path, script: str, **environ: str) -> str:
    """Run a script and return what it prints."""
    done = run_shell(workspace, script, **environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


def commands_and_example() -> tuple[str, Any]:
    """Return the commands of the statistics' block, and the example of what they print."""
    commands, _, rest = block(STATISTICS).partition("# Example output")
    return commands, json.loads(rest.partition("\n")[2])


def json_texts(text: str) -> list[Any]:
    """Return the JSON values that stand one after the other in a text."""
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


# --- Observability and Tracking ------------------------------------------------------------------


@covers(METRICS)
@needs_jq
def test_every_metric_that_is_named_is_collected_for_each_model(recorded: Path) -> None:
    names = re.findall(r"^# - (\w+):", block(METRICS), re.MULTILINE)
    assert len(names) == 5
    statistics = json.loads(shell(recorded, commands_and_example()[0]))
    assert statistics
    for metrics in statistics.values():
        assert set(names) <= set(metrics)


@covers(STATISTICS)
@needs_jq
def test_the_statistics_have_the_shape_of_the_example(recorded: Path) -> None:
    commands, example = commands_and_example()
    statistics = json.loads(shell(recorded, commands))
    assert set(statistics) == set(example)
    for name, metrics in example.items():
        assert shape(statistics[name]) == shape(metrics)


@covers(STATISTICS)
@needs_jq
def test_the_statistics_count_what_was_recorded(recorded: Path) -> None:
    statistics = json.loads(shell(recorded, commands_and_example()[0]))
    gpt, claude = statistics["gpt-4o"], statistics["claude-3-5-sonnet-20241022"]
    assert (gpt["calls"], gpt["errors"]) == (4, 1)
    assert (claude["calls"], claude["errors"]) == (2, 1)
    for metrics in (gpt, claude):
        assert metrics["input_tokens"] + metrics["output_tokens"] == metrics["total_tokens"]
        assert metrics["cost_usd"] > 0


def shape(metrics: dict[str, Any]) -> list[tuple[str, type]]:
    return [(name, type(value)) for name, value in metrics.items()]


@covers(QUERIES)
def test_runs_are_found_by_their_agent_and_errors_by_an_expression(recorded: Path) -> None:
    calls, errors = json_texts(shell(recorded, block(QUERIES)))
    assert {call["workflow"] for call in calls} == {"my-mag"}
    assert [call["run_id"] for call in calls] == ["limited", *["overloaded"] * 2, *[RUN] * 2]
    assert {hit["run_id"] for hit in errors} == {"overloaded"}


# --- Governance and Compliance -------------------------------------------------------------------


@covers(AUDIT)
def test_the_audit_trail_of_a_run_is_printed_and_that_of_an_agent_exported(recorded: Path) -> None:
    calls = json.loads(shell(recorded, block(AUDIT)))
    assert [call["run_id"] for call in calls] == [RUN, RUN]
    assert [call["model"] for call in calls] == ["claude-3-5-sonnet-20241022", "gpt-4o"]
    text = (recorded / "audit.csv").read_text(encoding="utf-8")
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["agent"], row["model"]) == ("sensitive-data-mag", "gpt-4o")
    assert (row["status"], row["data_classes"]) == ("completed", "financial_data")


# --- Troubleshooting -----------------------------------------------------------------------------


@covers(RATE_LIMITS)
def test_what_a_rate_limit_has_refused_is_found(recorded: Path) -> None:
    (hits,) = json_texts(shell(recorded, block(RATE_LIMITS)))
    assert {hit["run_id"] for hit in hits} == {"limited"}
    assert "invocation_failed" in {hit["kind"] for hit in hits}


@covers(OVERRUNS)
@needs_jq
def test_the_costs_of_the_models_add_up_and_the_policies_are_kept(recorded: Path) -> None:
    write_policy(recorded, block("Policy Enforcement"))
    statistics = json.loads(shell(recorded, commands_and_example()[0]))
    total, verdict = shell(recorded, block(OVERRUNS)).splitlines()
    cost = sum(metrics["cost_usd"] for metrics in statistics.values())
    assert float(total) == pytest.approx(cost, rel=1e-4)
    assert "PASSED" in verdict


@covers(OVERRUNS)
@needs_jq
def test_the_gate_fails_when_a_model_was_asked_that_no_policy_allows(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    with vendors() as server:
        run_command(tmp_path, "asks-mag", "--model", "o1-preview", **server.environ)
    write_policy(tmp_path, block("Policy Enforcement"))
    shell(tmp_path, commands_and_example()[0])
    done = run_shell(tmp_path, block(OVERRUNS))
    assert done.returncode == 2
    assert "production_models" in done.stdout
    assert "o1-preview" in done.stdout


@covers(AUTHENTICATION)
@needs_curl
def test_keys_are_measured_and_the_models_of_the_vendor_are_listed(tmp_path: Path) -> None:
    with vendors() as server, openai_at(server, tmp_path):
        printed = shell(tmp_path, block(AUTHENTICATION), CURL_HOME=str(tmp_path), **KEYS)
    openai, anthropic, models = printed.split(maxsplit=2)
    assert int(openai) == len(KEYS["OPENAI_API_KEY"]) + 1 > 50
    assert int(anthropic) == len(KEYS["ANTHROPIC_API_KEY"]) + 1 > 100
    assert json.loads(models)["object"] == "list"
    (asked,) = server.asked
    assert (asked.path, asked.key) == ("/v1/models", KEYS["OPENAI_API_KEY"])


@contextmanager
def openai_at(server: Vendors, home: Path) -> Iterator[None]:
    """Lead curl's way to OpenAI to a server, by a ``.curlrc`` and a TLS server in front of it.

    The certificate is for this machine and not for OpenAI's name, so curl must not check it.
    """
    behind = Simulated(server.url)

    def answer(received: Received, _: socket.socket) -> bytes:
        fields = {"authorization": received.headers["authorization"]}
        reply = behind.call(received.method, received.path, **fields)
        return response(reply.status, reply.body, content_type="application/json")

    with loopback(answer, tls=True) as front:
        there = f"connect-to = api.openai.com:443:127.0.0.1:{front.port}"
        (home / ".curlrc").write_text(f'{there}\ninsecure\nnoproxy = "*"\n', encoding="utf-8")
        yield
