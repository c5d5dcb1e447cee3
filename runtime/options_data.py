"""The options of a run as JSON data, for the node that becomes its home."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from runtime.outcome import ResumeOptions, RunOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE_ONLY = frozenset(("approve", "listener"))  # functions, which only the client can call


def options_as_data(options: RunOptions | ResumeOptions) -> dict[str, Any]:
    """Return options as JSON data, without what only the client can call."""
    names = (field.name for field in fields(options) if field.name not in HERE_ONLY)
    said = {name: getattr(options, name) for name in names}
    budget = said["budget_usd"]
    return said | {"budget_usd": None if budget is None else str(budget)}


def run_options(said: Mapping[str, Any]) -> RunOptions:
    """Return what ``options_as_data`` has made of options."""
    return RunOptions(**_fields(said) | {"argv": tuple(said["argv"])})


def resume_options(said: Mapping[str, Any]) -> ResumeOptions:
    """Return what ``options_as_data`` has made of options."""
    return ResumeOptions(**_fields(said))


def _fields(said: Mapping[str, Any]) -> dict[str, Any]:
    budget = said["budget_usd"]
    return {**said, "budget_usd": None if budget is None else Decimal(budget)}
