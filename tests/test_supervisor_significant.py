"""When the end of a significant child is the end of its supervisor (OTP's auto_shutdown cases)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel import World, settle, states, supervised, supervisor_spec, the, under

if TYPE_CHECKING:
    from runtime.actors import ActorRef

FLAGS = ("any_significant", "all_significant")
ENDINGS = ("normal", "shutdown", "crash", "kill")


def end(ref: ActorRef | None, ending: str) -> None:
    """End a child in one of the four ways."""
    if ending == "kill":
        the(ref).kill()
    else:
        the(ref).tell(ending)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("auto_shutdown", FLAGS)
async def test_nonsignificant_temporary(auto_shutdown: str, ending: str) -> None:
    """A temporary child that is not significant never ends its supervisor."""
    world = World()
    specs = [world.spec(id_, restart="temporary") for id_ in "ab"]
    async with supervised(specs, auto_shutdown=auto_shutdown) as (_, sup):
        for id_ in "ab":
            end(sup.child(id_), ending)
            await settle()
        assert sup.alive
        assert await states(sup) == {}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("auto_shutdown", FLAGS)
async def test_nonsignificant_transient(auto_shutdown: str, ending: str) -> None:
    """A transient child that is not significant never ends its supervisor."""
    world = World()
    specs = [world.spec(id_, restart="transient") for id_ in "ab"]
    async with supervised(specs, auto_shutdown=auto_shutdown, intensity=2) as (_, sup):
        for id_ in "ab":
            end(sup.child(id_), ending)
            await settle()
        again = ending in ("crash", "kill")
        assert await states(sup) == dict.fromkeys("ab", "running" if again else "stopped")


@pytest.mark.parametrize("ending", ENDINGS)
async def test_significant_temporary(ending: str) -> None:
    """Any exit of a significant temporary child counts: the first for any, the last for all."""
    world = World()
    specs = [
        world.spec("a", restart="temporary", significant=True),
        world.spec("b", restart="temporary", significant=True),
        world.spec("c"),
    ]
    async with supervised(specs, auto_shutdown="any_significant") as (_, sup):
        end(sup.child("a"), ending)
        assert (await sup.ended()).kind == "shutdown"
    async with supervised(specs, auto_shutdown="all_significant") as (_, sup):
        c = the(sup.child("c"))
        end(sup.child("a"), ending)
        await settle()
        assert await states(sup) == {"b": "running", "c": "running"}
        end(sup.child("b"), ending)
        assert (await sup.ended()).kind == "shutdown"
        assert not c.alive


@pytest.mark.parametrize("auto_shutdown", FLAGS)
@pytest.mark.parametrize("ending", ENDINGS)
async def test_significant_transient(ending: str, auto_shutdown: str) -> None:
    """Only an exit that is not restarted counts: a crash or kill of a transient child does not."""
    world = World()
    specs = [world.spec("a", restart="transient", significant=True), world.spec("b")]
    async with supervised(specs, auto_shutdown=auto_shutdown) as (_, sup):
        end(sup.child("a"), ending)
        await settle()
        assert sup.alive == (ending in ("crash", "kill"))
        if sup.alive:
            assert await states(sup) == {"a": "running", "b": "running"}
            end(sup.child("a"), "normal")
            assert (await sup.ended()).kind == "shutdown"


@pytest.mark.parametrize("restart", ["temporary", "transient"])
@pytest.mark.parametrize("auto_shutdown", FLAGS)
async def test_terminate_child_of_a_significant_child_does_not_count(
    auto_shutdown: str, restart: Any
) -> None:
    """What an administrator ends is no exit of the child's own; the next own exit counts again."""
    world = World()
    spec = world.spec("a", restart=restart, significant=True)
    async with supervised([spec], auto_shutdown=auto_shutdown) as (_, sup):
        await sup.terminate_child("a")
        assert sup.alive
        child = await (sup.start_child(spec) if restart == "temporary" else sup.restart_child("a"))
        end(child, "normal")
        assert (await sup.ended()).kind == "shutdown"


@pytest.mark.parametrize("restart", ["temporary", "transient"])
@pytest.mark.parametrize("auto_shutdown", FLAGS)
async def test_significant_simple(auto_shutdown: str, restart: Any) -> None:
    """A significant template: any of its children's ends, or that of the last one."""
    world = World()
    template = world.spec("job", restart=restart, significant=True)
    flags: dict[str, Any] = {"strategy": "simple_one_for_one", "auto_shutdown": auto_shutdown}
    async with supervised([template], **flags) as (_, sup):
        refs = [the(await sup.start_child()) for _ in range(4)]
        await sup.terminate_child(refs.pop())
        assert sup.alive
        for ref in refs[:-1]:
            end(ref, "normal")
            await settle()
            assert sup.alive == (auto_shutdown == "all_significant")
            if not sup.alive:
                return
        end(refs[-1], "normal")
        assert (await sup.ended()).kind == "shutdown"


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
@pytest.mark.parametrize("auto_shutdown", FLAGS)
async def test_significant_bystander(auto_shutdown: str, strategy: str) -> None:
    """Significant siblings that a strategy stops do not end the supervisor."""
    world = World()
    specs = [
        world.spec("a"),
        world.spec("b", restart="transient", significant=True),
        world.spec("c", restart="temporary", significant=True),
    ]
    async with supervised(specs, auto_shutdown=auto_shutdown, strategy=strategy) as (_, sup):
        end(sup.child("a"), "crash")
        await settle()
        assert await states(sup) == {"a": "running", "b": "running"}
        assert world.starts == {"a": 2, "b": 2, "c": 1}
        end(sup.child("b"), "normal")
        assert (await sup.ended()).kind == "shutdown"


async def test_significant_escalation() -> None:
    """The end climbs through nested supervisors as long as each is significant to the next."""
    world = World()
    significant: dict[str, Any] = {"restart": "transient", "significant": True}
    leaf = world.spec("leaf", **significant)
    inner = supervisor_spec("inner", [leaf], auto_shutdown="any_significant", **significant)
    outer = supervisor_spec("outer", [inner, world.spec("by")], auto_shutdown="any_significant")
    async with supervised([outer], intensity=1) as (_, root):
        first = under(root.child("outer"))
        world.watch(first, first.child("inner"), first.child("by"))
        end(under(first.child("inner")).child("leaf"), "normal")
        await settle()
        assert world.ended() == dict.fromkeys(("outer", "inner", "by"), "shutdown")
        again = under(root.child("outer"))  # permanent: the root starts it anew, with all in it
        assert under(again.child("inner")).child("leaf") is not None
        assert world.starts == {"leaf": 2, "by": 2}


async def test_a_significant_child_that_has_used_up_its_own_bound_ends_its_supervisor() -> None:
    """It will not come back, so it counts; those that went down with it stay down."""
    world = World()
    own = world.spec("b", restart="transient", significant=True, max_restarts=1)
    flags: dict[str, Any] = {"strategy": "one_for_all", "auto_shutdown": "any_significant"}
    specs = [world.spec("a"), own, world.spec("c")]
    async with supervised(specs, intensity=9, **flags) as (_, sup):
        world.fail("b")
        end(sup.child("b"), "crash")
        assert (await sup.ended()).kind == "shutdown"
        assert world.starts == {"a": 2, "b": 2, "c": 1}


async def test_a_significant_child_that_asks_to_be_ignored_does_not_count() -> None:
    """A child that never began has not ended."""
    world = World()
    world.ignore("job")
    template = world.spec("job", restart="temporary", significant=True)
    flags: dict[str, Any] = {"strategy": "simple_one_for_one", "auto_shutdown": "any_significant"}
    async with supervised([template], **flags) as (system, sup):
        assert await sup.start_child() is None
        ref = sup.spawn()
        await settle()
        assert not ref.alive
        assert sup.alive
        assert not system.reports
