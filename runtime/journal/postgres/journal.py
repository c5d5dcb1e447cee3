"""A journal that processes on several machines share."""

from __future__ import annotations

from functools import partial
from typing import Self

from runtime.journal.location import Address
from runtime.journal.postgres.store import ServerStore
from runtime.journal.stored import StoredJournal
from runtime.journal.tenure import LEASE_S


class PostgresJournal(StoredJournal):
    """A ``Journal`` in a PostgreSQL database, in a schema called ``magsag``."""

    @classmethod
    async def open(
        cls,
        address: Address | str,
        *,
        high_water: int = 10_000,
        give_up_s: float = 30.0,
        lease_s: float = LEASE_S,
    ) -> Self:
        """Open a journal, and make its tables where there are none.

        Args:
            address: the database, ``postgresql://user@host:port/dbname?option=value``.
            high_water: see ``StoredJournal``.
            give_up_s: see there.
            lease_s: see there.

        Raises:
            JournalUnusable: it cannot be a journal; the error says what to do.
            ValueError: an option has a value that makes no sense.
        """
        where = Address(address) if isinstance(address, str) else address
        journal = cls(
            where,
            partial(ServerStore, where),
            silent="the server has not answered, or another process has kept its tables locked",
            high_water=high_water,
            give_up_s=give_up_s,
            lease_s=lease_s,
        )
        return await journal._started()
