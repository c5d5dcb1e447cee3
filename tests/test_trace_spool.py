"""``trace status``, ``flush`` and ``export``: what waits in the spool, by its commands."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel import configure_tracing
from otel.span import Link
from tests.cli_workspace import Cli, make_workspace, run_process
from tests.otel_receivers import RUN, Collector, running_collector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.real_time


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.chdir(make_workspace(tmp_path))
    return Cli(tmp_path, capsys)


@pytest.fixture
def spool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    monkeypatch.setenv("MAGSAG_SPOOL", str(folder))
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    return folder


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


def left_behind(spool: Path, spans: int) -> None:
    """Leave spans in the spool, as a process without an endpoint does."""

    async def main() -> None:
        environ = {"MAGSAG_TRACE_EXPORT": "spool", "MAGSAG_SPOOL": str(spool)}
        tracing = configure_tracing(environ)
        root = tracing.start("root", trace_id=RUN)
        for number in range(spans - 1):
            link = Link(root, {"why": "a link"})
            tracing.start(f"span {number}", parent=root, links=[link]).end(
                error_type="late" if number == 0 else None
            )
        root.end()
        await tracing.shutdown()

    anyio.run(main)


def status(cli: Cli) -> dict[str, Any]:
    code, out, _ = cli("trace", "status", "--json")
    assert code == 0
    found: dict[str, Any] = json.loads(out)
    return found


def test_an_empty_spool_has_nothing_to_tell(cli: Cli, spool: Path) -> None:
    told = status(cli)
    assert told.pop("folder") == str(spool)
    assert told.pop("unknown") == []
    assert set(told.values()) == {0}
    code, out, err = cli("trace", "status")
    assert (code, err) == (0, "")
    assert "waiting  0 spans (0 of living processes)" in out


def test_what_waits_is_told_sent_and_gone(cli: Cli, spool: Path, collector: Collector) -> None:
    left_behind(spool, 7)
    left_behind(spool, 3)
    assert (status(cli)["pending"], status(cli)["living"]) == (10, 0)
    code, out, _ = cli("trace", "flush", "--endpoint", collector.endpoint)
    assert (code, out) == (
        0,
        f"10 spans sent to {collector.endpoint}/v1/traces, 0 still waiting\n",
    )
    assert len(collector.collected.spans) == 10
    assert status(cli)["pending"] == 0
    code, out, _ = cli("trace", "flush", "--endpoint", collector.endpoint)
    assert (code, out[:12]) == (0, "0 spans sent")


def test_what_is_not_taken_still_waits(cli: Cli, spool: Path) -> None:
    left_behind(spool, 2)
    nobody = "http://127.0.0.1:9"
    code, out, _ = cli("trace", "flush", "--endpoint", nobody, "--timeout", "0.5")
    assert (code, out) == (1, f"0 spans sent to {nobody}/v1/traces, 2 still waiting\n")
    assert status(cli)["pending"] == 2


def test_what_was_refused_is_sent_again_when_that_is_asked_for(
    cli: Cli, spool: Path, collector: Collector
) -> None:
    left_behind(spool, 4)
    collector.statuses = [400]
    code, out, _ = cli("trace", "flush", "--endpoint", collector.endpoint)
    assert (code, "4 refused" in out) == (1, True)
    assert (status(cli)["pending"], status(cli)["rejected"]) == (0, 4)
    assert cli("trace", "flush", "--endpoint", collector.endpoint)[0] == 0
    assert status(cli)["rejected"] == 4
    code, out, _ = cli("trace", "flush", "--rejected", "--endpoint", collector.endpoint)
    assert (code, out[:12]) == (0, "4 spans sent")
    assert status(cli)["rejected"] == 0


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("flush",), "set OTEL_EXPORTER_OTLP_ENDPOINT or give --endpoint"),
        (("flush", "--endpoint", "nowhere"), "no address to send to"),
        (("export", "spans.json"), "no spans wait in "),
        (("export", "spans.json", "--run", "r"), "no spans of run r wait in "),
    ],
)
def test_what_cannot_be_done_is_one_clear_error(
    cli: Cli, spool: Path, argv: tuple[str, ...], words: str
) -> None:
    code, out, err = cli("trace", *argv)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert words in err
    assert not spool.exists()


def test_an_export_is_what_a_collector_would_have_got(
    cli: Cli, spool: Path, collector: Collector
) -> None:
    left_behind(spool, 3)
    code, _, err = cli("trace", "export", "spans.json")
    assert (code, err) == (0, "spans.json: 3 spans\n")
    told = json.loads((cli.workspace / "spans.json").read_text(encoding="utf-8"))
    (of_resource,) = told["resourceSpans"]
    (of_scope,) = of_resource["scopeSpans"]
    root = next(span for span in of_scope["spans"] if span["name"] == "root")
    assert root["traceId"] == f"{RUN:032x}"
    assert len(root["spanId"]) == 16
    assert root["kind"] == 1
    for span in of_scope["spans"]:
        if span is not root:
            assert span["parentSpanId"] == span["links"][0]["spanId"] == root["spanId"]
    assert cli("trace", "flush", "--endpoint", collector.endpoint)[0] == 0
    sent = {span.span_id.hex(): span.name for span in collector.collected.spans}
    assert {span["spanId"]: span["name"] for span in of_scope["spans"]} == sent


def test_an_export_of_one_run_goes_to_standard_output(cli: Cli, spool: Path) -> None:
    run_id = "01997f2e-0000-7000-8000-000000000001"
    left_behind(spool, 2)
    code, out, _ = cli("trace", "export", "-", "--run", run_id)
    assert code == 0
    assert len(json.loads(out)["resourceSpans"][0]["scopeSpans"][0]["spans"]) == 2
    assert cli("trace", "export", "-", "--run", "other")[0] == 1


def test_the_last_run_and_the_beginning_of_an_id_are_runs_too(cli: Cli, spool: Path) -> None:
    environ = {"MAGSAG_TRACE_EXPORT": "spool", "MAGSAG_SPOOL": str(spool)}
    runs = []
    for _ in range(2):
        done = run_process(
            cli.workspace, "run", "tree", "--input", '{"leaves": 1}', "--json", **environ
        )
        assert done.returncode == 0, done.stderr
        runs.append(json.loads(done.stdout))
    for name, run in (("last", runs[1]), (runs[0]["run_id"][:-4], runs[0])):
        code, out, err = cli("trace", "export", "-", "--run", name, "--db", "journal.db")
        assert code == 0, err
        spans = json.loads(out)["resourceSpans"][0]["scopeSpans"][0]["spans"]
        assert {span["traceId"] for span in spans} == {run["trace_id"]}
    code, _, err = cli("trace", "export", "-", "--run", "0", "--db", "journal.db")
    assert (code, "2 runs begin with '0'" in err) == (1, True)


def test_flush_speaks_http_only(cli: Cli, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left_behind(spool, 1)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    code, out, err = cli("trace", "flush", "--endpoint", "http://127.0.0.1:4317")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "HTTP only" in err


@pytest.mark.parametrize(
    "argv",
    [("status",), ("flush", "--endpoint", "http://127.0.0.1:9"), ("export", "-")],
)
def test_a_spool_that_is_a_file_is_an_error(cli: Cli, spool: Path, argv: tuple[str, ...]) -> None:
    spool.write_text("")
    code, out, err = cli("trace", *argv)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "is no folder; name one in MAGSAG_SPOOL" in err


def test_a_file_that_cannot_be_written_is_named(cli: Cli, spool: Path) -> None:
    left_behind(spool, 1)
    (cli.workspace / "folder").mkdir()
    code, _, err = cli("trace", "export", "folder")
    assert (code, "folder is a folder; name a file in it" in err) == (1, True)


def test_a_run_without_an_endpoint_can_be_looked_at_later(
    tmp_path: Path, collector: Collector
) -> None:
    workspace = make_workspace(tmp_path / "work")
    environ = {"MAGSAG_TRACE_EXPORT": "spool", "MAGSAG_SPOOL": str(tmp_path / "spool")}
    done = run_process(workspace, "run", "tree", "--input", '{"leaves": 3}', "--json", **environ)
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    export = run_process(workspace, "trace", "export", "-", "--run", run["run_id"], **environ)
    spans = json.loads(export.stdout)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert {span["traceId"] for span in spans} == {run["trace_id"]}
    assert sum(span["name"] == "invoke_agent leaf" for span in spans) == 3
    to = ("--endpoint", collector.endpoint)
    flushed = run_process(workspace, "trace", "flush", *to, **environ)
    assert flushed.returncode == 0, flushed.stderr
    assert len(collector.collected.spans) == len(spans)
    assert isinstance(collector.collected.requests[0], ExportTraceServiceRequest)
