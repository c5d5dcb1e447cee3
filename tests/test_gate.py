"""How many bodies run at once."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.engines import Gate, Place
from runtime.engines.cluster.room import Room


def test_newcomers_enter_in_order_and_returners_go_first() -> None:
    gate, entered = Gate(1), []

    def admit(name: str) -> bool:
        entered.append(name)
        return True

    for name in ("a", "b", "c"):
        gate.enter(lambda name=name: admit(name))
    gate.enter(lambda: admit("returner"), returning=True)
    assert entered == ["a"]
    assert repr(gate) == "<Gate [1/1 inside, 2 in line, 1 returning]>"
    for _ in range(3):
        gate.leave()
    assert entered == ["a", "returner", "b", "c"]


def test_who_has_given_up_takes_no_place() -> None:
    gate, entered = Gate(1), []
    gate.enter(lambda: True)
    gate.enter(lambda: False)
    gate.enter(lambda: entered.append("next") is None)
    gate.leave()
    assert (entered, gate.inside) == (["next"], 1)


@given(st.integers(1, 4), st.lists(st.sampled_from(["enter", "return", "leave", "quitter"])))
def test_never_more_inside_than_the_capacity_and_nobody_waits_beside_a_free_place(
    capacity: int, steps: list[str]
) -> None:
    gate = Gate(capacity)
    waiting = inside = 0

    def admit() -> bool:
        nonlocal waiting, inside
        waiting, inside = waiting - 1, inside + 1
        return True

    for step in steps:
        if step == "leave":
            if inside:
                inside -= 1
                gate.leave()
        elif step == "quitter":
            gate.enter(lambda: False)
        else:
            waiting += 1
            gate.enter(admit, returning=step == "return")
        assert gate.inside == inside <= capacity
        assert not waiting or inside == capacity


async def test_a_place_is_pulled_for_that_gets_free_while_others_are_kept() -> None:
    """What is to come to them may be in the hands of a node that has to be lost first."""
    gate = Gate(2)
    room = Room(gate)
    gate.enter(lambda: True)
    room.coming()

    async def leave() -> None:
        await anyio.sleep(1)
        gate.leave()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leave)
        assert await room.free() == 1


async def test_two_branches_of_one_body_come_back_together_and_take_one_place() -> None:
    gate = Gate(1)
    place = Place(gate)
    await place.take()
    place.leave()
    other = Place(gate)
    await other.take()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(place.come_back)
        tasks.start_soon(place.come_back)
        await anyio.sleep(1)
        other.leave()
    assert (place.inside, gate.inside) == (True, 1)


async def test_a_body_that_is_cancelled_while_it_comes_back_holds_nothing() -> None:
    gate = Gate(1)
    other, place = Place(gate), Place(gate)
    await other.take()
    with anyio.move_on_after(1):
        await place.come_back()
    place.abandon()
    other.leave()
    assert (place.inside, gate.inside) == (False, 0)


@pytest.mark.parametrize("again", [1, 2])
async def test_leaving_twice_is_leaving_once(again: int) -> None:
    gate = Gate(2)
    place = Place(gate, inside=False)
    await place.take()
    for _ in range(again):
        place.leave()
    assert gate.inside == 0
