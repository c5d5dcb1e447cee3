"""litellm as it comes."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import litellm

from benchmarks.contenders.peer_calls import KEY, PROMPT, calls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work


@asynccontextmanager
async def invocations(url: str, tolerant: bool = False) -> AsyncIterator[Work]:
    """Chat completions by ``acompletion``."""
    litellm.telemetry = False
    litellm.suppress_debug_info = True

    async def call(_: int) -> Any:
        answer = await litellm.acompletion(
            model="openai/m",
            messages=[{"role": "user", "content": PROMPT}],
            api_base=url,
            api_key=KEY,
        )
        return answer.choices[0].message.content

    yield calls(call, tolerant=tolerant)
