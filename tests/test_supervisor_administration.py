"""What may be asked of a running supervisor, and what it refuses by name."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest

from runtime.actors import (
    ActorGone,
    AlreadyPresent,
    AlreadyStarted,
    ChildSpec,
    Counts,
    NotFound,
    Running,
    SpecError,
    Supervisor,
    TooManyChildren,
)
from tests.kernel import Probe, World, settle, states, supervised, the

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def test_child_adm() -> None:
    """The life of a child as its administrator sees it."""
    world = World()
    one = world.spec("one")
    async with supervised() as (_, sup):
        assert await sup.which_children() == []
        assert await sup.count_children() == Counts(0, 0, 0, 0)

        first = the(await sup.start_child(one))
        with pytest.raises(AlreadyStarted):
            await sup.start_child(one)
        assert await sup.count_children() == Counts(1, 1, 0, 1)
        for request in (sup.delete_child, sup.restart_child):
            with pytest.raises(Running):
                await request("one")

        await sup.terminate_child("one")
        assert not first.alive
        await sup.terminate_child("one")
        assert await states(sup) == {"one": "stopped"}
        assert await sup.count_children() == Counts(1, 0, 0, 1)
        with pytest.raises(AlreadyPresent):
            await sup.start_child(one)

        second = the(await sup.restart_child("one"))
        assert second is not first
        await sup.terminate_child("one")
        await sup.delete_child("one")
        requests: tuple[Callable[[str], Awaitable[object]], ...] = (
            sup.delete_child,
            sup.restart_child,
            sup.terminate_child,
            sup.child_spec,
        )
        for ask in requests:
            with pytest.raises(NotFound, match="'one'"):
                await ask("one")
        assert world.starts == {"one": 2}

        sup.stop()
        await sup.ended()
        for refused in (sup.which_children, sup.count_children, lambda: sup.start_child(one)):
            with pytest.raises(ActorGone):
                await refused()


async def test_child_adm_simple() -> None:
    """A template's children are known by their addresses only, and never by those of others."""
    world = World()
    template = world.spec("job")
    async with supervised([template], strategy="simple_one_for_one") as (system, sup):
        first, second = the(await sup.start_child()), the(await sup.start_child())
        assert await sup.count_children() == Counts(1, 2, 0, 2)
        assert await states(sup) == {"job#1": "running", "job#2": "running"}

        for wrong in ("job", "job#1", system, None, ["unhashable"]):
            with pytest.raises(NotFound):
                await sup.terminate_child(wrong)
        async with supervised([template], strategy="simple_one_for_one") as (_, other):
            namesake = the(await other.start_child())
            with pytest.raises(NotFound):
                await sup.terminate_child(namesake)
            assert namesake.alive

        await sup.terminate_child(first)
        await sup.terminate_child(first)
        assert await states(sup) == {"job#2": "running"}
        with pytest.raises(Running):
            await sup.restart_child(second)
        with pytest.raises(NotFound):
            await sup.delete_child(first)


async def test_a_wrong_request_is_its_askers_failure_and_not_the_supervisors() -> None:
    """The supervisor and its children live on whatever nonsense it is asked."""
    world = World()
    async with supervised([world.spec("one")]) as (_, sup):
        one = sup.child("one")
        for nonsense in ("two", None, ["unhashable"], object()):
            with pytest.raises(NotFound):
                await sup.terminate_child(nonsense)
            with pytest.raises(SpecError):
                await sup.start_child(nonsense)
        assert sup.child("one") is one
        assert sup.statistics().crashed == 0


BAD_FIELDS: tuple[tuple[str, Any], ...] = (
    ("id", None),
    ("id", {}),
    ("start", "probe"),
    ("args", ["a", "list"]),
    ("restart", "sometimes"),
    ("restart", None),
    ("shutdown", -1.0),
    ("shutdown", nan),
    ("shutdown", "soon"),
    ("shutdown", True),
    ("type", "manager"),
    ("significant", "yes"),
    ("keep_address", 1),
    ("max_restarts", -1),
    ("max_restarts", 1.5),
    ("mailbox", None),
)


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS)
def test_child_specs_map_names_each_bad_field(field: str, value: Any) -> None:
    """A wrong value is refused with the field's name and the value."""
    spec = replace(ChildSpec("one", Probe), **{field: value})
    with pytest.raises(SpecError) as caught:
        Supervisor([spec])
    assert f"{field} must be" in str(caught.value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("restart", "shutdown", "type_", "significant"),
    tuple(
        product(
            ("permanent", "transient", "temporary"),
            (None, 0, 1, 2.5, inf, "brutal_kill"),
            ("worker", "supervisor"),
            (False, True),
        )
    ),
)
def test_child_specs_map_takes_every_good_combination(
    restart: Any, shutdown: Any, type_: Any, significant: bool
) -> None:
    """Everything goes with everything, but a permanent child cannot be significant."""
    spec = ChildSpec("one", Probe, (), restart, shutdown, type_, significant)
    if significant and restart == "permanent":
        with pytest.raises(SpecError, match="permanent"):
            Supervisor([spec], auto_shutdown="any_significant")
    else:
        supervisor = Supervisor([spec], auto_shutdown="any_significant")
        assert "0 specs" in repr(supervisor)


@pytest.mark.parametrize("auto_shutdown", ["any_significant", "all_significant"])
async def test_child_specs(auto_shutdown: Any) -> None:
    """Ids are unique, also a static one's against a dynamic one's; significant needs a use."""
    world = World()
    one = world.spec("one", restart="transient", significant=True)
    with pytest.raises(SpecError, match="'one' is specified twice"):
        Supervisor([one, world.spec("two"), one], auto_shutdown=auto_shutdown)
    with pytest.raises(SpecError, match="needs a supervisor with auto_shutdown"):
        Supervisor([one])
    async with supervised([one], auto_shutdown=auto_shutdown) as (_, sup):
        with pytest.raises(AlreadyStarted):
            await sup.start_child(world.spec("one"))


async def test_extra_return() -> None:
    """What a child says at its start is with its address, and is said anew after a restart."""
    world = World()
    async with supervised(intensity=3) as (_, sup):
        spec = world.spec("one", args=("extra", 1))
        first = the(await sup.start_child(spec))
        assert first.info == ("extra", 1)
        first.tell("crash")
        await settle()
        second = the(sup.child("one"))
        assert second is not first
        assert second.info == ("extra", 1)


BAD_FLAGS: tuple[tuple[str, Any], ...] = (
    ("strategy", "all_for_one"),
    ("strategy", None),
    ("intensity", -1),
    ("intensity", 1.5),
    ("intensity", inf),
    ("intensity", True),
    ("period", 0),
    ("period", -1.0),
    ("period", inf),
    ("period", nan),
    ("period", "5"),
    ("auto_shutdown", "always"),
    ("max_children", -1),
    ("max_children", None),
    ("backoff", 0.2),
    ("draw", 0.5),
)


@pytest.mark.parametrize(("flag", "value"), BAD_FLAGS)
def test_sup_flags(flag: str, value: object) -> None:
    """A wrong flag is refused with its name and value."""
    with pytest.raises(SpecError) as caught:
        Supervisor([], **{flag: value})  # type: ignore[arg-type]  # that is the point
    assert str(caught.value).startswith(f"{flag} must be")
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("children", [0, 2])
def test_sup_flags_a_template_stands_alone(children: int) -> None:
    """``simple_one_for_one`` takes exactly one spec."""
    specs = [ChildSpec(f"child {number}", Probe) for number in range(children)]
    with pytest.raises(SpecError, match=f"exactly one child.*got {children}"):
        Supervisor(specs, strategy="simple_one_for_one")


async def test_one_child_too_many_is_refused() -> None:
    """The table is bounded, for specs and for a template's children, with and without a hop."""
    world = World()
    async with supervised([world.spec("one")], max_children=1) as (_, sup):
        with pytest.raises(TooManyChildren):
            await sup.start_child(world.spec("two"))
    flags: dict[str, Any] = {"strategy": "simple_one_for_one", "max_children": 1}
    async with supervised([world.spec("job")], **flags) as (_, sup):
        first = sup.spawn()
        with pytest.raises(TooManyChildren):
            sup.spawn()
        await sup.terminate_child(first)
        assert sup.spawn().alive
