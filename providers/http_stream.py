"""Reading a streamed answer: how long to wait for what, and handing its pieces on.

Two clocks, neither of which is the socket's. Until the first byte of the body the server has
``first_byte`` seconds. From then on it has ``idle`` seconds for the next piece that says something:
pings, comments and empty deltas do not count, because a server can send those for ever. While the
reader of the pieces has no room neither runs, as that is not the server's fault. A third one, over
all of it, always runs: ``total``.
"""

from __future__ import annotations

import math
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio

from runtime.actors import current_time
from runtime.errors import (
    ConnectionFailed,
    ProviderError,
    StreamAbandoned,
    StreamInterrupted,
    Timeout,
)
from runtime.estimate import answer_usage
from runtime.messages import ModelEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from providers.adapter import Adapter, StreamReader
    from providers.backend import Attempt
    from providers.http.port import Streaming
    from runtime.errors import Stage
    from runtime.messages import EventKind, ModelReply, Timeouts


LINGER_S = (
    1.0  # after the dialect's end, for the body's own: only then the connection is used again
)


async def read_stream(
    answer: Streaming,
    attempt: Attempt,
    adapter: Adapter,
    timeouts: Timeouts,
    *,
    first_byte_by: float,
    over_by: float,
) -> ModelReply:
    """Read an answer to its end, handing its pieces on.

    Args:
        answer: the answer; its head has come.
        attempt: what is asked, and where the pieces go.
        adapter: the dialect.
        timeouts: how long to wait.
        first_byte_by: when the first byte of the body must be there, by the event loop's clock.
        over_by: when all of it must be there.

    Raises:
        Timeout: the server took too long, before any piece was handed on.
        StreamInterrupted: the stream broke off, or an error came, after one was.
        ProviderError: an error came before.
    """
    reader = adapter.reader(answer.headers, attempt.request)
    attempt.so_far = reader.partial
    try:
        with anyio.CancelScope(deadline=over_by) as total:
            await _read_all(answer, attempt, reader, timeouts, first_byte_by)
        if total.cancelled_caught and not reader.complete:
            raise Timeout(f"it took over {timeouts.total:g} s", stage="total")
        return reader.finish()
    except ProviderError as error:
        begun = attempt.committed
        failure = _interrupted(error, reader, attempt) if begun else _as_never_begun(error)
    # Not within `except`: it would keep the first error as its context, and with it what it quotes.
    raise failure


def is_whole(answer: Streaming) -> bool:
    """Return whether a server that was asked for pieces answers in one, as some do with errors."""
    return answer.headers.get("content-type", "").lower().startswith("application/json")


async def hand_on_whole(reply: ModelReply, attempt: Attempt) -> None:
    """Hand on what came in one piece.

    Raises:
        StreamAbandoned: nobody reads the pieces any more.
    """
    for event in _pieces_of(reply):
        if not attempt.hand_on(event):
            await attempt.hand_on_when_room(event)


def _pieces_of(reply: ModelReply) -> Iterator[ModelEvent]:
    kinds: tuple[tuple[EventKind, str], ...] = (
        ("reasoning", reply.reasoning), ("text", reply.text), ("refusal", reply.refusal),
    )  # fmt: skip
    yield from (ModelEvent(kind, text) for kind, text in kinds if text)
    for index, call in enumerate(reply.tool_calls):
        yield ModelEvent("tool_call", call.arguments_raw, index, call.id, call.name)


async def _read_all(
    answer: Streaming,
    attempt: Attempt,
    reader: StreamReader,
    timeouts: Timeouts,
    first_byte_by: float,
) -> None:
    stage: Stage = "first_byte"
    patience, lingers = timeouts.first_byte, False
    with anyio.CancelScope(deadline=first_byte_by) as clock:
        async with aclosing(answer.chunks()) as chunks:  # type: ignore[type-var]  # generators both
            async for chunk in chunks:
                if stage == "first_byte":
                    stage, patience = "idle", timeouts.idle
                    clock.deadline = current_time() + patience
                for event in reader.feed(chunk):
                    if not attempt.hand_on(event):
                        clock.deadline = math.inf
                        await attempt.hand_on_when_room(event)
                    clock.deadline = current_time() + patience
                if reader.complete and not lingers:
                    lingers, patience = True, LINGER_S
                    clock.deadline = current_time() + patience
    if clock.cancelled_caught and not reader.complete:
        raise Timeout(f"the server said nothing for {patience:g} s", stage=stage)


def _as_never_begun(error: ProviderError) -> ProviderError:
    """Return what a stream that broke off before its first piece is: the connection's fault."""
    if isinstance(error, StreamInterrupted):
        return ConnectionFailed(str(error), sent=True, request_id=error.request_id)
    return error


def _interrupted(error: ProviderError, reader: StreamReader, attempt: Attempt) -> StreamInterrupted:
    """Return what a stream that broke off later is: nobody may try again, and it has cost."""
    partial = reader.partial()
    kind = StreamAbandoned if isinstance(error, StreamAbandoned) else StreamInterrupted
    return kind(
        f"the answer broke off: {error}",
        partial=partial.text,
        usage=answer_usage(attempt.request, partial),
        http_status=error.http_status,
        type=error.type,
        code=error.code,
        wire_message=error.wire_message,
        request_id=error.request_id or partial.request_id,
        retry_after=error.retry_after,
    )
