"""What our side runs on when everything is on: a journal on disk, a spool, policies, prices."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime import running
from runtime.catalog import ProviderEntry
from runtime.catalog.policies import PolicyEntry
from runtime.catalog.policy import policy_of
from runtime.journal import MemoryJournal, SqliteJournal
from runtime.journal.caretaker import Bound, Caretaker
from runtime.outcome import RunOptions
from runtime.workspace import echo_catalog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from runtime import Agent, System
    from runtime.catalog import Catalog
    from runtime.journal import Record

POLICIES = (
    {"name": "models", "allowed_models": ["echo/*", "server/*"]},
    {"name": "spending", "thresholds": {"max_cost_per_run_usd": 1_000_000.0}},
    {"name": "contents", "contents": {"*": "keep"}},
)
BUDGET_USD = 100_000.0
JOURNAL_BYTES = 200_000_000  # of one that is bounded


class Forgetful(MemoryJournal):
    """A journal that keeps nothing: what is left is the cost of making records."""

    def append(self, record: Record) -> None:
        """Forget a record."""


def options(*, budget: bool) -> RunOptions:
    """Return how runs are started."""
    return RunOptions(budget_usd=BUDGET_USD if budget else None, deadline_s=3_600.0)


@asynccontextmanager
async def system_with(
    agents: Iterable[Agent],
    *,
    spans: bool,
    journal: str,
    policy: bool,
    catalog: Catalog | None = None,
    endpoint: str | None = None,
) -> AsyncIterator[System]:
    """Open a system.

    Args:
        agents: of it.
        spans: whether they go to a spool.
        journal: ``disk``, ``memory`` or ``none``; ``bounded`` is on disk, and the oldest runs are
            deleted from it.
        policy: whether policies hold.
        catalog: None for one with nothing but the echo provider.
        endpoint: a collector that the spool is sent to; None keeps the spans.
    """
    catalog = echo_catalog() if catalog is None else catalog
    if policy:
        entries = [PolicyEntry.model_validate(each, strict=False) for each in POLICIES]
        catalog = replace(catalog, policies=tuple(policy_of(e, "benchmarks") for e in entries))
    with tempfile.TemporaryDirectory() as folder:
        environ = _spooling(Path(folder), endpoint) if spans else {}
        opened = await _journal(journal, Path(folder))
        with _kept_small(journal, Path(folder)):
            async with running(catalog, agents=agents, journal=opened, environ=environ) as system:
                yield system


def _spooling(folder: Path, endpoint: str | None) -> dict[str, str]:
    spool = {"MAGSAG_SPOOL": str(folder / "spool"), "OTEL_METRICS_EXPORTER": "none"}
    if endpoint is None:
        return spool | {"MAGSAG_TRACE_EXPORT": "spool", "MAGSAG_SPOOL_WHEN_FULL": "lose"}
    return spool | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}


async def _journal(kind: str, folder: Path) -> Any:
    if kind in {"disk", "bounded"}:
        return await SqliteJournal.open(folder / "journal.db")
    return Forgetful() if kind == "none" else MemoryJournal()


@contextmanager
def _kept_small(kind: str, folder: Path) -> Iterator[None]:
    if kind != "bounded":
        yield
        return
    caretaker = Caretaker(folder / "journal.db", Bound(JOURNAL_BYTES))
    caretaker.start()
    try:
        yield
    finally:
        caretaker.stop()


def server_entry(url: str, http: str = "asyncio", **limits: Any) -> ProviderEntry:
    """Return the entry of a server at some address, without limits of its own."""
    return ProviderEntry.model_validate(
        {
            "dialect": "openai_chat",
            "base_url": url,
            "any_model": True,
            "http": http,
            "limits": {"concurrency": {"start": 10_000, "max": 10_000}, **limits},
        },
        strict=False,
    )
