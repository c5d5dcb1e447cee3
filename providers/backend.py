"""What makes the calls of one account, whatever is behind it; and where pieces of answers go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio

from runtime.errors import StreamAbandoned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from anyio.streams.memory import MemoryObjectSendStream

    from runtime.messages import ModelEvent, ModelReply, ModelRequest

SAYS_SOMETHING = frozenset({"text", "reasoning", "refusal", "tool_call"})


class Attempt:
    """One attempt at one call: what is asked, where pieces go, and what is heard on the way.

    Attributes:
        request: what is asked.
        headers: the header fields of the server's last answer, names in lower case.
        status: the HTTP status of that answer; None before there is one, and without HTTP.
        committed: whether a piece that says something was handed on, so that nobody may try again.
        so_far: returns what has come of an answer in pieces; None before its head has come.
    """

    __slots__ = ("_held", "_pieces", "committed", "headers", "request", "so_far", "status")

    def __init__(
        self, request: ModelRequest, pieces: MemoryObjectSendStream[ModelEvent] | None = None
    ) -> None:
        self.request = request
        self.headers: Mapping[str, str] = {}
        self.status: int | None = None
        self.committed = False
        self.so_far: Callable[[], ModelReply] | None = None
        self._pieces = pieces
        self._held: ModelEvent | None = None

    def hand_on(self, event: ModelEvent) -> bool:
        """Hand a piece on if there is room for it at once; return whether there was.

        What was used so far is held back until the first piece that says something: before it,
        another attempt may still begin anew.

        Raises:
            StreamAbandoned: nobody reads the pieces any more.
        """
        if self._pieces is None:
            self.committed = self.committed or event.kind in SAYS_SOMETHING
            return True
        if not self.committed and event.kind not in SAYS_SOMETHING:
            self._held = event
            return True
        try:
            if self._held is not None:
                self._pieces.send_nowait(self._held)
                self._held = None
            self._pieces.send_nowait(event)
        except anyio.WouldBlock:
            return False
        except anyio.BrokenResourceError:
            raise self._deserted() from None
        self.committed = True
        return True

    async def hand_on_when_room(self, event: ModelEvent) -> None:
        """Hand a piece on as soon as its reader has room for it.

        Raises:
            StreamAbandoned: nobody reads the pieces any more.
        """
        if self._pieces is None:
            return
        try:
            if self._held is not None:
                held, self._held = self._held, None
                await self._pieces.send(held)
            await self._pieces.send(event)
        except anyio.BrokenResourceError:
            raise self._deserted() from None
        self.committed = True

    def _deserted(self) -> StreamAbandoned:
        self.committed = True  # nobody is left for whom another attempt could be made
        return StreamAbandoned("nobody reads the answer any more")


class Backend(Protocol):
    """The calls of one account; opened before the first and closed after the last."""

    async def open(self) -> None:
        """Prepare; the account answers nobody before it is done. Twice does no harm."""

    async def invoke(self, attempt: Attempt) -> ModelReply:
        """Make one attempt; may be cancelled at any await.

        Raises:
            ProviderError: the attempt failed.
        """

    async def close(self) -> None:
        """Give everything back; no call is in flight any more."""
