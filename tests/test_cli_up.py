"""``up`` and ``nodes`` in processes of their own, at a real NATS."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import nats
import pytest

from runtime.engines.cluster.local_server import is_answered, local_server
from runtime.errors import ConfigurationError
from tests.cli_workspace import ROOT, command, environment, run_process
from tests.cluster_cli import make_cluster_workspace, model, result_of, started, up
from tests.nats_server import free_port, new_name, shared_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(120)]
PATIENCE_S = 30.0
SERVES = """
import sys, anyio
from pathlib import Path
from runtime.engines.cluster.local_server import local_server

async def main():
    async with local_server(Path(sys.argv[1]), int(sys.argv[2])) as address:
        print(address, flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


def soon(is_so: Callable[[], bool]) -> bool:
    """Return whether something is so before long."""
    end = time.monotonic() + PATIENCE_S
    while not is_so() and time.monotonic() < end:
        time.sleep(0.05)  # noqa: TID251  # another process does it, in real time
    return is_so()


def test_a_node_says_what_it_is_and_how_others_come_to_it(tmp_path: Path) -> None:
    name, url, alive = new_name(), shared_server().url, tmp_path / "alive"
    environ = {"MAGSAG_DB": str(tmp_path / "journal.db"), "MAGSAG_NATS": url}
    with model() as asked:
        workspace = make_cluster_workspace(tmp_path, asked.url)
        with up(workspace, "--cluster", name, "--alive", str(alive), **environ) as node:
            assert "serves 2 agents: chief, leaf\n" in node.lines
            (how,) = (line for line in node.lines if line.startswith("another node: "))
            assert f"--nats {url} --cluster {name} --db {tmp_path / 'journal.db'}" in how
            assert "nodes on other machines do not see it" in node.lines[0]
            listed = run_process(workspace, "nodes", "--cluster", name, **environ)
            assert node.id in listed.stdout
            assert soon(alive.exists)
            given = ("--input", '{"name": "a"}', "--engine", "nats", "--cluster", name, "--json")
            assert result_of(started(workspace, "run", "chief", *given, **environ))["output"] == 9
            (seen,) = json.loads(
                run_process(workspace, "nodes", "--cluster", name, "--json", **environ).stdout
            )
            assert (seen["id"], seen["state"]) == (node.id, "up")
            node.signal(signal.SIGINT)
            assert node.ended() == 0


async def messages_of(url: str, name: str) -> int:
    """Return how many messages the queue of a cluster has taken so far."""
    client = await nats.connect(url)
    try:
        return (await client.jetstream().stream_info(f"{name}_queue")).state.last_seq
    finally:
        await client.close()


@pytest.mark.parametrize(("options", "messages"), [((), 1), (("--spread",), 4)])
def test_what_is_delegated_waits_for_whichever_node_is_first_where_that_is_wanted(
    tmp_path: Path, options: tuple[str, ...], messages: int
) -> None:
    name, url = new_name(), shared_server().url
    environ = {"MAGSAG_DB": str(tmp_path / "journal.db"), "MAGSAG_NATS": url}
    with model() as asked:
        workspace = make_cluster_workspace(tmp_path, asked.url)
        with up(workspace, "--cluster", name, *options, **environ):
            given = ("--input", '{"name": "a"}', "--engine", "nats", "--cluster", name, "--json")
            assert result_of(started(workspace, "run", "chief", *given, **environ))["output"] == 9
            assert anyio.run(messages_of, url, name) == messages  # the run, and its three leaves


def test_a_node_that_drains_is_alive_for_whoever_probes_it(tmp_path: Path) -> None:
    name, alive = new_name(), tmp_path / "alive"
    environ = {"MAGSAG_DB": str(tmp_path / "journal.db"), "MAGSAG_NATS": shared_server().url}
    with model() as asked:
        workspace = make_cluster_workspace(tmp_path, asked.url)
        asked.hold("sum")
        with up(workspace, "--cluster", name, "--alive", str(alive), **environ) as node:
            given = ("--input", '{"name": "a"}', "--engine", "nats", "--cluster", name, "--json")
            run = started(workspace, "run", "chief", *given, **environ)
            asked.wait_for("a sum")
            node.signal(signal.SIGTERM)
            node.hears("it leaves; 1 run at home")
            alive.unlink()
            assert soon(alive.exists)
            asked.let_go()
            assert result_of(run)["output"] == 9
            assert node.ended() == 0


def test_a_terminal_shows_the_nodes_until_ctrl_c_each_on_a_line(tmp_path: Path) -> None:
    name = new_name()
    environ = {"MAGSAG_DB": str(tmp_path / "journal.db"), "MAGSAG_NATS": shared_server().url}
    with model() as asked:
        workspace = make_cluster_workspace(tmp_path, asked.url)
        with up(workspace, "--cluster", name, **environ) as node:
            terminal, stderr = pty.openpty()
            process = subprocess.Popen(
                command("nodes", "--live", "--cluster", name),
                cwd=workspace,
                env=environment(**environ, TERM="xterm", COLUMNS="80", NO_COLOR="1"),
                stdin=subprocess.DEVNULL,
                stderr=stderr,
            )
            os.close(stderr)
            screen = bytearray()
            while node.id.encode() not in screen:
                screen += os.read(terminal, 65_536)
            process.send_signal(signal.SIGINT)
            with suppress(OSError):  # Linux says so when the last writer has gone
                while data := os.read(terminal, 65_536):
                    screen += data
            os.close(terminal)
            assert process.wait(PATIENCE_S) == 130
    assert "NODE" in screen.decode()
    assert "VERSION" not in screen.decode()  # cut off, and not on a line of its own


def test_an_agent_that_is_not_there_is_named_before_anything_is_served(tmp_path: Path) -> None:
    environ = {"MAGSAG_NATS": shared_server().url}
    with model() as asked:
        workspace = make_cluster_workspace(tmp_path, asked.url)
        told = run_process(workspace, "up", "--agents", "leef", **environ)
    assert told.returncode == 1
    assert "no agent 'leef'; did you mean 'leaf'?" in told.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--agents", " ,"), "--agents ' ,' names no agent"),
        (("--alive", "nowhere/alive"), "--alive nowhere/alive cannot be touched: No such file"),
    ],
)
def test_an_option_that_cannot_be_meant_is_one_clear_error(
    tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    environ = {"MAGSAG_NATS": shared_server().url, "MAGSAG_DB": str(tmp_path / "journal.db")}
    with model() as asked:
        workspace = make_cluster_workspace(tmp_path, asked.url)
        ended = run_process(workspace, "up", "--cluster", new_name(), *options, **environ)
    assert ended.returncode == 1
    assert told in ended.stderr
    assert "internal error" not in ended.stderr


def test_a_node_without_a_nats_is_told_what_to_do(tmp_path: Path) -> None:
    with model() as asked:
        workspace = make_cluster_workspace(tmp_path, asked.url)
        told = run_process(workspace, "up", "--nats", f"127.0.0.1:{free_port()}")
    assert told.returncode == 1
    assert "no NATS answers there" in told.stderr


# --- a server of one's own -----------------------------------------------------------------------


async def test_a_server_of_one_s_own_is_there_as_long_as_the_block(tmp_path: Path) -> None:
    port = free_port()
    async with local_server(tmp_path / "nats", port) as address:
        assert address == f"nats://127.0.0.1:{port}"
        assert is_answered(port)
    assert not is_answered(port)


def test_a_server_of_one_s_own_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    port = free_port()
    serves = [sys.executable, "-c", SERVES, str(tmp_path), str(port)]
    process = subprocess.Popen(
        serves, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"nats://127.0.0.1:{port}\n"
    finally:
        process.kill()
        process.communicate()
    assert soon(lambda: not is_answered(port))


async def test_without_its_program_it_is_said_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.engines.cluster.local_server.program", lambda: None)
    with pytest.raises(ConfigurationError, match="apt-get install nats-server"):
        async with local_server(tmp_path, free_port()):
            pass
