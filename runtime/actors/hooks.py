"""Calling what is not the kernel's own, so that its failure stops nothing: it is only logged."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = logging.getLogger("runtime.actors")


async def run_hook(
    actor: str, hook: Callable[[Any], Awaitable[None]], argument: Any
) -> Exception | None:
    """Await a hook and return the exception that it raised, None if it raised none."""
    try:
        await hook(argument)
    except Exception as error:
        logger.exception("hook failed", extra={"actor": actor, "hook": _name(hook)})
        return error
    return None


def call_hook(actor: str, hook: Callable[..., None], *args: Any) -> None:
    """Call a hook that awaits nothing."""
    try:
        hook(*args)
    except Exception:
        logger.exception("hook failed", extra={"actor": actor, "hook": _name(hook)})


def _name(hook: Callable[..., Any]) -> str:
    return getattr(hook, "__qualname__", None) or repr(hook)
