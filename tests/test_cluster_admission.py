"""What holds for one account over several nodes, whatever the network, the clocks and nodes do."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.cluster.authority import SPACING_S
from runtime.messages import Limits
from tests.cluster_world import Network, World

if TYPE_CHECKING:
    from tests.cluster_world import Node

many = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**32)
networks = st.builds(
    Network,
    delay_s=st.sampled_from([0.001, 0.02, 0.3]),
    lost=st.sampled_from([0.0, 0.05, 0.3]),
    repeated=st.sampled_from([0.0, 0.2]),
)
limits = st.builds(
    Limits,
    rpm=st.sampled_from([30.0, 300.0]),
    tpm=st.none() | st.sampled_from([3_000.0, 30_000.0]),
    itpm=st.none() | st.just(20_000.0),
    share=st.sampled_from([1.0, 0.9]),
    burst_s=st.sampled_from([0.0, 0.75, 5.0]),
    concurrency=st.sampled_from([3, 40]),
    concurrency_start=st.none() | st.just(4),
)


class Trouble(NamedTuple):
    """What happens to a node, when, and for how long."""

    at: float
    node: int
    what: str
    for_s: float


troubles = st.lists(
    st.builds(
        Trouble,
        at=st.floats(0.0, 90.0),
        node=st.integers(0, 3),
        what=st.sampled_from(["dies", "departs", "is cut off", "is stopped"]),
        for_s=st.floats(0.1, 20.0),
    ),
    max_size=4,
)


def a_world(limits: Limits, seed: int, network: Network | None = None, nodes: int = 3) -> World:
    random = Random(seed)  # noqa: S311  # a simulation
    world = World(limits, random, network)
    for number in range(nodes):
        node = world.node(
            f"n{number}", offset=random.uniform(-1e6, 1e6), rate=random.uniform(0.9995, 1.0005)
        )
        node.service = lambda ticket: (
            random.uniform(0.01, 3.0),
            random.randint(0, ticket.tokens_in),
            random.randint(0, ticket.tokens_out),
        )
    return world


def make_trouble(world: World, troubles: list[Trouble]) -> None:
    for trouble in troubles:
        world.later(trouble.at, lambda trouble=trouble: strike(world, trouble))


def strike(world: World, trouble: Trouble) -> None:
    node = world.nodes.get(f"n{trouble.node}")
    if node is None:
        return
    if trouble.what == "dies":
        node.die()
    elif trouble.what == "departs":
        node.depart()
    elif trouble.what == "is cut off":
        node.connected = False
        world.later(trouble.for_s, lambda: reconnect(node))
    else:
        node.stop(trouble.for_s)


def reconnect(node: Node) -> None:
    node.connected = True
    node.step()


def demand(world: World, seconds: float, every_s: float, most_tokens: int) -> None:
    """Let calls come to all nodes; runs are spread over them."""
    random, at = world.random, 0.0
    while at < seconds:
        at += random.expovariate(1 / every_s)
        name, run = f"n{random.randrange(3)}", f"r{random.randrange(5)}"
        tokens = random.randint(0, most_tokens), random.randint(0, most_tokens)
        world.later(at, lambda name=name, run=run, tokens=tokens: call(world, name, run, *tokens))


def call(world: World, name: str, run: str, tokens_in: int = 0, tokens_out: int = 0) -> None:
    if name in world.nodes:
        world.nodes[name].call(run, tokens_in, tokens_out)


def calls(world: World, name: str, run: str, number: int, tokens: int = 10) -> None:
    for _ in range(number):
        call(world, name, run, tokens, tokens)


@pytest.mark.timeout(600)  # many clusters, and other tests beside them
@many
@given(limits=limits, network=networks, troubles=troubles, seed=seeds)
def test_limits_hold_over_the_cluster_at_every_instant(
    limits: Limits, network: Network, troubles: list[Trouble], seed: int
) -> None:
    """Messages are lost, clocks differ, nodes die, stop and are cut off, authorities change."""
    world = a_world(limits, seed, network)
    make_trouble(world, troubles)
    demand(world, 100.0, every_s=30.0 / limits.rpm, most_tokens=200)
    world.run(130.0)
    assert world.most_in_a_minute(lambda _: 1) <= limits.rpm
    assert world.most_tokens_in_a_minute(into=True, out_of=True) <= (limits.tpm or 1e9)
    assert world.most_tokens_in_a_minute(into=True, out_of=False) <= (limits.itpm or 1e9)
    assert world.most_in_flight <= limits.concurrency


@pytest.mark.timeout(600)  # many clusters, and other tests beside them
@many
@given(limits=limits, network=networks, troubles=troubles, seed=seeds)
def test_every_call_of_a_living_node_is_started_in_the_end(
    limits: Limits, network: Network, troubles: list[Trouble], seed: int
) -> None:
    world = a_world(limits, seed, network)
    make_trouble(world, troubles)
    for name in ("n0", "n1", "n2"):
        calls(world, name, f"run of {name}", 8, tokens=100)
    world.run(400.0)
    started = Counter(call.node for call in world.sent)
    assert all(started[name] == 8 for name in world.nodes)


PLAIN = Limits(rpm=600.0, share=1.0, concurrency=100, concurrency_start=None)


def test_nearly_all_of_a_limit_is_used_while_anybody_wants_it() -> None:
    """A window is a hundredth longer than a minute, and a grant is charged until its end."""
    world = a_world(PLAIN, 1)
    for name in ("n0", "n1", "n2"):
        calls(world, name, name, 1_000)
    world.run(240.0)
    assert len(world.sent) >= 0.98 * 600 * 4
    assert world.most_in_a_minute(lambda _: 1) <= 600


def test_what_a_node_does_not_use_is_granted_to_others() -> None:
    """One stops asking in the midst of it; the others get its part."""
    world = a_world(PLAIN, 1)
    for name in ("n0", "n1", "n2"):
        calls(world, name, name, 1_000)
    world.run(60.0)
    world.nodes["n0"].die()
    before = len(world.sent)
    world.run(120.0)
    assert len(world.sent) - before >= 0.93 * 600 * 2


def test_tokens_that_were_reserved_and_not_used_are_free_for_all() -> None:
    """Calls use a tenth of what they reserve."""
    limits = Limits(tpm=60_000.0, share=1.0, concurrency=100, concurrency_start=None)
    world = a_world(limits, 1)
    for node in world.nodes.values():
        node.service = lambda _: (0.5, 100, 0)
    for name in ("n0", "n1", "n2"):
        calls(world, name, name, 400, tokens=500)
    world.run(120.0)
    assert len(world.sent) >= 1_000


def test_runs_share_evenly_however_many_nodes_they_are_on() -> None:
    """One run has calls on all nodes, the other on one."""
    world = a_world(PLAIN, 1)
    for name in ("n0", "n1", "n2"):
        calls(world, name, "wide", 1_000)
    calls(world, "n0", "narrow", 1_000)
    world.run(60.0)
    shares = Counter(call.run for call in world.sent)
    assert 0.85 < shares["wide"] / shares["narrow"] < 1.18


def test_nodes_share_by_the_runs_that_wait_on_them() -> None:
    world = a_world(PLAIN, 1)
    for run in range(9):
        calls(world, "n0", f"r{run}", 200)
    calls(world, "n1", "alone", 200)
    world.run(60.0)
    shares = Counter(call.run for call in world.sent)
    assert max(shares.values()) < 1.25 * min(shares.values())


def test_one_call_does_not_wait_behind_a_thousand_of_another_node() -> None:
    world = a_world(PLAIN, 1)
    calls(world, "n0", "long", 1_000)
    world.run(30.0)
    came = world.now
    calls(world, "n1", "short", 1)
    world.run(30.0)
    (short,) = (call for call in world.sent if call.run == "short")
    assert short.at - came < 0.5


def test_no_call_waits_for_a_message_while_calls_come_at_a_steady_pace() -> None:
    """A hundred a second on each node: they find a stock, and few reports keep it filled."""
    world = a_world(
        replace(PLAIN, rpm=60_000.0, concurrency=1_000), 1, Network(delay_s=0.005, in_order=True)
    )
    for name in ("n0", "n1", "n2"):
        for number in range(1_000):
            world.later(number / 100, lambda name=name: call(world, name, "r"))
    world.run(3.0)
    messages, began = world.messages, len(world.sent)
    late = [node.late for node in world.nodes.values()]
    world.run(6.0)
    assert len(world.sent) - began >= 1_750
    assert [node.late for node in world.nodes.values()] == late
    assert world.messages - messages < 1_000  # each report is heard by three


def test_another_authority_takes_over_within_seconds_and_goes_on_from_what_is_free() -> None:
    world = a_world(PLAIN, 1)
    for name in ("n0", "n1", "n2"):
        calls(world, name, name, 1_000)
    world.run(70.0)
    (holder,) = (n for n in world.nodes.values() if n.party.seat.may_grant(n.clock))
    holder.die()
    before = len(world.sent)
    world.run(6.0)
    assert len(world.sent) > before
    world.run(60.0)
    assert len(world.sent) - before >= 0.9 * 600
    assert world.most_in_a_minute(lambda _: 1) <= 600
    assert sum(n.party.seat.may_grant(n.clock) for n in world.nodes.values()) == 1


def test_a_pause_that_one_node_was_told_to_is_kept_by_all() -> None:
    world = a_world(PLAIN, 1)
    for name in ("n0", "n1", "n2"):
        calls(world, name, name, 300)
    world.run(5.0)
    node = world.nodes["n1"]
    ticket = next(iter(node.out))
    node.group.rejected(ticket, node.clock, hint=10.0, kind="rate_limited")
    node.step()
    told = world.now
    world.run(30.0)
    later = [call.at for call in world.sent if call.at > told]
    assert min(later) - told > 9.9
    assert sum(1 for at in later if at > told + 11.0) > 100


def test_without_the_network_a_node_uses_what_it_holds_and_then_waits() -> None:
    world = a_world(PLAIN, 1)
    calls(world, "n0", "r", 1_000)
    world.run(5.0)
    node = world.nodes["n0"]
    node.connected = False
    world.run(1.0)
    before = len(world.sent)
    world.run(20.0)
    assert len(world.sent) == before
    assert node.party.member.away_s(node.clock) > 10.0
    reconnect(node)
    world.run(10.0)
    assert len(world.sent) > before
    assert node.party.member.away_s(node.clock) == 0.0


def test_an_account_that_nobody_asks_sends_nothing_and_its_authority_leaves() -> None:
    world = a_world(PLAIN, 1)
    calls(world, "n0", "r", 10)
    world.run(60.0)
    messages, writes = world.messages, world.writes
    world.run(600.0)
    assert (world.messages, world.writes) == (messages, writes)
    assert all(node.party.seat.authority is None for node in world.nodes.values())
    calls(world, "n1", "r", 1)
    world.run(1.0)
    assert world.sent[-1].node == "n1"


def test_a_group_of_which_no_limit_is_known_is_granted_what_it_asks_for() -> None:
    world = a_world(Limits(concurrency_start=None), 1)
    calls(world, "n2", "r", 500)
    world.run(30.0)
    assert len(world.sent) == 500


def test_bursts_are_no_larger_than_those_of_a_single_process() -> None:
    """Of ten a second and three quarters of a second at once; the clocks differ a little."""
    world = a_world(PLAIN, 1)
    for name in ("n0", "n1", "n2"):
        calls(world, name, name, 200)
    world.run(30.0)
    times = [call.at for call in world.sent]
    for number, at in enumerate(times):
        in_a_second = sum(1 for other in times[number : number + 60] if other < at + 1.0)
        assert in_a_second <= 1 + 10 * (1.0 + 0.75)


def test_where_places_are_scarce_a_dead_node_keeps_few_of_them() -> None:
    """Nobody knows what it has in flight, and its calls may last; the others go on meanwhile."""
    world = a_world(replace(PLAIN, concurrency=12), 1)
    for node in world.nodes.values():
        node.service = lambda _: (0.3, 1, 1)
    for name in ("n0", "n1", "n2"):
        calls(world, name, name, 400)
    world.run(20.0)
    (holder,) = (n for n in world.nodes.values() if n.party.seat.may_grant(n.clock))
    holder.die()
    world.run(5.0)
    before = len(world.sent)
    world.run(10.0)
    assert len(world.sent) - before > 0.8 * 100
    assert world.most_in_flight <= 12


@pytest.mark.parametrize("what", ["holds it", "asks for it"])
def test_a_node_that_departs_leaves_all_its_places_to_the_others(what: str) -> None:
    world = a_world(replace(PLAIN, concurrency=3), 1, nodes=2)
    for node in world.nodes.values():
        node.service = lambda _: (0.3, 1, 1)
    calls(world, "n0", "r", 10)
    calls(world, "n1", "r", 1)
    world.run(10.0)
    calls(world, "n1" if what == "asks for it" else "n0", "r", 3)
    world.run(0.4)  # the last of them has just ended, and what is in stock is not used up
    (holder,) = (n for n in world.nodes.values() if n.party.seat.may_grant(n.clock))
    (other,) = (n for n in world.nodes.values() if n is not holder)
    departs, stays = (holder, other) if what == "holds it" else (other, holder)
    departs.depart()
    world.run(1.0)
    assert departs.party.is_gone
    before = len(world.sent)
    calls(world, stays.name, "r", 60)
    world.run(8.0)  # two places would take nine seconds
    assert len(world.sent) - before == 60
    assert world.most_in_flight <= 3


def test_nodes_that_depart_at_once_leave_nothing_behind() -> None:
    """Where nobody grants any more, one of them does for a moment."""
    world = a_world(replace(PLAIN, concurrency=3), 1)
    for node in world.nodes.values():
        node.service = lambda _: (0.3, 1, 1)
        calls(world, node.name, node.name, 10)
    world.run(3.4)  # their last calls have just ended
    for node in list(world.nodes.values()):
        node.depart()
    world.run(3.0)
    assert not world.nodes
    world.node("n3")
    calls(world, "n3", "r", 3)
    world.run(1.0)
    assert sum(call.node == "n3" for call in world.sent) == 3


def test_nodes_that_have_died_do_not_slow_the_others_down_and_a_silent_one_comes_back() -> None:
    world = a_world(PLAIN, 1, nodes=2)
    for _ in range(20):  # so that the silent one has heard many replies
        calls(world, "n0", "r", 1)
        calls(world, "n1", "r", 1)
        world.run(2.0)
    (holder,) = (n for n in world.nodes.values() if n.party.seat.may_grant(n.clock))
    (silent,) = (n for n in world.nodes.values() if n is not holder)
    authority = holder.party.seat.authority
    assert authority is not None
    for number in range(50):
        world.node(f"short-{number}")
        calls(world, f"short-{number}", "r", 1)
    world.run(5.0)
    assert authority.spacing_s > SPACING_S
    for number in range(50):
        world.nodes[f"short-{number}"].die()
    for _ in range(20):  # so that it grants all the while
        calls(world, holder.name, "r", 1)
        world.run(5.0)
    before = len(world.sent)
    for name in (world.node("new").name, silent.name):
        calls(world, name, "r", 3)
        world.run(2.0)
    assert Counter(call.node for call in world.sent[before:]) == {"new": 3, silent.name: 3}
    assert authority.spacing_s == SPACING_S


def test_when_the_store_has_lost_the_record_nothing_goes_out_that_may_be_too_much() -> None:
    """Nobody knows what was granted within the last minute; after it all goes on."""
    world = a_world(PLAIN, 1)
    for name in ("n0", "n1", "n2"):
        calls(world, name, name, 1_000)
    world.run(70.0)
    world.store.revision, world.store.value = 0, None
    world.run(80.0)
    before = len(world.sent)
    world.run(60.0)
    assert len(world.sent) - before > 0.9 * 600
    assert world.most_in_a_minute(lambda _: 1) <= 600
    assert sum(n.party.seat.may_grant(n.clock) for n in world.nodes.values()) == 1
