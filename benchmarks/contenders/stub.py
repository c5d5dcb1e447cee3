"""Our provider actor with a model in this process: the call of a tool first, then a text."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest import mock

import providers
from runtime.messages import ModelReply, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from providers.backend import Attempt
    from runtime.messages import ProviderProfile


class Stub:
    """A backend that answers at once."""

    def __init__(self, profile: ProviderProfile) -> None:
        del profile

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def invoke(self, attempt: Attempt) -> ModelReply:
        """Answer."""
        request = attempt.request
        usage = Usage(input_tokens=12, output_tokens=3)
        if request.tools and request.messages[-1].role != "tool":
            call = ToolCall(id="call_1", name="add", arguments={"a": 1, "b": 2})
            return ModelReply(
                text="",
                usage=usage,
                model=request.model,
                provider=request.provider,
                tool_calls=(call,),
                finish_reason="tool_calls",
            )
        return ModelReply(
            text="It is done.", usage=usage, model=request.model, provider=request.provider
        )


@contextmanager
def stubbed(*, here: bool) -> Iterator[None]:
    """Let every account have the stub behind it, if it is to be here."""
    if not here:
        yield
        return
    with mock.patch.object(providers, "_backend_of", Stub):
        yield
