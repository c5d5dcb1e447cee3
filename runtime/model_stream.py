"""An answer that comes in pieces, as its author reads it.

    async for event in ctx.stream("Tell me a story"):
        print(event.text, end="")

The author's pace is the pace of the answer: at most ``BUFFER`` pieces wait, then the provider's
connection is not read. Who stops early, by ``break``, an exception or ``aclose``, closes the
connection; what was generated until then is settled at once. That the end is synchronous matters:
a body that is being ended, and even a stream that is merely forgotten, still settles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

import anyio

from runtime.errors import StreamInterrupted
from runtime.estimate import cut_off_usage
from runtime.invocations.notes import Cut
from runtime.messages import ModelEvent, ModelReply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

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
        self._pieces_noted: list[Any] = []
        self._read = 0
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
        event, self._first = self._first, None
        if event is None and not self._ended:
            event = await self._receive()
        self._read += event is not None
        return event

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
        self._invocation.completed(reply, cut=Cut(self._pieces_noted))

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
        cut = Cut(self._pieces_noted, self._read, is_early=True, ended_by=ended_by)
        self._invocation.completed(self.reply, cut=cut)

    def _count(self, event: ModelEvent) -> None:
        if event.kind == "usage":
            self._said = event.usage
            return
        self._generated.append(event.text)
        is_text = event.kind == "text"
        self._pieces_noted.append(len(event.text) if is_text else [event.kind, event.text])

    def _end(self) -> None:
        self._ended = True
        self._pieces.close()
        self._forget(self)


class RecalledFlow:
    """A streamed answer that was given before, in the pieces in which it came.

    Args:
        reply: the answer.
        pieces: its pieces, as many as its reader got.
        is_endless: whether its reader was ended while it waited for more: nobody knows more.
    """

    def __init__(
        self, reply: ModelReply, pieces: Iterable[ModelEvent], *, is_endless: bool = False
    ) -> None:
        self.reply = reply
        self._pieces = iter(pieces)
        self._is_endless = is_endless

    async def next(self) -> ModelEvent | None:
        """Return the next piece, or None when there are no more."""
        event = next(self._pieces, None)
        if event is None and self._is_endless:
            await anyio.sleep_forever()
        return event

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
