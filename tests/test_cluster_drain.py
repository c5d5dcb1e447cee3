"""Nodes that leave in order: what they have ends in time or goes on elsewhere; nothing is lost."""

from __future__ import annotations

import signal
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import anyio
import pytest

from runtime.journal.location import location_of
from runtime.journal.opening import open_journal
from tests import postgres
from tests.cli_workspace import run_process
from tests.cluster_cli import UpProcess, make_cluster_workspace, model, result_of, started, up
from tests.nats_server import nats_server, new_name, shared_server
from tests.resumable import events_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from runtime.journal import EventRow

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(180)]


@pytest.fixture
def database() -> Iterator[str]:
    with postgres.address() as address:
        yield address


def joining(database: str) -> dict[str, str]:
    """Return the environment of one cluster."""
    return {"MAGSAG_DB": database, "MAGSAG_NATS": shared_server().url, "MAGSAG_ENGINE": "nats"}


def records(database: str, runs: Iterable[str]) -> dict[str, list[EventRow]]:
    async def read() -> dict[str, list[EventRow]]:
        journal = await open_journal(location_of(database))
        try:
            return {run: await events_of(journal, run) for run in runs}
        finally:
            await journal.close()

    return anyio.run(read)


def repeated(events: list[EventRow]) -> list[str]:
    """Return the model calls that were begun again though they were completed."""
    completed: set[str] = set()
    found = []
    for event in events:
        if event.kind == "invocation_completed":
            completed.add(event.op)
        elif event.kind == "invocation_started" and event.op in completed:
            found.append(event.op)
    return found


def kinds(events: list[EventRow]) -> Counter[str]:
    return Counter(event.kind for event in events)


def test_a_node_that_is_drained_lets_end_what_does_in_time(tmp_path: Path, database: str) -> None:
    name, environ = new_name(), joining(database)
    with model() as asked, ExitStack() as stack:
        workspace = make_cluster_workspace(tmp_path, asked.url)
        asked.hold("sum")
        first = stack.enter_context(up(workspace, "--cluster", name, **environ))
        options = ("--cluster", name, "--input", '{"name": "a"}', "--json", "--run-id", "a")
        run = started(workspace, "run", *options, "chief", **environ)
        asked.wait_for("a sum")
        first.signal(signal.SIGTERM)
        first.hears("it leaves; 1 run at home")
        asked.let_go()
        assert result_of(run)["output"] == 9
        assert first.ended() == 0
    assert first.lines[-1] == "left\n"
    events = records(database, ["a"])["a"]
    assert kinds(events)["run_resumed"] == 0
    assert set(asked.asked.values()) == {1}


def test_every_node_is_restarted_in_turn_and_no_run_notices(tmp_path: Path, database: str) -> None:
    name, environ = new_name(), joining(database)
    runs = [f"run-{number}" for number in range(3)]
    with model() as asked, ExitStack() as stack:
        workspace = make_cluster_workspace(tmp_path, asked.url)
        asked.hold("sum", "1")  # the last call of each run, and the middle one of each leaf

        def node() -> UpProcess:
            return stack.enter_context(
                up(workspace, "--cluster", name, "--grace", "0.2", **environ)
            )

        nodes = [node() for _ in range(3)]
        clients = []
        for run in runs:
            options = ("--cluster", name, "--json", "--run-id", run)
            given = ("--input", f'{{"name": "{run}"}}')
            clients.append(started(workspace, "run", *options, *given, "chief", **environ))
        for run in runs:
            asked.wait_for(*(f"{run} leaf {leaf} step 1" for leaf in range(3)))
        for number in range(3):
            nodes[number].signal(signal.SIGTERM)
            assert nodes[number].ended() == 0, nodes[number].said()
            nodes[number] = node()
            if number == 1:
                asked.held["1"].set()
                asked.wait_for(*(f"{run} sum" for run in runs))
        asked.let_go()
        outputs = [result_of(client)["output"] for client in clients]
    assert outputs == [9] * len(runs)
    found = records(database, runs)
    assert sum(kinds(events)["run_resumed"] for events in found.values()) >= len(runs)
    for events in found.values():
        assert repeated(events) == []
        counts = kinds(events)
        assert counts["invocation_completed"] == 11
        assert counts["run_completed"] == 1
        assert counts["run_failed"] + counts["delegation_failed"] + counts["run_cancelled"] == 0
    again = {question for question, times in asked.asked.items() if times > 1}
    assert {question.rpartition(" ")[2] for question in again} <= {"1", "sum"}  # were in flight


def test_a_node_leaves_when_it_is_asked_to_by_its_name(tmp_path: Path, database: str) -> None:
    name, environ = new_name(), joining(database)
    with model() as asked:
        workspace = make_cluster_workspace(tmp_path, asked.url)
        with up(workspace, "--cluster", name, **environ) as node:
            options = ("nodes", "--cluster", name)
            wrong = run_process(workspace, *options, "--drain", "nobody", **environ)
            assert wrong.returncode == 1
            assert node.id in wrong.stderr
            told = run_process(workspace, *options, "--drain", node.id[:-2], **environ)
            assert told.returncode == 0
            assert f"node {node.id} drains" in told.stderr
            assert node.ended() == 0
        left = run_process(workspace, *options, "--json", **environ)
        assert left.stdout == "[]\n"


def test_a_second_signal_ends_a_draining_node_at_once(tmp_path: Path, database: str) -> None:
    name, environ = new_name(), joining(database)
    with model() as asked:
        workspace = make_cluster_workspace(tmp_path, asked.url)
        asked.hold("plan")
        with up(workspace, "--cluster", name, **environ) as node:
            options = ("--cluster", name, "--input", '{"name": "a"}', "--run-id", "a")
            run = started(workspace, "run", *options, "chief", **environ)
            asked.wait_for("a plan")
            node.signal(signal.SIGINT)
            node.hears("it leaves; 1 run at home")
            node.signal(signal.SIGINT)
            assert node.ended() == 130
            run.kill()
            run.communicate()


def test_a_node_leaves_also_where_nats_is_away_and_its_run_goes_on_later(
    tmp_path: Path, database: str
) -> None:
    with model() as asked, nats_server() as nats, ExitStack() as stack:
        environ = {**joining(database), "MAGSAG_NATS": nats.url}
        workspace = make_cluster_workspace(tmp_path, asked.url)
        asked.hold("sum")
        node = stack.enter_context(up(workspace, "--grace", "0.2", **environ))
        given = ("--input", '{"name": "a"}', "--json", "--run-id", "a")
        run = started(workspace, "run", *given, "chief", **environ)
        asked.wait_for("a sum")
        nats.kill()
        node.signal(signal.SIGTERM)
        assert node.ended() == 0, node.said()
        assert "left; 1 run to go on elsewhere\n" in node.lines
        nats.start()
        stack.enter_context(up(workspace, **environ))
        asked.let_go()
        assert result_of(run)["output"] == 9
    events = records(database, ["a"])["a"]
    assert repeated(events) == []
    assert kinds(events)["run_resumed"] == 1
