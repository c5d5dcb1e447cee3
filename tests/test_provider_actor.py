"""The provider actor under the real kernel: many calls in flight, and every bound kept."""

from __future__ import annotations

import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from providers import provider_actor
from providers.actor import ProviderActor
from runtime.actors import (
    ActorGone,
    ActorRef,
    ChildSpec,
    OutcomeUnknown,
    Supervisor,
    Unhandled,
    actor_system,
)
from runtime.errors import (
    ConfigurationError,
    DeadlineExceeded,
    ModelUnavailable,
    QueueFull,
    ServerError,
)
from runtime.messages import Message, ModelReply, ModelRequest, ProviderProfile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PROFILE = ProviderProfile(name="p", dialect="echo", concurrency=2, max_queue=3)


class Slow:
    """A backend whose calls take a second each and may fail."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.events: list[str] = []

    async def open(self) -> None:
        self.events.append("opened")

    async def close(self) -> None:
        self.events.append(f"closed with {self.running} in flight")

    async def invoke(self, request: ModelRequest) -> ModelReply:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await anyio.sleep(1)
        finally:
            self.running -= 1
        if request.model == "broken":
            raise ServerError("it broke")
        self.events.append(request.messages[0].content)
        return ModelReply(text=request.messages[0].content, usage=None, model=request.model)


def a_request(text: str = "hi", **fields: Any) -> ModelRequest:
    fields = {"model": "m"} | fields
    return ModelRequest(provider="p", messages=(Message("user", text),), **fields)


@asynccontextmanager
async def started(
    backend: Slow, profile: ProviderProfile = PROFILE
) -> AsyncIterator[tuple[ActorRef, ProviderActor]]:
    async with actor_system() as system:
        ref = await system.start(lambda: ProviderActor(backend, profile))
        actor = ref.actor
        assert isinstance(actor, ProviderActor)
        yield ref, actor


async def outcomes_of(futures: list[Any]) -> list[str]:
    """Return what became of each ask: its text, or the name of its error."""
    found = []
    for future in futures:
        try:
            found.append((await future).text)
        except Exception as error:  # noqa: BLE001  # the error is the outcome
            found.append(type(error).__name__)
    return found


async def test_calls_run_at_the_same_time_up_to_the_limit_and_in_their_order() -> None:
    backend = Slow()
    async with started(backend) as (ref, actor):
        futures = [ref.ask(a_request(str(number))) for number in range(5)]
        await anyio.sleep(0.5)
        assert actor.statistics()[:2] == (2, 3)
        assert repr(actor) == (
            "<ProviderActor p (echo) [2/2 in flight, 3/3 waiting, 5 calls, 0 errors]>"
        )
        assert await outcomes_of(futures) == list("01234")
        assert anyio.current_time() == pytest.approx(3)
    assert backend.most == 2
    assert backend.events == ["opened", *"01234", "closed with 0 in flight"]


async def test_one_more_than_may_wait_is_refused_at_once_and_the_others_are_served() -> None:
    backend = Slow()
    async with started(backend) as (ref, actor):
        futures = [ref.ask(a_request(str(number))) for number in range(7)]
        assert await outcomes_of(futures) == [*"01234", "QueueFull", "QueueFull"]
        assert (await ref.ask(a_request("later"))).text == "later"
        assert actor.statistics().errors == 2


async def test_without_a_queue_a_call_runs_or_is_refused() -> None:
    profile = ProviderProfile(name="p", dialect="echo", concurrency=1, max_queue=0)
    async with started(Slow(), profile) as (ref, _):
        first, second = ref.ask(a_request("a")), ref.ask(a_request("b"))
        with pytest.raises(QueueFull, match="provider p: 0 calls are waiting already"):
            await second
        assert (await first).text == "a"


async def test_a_deadline_ends_a_call_in_flight() -> None:
    backend = Slow()
    async with started(backend) as (ref, _):
        with pytest.raises(DeadlineExceeded, match="p/m: time ran out while it was in flight"):
            await ref.ask(a_request(deadline=anyio.current_time() + 0.5))
        assert anyio.current_time() == pytest.approx(0.5)
        assert backend.running == 0


async def test_a_deadline_ends_the_wait_for_a_slot_and_leaves_the_queue_in_order() -> None:
    backend = Slow()
    async with started(backend) as (ref, actor):
        futures = [ref.ask(a_request(str(number))) for number in range(3)]
        late = ref.ask(a_request("late", deadline=anyio.current_time() + 0.2))
        with pytest.raises(DeadlineExceeded, match="waited for its turn"):
            await late
        assert actor.statistics().waiting == 1
        assert await outcomes_of(futures) == ["0", "1", "2"]
        assert "late" not in backend.events


async def test_a_deadline_that_is_over_reaches_no_backend() -> None:
    backend = Slow()
    async with started(backend) as (ref, _):
        with pytest.raises(DeadlineExceeded):
            await ref.ask(a_request(deadline=anyio.current_time()))
    assert backend.most == 0


async def test_a_failed_call_fails_its_asker_and_not_the_actor() -> None:
    async with started(Slow()) as (ref, actor):
        with pytest.raises(ServerError, match="it broke"):
            await ref.ask(a_request(model="broken"))
        assert (await ref.ask(a_request("still here"))).text == "still here"
        now = actor.statistics()
    assert (now.calls, now.errors, now.last_error) == (2, 1, "ServerError: it broke")
    assert ref.incarnation == 1


async def test_an_asker_that_gives_up_gives_its_slot_back() -> None:
    backend = Slow()
    async with started(backend) as (ref, actor):
        future = ref.ask(a_request())
        await anyio.sleep(0.5)
        future.cancel()
        await anyio.sleep(0.1)
        assert backend.running == 0
        assert actor.statistics().in_flight == 0


async def test_a_stopped_actor_ends_its_calls_before_it_closes_its_backend() -> None:
    backend = Slow()
    async with started(backend) as (ref, _):
        future = ref.ask(a_request())
        await anyio.sleep(0.5)
        ref.stop()
        with pytest.raises((OutcomeUnknown, ActorGone)):
            await future
        await ref.ended()
    assert backend.events == ["opened", "closed with 0 in flight"]


async def test_a_crashed_account_is_started_again_by_its_supervisor_and_answers() -> None:
    spec = ChildSpec("p", provider_actor, (PROFILE,), keep_address=True)
    async with actor_system() as system:
        root = await system.supervise(lambda: Supervisor([spec]))
        ref = root.child("p")
        assert ref is not None
        ref.kill()
        reply = await ref.ask(a_request("again", model="echo-1"))
        assert reply.text == "again"
        assert ref.incarnation == 2


async def test_other_messages_are_nothing_to_it() -> None:
    async with started(Slow()) as (ref, _):
        with pytest.raises(Unhandled):
            await ref.ask("hello")


async def test_the_front_door_starts_the_dialect_of_the_profile() -> None:
    profile = ProviderProfile(name="echo", dialect="echo")
    async with actor_system() as system:
        ref = await system.start(lambda: provider_actor(profile))
        assert (await ref.ask(a_request("hello", model="echo-1"))).text == "hello"
        with pytest.raises(ModelUnavailable):
            await ref.ask(a_request("hello", model="gpt-4o"))


def test_an_unknown_dialect_is_told_the_known_ones() -> None:
    with pytest.raises(
        ConfigurationError, match=r"'p': nobody speaks .*'smtp'.* echo, openai_chat"
    ):
        provider_actor(ProviderProfile(name="p", dialect="smtp"))


@pytest.mark.parametrize("bounds", [{"concurrency": 0}, {"max_queue": -1}])
def test_bounds_that_bound_nothing_are_refused(bounds: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="concurrency is at least 1"):
        provider_actor(ProviderProfile(name="p", dialect="echo", **bounds))  # type: ignore[arg-type]  # a number each


def test_echo_loads_no_http_library() -> None:
    code = (
        "import sys; from providers import provider_actor; from runtime.messages import *;"
        "provider_actor(ProviderProfile(name='e', dialect='echo'));"
        "print(sorted({'httpx', 'genai_prices', 'pydantic', 'structlog'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
