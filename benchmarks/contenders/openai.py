"""The OpenAI SDK as it comes, and litellm, which is another front of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from openai import AsyncOpenAI

from benchmarks.contenders.peer_calls import KEY, PROMPT, calls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work


@asynccontextmanager
async def invocations(url: str, tolerant: bool = False) -> AsyncIterator[Work]:
    """Chat completions by the SDK."""
    async with AsyncOpenAI(base_url=url, api_key=KEY) as client:

        async def call(_: int) -> str | None:
            answer = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": PROMPT}]
            )
            return answer.choices[0].message.content

        yield calls(call, tolerant=tolerant)
