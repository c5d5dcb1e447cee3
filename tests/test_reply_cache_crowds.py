"""One call for many equal questions at once, and conversations that are given again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from runtime import Context, mag, skill
from runtime.accounts import Accounts
from runtime.errors import ProviderError
from runtime.journal import SqliteJournal
from runtime.messages import ModelReply, ProviderState, ToolCall, Usage
from tests.chat_server import chat_server, completion
from tests.echoes import at, catalog_of, price, provider, told
from tests.questions import asks, counted, question

if TYPE_CHECKING:
    from pathlib import Path

    from runtime import Agent
    from runtime.catalog import Catalog
    from runtime.messages import ModelRequest


@skill
async def lookup(word: str) -> str:
    """Look a word up."""
    return f"{word}!"


def at_once(times: int, *, given_up: int = 0) -> Agent:
    """Return an agent that asks as often at once, and gives the first few up after a second."""

    @mag(name="asks")
    async def body(ctx: Context) -> list[str]:
        answers: list[str] = []

        async def one(patience: float) -> None:
            with anyio.move_on_after(patience):
                try:
                    answers.append(await ctx.ask("x y", use_cache=True))
                except ProviderError as error:
                    answers.append(type(error).__name__)

        async with anyio.create_task_group() as tasks:
            for number in range(times):
                tasks.start_soon(one, 1.0 if number < given_up else 1_000.0)
        return answers

    return body


def slow(**options: Any) -> Catalog:
    home = provider("echo-1", options={"latency_s": 5} | options)
    return catalog_of({"home": home}, prices={"home/echo-1": price()})


async def test_a_hundred_at_once_are_one_call() -> None:
    begun = anyio.current_time()
    came = await told(slow(), at_once(100))
    assert came.outcome.output == ["x y"] * 100
    assert counted(came) == {"completed": 1, "cached": 99}
    assert anyio.current_time() - begun == pytest.approx(5, abs=0.1)
    assert came.outcome.usage["calls"] == 1


@pytest.mark.real_time
async def test_a_hundred_at_once_are_one_call_on_a_file(tmp_path: Path) -> None:
    journal = await SqliteJournal.open(tmp_path / "journal.db", synchronous="normal")
    came = await told(slow(latency_s=0.05), at_once(100), journal=journal)
    assert counted(came) == {"completed": 1, "cached": 99}


async def test_when_the_one_that_asks_gives_up_the_next_one_asks() -> None:
    came = await told(slow(), at_once(10, given_up=3))
    assert came.outcome.output == ["x y"] * 7
    assert counted(came) == {"failed": 1, "completed": 1, "cached": 6}


@pytest.mark.real_time
async def test_a_failure_is_nobody_elses_and_the_next_one_asks() -> None:
    replies = iter([(400, {"error": {"message": "no"}}), completion("yes")])
    with chat_server(lambda _: next(replies)) as server:
        came = await told(catalog_of({"home": at(server.url)}), at_once(5))
    assert sorted(came.outcome.output) == ["InvalidRequest", "yes", "yes", "yes", "yes"]
    assert counted(came) == {"failed": 1, "completed": 1, "cached": 3}
    assert len(server.requests) == 2


# --- conversations -------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "requests"), [(None, 2), ("thoughts", 4)])
async def test_a_conversation_with_tools_is_given_again_unless_its_model_wants_its_thoughts_back(
    monkeypatch: pytest.MonkeyPatch, state: str | None, requests: int
) -> None:
    """What only its provider can read is kept nowhere, so such a turn is asked again."""
    seen: list[ModelRequest] = []
    thoughts = None if state is None else ProviderState("home", "echo", state)
    call = ToolCall("1", "lookup", {"word": "a"}, '{"word": "a"}')
    usage = Usage(input_tokens=1, output_tokens=1)

    class Asked:
        def __init__(self, reply: ModelReply) -> None:
            self._reply = reply

        async def reply(self) -> ModelReply:
            return self._reply

    def ask(_: Accounts, request: ModelRequest, **_payer: Any) -> Asked:
        seen.append(request)
        if request.messages[-1].role == "user":
            called = {"tool_calls": (call,), "finish_reason": "tool_calls", "state": thoughts}
            return Asked(ModelReply(text="", usage=usage, model="m", **called))
        text = f"done: {request.messages[-1].content}"
        return Asked(ModelReply(text=text, usage=usage, model="m"))

    monkeypatch.setattr(Accounts, "ask", ask)
    twice = [question(tools=[lookup])] * 2
    came = await told(catalog_of({"home": provider("echo-1")}), asks(*twice))
    assert came.outcome.output == ["done: a!", "done: a!"], came.outcome.error
    assert all(
        (turn.state is None) == (state is None)
        for request in seen
        for turn in request.messages
        if turn.role == "assistant"
    )
    assert len(seen) <= requests
