"""A model that is asked instead of another one says so, and leads to the call that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from runtime import Context, RunOptions, mag, running
from runtime.errors import CircuitOpen, Overloaded, RateLimitError
from tests.fake_backends import Scripted, a_reply
from tests.recorded_spans import Recorded, failed, said, scripted, seconds

if TYPE_CHECKING:
    from providers.backend import Attempt


@mag
async def ask(ctx: Context) -> str:
    return await ctx.ask("hi", model="p/m")


async def told(monkeypatch: pytest.MonkeyPatch, **backends: Scripted) -> Recorded:
    recorded = Recorded()
    catalog = scripted(monkeypatch, **backends)
    async with running(catalog, agents=(ask,), environ={}, tracing=recorded) as system:
        await system.run(ask, None, RunOptions())
    assert recorded.all_ended
    return recorded


async def test_a_fallback_is_a_sibling_that_links_to_the_call_that_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = RateLimitError("not today", http_status=429, long=True)
    recorded = await told(
        monkeypatch,
        p=Scripted(refused),
        q=Scripted(Overloaded("busy", http_status=529)),
        r=Scripted(a_reply()),
    )
    agent = recorded.one("invoke_agent ask")
    first, second, third = recorded.below(agent)
    assert [failed(span) for span in (agent, first, second, third)] == [False, True, True, False]
    assert "magsag.fallback.index" not in said(first)
    assert not first.links
    for span, source, index, reason in (
        (second, first, 1, "rate_limited"),
        (third, second, 2, "overloaded"),
    ):
        why = {
            "magsag.fallback.from": f"{said(source)['gen_ai.provider.name']}/m",
            "magsag.fallback.reason": reason,
            "magsag.fallback.index": index,
        }
        assert why.items() <= said(span).items()
        (link,) = span.links
        assert link.context == source.context
        assert dict(link.attributes or {}) == why


async def test_when_all_targets_are_left_alone_the_wait_for_the_first_is_a_span(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def alone(_attempt: Attempt) -> CircuitOpen:
        return CircuitOpen("x", until=anyio.current_time() + 5.0)

    recorded = await told(monkeypatch, p=Scripted(alone, a_reply()), q=Scripted(alone, a_reply()))
    agent = recorded.one("invoke_agent ask")
    first, second, wait, third = recorded.below(agent)
    assert [failed(span) for span in (first, second, third)] == [True, True, False]
    assert wait.name == "magsag.wait rate_limit"
    assert said(wait)["magsag.wait.held_by"] == "circuit"
    assert seconds(wait) == pytest.approx(4.0, abs=0.01)
