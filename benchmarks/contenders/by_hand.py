"""A workflow by hand: a loop over a model that is a function, and nothing around it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.contenders.peer_calls import PROMPT, add, runs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work

CALL = {"id": "call_1", "name": "add", "arguments": '{"a": 1, "b": 2}'}
TOOLS = {"add": add}


async def _model(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Answer with the call of a tool first, then with a text; let others run, as a server would."""
    await asyncio.sleep(0)
    if messages[-1]["role"] == "tool":
        return {"role": "assistant", "content": "It is done."}
    return {"role": "assistant", "tool_calls": [CALL]}


@asynccontextmanager
async def workflow() -> AsyncIterator[Work]:
    """Runs of two model calls and a tool."""

    async def run(_: int) -> Any:
        messages: list[dict[str, Any]] = [{"role": "user", "content": PROMPT}]
        while calls := (answer := await _model(messages)).get("tool_calls"):
            messages.append(answer)
            for call in calls:
                result = TOOLS[call["name"]](**json.loads(call["arguments"]))
                said = {"role": "tool", "tool_call_id": call["id"], "content": json.dumps(result)}
                messages.append(said)
        return answer["content"]

    yield runs(run)
