"""``invoke`` in processes of its own: dialects, limits, crashes, signals, pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from runtime.bulk.line import DIALECTS
from tests.cli_workspace import command, environment, make_workspace, run_process
from tests.loopback import loopback, response
from tests.otel_receivers import running_collector
from tests.shipped import CATALOG
from tests.simulated import simulator
from tests.test_cli_terminal import on_a_terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.loopback import Received
    from tests.simulated import Simulated

ECHO = ("--provider", "echo", "--model", "echo-1")
LOOK = {"name": "look", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}}
FULL = """
import resource, sys
from runtime.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path)


def line(id_: Any, text: str = "hi", **fields: Any) -> dict[str, Any]:
    return {"id": id_, "messages": [{"role": "user", "content": text}]} | fields


def write(workspace: Path, lines: list[dict[str, Any]]) -> str:
    (workspace / "in.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    return "in.jsonl"


def bodies(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def in_file(workspace: Path) -> list[dict[str, Any]]:
    return bodies((workspace / "out.jsonl").read_text())


def start(workspace: Path, *argv: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # our own interpreter
        command("invoke", *argv),
        cwd=workspace,
        env=environment(**environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# --- dialects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_every_endpoint_answers_text_and_tool_calls_in_one_shape(
    workspace: Path, *, stream: bool
) -> None:
    with simulator() as server:
        tools = [{"type": "function", "function": LOOK}]
        lines = [
            line(f"{endpoint} {text}", text, endpoint=endpoint, model="m", tools=tools)
            | {"base_url": server.url + ("/v1" if "openai" in dialect else "")}
            for endpoint, dialect in DIALECTS.items()
            for text in ("hi", "[[tools:single]]")
        ]
        argv = ("--jsonl", write(workspace, lines), *(("--stream",) if stream else ()))
        ended = run_process(workspace, "invoke", *argv)
        seen = server.seen()
    assert ended.returncode == 0, ended.stderr
    found = bodies(ended.stdout)
    assert [body["id"] for body in found] == [each["id"] for each in lines]
    assert [body["endpoint"] for body in found] == [each["endpoint"] for each in lines]
    for body, called in zip(found[::2], found[1::2], strict=True):
        assert body["text"]
        assert (body["finish_reason"], body["tool_calls"]) == ("stop", [])
        assert called["finish_reason"] == "tool_calls"
        (call,) = called["tool_calls"]
        assert call["name"] == "look"
        assert isinstance(call["arguments"]["q"], str)
        for each in (body, called):
            assert each["usage"]["output_tokens"] > 0
            assert each["attempts"] == 1
    assert seen.all.requests == len(lines)


def test_the_wires_words_of_an_error_are_kept(workspace: Path) -> None:
    rules = [{"match": {"model": "m"}, "then": {"error": "server_error"}}]
    with simulator({"rules": rules}) as server:
        lines = [line("a", model="m", base_url=f"{server.url}/v1", max_attempts=2)]
        ended = run_process(workspace, "invoke", "--jsonl", write(workspace, lines))
        assert server.seen().all.requests == 2
    (body,) = bodies(ended.stdout)
    assert ended.returncode == 2
    assert (body["ok"], body["attempts"], body["provider"]) == (False, 2, "compat")
    error = body["error"]
    assert (error["class"], error["status"], error["retryable"]) == ("ServerError", 500, True)
    assert error["type"] == "server_error"
    assert error["message"]


def test_a_stream_that_breaks_off_leaves_its_text(workspace: Path) -> None:
    rules = [{"match": {"stream": True}, "then": {"fault": "reset_mid_body", "after": 3}}]
    with simulator({"rules": rules}) as server:
        lines = [line("a", model="m", base_url=f"{server.url}/v1", stream=True)]
        ended = run_process(workspace, "invoke", "--jsonl", write(workspace, lines))
    (body,) = bodies(ended.stdout)
    assert ended.returncode == 2
    assert body["error"]["class"] == "StreamInterrupted"
    assert body["text"]


def test_a_stream_whose_time_is_over_leaves_its_text_and_what_it_took(workspace: Path) -> None:
    rules = [{"match": {"stream": True}, "then": {"fault": "stall_mid_body", "after": 3}}]
    with simulator({"rules": rules}) as server:
        base = {"model": "m", "base_url": f"{server.url}/v1", "stream": True, "timeout": 3}
        ended = run_process(workspace, "invoke", "--jsonl", write(workspace, [line("a", **base)]))
    (body,) = bodies(ended.stdout)
    assert (ended.returncode, body["error"]["class"]) == (2, "DeadlineExceeded")
    assert body["text"]
    assert body["attempts"] == 1
    assert body["usage"]["input_tokens"] > 0


def test_the_prompt_of_a_streamed_call_is_printed_as_it_comes(workspace: Path) -> None:
    pieces = [{"choices": [{"delta": {"content": text}}]} for text in ("One ", "two.")]
    chunks = [b"data: %s\n\n" % json.dumps(piece).encode() for piece in pieces]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"

    def script(_: Received, connection: Any) -> None:
        connection.sendall(head + chunks[0])
        server.released.wait(20)
        connection.sendall(chunks[1] + b"data: [DONE]\n\n")

    with loopback(script) as server:
        argv = ("--provider", "compat", "--model", "m", "--stream", "hi", "--catalog", str(CATALOG))
        process = start(workspace, *argv, MAGSAG_COMPAT_BASE_URL=server.url)
        assert process.stdout is not None
        assert process.stdout.read(4) == "One "
        server.released.set()
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "two.\n"), err


# --- limits and keys -----------------------------------------------------------------------------


def test_the_concurrency_of_an_account_is_what_the_command_line_says(workspace: Path) -> None:
    with simulator({"defaults": {"latency": 0.01}}) as server:
        base = {"model": "m", "base_url": f"{server.url}/v1"}
        lines = [line(number, **base) for number in range(40)]
        argv = ("--jsonl", write(workspace, lines), "--max-concurrency", "3")
        ended = run_process(workspace, "invoke", *argv)
        seen = server.seen()
    assert ended.returncode == 0
    assert seen.all.requests == 40
    assert seen.in_flight_peak <= 3


def test_a_line_fails_when_its_own_time_is_over(workspace: Path) -> None:
    with simulator({"defaults": {"latency": 20}}) as server:
        base = {"model": "m", "base_url": f"{server.url}/v1", "timeout": 0.2}
        ended = run_process(workspace, "invoke", "--jsonl", write(workspace, [line("a", **base)]))
    (body,) = bodies(ended.stdout)
    assert (ended.returncode, body["error"]["class"]) == (2, "DeadlineExceeded")


def test_a_key_is_sent_to_this_machine_and_is_nowhere_in_the_output(workspace: Path) -> None:
    with simulator() as server:
        lines = [line("a", provider="openai", model="gpt-4o", base_url=f"{server.url}/v1")]
        argv = ("invoke", "--jsonl", write(workspace, lines))
        ended = run_process(workspace, *argv, OPENAI_API_KEY="sk-very-secret")
        assert list(server.seen().by_key) == ["sk-very-secret"]
    assert ended.returncode == 0
    assert bodies(ended.stdout)[0]["cost_usd"] > 0
    assert "sk-very-secret" not in ended.stdout + ended.stderr


def test_a_bound_of_calls_in_flight_does_not_storm_a_server_whose_limit_nobody_knows(
    workspace: Path,
) -> None:
    limits = {"rpm": 1_200, "burst": 1, "per": []}
    with simulator({"defaults": {"latency": 0.05, "limits": limits}}) as server:
        lines = [line(number, model="m", base_url=f"{server.url}/v1") for number in range(200)]
        argv = ("--concurrency", "200", "--max-concurrency", "200")
        ended = run_process(workspace, "invoke", "--jsonl", write(workspace, lines), *argv)
        seen = server.seen()
    assert ended.returncode == 0, ended.stderr
    assert all(body["ok"] for body in bodies(ended.stdout))
    assert sum(seen.refused.values()) <= len(lines) // 20


# --- outages -------------------------------------------------------------------------------------


def test_a_server_that_fails_at_first_costs_no_lines(workspace: Path) -> None:
    failing = {"match": {"nth": {"first": 1, "last": 8}}, "then": {"error": "server_error"}}
    with simulator({"defaults": {"latency": 0.05}, "rules": [failing]}) as server:
        lines = [line(number, model="m", base_url=f"{server.url}/v1") for number in range(100)]
        source = write(workspace, lines)
        ended = run_process(workspace, "invoke", "--jsonl", source, "--concurrency", "100")
        assert server.seen().errors == {"server_error": 8}
    answered = sum(body["ok"] for body in bodies(ended.stdout))
    assert answered >= 98, ended.stderr


def test_an_outage_of_seconds_costs_hardly_a_line(workspace: Path) -> None:
    def outage(seconds: float) -> dict[str, Any]:
        failing = {"match": {"between": [0, seconds]}, "then": {"error": "server_error"}}
        return {"defaults": {"latency": 0.05}, "rules": [failing]}

    with simulator(outage(600)) as server:
        lines = [line(number, model="m", base_url=f"{server.url}/v1") for number in range(300)]
        argv = ("--jsonl", write(workspace, lines), "--concurrency", "100")
        process = start(workspace, *argv)
        while not server.seen().all.requests:
            assert_goes_on(process)
        server.swap(outage(3))  # its seconds begin now
        out, err = process.communicate(timeout=60)
    answered = sum(body["ok"] for body in bodies(out))
    assert (len(bodies(out)), answered >= 290) == (300, True), err


# --- going on ------------------------------------------------------------------------------------


def test_of_a_command_that_was_killed_only_what_was_in_flight_is_asked_again(
    workspace: Path,
) -> None:
    held = {
        "match": {"model": "slow", "nth": {"first": 1, "last": 2}},
        "then": {"latency": 600},
    }
    with simulator({"rules": [held]}) as server:
        base = {"base_url": f"{server.url}/v1"}
        models = ["slow" if number in (0, 7) else "quick" for number in range(30)]
        lines = [line(number, model=model, **base) for number, model in enumerate(models)]
        argv = ("--jsonl", write(workspace, lines), "--output", "out.jsonl")
        process = start(workspace, *argv)
        await_lines(process, workspace, 28)
        process.kill()
        process.communicate(timeout=30)
        answered = {body["id"] for body in in_file(workspace)}
        assert answered == set(range(30)) - {0, 7}
        with (workspace / "out.jsonl").open("a") as stream:
            stream.write('{"id": 0, "ok": true, "te')
        assert requests(server) == {"quick": 28, "slow": 2}
        ended = run_process(workspace, "invoke", *argv)
        assert requests(server) == {"quick": 28, "slow": 4}
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.startswith("30 lines: 30 ok, 0 failed, 28 of them settled before, ")
    assert [body["id"] for body in in_file(workspace)] == list(range(30))
    assert sorted(file.name for file in workspace.glob("out*")) == ["out.jsonl"]


def requests(server: Simulated) -> dict[str, int]:
    """Return how often each model was asked since the server began."""
    return {model: seen.requests for model, seen in server.seen().by_model.items()}


def await_lines(process: subprocess.Popen[str], workspace: Path, count: int) -> None:
    """Return once so many answers are in the file of a process that goes on."""
    file = workspace / "out.jsonl"
    while not file.exists() or file.read_bytes().count(b"\n") < count:
        assert_goes_on(process)


def assert_goes_on(process: subprocess.Popen[str]) -> None:
    """Give a process a moment, in which it must not end."""
    with suppress(subprocess.TimeoutExpired):
        pytest.fail(f"it ended early, with {process.wait(timeout=0.02)}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_writes_what_was_answered_in_order(
    workspace: Path, number: signal.Signals
) -> None:
    held = {"match": {"model": "slow"}, "then": {"latency": 600}}
    with simulator({"rules": [held]}) as server:
        base = {"base_url": f"{server.url}/v1"}
        lines = [line(5, model="slow", **base), line(4, model="m", **base), line(3, **base)]
        lines[2] |= {"model": "m"}
        argv = ("--jsonl", write(workspace, lines), "--output", "out.jsonl")
        process = start(workspace, *argv)
        await_lines(process, workspace, 2)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert [body["id"] for body in in_file(workspace)] == [4, 3]
    assert "out.jsonl has every answer so far; the same command goes on from there" in err


def test_answers_come_while_standard_input_is_still_open(workspace: Path) -> None:
    process = start(workspace, *ECHO, "--jsonl", "-")
    assert process.stdin is not None
    assert process.stdout is not None
    for number in range(3):
        process.stdin.write(json.dumps(line(number)) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == number
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, ""), err


def test_a_signal_ends_a_command_whose_input_never_ends(workspace: Path) -> None:
    process = start(workspace, *ECHO, "--jsonl", "-")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(line("a")) + "\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["ok"] is True
    process.send_signal(signal.SIGINT)
    process.wait(timeout=30)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err


# --- outputs -------------------------------------------------------------------------------------


def test_a_reader_that_leaves_early_ends_the_calls_without_an_error(workspace: Path) -> None:
    lines = [line(number, "x" * 1_000) for number in range(2_000)]
    argv = ("--jsonl", write(workspace, lines))
    with start(workspace, *ECHO, *argv) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["id"] == 0
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 0
    assert err.count("\n") == 1, "the summary"
    assert "rror" not in err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a full device")  # noqa: PTH110
def test_a_full_device_is_said(workspace: Path) -> None:
    source = write(workspace, [line("a")])
    ended = run_process(workspace, "invoke", *ECHO, "--jsonl", source, "--output", "/dev/full")
    assert ended.returncode == 2
    assert ended.stderr.startswith(
        "error: /dev/full: the answers cannot be written: No space left on device"
    )


def test_a_disk_that_is_full_loses_nothing_that_was_written(workspace: Path) -> None:
    lines = [line(number, "x" * 200) for number in range(100)]
    argv = ("invoke", *ECHO, "--jsonl", write(workspace, lines), "--output", "out.jsonl")
    ended = subprocess.run(  # our own interpreter
        [sys.executable, "-c", FULL, "10000", *argv],
        cwd=workspace,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "the answers cannot be written: File too large; make room and run" in ended.stderr
    assert "Traceback" not in ended.stderr
    written = in_file(workspace)
    assert all(body["ok"] for body in written)
    assert len(written) < 100
    ended = run_process(workspace, *argv)
    assert ended.returncode == 0
    assert f"{len(written):,} of them settled before" in ended.stderr or not written
    assert [body["id"] for body in in_file(workspace)] == list(range(100))


def test_a_terminal_shows_how_far_it_is_and_quiet_does_not(workspace: Path) -> None:
    source = write(workspace, [line(number) for number in range(20)] + [{"id": "bad"}])
    argv = ("invoke", *ECHO, "--jsonl", source)
    code, out, screen = on_a_terminal(workspace, *argv)
    assert code == 2
    assert len(bodies(out)) == 21
    assert "21/21 lines, 1 failed, 40 tokens, $0.000000" in screen
    assert screen.index("\x1b[?25l") < screen.rindex("\x1b[?25h"), "the cursor comes back"
    assert "21 lines: 20 ok, 1 failed" in screen.split("\x1b[?25h")[-1]
    code, out, screen = on_a_terminal(workspace, *argv, "--quiet")
    assert (code, screen) == (2, "")


def test_a_server_that_talks_nonsense_fails_its_line_only(workspace: Path) -> None:
    with loopback(response(200, b"nonsense")) as server:
        other = line("b", provider="echo", model="echo-1")
        lines = [line("a", model="m", base_url=server.url), other]
        ended = run_process(workspace, "invoke", "--jsonl", write(workspace, lines))
    first, second = bodies(ended.stdout)
    assert (ended.returncode, second["ok"]) == (2, True)
    assert first["error"]["class"] == "MalformedResponse"


def test_all_calls_are_one_trace_below_one_span(workspace: Path) -> None:
    lines = [line("a", "secret words"), line("b", model="none"), {"id": "bad"}]
    with running_collector() as collector:
        argv = ("invoke", *ECHO, "--jsonl", write(workspace, lines))
        ended = run_process(workspace, *argv, **collector.environ)
        spans = collector.collected.spans
    assert ended.returncode == 2, ended.stderr
    (root,) = [span for span in spans if not span.parent_span_id]
    assert root.name == "invoke_workflow invoke"
    assert {span.trace_id for span in spans} == {root.trace_id}
    calls = {span.name: span for span in spans if span.parent_span_id == root.span_id}
    assert sorted(calls) == ["chat echo-1"]
    assert "secret words" not in str(spans)
