"""The attempts and waits of a model call are spans below it, when there is something to see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from otel import Tracing
from runtime import Context, RunOptions, mag, running
from runtime.errors import ConnectionFailed, RateLimitError, ServerError, Warming
from runtime.invocations.trail import MOST_SPANS, Trail
from runtime.messages import Message, ModelRequest, Usage
from tests.echoes import catalog_of, price, provider
from tests.fake_backends import Scripted, a_reply
from tests.recorded_spans import Recorded, failed, limited, said, scripted, seconds

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from runtime import RunOutcome
    from runtime.catalog import Catalog

BUSY = ServerError("broken", http_status=500)


@mag
async def ask(ctx: Context, n: int = 1) -> list[str]:
    """Ask so many times at once."""
    answers: list[str] = []

    async def one() -> None:
        answers.append(await ctx.ask("hi", max_output_tokens=10))

    async with anyio.create_task_group() as tasks:
        for _ in range(n):
            tasks.start_soon(one)
    return answers


async def told(
    catalog: Catalog, payload: Any = 1, tracing: Tracing | None = None, **options: Any
) -> tuple[Recorded, RunOutcome]:
    recorded = Recorded()
    async with running(catalog, agents=(ask,), environ={}, tracing=tracing or recorded) as system:
        outcome = await system.run(ask, payload, RunOptions(**options))
    return recorded, outcome


def below(recorded: Recorded, name: str = "chat m") -> list[ReadableSpan]:
    return recorded.below(recorded.one(name))


async def test_a_call_that_is_answered_at_once_has_no_span_below_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded, outcome = await told(scripted(monkeypatch, p=Scripted()))
    assert outcome.ok
    assert below(recorded) == []
    chat = said(recorded.one("chat m"))
    assert chat["magsag.attempts"] == 1
    assert (chat["server.address"], chat["server.port"]) == ("p.example", 8443)
    assert not [name for name in chat if name.endswith("wait_ms")]
    assert "user" not in str(chat.values())


async def test_of_several_attempts_each_is_a_span_and_so_is_each_wait_between_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = ConnectionFailed("refused")
    recorded, outcome = await told(scripted(monkeypatch, p=Scripted(BUSY, refused, a_reply())))
    assert outcome.ok
    assert recorded.all_ended
    spans = below(recorded)
    assert [span.name for span in spans] == [
        *("POST", "magsag.wait backoff", "POST", "magsag.wait backoff", "POST"),
    ]
    first, _, second, _, third = spans
    assert [span.kind.name for span in spans[:2]] == ["CLIENT", "INTERNAL"]
    assert [failed(span) for span in (first, second, third)] == [True, True, False]
    assert said(first) | {"magsag.run.id": 0, "magsag.task.id": 0} == {
        "http.request.method": "POST",
        "http.response.status_code": 500,
        "server.address": "p.example",
        "server.port": 8443,
        "error.type": "ServerError",
        "magsag.run.id": 0,
        "magsag.task.id": 0,
    }
    assert said(second)["http.request.resend_count"] == 1
    assert "http.response.status_code" not in said(second)
    assert said(third)["http.request.resend_count"] == 2
    assert [seconds(span) for span in (first, second, third)] == [1.0, 1.0, 1.0]
    chat = recorded.one("chat m")
    assert not failed(chat)
    assert said(chat)["magsag.attempts"] == 3
    backed_off = sum(seconds(span) for span in recorded.named("magsag.wait"))
    assert said(chat)["magsag.retry.wait_ms"] == pytest.approx(backed_off * 1_000, abs=1)


async def test_a_call_that_fails_at_every_attempt_has_failed_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded, outcome = await told(scripted(monkeypatch, p=Scripted(BUSY)))
    assert not outcome.ok
    chat = recorded.one("chat m")
    assert failed(chat)
    assert said(chat)["magsag.attempts"] == 3
    assert [failed(span) for span in recorded.named("POST")] == [True] * 3


async def test_a_server_that_warms_up_for_minutes_has_a_bounded_number_of_spans(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warming = [Warming("not yet", http_status=503)] * 100
    recorded, outcome = await told(scripted(monkeypatch, p=Scripted(*warming, a_reply())))
    assert outcome.ok, outcome.error
    assert len(below(recorded)) == MOST_SPANS
    assert said(recorded.one("chat m"))["magsag.attempts"] == 101


async def test_a_wait_for_the_provider_is_a_span_that_says_what_held_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    catalog = limited(scripted(monkeypatch, p=Scripted()), concurrency=1)
    recorded, outcome = await told(catalog, 3)
    assert outcome.ok
    waits = sorted(recorded.named("magsag.wait rate_limit"), key=seconds)
    assert [seconds(span) for span in waits] == [1.0, 2.0]
    assert {said(span)["magsag.wait.held_by"] for span in waits} == {"concurrency"}
    told_ms = sorted(
        said(span).get("magsag.ratelimit.wait_ms", 0) for span in recorded.named("chat")
    )
    assert told_ms == [0, 1_000, 2_000]


async def test_a_turn_that_is_had_at_once_is_no_wait() -> None:
    tracing = Tracing()
    request = ModelRequest(provider="p", model="m", messages=(Message("user", "hi"),))
    trail = Trail(tracing, tracing.start("chat m"), request, None)
    told_ms = []
    for wait_s in (0.0004, 0.0005, 0.0005):
        trail.waiting("queue")
        await anyio.sleep(wait_s)
        trail.went_on(cut_off=False)
        told_ms.append(trail.wait_ms("rate_limit"))
    assert told_ms == [None, None, pytest.approx(1.4)]


async def test_a_pause_that_the_server_asks_for_holds_the_resend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow_down = RateLimitError("slow down", http_status=429, retry_after=5.0)
    recorded, _ = await told(scripted(monkeypatch, p=Scripted(slow_down, a_reply())))
    names = [span.name for span in below(recorded)]
    assert names[0] == names[-1] == "POST"
    held = {said(span)["magsag.wait.held_by"] for span in recorded.named("magsag.wait")}
    assert {"backoff", "pause"} <= held


async def test_a_call_waits_for_the_budget_in_its_own_span() -> None:
    home = provider("echo-1", options={"latency_s": 3.0})
    catalog = catalog_of({"home": home}, prices={"home/echo-1": price()})
    recorded, outcome = await told(catalog, 2, budget_usd=4.0)
    assert outcome.ok, outcome.error
    wait = recorded.one("magsag.wait budget")
    assert seconds(wait) == 3.0
    (chat,) = [span for span in recorded.named("chat") if recorded.below(span)]
    assert recorded.below(chat) == [wait]
    assert said(chat)["magsag.budget.wait_ms"] == 3_000
    assert chat.start_time is not None
    assert wait.start_time is not None
    assert chat.start_time <= wait.start_time


async def test_a_wait_for_the_budget_that_comes_to_nothing_has_failed() -> None:
    home = provider("echo-1", options={"latency_s": 30.0})
    catalog = catalog_of({"home": home}, prices={"home/echo-1": price()})
    recorded, outcome = await told(catalog, 2, budget_usd=4.0, deadline_s=5.0)
    assert not outcome.ok
    assert recorded.all_ended
    assert failed(recorded.one("magsag.wait budget"))


@pytest.mark.parametrize("after_s", [0.5, 1.2, 2.0])
async def test_what_is_under_way_when_a_run_is_cancelled_has_failed_with_it(
    monkeypatch: pytest.MonkeyPatch, after_s: float
) -> None:
    """In the first attempt, in the wait after it, and in the second one."""
    recorded = Recorded()
    catalog = scripted(monkeypatch, p=Scripted(BUSY))
    async with running(catalog, agents=(ask,), environ={}, tracing=recorded) as system:
        with anyio.move_on_after(after_s):
            await system.run(ask, 1)
    assert recorded.all_ended
    assert len(below(recorded)) == (0 if after_s < 1 else 2 if after_s < 1.5 else 3)
    whole = [span for span in recorded.named("magsag.wait") if not failed(span)]
    assert len(whole) == (after_s > 1.5)
    assert all(failed(span) for span in recorded.told.ended if span not in whole)
    assert said(recorded.one("chat m"))["error.type"] == "cancelled"
    if below(recorded):
        assert said(below(recorded)[-1])["error.type"] == "cancelled"


async def test_a_call_in_this_process_has_attempts_that_are_no_http(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcomes: list[BaseException | None] = [ServerError("x"), None]

    async def answer(_request: Any) -> Any:
        failure = outcomes.pop(0)
        if failure is not None:
            raise failure
        from providers.local_answer import Answer  # noqa: PLC0415 - what the fake answers

        return Answer("yes")

    monkeypatch.setattr("providers.echo.MODELS", {"echo-1": answer})
    recorded, outcome = await told(catalog_of({"home": provider("echo-1")}))
    assert outcome.ok, outcome.error
    attempts = recorded.named("attempt")
    assert [span.kind.name for span in attempts] == ["INTERNAL", "INTERNAL"]
    assert not [name for span in attempts for name in said(span) if name.startswith("http.")]


async def test_without_anybody_who_looks_no_trail_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("runtime.invocations.beginning.Trail")
    catalog = scripted(monkeypatch, p=Scripted(BUSY, a_reply(usage=Usage(input_tokens=1))))
    _, outcome = await told(catalog, tracing=Tracing())
    assert outcome.ok, outcome.error
