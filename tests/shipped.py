"""The shipped catalog, for the tests of the examples, and the way they run it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime import System
    from runtime.journal import Record

WORKSPACE = Path(__file__).resolve().parent.parent
CATALOG = WORKSPACE / "catalog"


@asynccontextmanager
async def shipped(**options: Any) -> AsyncIterator[System]:
    """Run the shipped catalog in an empty environment: no keys, no overrides, no collector."""
    async with running(CATALOG, environ={}, **options) as system:
        yield system


def of_kind(records: list[Record], kind: str) -> list[Record]:
    return [record for record in records if record.kind == kind]
