"""How a supervisor and its children start, and what is left when they do not."""

from __future__ import annotations

import pickle
from functools import partial
from math import inf

import pytest

from runtime.actors import (
    Actor,
    ChildSpec,
    Counts,
    Ignore,
    NotFound,
    SpecError,
    StartError,
    Supervisor,
    actor_system,
)
from tests.kernel import Crash, Probe, World, reported, states, supervised, supervisor_spec, the


class Ignoring(Supervisor):
    """A supervisor that has nothing to do."""

    async def on_start(self) -> None:
        raise Ignore


async def test_sup_start_normal() -> None:
    """A supervisor starts, is found alive, and ends with shutdown when it is stopped."""
    async with supervised() as (system, sup):
        assert sup.alive
        sup.stop()
        exit_ = await sup.ended()
        assert exit_.kind == "shutdown"
        assert not sup.alive
        assert system.statistics().top == 0


async def test_sup_start_ignore_init() -> None:
    """A supervisor that asks to be ignored does not run, and that is no failure of its parent."""
    async with supervised() as (system, root):
        spec = ChildSpec("sub", Ignoring, type="supervisor")
        assert await root.start_child(spec) is None
        assert await states(root) == {"sub": "stopped"}
        assert reported(system) == []


async def test_sup_start_ignore_init_at_the_top() -> None:
    """At the top there is nobody to keep a spec: the starter hears of it, and nothing is left."""
    async with actor_system() as system:
        with pytest.raises(StartError) as caught:
            await system.supervise(Ignoring)
        assert isinstance(caught.value.__cause__, Ignore)
        assert system.statistics().top == 0


async def test_sup_start_ignore_child() -> None:
    """A child that asks to be ignored keeps its spec without an actor; the next one starts."""
    world = World()
    world.ignore("one")
    async with supervised([world.spec("one"), world.spec("two")]) as (_, sup):
        assert await states(sup) == {"one": "stopped", "two": "running"}
        assert await sup.count_children() == Counts(specs=2, active=1, supervisors=0, workers=2)
        assert (await sup.child_spec("one")).restart == "permanent"


async def test_sup_start_ignore_temporary_child() -> None:
    """A static temporary child that asks to be ignored leaves no spec."""
    world = World()
    world.ignore("one")
    specs = [world.spec("one", restart="temporary"), world.spec("two", restart="temporary")]
    async with supervised(specs) as (_, sup):
        assert await states(sup) == {"two": "running"}
        assert await sup.count_children() == Counts(1, 1, 0, 1)


async def test_sup_start_ignore_temporary_child_start_child() -> None:
    """A dynamic temporary child that asks to be ignored leaves no spec either."""
    world = World()
    world.ignore("one")
    async with supervised() as (_, sup):
        assert await sup.start_child(world.spec("one", restart="temporary")) is None
        assert await sup.start_child(world.spec("two", restart="temporary")) is not None
        assert await states(sup) == {"two": "running"}


async def test_sup_start_ignore_temporary_child_start_child_simple() -> None:
    """A template's child that asks to be ignored is forgotten, and the supervisor ends cleanly."""
    await _template_whose_child_asks_to_be_ignored("temporary")


async def test_sup_start_ignore_permanent_child_start_child_simple() -> None:
    """Also when its template says that it is permanent."""
    await _template_whose_child_asks_to_be_ignored("permanent")


async def _template_whose_child_asks_to_be_ignored(restart: str) -> None:
    world = World()
    world.ignore("job")
    template = world.spec("job", restart=restart)
    async with supervised([template], strategy="simple_one_for_one") as (system, sup):
        assert await sup.start_child() is None
        assert await sup.which_children() == []
        assert await sup.count_children() == Counts(1, 0, 0, 0)
        sup.stop()
        assert (await sup.ended()).kind == "shutdown"
        assert reported(system) == []


async def test_sup_start_error_return() -> None:
    """A start that makes something else than an actor is an error that says so."""
    async with actor_system() as system:
        with pytest.raises(StartError) as caught:
            await system.supervise(lambda: "no supervisor")  # type: ignore[arg-type,return-value]  # that is the point
        assert "no supervisor" in str(caught.value.__cause__)
        assert system.statistics().top == 0


async def test_sup_start_fail() -> None:
    """A failing static child stops those before it, names itself, and leaves nothing behind."""
    world = World()
    world.fail("three")
    specs = [world.spec("one"), world.spec("two"), world.spec("three"), world.spec("four")]
    async with actor_system() as system:
        with pytest.raises(StartError) as caught:
            await system.supervise(partial(Supervisor, specs))
        error = caught.value.__cause__
        assert isinstance(error, StartError)
        assert error.child == "three"
        assert isinstance(error.__cause__, Crash)
        assert world.events == ["one starts", "two starts", "two stops", "one stops"]
        assert world.starts["four"] == 0
        assert system.statistics().top == 0
        assert reported(system) == [("start_error", "three")]


async def test_sup_start_child_returns_error() -> None:
    """A failing start_child names the child, is reported, and keeps no spec."""
    world = World()
    world.fail("one", 1)
    async with supervised() as (system, sup):
        with pytest.raises(StartError, match=r"'one' could not be started.*does not start"):
            await sup.start_child(world.spec("one"))
        assert await sup.which_children() == []
        assert reported(system) == [("start_error", "one")]
        assert the(await sup.start_child(world.spec("one"))).name == "one"


async def test_sup_start_restart_child_returns_error() -> None:
    """A failing restart_child keeps the spec, stopped, and spends none of the intensity."""
    world = World()
    async with supervised([world.spec("one")], intensity=0) as (_, sup):
        await sup.terminate_child("one")
        world.fail("one", 1)
        with pytest.raises(StartError):
            await sup.restart_child("one")
        assert await states(sup) == {"one": "stopped"}
        assert the(await sup.restart_child("one")).incarnation == 1


async def test_sup_start_child_returns_error_simple() -> None:
    """A template's child whose start fails is named and not kept."""
    world = World()
    world.fail("job", 1)
    async with supervised([world.spec("job")], strategy="simple_one_for_one") as (_, sup):
        with pytest.raises(StartError, match="job#1"):
            await sup.start_child()
        assert await sup.which_children() == []
        assert the(await sup.start_child()).name == "job#2"


async def test_sup_start_map() -> None:
    """A spec that says only what it must gets OTP's defaults, and can be asked for."""
    world = World()
    async with supervised([world.spec("one"), supervisor_spec("sub")]) as (_, sup):
        one, sub = await sup.child_spec("one"), await sup.child_spec("sub")
        assert (one.restart, one.grace, one.type, one.significant) == (
            "permanent",
            5.0,
            "worker",
            False,
        )
        assert sub.grace == inf
        with pytest.raises(NotFound, match="three"):
            await sup.child_spec("three")


async def test_sup_start_map_simple() -> None:
    """Each of a template's children has the template's spec with its own arguments."""
    world = World()
    template = world.spec("job", restart="transient", shutdown=2.0)
    async with supervised([template], strategy="simple_one_for_one") as (_, sup):
        first, second = await sup.start_child("x"), await sup.start_child()
        spec = await sup.child_spec(first)
        assert (spec.restart, spec.grace, spec.args) == ("transient", 2.0, ("x",))
        assert (await sup.child_spec(second)).args == ()


FAULTY: tuple[tuple[object, str], ...] = (
    (ChildSpec(None, Probe), "id must be"),
    (ChildSpec(["a", "list"], Probe), "id must be something hashable"),
    (ChildSpec("one", None), "start must be"),  # type: ignore[arg-type]  # that is the point
    ("one", "given as a ChildSpec"),
    ({"id": "one", "start": Probe}, "given as a ChildSpec"),
)


@pytest.mark.parametrize(("spec", "named"), FAULTY)
async def test_sup_start_map_faulty_specs(spec: object, named: str) -> None:
    """A spec without an id, without a start, or that is no spec at all is refused by name."""
    with pytest.raises(SpecError, match=named):
        Supervisor([spec])  # type: ignore[list-item]  # that is the point
    async with supervised() as (_, sup):
        with pytest.raises(SpecError, match=named):
            await sup.start_child(spec)
        assert await sup.which_children() == []


def test_sup_start_map_faulty_specs_miss_what_they_must_say() -> None:
    """What a spec must say is an argument, so Python itself names what is missing or unknown."""
    with pytest.raises(TypeError, match="start"):
        ChildSpec("one")  # type: ignore[call-arg]  # that is the point
    with pytest.raises(TypeError, match="id"):
        ChildSpec(start=Actor)  # type: ignore[call-arg]  # that is the point
    with pytest.raises(TypeError, match="colour"):
        ChildSpec("one", Actor, colour="red")  # type: ignore[call-arg]  # that is the point


def test_errors_travel() -> None:
    """Every error of the kernel survives pickling, as it may have to reach another process."""
    for error in (StartError("one", Crash("why")), NotFound("no such child"), SpecError("id")):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
        assert (type(again), str(again)) == (type(error), str(error))
        assert repr(again.__cause__) == repr(error.__cause__)
