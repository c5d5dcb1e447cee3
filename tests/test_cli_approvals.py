"""People are asked, and end and pause runs, from other processes: all of them real ones."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runtime.cli.report import Source
from tests.chat_server import ChatServer, chat_server, completion
from tests.cli_workspace import command, environment, make_workspace, run_process

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.real_time

AGENTS = """\
from runtime import Context, mag, sag, skill


@skill(name="send.mail", side_effects=True)
async def send_mail(to: str) -> str:
    with open("mails.txt", "a") as file:
        file.write(to + "\\n")
    return f"sent to {to}"


@mag
async def publishes(ctx: Context) -> dict:
    draft = await ctx.ask("draft")
    decision = await ctx.approve("May I publish?", {"draft": draft})
    if not decision:
        return {"text": f"{decision}"}
    return {"text": await ctx.ask("publish " + draft)}


@mag
async def mails(ctx: Context) -> str:
    return await ctx.ask("mail her", tools=(send_mail,))


@sag
async def worker(ctx: Context, number: int) -> str:
    first = await ctx.ask(f"slow {number}")
    return await ctx.ask(f"{first} then")


@mag
async def fans_out(ctx: Context) -> dict:
    return {"text": str([each.unwrap() for each in await ctx.fan_out(worker, [1, 2])])}
"""
NAMES = {"publishes": "mag", "mails": "mag", "worker": "sag", "fans-out": "mag"}
PROVIDERS = "providers: {{local: {{dialect: openai_chat, base_url: {url}, models: {{m: {{}}}}}}}}\n"
ROUTING = "name: default\nprovider: local\ndefault: fast\ntiers: {fast: {local: m}}\n"
POLICY = """\
policies:
  - name: tools
    tool_permissions: {tools: {"send.*": require_approval}}
"""
CALLS_TOOL = {"name": "send_mail", "arguments": json.dumps({"to": "anna"})}


class World:
    """A workspace, the server that its agents ask, and the processes in it."""

    def __init__(self, root: Path, server: ChatServer, slow: threading.Event) -> None:
        self.root = root
        self.server = server
        self.slow = slow  # set: slow answers come

    def __call__(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return run_process(self.root, *argv)

    @contextmanager
    def started(self, *argv: str) -> Iterator[subprocess.Popen[str]]:
        """Start a process; it is killed when the block ends."""
        environ = environment(MAGSAG_DB=str(self.root / "journal.db"))
        with subprocess.Popen(
            command(*argv), cwd=self.root, env=environ, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.kill()

    @property
    def asked(self) -> list[str]:
        """What models were asked, in order."""
        return [str(body["messages"][-1]["content"]) for body in self.server.requests]

    def wait_until_asked(self, count: int) -> None:
        until = time.monotonic() + 30
        while len(self.server.requests) < count:
            assert time.monotonic() < until
            time.sleep(0.01)  # noqa: TID251  # a process of its own takes its time

    def parked(self, *argv: str) -> dict[str, Any]:
        """Run what parks, and return the only question."""
        done = self("run", *argv, "--run-id", "one", "--json")
        assert done.returncode == 5, done.stderr
        outcome = json.loads(done.stdout)
        assert outcome["status"] == "waiting"
        (asked,) = outcome["waits_for"]
        return dict(asked)

    def rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.root / "journal.db")) as connection:
            return connection.execute(query).fetchall()

    def status(self) -> str:
        ((status,),) = self.rows("SELECT status FROM run")
        return str(status)

    def wait_until_requested(self, kind: str) -> None:
        until = time.monotonic() + 30
        while not self.rows(f"SELECT 1 FROM journal WHERE kind = '{kind}'"):  # noqa: S608  # ours
            assert time.monotonic() < until
            time.sleep(0.05)  # noqa: TID251  # a process of its own takes its time


def answer(slow: threading.Event, body: dict[str, Any]) -> Any:
    """Answer as a model would."""
    said = body["messages"][-1]
    if str(said["content"]).startswith("slow"):
        slow.wait(60)
    if said["content"] == "mail her":
        status, reply = completion("")
        call = {"id": "1", "type": "function", "function": CALLS_TOOL}
        reply["choices"][0]["message"] |= {"content": None, "tool_calls": [call]}
        reply["choices"][0]["finish_reason"] = "tool_calls"
        return status, reply
    return completion(f"<{said['content']}>")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    slow = threading.Event()
    with chat_server(partial(answer, slow)) as server:
        root = make_workspace(tmp_path)
        (root / "agents" / "more.py").write_text(AGENTS)
        (root / "catalog" / "providers.yaml").write_text(PROVIDERS.format(url=server.url))
        (root / "catalog" / "routing" / "default.yaml").write_text(ROUTING)
        (root / "catalog" / "policies").mkdir()
        (root / "catalog" / "policies" / "p.yaml").write_text(POLICY)
        for name, role in NAMES.items():
            entry = f"name: {name}\nrole: {role}\ndescription: d\n"
            entry += f"entrypoint: agents/more.py:{name.replace('-', '_')}\n"
            (root / "catalog" / "agents" / f"{name}.yaml").write_text(entry)
        yield World(root, server, slow)
        slow.set()


def test_a_run_parks_its_process_ends_and_another_one_approves_and_goes_on(world: World) -> None:
    done = world("run", "publishes", "--run-id", "one")
    assert (done.returncode, done.stdout) == (5, "")
    assert 'publishes asks: May I publish? {"draft": "<draft>"}' in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if " approve one " in line]
    listed = world("approvals")
    assert "May I publish?" in listed.stdout
    (row,) = json.loads(world("approvals", "--json").stdout)
    assert (row["run_id"], row["agent"], row["tool"]) == ("one", "publishes", None)
    assert "waiting since" in world("runs").stdout
    shown = world("show", "one").stdout
    assert "status    waiting since" in shown
    assert "running" not in shown
    root = json.loads(world("trace", "show", "one", "--json").stdout)
    assert "waiting" in json.dumps(root)
    assert "lost" not in json.dumps(root)
    typed = line.split("-m runtime ")[1].split()
    approved = world(*typed, "--json")
    assert approved.returncode == 0, approved.stderr
    assert json.loads(approved.stdout)["output"] == {"text": "<publish <draft>>"}
    assert world.asked == ["draft", "publish <draft>"]
    assert "nothing waits for a decision" in world("approvals").stderr
    again = world(*typed)
    assert (again.returncode, again.stdout) == (1, "")
    assert "run one is over: completed; nobody waits for a decision" in again.stderr


def test_what_to_type_names_the_journal_but_no_password() -> None:
    assert Source("here/j.db", None).options == " --db here/j.db"
    assert Source("postgresql://anna:secret@host/db", None).options == ""
    assert Source(None, Path("my catalog")).options == " --catalog 'my catalog'"


def test_a_no_reaches_the_agent_with_its_comment(world: World) -> None:
    ticket = world.parked("publishes")["ticket"]
    denied = world("deny", "last", ticket[:4], "--comment", "not like that")
    assert denied.returncode == 0
    assert "has denied it: not like that" in denied.stdout
    assert world.asked == ["draft"]


def test_decisions_may_be_noted_now_and_gone_on_with_by_a_worker(world: World) -> None:
    ticket = world.parked("publishes")["ticket"]
    idle = world("resume", "--all")
    assert (idle.returncode, world.status()) == (0, "waiting")
    noted = world("approve", "one", ticket, "--no-resume", "--json")
    assert noted.returncode == 0
    assert json.loads(noted.stdout)["approved"] is True
    assert world.status() == "waiting"
    second = world("deny", "one", ticket)
    assert second.returncode == 1
    assert "is decided already" in second.stderr
    resumed = world("resume", "--all", "--json")
    assert [each["status"] for each in json.loads(resumed.stdout)] == ["completed"]
    assert world.asked == ["draft", "publish <draft>"]


def test_of_two_processes_that_decide_one_wins_and_the_run_ends_once(world: World) -> None:
    ticket = world.parked("publishes")["ticket"]
    with world.started("approve", "one", ticket) as yes, world.started("deny", "one", ticket) as no:
        codes = [process.wait() for process in (yes, no)]
    assert 0 in codes
    assert world.status() == "completed"
    assert world.asked[:1] == ["draft"]
    assert len(world.asked) <= 2


def test_killed_right_after_the_decision_the_run_goes_on_without_a_call_twice(
    world: World,
) -> None:
    ticket = world.parked("publishes")["ticket"]
    assert world("approve", "one", ticket, "--no-resume").returncode == 0
    with world.started("resume", "one") as process:
        world.wait_until_asked(2)
        process.send_signal(signal.SIGKILL)
        process.wait()
    if world.status() != "completed":
        world("resume", "one")
    assert world.status() == "completed"
    assert world.asked.count("draft") == 1


def test_a_tool_that_needs_approval_waits_for_it_and_then_is_used_once(world: World) -> None:
    asked = world.parked("mails")
    assert (asked["tool"], asked["data"]) == ("send.mail", {"to": "anna"})
    assert asked["policy"].startswith("policy tools")
    assert not (world.root / "mails.txt").exists()
    done = world("approve", "one", asked["ticket"])
    assert (done.returncode, done.stdout) == (0, "<sent to anna>\n")
    assert (world.root / "mails.txt").read_text() == "anna\n"
    assert world.asked == ["mail her", "sent to anna"]


def test_a_tool_that_is_denied_is_the_models_to_do_without(world: World) -> None:
    asked = world.parked("mails")
    done = world("deny", "one", asked["ticket"], "--comment", "she is away")
    assert done.returncode == 0
    assert "only with approval, and" in world.asked[-1]
    assert "has denied it: she is away" in world.asked[-1]
    assert not (world.root / "mails.txt").exists()


def test_a_run_in_another_process_is_cancelled(world: World) -> None:
    with world.started("run", "fans-out", "--run-id", "one") as process:
        world.wait_until_asked(2)
        done = world("cancel", "one", "--why", "too dear", "--json")
        assert done.returncode == 0, done.stderr
        row = json.loads(done.stdout)
        assert (row["status"], row["reason"]) == ("cancelled", "cancelled")
        assert row["error"].endswith(": too dear")
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "it was cancelled by" in err
    assert sorted(world.asked) == ["slow 1", "slow 2"]
    again = world("cancel", "one")
    assert (again.returncode, again.stdout) == (1, "")
    assert "run one is over: cancelled; nothing is left to cancel" in again.stderr


def test_a_run_in_another_process_is_paused_in_its_fan_out_and_goes_on(world: World) -> None:
    with world.started("run", "fans-out", "--run-id", "one") as process:
        world.wait_until_asked(2)
        with world.started("pause", "one") as pause:
            world.wait_until_requested("pause_requested")
            time.sleep(2)  # noqa: TID251  # within a second it is heard
            world.slow.set()
            _, said = pause.communicate(timeout=30)
        assert pause.returncode == 0, said
        assert "run one is paused; python -m runtime resume one goes on with it" in said
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (6, "")
    assert "run one is paused; go on with: python -m runtime resume one" in err
    assert sorted(world.asked) == ["slow 1", "slow 2"]
    assert "paused since" in world("runs", "--status", "paused").stdout
    assert world("resume", "--all").returncode == 0
    assert world.status() == "paused"
    resumed = world("resume", "one")
    assert resumed.returncode == 0
    assert sorted(world.asked) == ["<slow 1> then", "<slow 2> then", "slow 1", "slow 2"]


def test_runs_that_nobody_is_at_work_on_are_cancelled_by_the_command_itself(world: World) -> None:
    with world.started("run", "fans-out", "--run-id", "dead") as process:
        world.wait_until_asked(2)
        process.send_signal(signal.SIGKILL)
        process.wait()
    world("run", "publishes", "--run-id", "parked")
    for run_id in ("dead", "parked"):
        done = world("cancel", run_id)
        assert done.returncode == 0, done.stderr
    rows = json.loads(world("runs", "--json").stdout)
    assert {row["run_id"]: row["status"] for row in rows} == dict.fromkeys(
        ("dead", "parked"), "cancelled"
    )
    assert all("it was cancelled by" in row["error"] for row in rows)


def test_a_process_that_hears_nothing_is_reported_as_such(world: World) -> None:
    with world.started("run", "fans-out", "--run-id", "one") as process:
        world.wait_until_asked(2)
        process.send_signal(signal.SIGSTOP)
        done = world("cancel", "one", "--wait", "1")
        process.send_signal(signal.SIGCONT)
        assert done.returncode == 2
        assert "run one is running still; if it was asked already, process" in done.stderr
        process.communicate(timeout=20)
    assert (process.returncode, world.status()) == (130, "cancelled")


def test_an_interrupted_command_says_where_the_run_stands(world: World) -> None:
    with world.started("run", "fans-out", "--run-id", "one") as run:
        world.wait_until_asked(2)
        run.send_signal(signal.SIGSTOP)
        with world.started("cancel", "one") as process:
            world.wait_until_requested("cancel_requested")
            time.sleep(0.5)  # noqa: TID251  # it waits
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted: run one is running" in err


def test_a_journal_that_cannot_be_written_is_one_clear_error(world: World) -> None:
    ticket = world.parked("publishes")["ticket"]
    (world.root / "folder").mkdir()
    for argv in (("cancel", "one"), ("approve", "one", ticket)):
        done = world(*argv, "--db", str(world.root / "folder"))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("cancel", "nobody"), "no run 'nobody'"),
        (("pause", "nobody"), "no run 'nobody'"),
        (("approve", "nobody", "x"), "no run 'nobody'"),
        (("approve", "x"), "Missing argument 'TICKET'"),
        (("deny", "x", "y", "-q", "-v"), "exclude each other"),
        (("approvals", "--db", ":memory:"), ":memory: keeps nothing"),
    ],
)
def test_what_cannot_be_is_one_clear_error(world: World, argv: tuple[str, ...], words: str) -> None:
    done = world(*argv)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert "internal error" not in done.stderr
