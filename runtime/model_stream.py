"""An answer that comes in pieces, as its author reads it.

    async for event in ctx.stream("Tell me a story"):
        print(event.text, end="")

The author's pace is the pace of the answer: at most ``BUFFER`` pieces wait, then the provider's
connection is not read. Who stops early, by ``break``, an exception or ``aclose``, closes the
connection; what was generated until then is settled at once. That the end is synchronous matters:
a body that is being ended, and even a stream that is merely forgotten, still settles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

import anyio

from runtime.errors import StreamInterrupted
from runtime.estimate import cut_off_usage
from runtime.messages import ModelEvent, ModelReply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from anyio.streams.memory import MemoryObjectReceiveStream

    from runtime.invocations.invocation import Invocation
    from runtime.messages import Usage

BUFFER = 64


class Answer(Protocol):
    """A streamed answer on its way, as its provider's actor gives it."""

    def cancel(self) -> None:
        """Cut it off."""

    async def reply(self) -> ModelReply:
        """Return the whole answer, or raise what went wrong."""


class Flow:
    """One streamed call under way; whoever started it keeps it until it has ended."""

    def __init__(
        self,
        invocation: Invocation,
        answer: Answer,
        pieces: MemoryObjectReceiveStream[ModelEvent],
        forget: Callable[[Flow], None],
    ) -> None:
        self._invocation = invocation
        self._answer = answer
        self._pieces = pieces
        self._forget = forget
        self._first: ModelEvent | None = None
        self._said: Usage | None = None
        self._generated: list[str] = []
        self._ended = False
        self.reply: ModelReply | None = None

    async def begin(self) -> None:
        """Wait for the first piece, so that a failure before it may still fall through.

        Raises:
            ProviderError: the call failed before any piece.
        """
        self._first = await self._receive()

    async def next(self) -> ModelEvent | None:
        """Return the next piece, or None when the answer is complete.

        Raises:
            ProviderError: the answer broke off.
        """
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return None if self._ended else await self._receive()

    async def _receive(self) -> ModelEvent | None:
        try:
            while True:
                event = await self._pieces.receive()
                self._invocation.heard()
                self._count(event)
                if event.kind != "usage":
                    return event
        except anyio.EndOfStream:
            await self._finish()
            return None

    async def _finish(self) -> None:
        try:
            reply = await self._answer.reply()
        except Exception as error:
            self._end()
            self._invocation.failed(error)
            raise
        self._end()
        self.reply = reply
        self._invocation.completed(reply)

    def close(self, ended_by: str | None = None) -> None:
        """Cut the answer off and settle what there was of it; does nothing after its end.

        Args:
            ended_by: what ended its reader; None where that did not want any more.
        """
        if self._ended:
            return
        while True:
            try:
                self._count(self._pieces.receive_nowait())
            except (anyio.WouldBlock, anyio.EndOfStream):
                break
        self._end()
        self._answer.cancel()
        text = "".join(self._generated)
        request = self._invocation.request
        self.reply = ModelReply(
            text=text,
            usage=cut_off_usage(request, self._said, text),
            usage_source="estimated" if self._said is None else "partial",
            model=request.model,
            finish_reason="other",
            finish_reason_raw="cut_off",
            provider=request.provider,
        )
        self._invocation.completed(self.reply, cut_off=True, ended_by=ended_by)

    def _count(self, event: ModelEvent) -> None:
        if event.kind == "usage":
            self._said = event.usage
        else:
            self._generated.append(event.text)

    def _end(self) -> None:
        self._ended = True
        self._pieces.close()
        self._forget(self)


class RecalledFlow:
    """A streamed answer that was given before: one piece, as the journal has it."""

    def __init__(self, reply: ModelReply) -> None:
        self.reply = reply
        self._pieces = [ModelEvent("text", reply.text)] if reply.text else []

    async def next(self) -> ModelEvent | None:
        """Return the whole text, then None."""
        return self._pieces.pop() if self._pieces else None

    def close(self, ended_by: str | None = None) -> None:
        """Do nothing: it was paid before."""


class Pieces:
    """One ``async for`` over an answer: when the loop is left, so is the answer."""

    __slots__ = ("_stream",)

    def __init__(self, stream: ModelStream) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ModelEvent:
        return await self._stream.__anext__()

    def __del__(self) -> None:
        self._stream.close()


class ModelStream:
    """An answer in pieces: ``async for`` reads it once; nothing is asked before the first piece.

    A loop that is left early closes the connection and settles what came, also when the stream
    has a name. ``anext(stream)`` reads a single piece and closes nothing.

    Args:
        start: asks, and returns once there is a first piece.
    """

    def __init__(self, start: Callable[[], Awaitable[Flow | RecalledFlow]]) -> None:
        self._start = start
        self._flow: Flow | RecalledFlow | None = None
        self._closed = False

    def __aiter__(self) -> AsyncIterator[ModelEvent]:
        return Pieces(self)

    async def __anext__(self) -> ModelEvent:
        if self._closed:
            raise StopAsyncIteration
        if self._flow is None:
            self._flow = await self._start()
        event = await self._flow.next()
        if event is None:
            self._closed = True
            raise StopAsyncIteration
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    @property
    def reply(self) -> ModelReply:
        """The whole answer with its usage; of one that was stopped early, what there was of it.

        Raises:
            StreamInterrupted: it has not ended.
        """
        if self._flow is None or self._flow.reply is None:
            raise StreamInterrupted("the answer has not ended; read it to its end or close it")
        return self._flow.reply

    async def aclose(self) -> None:
        """Stop here: the connection is closed, what came so far is settled."""
        self.close()

    def close(self) -> None:
        """Stop here, without waiting for anything."""
        self._closed = True
        if self._flow is not None:
            self._flow.close()
