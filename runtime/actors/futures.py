"""How one who waits is given an answer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from runtime.actors.errors import ActorError

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger("runtime.actors")


def settle(
    future: asyncio.Future[Any] | None, answer: Any = None, *, error: BaseException | None = None
) -> None:
    """Give a waiting one its answer; one that nobody waits for is only worth a log line."""
    if future is None:
        if error is not None and not isinstance(error, ActorError):
            logger.debug("a failure that nobody asked about", exc_info=error)
    elif future.done():
        return
    elif error is None:
        future.set_result(answer)
    elif isinstance(error, StopIteration):  # a future cannot carry one
        future.set_exception(RuntimeError(f"it raised {error!r}"))
    else:
        future.set_exception(error)
