"""What only a cluster can go through: messages that are lost or come twice, and nobody at all."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import orjson
import pytest

from runtime import Context, RunOptions, clients, mag, sag
from runtime.agent import Limits
from runtime.engines.cluster.connection import connect
from runtime.engines.cluster.homestead import MONEY
from runtime.errors import ConfigurationError, DeadlineExceeded, UnknownName
from runtime.journal import JournalFailed, Record
from runtime.journal.liveness import this_process
from runtime.journal.ownership import ProcessIdentity
from runtime.purses import GONE
from runtime.recorded import events_of
from tests.authors import double
from tests.clustering import cluster, member, settings_of
from tests.nats_server import nats_server, new_name, shared_server
from tests.recorded_spans import Recorded

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.system import System

pytestmark = pytest.mark.real_time
RUN = RunOptions(run_id="the-run", deadline_s=60)
USUAL = Limits()


class Held:
    """An agent whose bodies stay until the test lets them go, and one that asks three of them."""

    def __init__(self) -> None:
        self.begun = Counter[int]()
        self.go = anyio.Event()
        held = self

        @sag
        async def stays(ctx: Context, n: int) -> int:
            del ctx
            held.begun[n] += 1
            await held.go.wait()
            return n

        @mag
        async def chief(ctx: Context) -> int:
            return sum(r.unwrap() for r in await ctx.fan_out(stays, [1, 2, 3]))

        self.stays, self.chief = stays, chief

    async def all_begun(self) -> None:
        with anyio.fail_after(20):
            while len(self.begun) < 3:  # noqa: ASYNC110  # in another system
                await anyio.sleep(0.02)


async def _outcome_while(system: System, held: Held, during: Any) -> Any:
    """Run until all bodies are at work, do something, let them go, and return what came of it."""
    outcomes = []

    async def run() -> None:
        outcomes.append(await system.run(held.chief, options=RUN))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await held.all_begun()
        await during()
    return outcomes[0]


async def _outcomes_noted(system: System) -> Counter[str]:
    events = await system.journal.events(RUN.run_id or "")
    return Counter(event.op for event in events if event.kind == "delegation_completed")


async def _waiting(system: System, name: str) -> int:
    """Return how many messages the stream of a cluster has."""
    assert system.cluster is not None
    stream = await system.cluster.node.jetstream.stream_info(f"{name}_queue")
    return stream.state.messages


async def test_answers_are_found_in_the_journal_when_nats_was_away(tmp_path: Path) -> None:
    held, where = Held(), str(tmp_path / "journal.db")
    agents = dict.fromkeys((held.chief, held.stays), USUAL)
    with nats_server() as server:

        async def outage() -> None:
            server.kill()
            held.go.set()
            await anyio.sleep(0.5)
            server.start()

        async with cluster(settings_of(server.url, "c"), where, agents) as system:
            outcome = await _outcome_while(system, held, outage)
            noted = await _outcomes_noted(system)
    assert outcome.value == 6
    assert held.begun == {1: 1, 2: 1, 3: 1}
    assert set(noted.values()) == {1}


async def test_a_run_outlives_the_loss_of_all_that_nats_had(tmp_path: Path) -> None:
    held, where = Held(), str(tmp_path / "journal.db")
    agents = {held.chief: USUAL, held.stays: Limits(concurrency=1)}
    begun_before: list[int] = []
    with nats_server() as server:

        async def loss() -> None:
            begun_before.append(held.begun.total())
            server.kill()
            shutil.rmtree(server.folder / "store")
            server.start()
            held.go.set()

        async with cluster(settings_of(server.url, "c"), where, agents, nodes=2) as system:
            held.all_begun = _two_begun(held)  # type: ignore[method-assign]  # the third waits in NATS
            outcome = await _outcome_while(system, held, loss)
            noted = await _outcomes_noted(system)
    assert outcome.value == 6
    assert begun_before == [2]
    assert set(noted.values()) == {1}


def _two_begun(held: Held) -> Any:
    async def two_begun() -> None:
        with anyio.fail_after(20):
            while len(held.begun) < 2:  # noqa: ASYNC110  # in another system
                await anyio.sleep(0.02)
        await anyio.sleep(0.2)

    return two_begun


async def test_a_message_that_comes_twice_is_done_once(tmp_path: Path) -> None:
    held, where, name = Held(), str(tmp_path / "journal.db"), new_name()
    agents = dict.fromkeys((held.chief, held.stays), USUAL)
    settings = settings_of(shared_server().url, name)

    async def again() -> None:
        client = await connect(settings, label="a test")
        try:
            jetstream = client.jetstream()
            state = (await jetstream.stream_info(f"{name}_queue")).state
            for sequence in range(state.first_seq, state.last_seq + 1):
                message = await jetstream.get_msg(f"{name}_queue", sequence)
                await jetstream.publish(message.subject or "", message.data or b"")
        finally:
            await client.close()
        await anyio.sleep(0.3)
        held.go.set()

    async with cluster(settings, where, agents) as system:
        outcome = await _outcome_while(system, held, again)
        noted = await _outcomes_noted(system)
        with anyio.fail_after(20):
            while await _waiting(system, name):  # noqa: ASYNC110  # until all were looked at
                await anyio.sleep(0.1)
    assert outcome.value == 6
    assert held.begun == {1: 1, 2: 1, 3: 1}
    assert set(noted.values()) == {1}


async def test_what_the_journal_could_not_give_when_it_was_claimed_is_done_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @sag
    async def length(ctx: Context, text: str) -> int:
        del ctx
        return len(text)

    @mag
    async def chief(ctx: Context, size: int) -> int:
        return (await ctx.delegate(length, "x" * size)).unwrap()

    tried = list[Any]()

    def once_away(*given: Any, **options: Any) -> Any:
        tried.append(given)
        if len(tried) == 1:
            raise JournalFailed("it is away")
        return events_of(*given, **options)

    monkeypatch.setattr("runtime.guests.events_of", once_away)
    agents = dict.fromkeys((length, chief), USUAL)
    settings = settings_of(shared_server().url, new_name())
    async with cluster(settings, str(tmp_path / "journal.db"), agents) as system:
        assert system.cluster is not None
        size = system.cluster.node.most_bytes  # so that what is to be done has no room for it
        outcome = await system.run(chief, size, RunOptions(deadline_s=20))
    assert outcome.value == size
    assert len(tried) == 2


async def test_a_home_answers_guests_of_a_former_home_who_wait_for_money(tmp_path: Path) -> None:
    held, where, told = Held(), str(tmp_path / "journal.db"), list[bytes]()
    agents = dict.fromkeys((held.chief, held.stays), USUAL)
    settings = settings_of(shared_server().url, new_name())
    wish = {"epoch": 0, "op": "chief:a:1/stays:b:1", "attempt": 1, "reserve": 1}

    async with cluster(settings, where, agents) as system:
        assert system.cluster is not None
        node = system.cluster.node

        async def ask() -> None:
            subject = node.subjects.home(RUN.run_id or "", MONEY)
            with anyio.move_on_after(10):
                told.append(await node.insist(subject, orjson.dumps(["a/1", wish]), lambda: None))
            held.go.set()

        await _outcome_while(system, held, ask)
    assert [json.loads(each) for each in told] == [GONE]


async def test_what_is_called_off_as_it_comes_is_not_begun(tmp_path: Path) -> None:
    held, where, name = Held(), str(tmp_path / "journal.db"), new_name()
    agents = dict.fromkeys((held.chief, held.stays), USUAL)
    settings = settings_of(shared_server().url, name)

    async def more() -> None:
        client = await connect(settings, label="a test")
        try:
            message = await client.jetstream().get_last_msg(f"{name}_queue", f"{name}.work.stays")
            said = json.loads(message.data or b"")
            op = said["delegation"]["op"]
            for number in (4, 5):  # with no time between the first and the word that it is off
                said["number"] = f"test/{number}"
                said["delegation"] |= {"input": number, "op": f"{op}{number}"}
                await client.publish(f"{name}.home.the-run.work", json.dumps(said).encode())
                if number == 4:
                    await client.publish(f"{name}.cancel", b'["test/4", false]')
            await client.flush()
            with anyio.fail_after(20):
                while 5 not in held.begun:  # noqa: ASYNC110  # in another system
                    await anyio.sleep(0.02)
        finally:
            await client.close()
        held.go.set()

    async with cluster(settings, where, agents, nodes=1) as system:
        outcome = await _outcome_while(system, held, more)
    assert outcome.value == 6
    assert held.begun == {1: 1, 2: 1, 3: 1, 5: 1}


async def test_what_a_home_is_asked_again_and_again_is_in_hand_once(tmp_path: Path) -> None:
    held, where, name = Held(), str(tmp_path / "journal.db"), new_name()
    agents = dict.fromkeys((held.chief, held.stays), USUAL)
    settings, in_hand = settings_of(shared_server().url, name), list[str]()

    async with (
        member(settings, where, agents, serves=True) as home,
        member(settings, where, agents, serves=False) as client,
    ):

        async def again() -> None:
            assert home.cluster is not None
            node = home.cluster.node
            message = await node.jetstream.get_last_msg(f"{name}_queue", f"{name}.work.stays")
            said = json.loads(message.data or b"")
            op = said["delegation"]["op"]
            for number in (4, 4, 4, 5):
                said["number"] = f"test/{number}"
                said["delegation"] |= {"input": number, "op": f"{op}{number}"}
                await node.client.publish(f"{name}.home.the-run.work", json.dumps(said).encode())
            with anyio.fail_after(20):
                while 5 not in held.begun:  # noqa: ASYNC110  # in another system
                    await anyio.sleep(0.02)
            in_hand.append(repr(home.cluster.engine))
            held.go.set()

        await _outcome_while(client, held, again)
    assert "[5 in hand]" in in_hand[0]
    assert held.begun == dict.fromkeys(range(1, 6), 1)


async def test_a_client_says_so_when_no_node_begins_its_run(tmp_path: Path) -> None:
    settings = settings_of(shared_server().url, new_name())
    where = str(tmp_path / "journal.db")
    async with member(settings, where, {double: USUAL}, serves=False) as system:
        with pytest.raises(DeadlineExceeded, match="no node has begun run the-run"):
            await system.run(double, 1, replace(RUN, deadline_s=0.5))
        assert await system.journal.run("the-run") is None


async def test_a_client_is_told_while_no_node_has_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("runtime.clients.UNHEARD_S", 0.1)
    settings = settings_of(shared_server().url, new_name())
    where = str(tmp_path / "journal.db")
    async with member(settings, where, {double: USUAL}, serves=False) as system:
        with pytest.raises(DeadlineExceeded):
            await system.run(double, 1, replace(RUN, deadline_s=2.0))
    assert caplog.text.count("no node has begun run the-run yet") == 1


async def test_a_client_with_another_journal_than_the_nodes_is_told_so(tmp_path: Path) -> None:
    settings = settings_of(shared_server().url, new_name())
    ours, theirs = str(tmp_path / "ours.db"), str(tmp_path / "theirs.db")
    async with (
        member(settings, theirs, {double: USUAL}, serves=True) as node,
        member(settings, ours, {double: USUAL}, serves=False) as system,
    ):
        with pytest.raises(ConfigurationError, match=r"not in this journal: .* give --db"):
            await system.run(double, 21, RUN)
        assert await node.journal.run("the-run") is not None


async def test_a_client_hears_of_what_happens_and_has_what_came_of_it(tmp_path: Path) -> None:
    heard: list[Record] = []
    settings, where = settings_of(shared_server().url, new_name()), str(tmp_path / "journal.db")
    async with cluster(settings, where, {double: USUAL}) as system:
        outcome = await system.run(double, 21, replace(RUN, listener=heard.append))
        with pytest.raises(ConfigurationError, match="is in the journal already"):
            await system.run(double, 21, RUN)
    assert outcome.value == 42
    assert [record.kind for record in heard] == [
        "run_started",
        "delegation_sent",
        "delegation_started",
        "delegation_completed",
        "run_completed",
    ]


async def test_who_is_told_of_an_end_finds_it_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "LOOK_S", 3_600.0)
    settings = settings_of(shared_server().url, new_name())
    async with cluster(settings, str(tmp_path / "j.db"), {double: USUAL}, nodes=1) as system:
        assert (await system.run(double, 21, RUN)).value == 42


async def test_what_is_not_there_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    settings, where = settings_of(shared_server().url, new_name()), str(tmp_path / "journal.db")
    async with member(settings, where, {double: USUAL}, serves=False) as system:
        with pytest.raises(UnknownName, match="nobody"):
            await system.run("nobody")
        with pytest.raises(UnknownName, match="no-run"):
            await system.resume("no-run")
        assert await _waiting(system, settings.name) == 0


async def test_only_what_is_in_a_cluster_serves_one() -> None:
    from runtime import running  # noqa: PLC0415

    async with running(environ={}) as system:
        with pytest.raises(ConfigurationError, match="--engine nats"):
            await system.serve()


async def test_the_spans_of_all_nodes_are_one_trace(tmp_path: Path) -> None:
    at_work = anyio.Event()
    begun = Counter[int]()

    @sag
    async def part(ctx: Context, n: int) -> str:
        begun[id(ctx._services)] += 1
        if len(begun) == 2:
            at_work.set()
        with anyio.move_on_after(5):
            await at_work.wait()  # until both nodes have one
        return await ctx.ask(f"part {n}")

    @mag
    async def chief(ctx: Context) -> int:
        return len(await ctx.fan_out(part, [*range(4)]))

    settings, where = settings_of(shared_server().url, new_name()), str(tmp_path / "journal.db")
    agents = {chief: USUAL, part: Limits(concurrency=2)}
    first, second = Recorded(), Recorded()
    async with (
        member(settings, where, agents, tracing=first, serves=True),
        member(settings, where, agents, tracing=second, serves=True),
        member(settings, where, agents, serves=False) as client,
    ):
        outcome = await client.run(chief, options=RUN)
    assert outcome.value == 4
    assert first.all_ended
    assert second.all_ended
    spans = [*first.told.ended, *second.told.ended]
    ids = {span.context.span_id: span for span in spans if span.context is not None}
    parts = [span for span in spans if span.name == "invoke_agent part"]
    assert len(begun) == 2
    assert len(parts) == 4
    assert {f"{span.context.trace_id:032x}" for span in spans} == {outcome.trace_id}
    assert {ids[span.parent.span_id].name for span in parts if span.parent is not None} == {
        "invoke_agent chief"
    }


async def test_servers_without_room_for_the_queue_are_told_of(tmp_path: Path) -> None:
    with nats_server() as server:
        server.stop()
        server.configure(f'jetstream {{ store_dir: "{server.folder}", max_file_store: 1MB }}')
        server.start()
        settings = settings_of(server.url, "c")
        with pytest.raises(ConfigurationError, match=r"8 MiB of work that waits: .*max_file_store"):
            async with member(settings, str(tmp_path / "db"), {double: USUAL}, serves=False):
                pass


async def test_servers_with_room_for_one_queue_serve_all_who_come_to_it(tmp_path: Path) -> None:
    with nats_server() as server:
        server.stop()
        server.configure(f'jetstream {{ store_dir: "{server.folder}", max_file_store: 12MB }}')
        server.start()
        settings, where = settings_of(server.url, "c"), str(tmp_path / "journal.db")
        async with cluster(settings, where, {double: USUAL}) as system:
            assert (await system.run(double, 21, RUN)).value == 42


async def test_what_nobody_understands_is_left_out_and_the_rest_goes_on(tmp_path: Path) -> None:
    settings, where = settings_of(shared_server().url, new_name()), str(tmp_path / "journal.db")
    async with cluster(settings, where, {double: USUAL}, nodes=1) as system:
        assert system.cluster is not None
        for subject in settings.name + ".work.double", settings.name + ".run.double":
            await system.cluster.node.jetstream.publish(subject, b"junk")
        outcome = await system.run(double, 21, RUN)
        with anyio.fail_after(20):
            while await _waiting(system, settings.name):  # noqa: ASYNC110  # until it is seen
                await anyio.sleep(0.05)
    assert outcome.value == 42


async def test_a_run_that_another_process_has_begun_has_no_second_home(tmp_path: Path) -> None:
    settings, where = settings_of(shared_server().url, new_name()), str(tmp_path / "journal.db")
    other = ProcessIdentity("elsewhere", 7)
    async with member(settings, where, {double: USUAL}, serves=False) as system:
        assert system.cluster is not None
        for run_id, owner in (("theirs", str(other)), ("ours", str(this_process()))):
            body = {"target": "double", "input": 1, "trace_id": "0" * 32, "owner": owner}
            whose = {"pid": 7, "host": "elsewhere"}
            system.journal.append(Record(run_id, "run_started", "", body | whose, 1.0))
        assert not await system.cluster.engine.begin_run("theirs")
        assert await system.cluster.engine.begin_run("ours")
        await system.cluster.engine.forget_run("ours")
