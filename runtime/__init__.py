"""The actor runtime for LLM agents: what an author imports.

In reading order: ``messages`` (what travels), ``agent`` (what an author writes), ``context`` (what
a running agent may do), ``dispatch`` (the one pipeline of a Delegation), ``launch`` (the
composition root). The kernel is ``runtime.actors``. Names are loaded when first used, so that
``--help`` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.agent import Agent, Skill, mag, sag, skill
    from runtime.blocking import BlockingContext
    from runtime.context import Context
    from runtime.errors import RateLimitError
    from runtime.launch import running
    from runtime.messages import Delegation, Message, Result
    from runtime.outcome import ForkOptions, ResumeOptions, RunOptions, RunOutcome
    from runtime.system import System

_HOMES = {
    "Agent": "runtime.agent",
    "BlockingContext": "runtime.blocking",
    "Context": "runtime.context",
    "Delegation": "runtime.messages",
    "Message": "runtime.messages",
    "RateLimitError": "runtime.errors",
    "Result": "runtime.messages",
    "ForkOptions": "runtime.outcome",
    "ResumeOptions": "runtime.outcome",
    "RunOptions": "runtime.outcome",
    "RunOutcome": "runtime.outcome",
    "Skill": "runtime.agent",
    "System": "runtime.system",
    "mag": "runtime.agent",
    "running": "runtime.launch",
    "sag": "runtime.agent",
    "skill": "runtime.agent",
}

__all__ = [
    "Agent",
    "BlockingContext",
    "Context",
    "Delegation",
    "ForkOptions",
    "Message",
    "RateLimitError",
    "Result",
    "ResumeOptions",
    "RunOptions",
    "RunOutcome",
    "Skill",
    "System",
    "mag",
    "running",
    "sag",
    "skill",
]


def __getattr__(name: str) -> Any:
    """Import a name from its home when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
