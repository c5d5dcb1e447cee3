"""``invoke`` in a cluster: processes that ask one account, and what its server saw of them."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster_cli import PATIENCE_S, make_cluster_workspace, result_of, started, up
from tests.nats_server import new_name, shared_server
from tests.simulated import simulator_process

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.simulated import Simulated

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(180)]
RPM, CONCURRENCY, CALLS = 3_000, 30, 200
LIMITS = {"rpm": RPM, "share": 1.0, "concurrency": CONCURRENCY}
SCENARIO: dict[str, Any] = {
    "defaults": {
        # A second and a half's worth at once: less than any of them has to do.
        "limits": {"rpm": RPM, "burst": 1.5, "concurrency": CONCURRENCY, "per": []},
        "limit_headers": False,
        "latency": 0.1,
    }
}
SLOW = {"match": {"model": "slow"}, "then": {"latency": 600}}
AGENTS = '''\
"""An agent that has a model asked many times."""

from runtime import Context, mag, sag


@sag
async def leaf(ctx: Context, number: int) -> str:
    return await ctx.ask(f"What is {number}?")


@mag
async def chief(ctx: Context, count: int) -> int:
    found = await ctx.fan_out(leaf, range(count))
    return sum(each.ok for each in found)
'''


class Shared:
    """A workspace whose account has a server with limits, and a cluster that shares them."""

    def __init__(self, folder: Path, server: Simulated) -> None:
        self.server = server
        self.workspace = make_cluster_workspace(folder / "workspace", f"{server.url}/v1")
        self.environ = {
            "MAGSAG_DB": str(folder / "journal.db"),
            "MAGSAG_ENGINE": "nats",
            "MAGSAG_NATS": shared_server().url,
        }
        self._cluster = ("--cluster", new_name())
        self.limit(LIMITS)
        (self.workspace / "agents" / "asking.py").write_text(AGENTS)

    def limit(self, limits: dict[str, Any]) -> None:
        """Let the catalog say what the limits of the account are."""
        file = self.workspace / "catalog" / "providers.yaml"
        kept = file.read_text().partition("    limits:")[0]
        file.write_text(f"{kept}    limits: {json.dumps(limits)}\n")

    def up(self) -> Any:
        """Run a node until the block ends."""
        return up(self.workspace, *self._cluster, **self.environ)

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Start a command of the cluster."""
        return started(self.workspace, *argv, *self._cluster, **self.environ)

    def ask(self, name: str, models: list[str]) -> subprocess.Popen[str]:
        """Start to ask some models, a line each; the answers go to a file of that name."""
        lines = [
            {"id": number, "model": model, "messages": [{"role": "user", "content": "hi"}]}
            for number, model in enumerate(models)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (self.workspace / f"{name}.in").write_text(text)
        argv = ("--jsonl", f"{name}.in", "--output", name, "--provider", "home")
        return self.start("invoke", *argv)

    def answers(self, name: str) -> list[dict[str, Any]]:
        """Return what is in a file of answers so far."""
        file = self.workspace / name
        return [json.loads(each) for each in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Shared]:
    scenario = SCENARIO | {"rules": [SLOW]}
    with simulator_process(scenario, folder=tmp_path) as server:
        yield Shared(tmp_path, server)


def assert_answered(process: subprocess.Popen[str], shared: Shared, name: str) -> None:
    _, said = process.communicate(timeout=PATIENCE_S * 2)
    assert process.returncode == 0, said
    assert all(body["ok"] for body in shared.answers(name))


def wait_until(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.05)  # noqa: TID251  # another process is at work


def assert_kept(server: Simulated, requests: int, most: int = CONCURRENCY) -> None:
    seen = server.seen()
    assert seen.refused == {}
    assert seen.all.requests == requests
    assert seen.in_flight_peak <= most


def test_two_commands_keep_to_one_limit(shared: Shared) -> None:
    names = ("one", "two")
    processes = [shared.ask(name, ["m-2026"] * CALLS) for name in names]
    for process, name in zip(processes, names, strict=True):
        assert_answered(process, shared, name)
        assert len(shared.answers(name)) == CALLS
    assert_kept(shared.server, 2 * CALLS)


def test_a_command_and_the_runs_of_a_node_keep_to_one_limit(shared: Shared) -> None:
    with shared.up():
        run = shared.start("run", "chief", "--input", json.dumps({"count": CALLS}), "--json")
        asking = shared.ask("out", ["m-2026"] * CALLS)
        assert_answered(asking, shared, "out")
        assert result_of(run)["output"] == CALLS
    assert_kept(shared.server, 2 * CALLS)


def test_a_server_that_lines_name_is_one_account_for_all_commands(shared: Shared) -> None:
    lines = {"base_url": f"{shared.server.url}/v1", "model": "m", "provider": "home"}
    message = {"messages": [{"role": "user", "content": "hi"}]}
    text = "".join(json.dumps(lines | message | {"id": n}) + "\n" for n in range(CALLS))
    (shared.workspace / "lines").write_text(text)
    names = ("one", "two")
    processes = [shared.start("invoke", "--jsonl", "lines", "--output", name) for name in names]
    for process, name in zip(processes, names, strict=True):
        assert_answered(process, shared, name)
    assert_kept(shared.server, 2 * CALLS)


def test_of_a_killed_command_only_what_was_in_flight_is_asked_again(shared: Shared) -> None:
    models = ["slow" if number in (0, 7) else "m-2026" for number in range(30)]
    process = shared.ask("out", models)
    asked = shared.server.seen
    wait_until(lambda: asked().all.requests == 30 and len(shared.answers("out")) == 28)
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    shared.server.swap(SCENARIO)
    assert_answered(shared.ask("out", models), shared, "out")
    assert [body["id"] for body in shared.answers("out")] == list(range(30))
    assert {model: seen.requests for model, seen in asked().by_model.items()} == {"slow": 2}


def test_one_command_after_another_has_all_places(shared: Shared) -> None:
    """What the first had in flight at its very end is free for the second, and so on."""
    shared.limit(LIMITS | {"concurrency": 3})
    for name in ("one", "two", "three"):
        assert_answered(shared.ask(name, ["m-2026"] * 10), shared, name)
    assert_kept(shared.server, 30, most=3)


def test_what_a_cancelled_command_had_in_flight_is_free_for_the_next(shared: Shared) -> None:
    shared.limit(LIMITS | {"concurrency": 3})
    process = shared.ask("out", ["slow"] * 3)
    wait_until(lambda: shared.server.seen().in_flight == 3)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, said
    shared.server.swap(SCENARIO)
    assert_answered(shared.ask("out", ["slow"] * 3), shared, "out")
