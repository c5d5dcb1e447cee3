"""Opening a journal wherever it is to take runs out of it, or to bring them back."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.journal.broom import Broom

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.journal.location import Address, Location
    from runtime.journal.sweep import Sweep, Told


@contextmanager
def sweeping(location: Location, told: Told) -> Iterator[Sweep]:
    """Open a journal; it is closed when the block ends.

    Args:
        location: where it is, a file absolute; it may be new.
        told: is told from time to time how far it is.

    Raises:
        JournalUnusable: it cannot be written, or is none.
    """
    if isinstance(location, Path):
        with Broom.opened(location, told) as broom:
            yield broom
    else:
        with _sweeping_server(location, told, rehearses=False) as broom:
            yield broom


@contextmanager
def rehearsing(address: Address) -> Iterator[Sweep]:
    """Open a server's journal; nothing of what the block does stays.

    Raises:
        JournalUnusable: it cannot be written, or is none.
    """
    with _sweeping_server(address, lambda *_: None, rehearses=True) as broom:
        yield broom


@contextmanager
def _sweeping_server(address: Address, told: Told, *, rehearses: bool) -> Iterator[Sweep]:
    from runtime.journal.postgres.broom import ServerBroom  # noqa: PLC0415  # an extra

    with ServerBroom.opened(address, told, rehearses=rehearses) as broom:
        yield broom
