"""What makes the calls of one account, whatever is behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from runtime.messages import ModelReply, ModelRequest


class Backend(Protocol):
    """The calls of one account; opened before the first and closed after the last."""

    async def open(self) -> None:
        """Prepare; the account answers nobody before it is done."""

    async def invoke(self, request: ModelRequest) -> ModelReply:
        """Make one call; may be cancelled at any await.

        Raises:
            ProviderError: the call failed.
        """

    async def close(self) -> None:
        """Give everything back; no call is in flight any more."""
