"""Who is in a cluster: what nodes say of themselves, and what others see of that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.to_thread import run_sync

from runtime import Context, RunOptions, mag, sag
from runtime.agent import Limits
from runtime.cli.node_list import Seen
from runtime.cli.node_table import line_of, page_of
from runtime.engines.cluster.members import Grant, Load, Member, Sighted, decode, encode
from runtime.engines.cluster.membership import Rate
from runtime.engines.cluster.roster import roster
from runtime.errors import ConfigurationError, UnknownName
from tests.clustering import member, settings_of
from tests.nats_server import nats_server, new_name, shared_server

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.engines.cluster.roster import Roster

SOME = Member(
    id="one-1-a",
    host="one",
    pid=1,
    version="0.1.0",
    code="0123456789",
    duty="up",
    started_at=1.0,
    agents={"leaf": Load(2, 1, 4), "chief": Load(0, 0, 8)},
    runs=3,
    calls=10,
    delegations=20,
    calls_per_s=1.5,
    delegations_per_s=2.5,
    grants={"acme": Grant(7, is_authority=True)},
)


def seen_after(age_s: float, node: Member = SOME) -> Sighted:
    return Sighted(node, age_s)


# --- what is decided -----------------------------------------------------------------------------


def test_what_a_node_writes_is_what_others_read() -> None:
    assert decode(encode(SOME)) == SOME


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"agents": 1}', b'{"agents": {}, "x": 1}'])
def test_an_entry_of_another_version_is_refused_as_such(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # whatever it says
        decode(data)


@pytest.mark.parametrize(
    ("age_s", "duty", "standing"),
    [
        (0.0, "up", "up"),
        (4.9, "up", "up"),
        (4.9, "draining", "draining"),
        (5.0, "up", "suspect"),
        (9.9, "draining", "suspect"),
        (10.0, "up", "down"),
    ],
)
def test_a_node_is_suspect_before_it_is_down(age_s: float, duty: str, standing: str) -> None:
    assert seen_after(age_s, replace(SOME, duty=duty)).standing == standing  # type: ignore[arg-type]  # one of two


def test_json_tells_the_state_first_and_then_all_that_the_node_says() -> None:
    told = seen_after(1.0).as_json()
    assert [*told][:3] == ["id", "state", "age_s"]
    assert told["agents"]["leaf"] == {"running": 2, "waiting": 1, "capacity": 4}


def test_a_rate_is_of_the_last_seconds() -> None:
    rate = Rate()
    assert rate(30, 10.0) == 3.0
    assert rate(60, 11.0) == 3.0  # too soon to say
    assert rate(60, 16.0) == 5.0
    assert rate(60, 20.0) == 0.0


def test_a_table_tells_what_nodes_are_busy_with() -> None:
    page = page_of([seen_after(1.0)])
    assert "leaf 2/4 (+1)" in page
    assert "chief" not in page
    assert "acme 7, authority" in page
    assert "differs" not in page


def test_nodes_with_other_code_are_told() -> None:
    other = replace(SOME, id="two", code="x")
    assert "code of the nodes differs" in page_of([seen_after(1.0), seen_after(1.0, other)])
    assert "differs" not in page_of([seen_after(1.0), seen_after(11.0, other)])


def test_a_line_tells_what_a_node_does() -> None:
    assert line_of(SOME) == (
        "one-1-a: up, 3 runs at home, 2 running, 1 waiting, 2.5 Delegations/s, 1.5 model calls/s"
    )


def test_a_node_that_is_not_there_any_more_gets_older_unless_it_has_left() -> None:
    seen = Seen("here")
    leaving = replace(SOME, id="two", duty="draining")
    seen.take([seen_after(1.0), seen_after(1.0, leaving)], 100.0)
    seen.take([], 103.0)
    assert "up" in seen.page()
    assert "two" not in seen.page()
    seen.take([], 112.0)
    assert "down" in seen.page()
    seen.changed(is_there=False)
    assert "no server of NATS answers" in seen.page()


# --- at real servers -----------------------------------------------------------------------------


@sag
async def waits(ctx: Context, number: int) -> int:
    """Wait for long."""
    await anyio.sleep(3600)
    return number


@mag
async def boss(ctx: Context, number: int) -> int:
    """Delegate."""
    return await ctx.delegate(waits, number)


AGENTS = {boss: Limits(concurrency=4), waits: Limits(concurrency=4)}


async def sees(there: Roster, running: int) -> Sighted:
    """Return the only node, once it says that so many bodies run."""
    with anyio.fail_after(30):
        while True:
            found = await there.nodes()
            if len(found) == 1 and found[0].member.running == running:
                return found[0]
            await anyio.sleep(0.1)


@pytest.mark.real_time
async def test_a_node_is_seen_with_what_it_does_until_it_leaves(tmp_path: Path) -> None:
    settings = settings_of(shared_server().url, new_name())
    async with roster(settings) as there:
        assert await there.nodes() == []
        async with member(settings, str(tmp_path / "journal.db"), AGENTS, serves=True) as system:
            node = await sees(there, 0)
            assert (node.standing, node.member.runs) == ("up", 0)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(system.run, boss, 1, RunOptions(run_id="run"))
                node = await sees(there, 1)  # the body that waits for another does not run
                assert node.member.runs == 1
                assert node.member.agents["waits"] == Load(1, 0, 4)
                await system.cancel("run")
            assert await there.drain("nobody") is None
            assert await system.drain(1.0) == 0
            assert await there.nodes() == []


@pytest.mark.real_time
async def test_a_node_says_again_that_it_is_there_when_the_servers_have_lost_all(
    tmp_path: Path,
) -> None:
    with nats_server() as server:
        settings = settings_of(server.url, new_name())
        async with (
            roster(settings) as there,
            member(settings, str(tmp_path / "journal.db"), AGENTS, serves=True),
        ):
            await sees(there, 0)
            await run_sync(server.kill)
            await run_sync(server.start)  # the bucket was in its memory
            with anyio.fail_after(60):
                while True:
                    try:
                        await sees(there, 0)
                        break
                    except ConfigurationError:
                        await anyio.sleep(0.1)


@pytest.mark.real_time
async def test_a_node_serves_what_it_is_told_to_and_no_more_of_it(tmp_path: Path) -> None:
    settings = settings_of(shared_server().url, new_name())
    async with member(settings, str(tmp_path / "journal.db"), AGENTS, serves=False) as system:
        with pytest.raises(UnknownName, match="did you mean"):
            await system.serve(["bos"])
        node = await system.serve(["waits"], capacity=2)
        assert node.member().agents == {"waits": Load(0, 0, 2)}


@pytest.mark.real_time
async def test_nodes_that_serve_other_agents_of_one_catalog_have_the_same_code(
    tmp_path: Path,
) -> None:
    settings, where = settings_of(shared_server().url, new_name()), str(tmp_path / "journal.db")
    async with (
        member(settings, where, AGENTS, serves=False) as one,
        member(settings, where, AGENTS, serves=False) as other,
    ):
        nodes = [await one.serve(["waits"]), await other.serve()]
        first, second = (node.member() for node in nodes)
        assert first.agents.keys() < second.agents.keys()
        assert first.code == second.code


@pytest.mark.real_time
async def test_a_client_is_told_why_no_node_would_have_its_run(tmp_path: Path) -> None:
    settings = settings_of(shared_server().url, new_name())
    db = str(tmp_path / "journal.db")
    async with (
        member(settings, db, AGENTS, serves=True),
        member(settings, db, AGENTS, serves=False) as client,
    ):
        # What a client cannot check: here, whether the node has the files of the agent's code.
        options = RunOptions(run_id="run", on_code_change="pin", deadline_s=60)
        with anyio.fail_after(30), pytest.raises(ConfigurationError, match="boss"):
            await client.run(boss, 1, options)
        assert await client.journal.run("run") is None
