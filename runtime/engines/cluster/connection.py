"""The way into a cluster.

The first connection fails with one clear error, so that a slip of the hand shows at once. A
connection that was there once comes back by itself, however long the servers are away: what waits
meanwhile is bounded by deadlines, and the journal holds the truth.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
from nats.errors import Error
from nats.errors import TimeoutError as NoAnswer
from nats.js.errors import ServiceUnavailableError

from runtime.engines.cluster.lasting import LastingClient
from runtime.engines.cluster.refusals import refusal
from runtime.engines.cluster.trust import check_credentials, trust_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from nats.aio.client import Client

    from runtime.engines.cluster.settings import ClusterSettings

CONNECT_S = 2  # for one attempt at one server
FIRST_ATTEMPTS = 2  # at each server, before the first connection is given up
FIRST_PAUSE_S = 0.25
READY_S = 10.0  # for a cluster of servers to elect who leads its JetStream
PING_S, MOST_PINGS = 3, 2  # a server that is gone without a word is noticed within ten seconds


def ignore(_there: bool) -> None:
    """Tell nobody."""


async def connect(
    settings: ClusterSettings, *, label: str, changed: Callable[[bool], None] = ignore
) -> Client:
    """Connect to a cluster whose JetStream is ready. Whoever does so closes the connection.

    Args:
        settings: the cluster.
        label: what the server calls this connection in its own reports.
        changed: called with False when the connection has ended, and with True when it is back.

    Raises:
        ConfigurationError: no server is there, it refuses, or it has no JetStream.
    """
    options = _options(settings)
    client = LastingClient(settings, changed)
    try:
        await client.enter({**options, "name": label})
        await _jetstream_ready(client)
    except BaseException as failure:
        with anyio.CancelScope(shield=True):
            await client.close()
        if isinstance(failure, OSError | Error | TimeoutError):
            raise refusal(settings, client.last or failure) from failure
        raise
    client.stay()
    return client


async def disconnect(client: Client) -> None:
    """Close a connection, be it there or away."""
    with suppress(OSError, Error):
        await client.close()


async def _jetstream_ready(client: LastingClient) -> None:
    """Ask until there is an answer: servers that have just begun elect a leader first."""
    with anyio.fail_after(READY_S):
        while True:
            try:
                await client.jetstream().account_info()
            except (ServiceUnavailableError, NoAnswer) as failure:
                client.last = failure
                if not client.may_elect:
                    raise
                await anyio.sleep(FIRST_PAUSE_S)
            else:
                return


def _options(settings: ClusterSettings) -> dict[str, Any]:
    """Return what nats-py is told; the login goes beside the addresses, so that no error has it."""
    login = settings.servers.login
    check_credentials(settings)
    return {
        "servers": [*settings.servers.addresses],
        "user": login.user,
        "password": login.password,
        "token": login.token,
        "user_credentials": None if settings.credentials is None else str(settings.credentials),
        "tls": trust_of(settings),
        "connect_timeout": CONNECT_S,
        "reconnect_time_wait": FIRST_PAUSE_S,
        "max_reconnect_attempts": FIRST_ATTEMPTS - 1,
        "ping_interval": PING_S,
        "max_outstanding_pings": MOST_PINGS,
    }
