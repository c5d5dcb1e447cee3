"""A client of NATS that comes back for ever: what nats-py does otherwise, and must not here.

- It gives up for good on some complaints of a server that has let it in (a login that is being
  changed, too many connections). Here a complaint ends the connection, not the client.
- It speaks in the clear to a server without TLS although TLS was asked for.
- It waits for ever for the end of a connection whose TLS handshake has failed, as asyncio does not
  tell of that end.
- It tries the servers again after a fixed pause. A thousand nodes should not do so in step.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any

import anyio
from nats.aio.client import Client
from nats.aio.transport import TcpTransport
from nats.errors import Error, SecureConnWantedError

from runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nats.aio.client import Server

    from runtime.engines.cluster.settings import ClusterSettings

PAUSE = Backoff(first=0.1, longest=2.0, jitter=0.5)
CLOSE_S = 1.0
_PERMISSIONS = "permissions violation"  # of one subject: the connection goes on
logger = logging.getLogger("runtime.cluster")


class BoundedTransport(TcpTransport):
    """A connection for whose end nobody waits for ever."""

    def __bool__(self) -> bool:
        """Be one, connected or not: nats-py puts its own into the place of one that is not."""
        return True

    async def wait_closed(self) -> None:
        """Wait for its end, for a while."""
        with anyio.move_on_after(CLOSE_S):
            await super().wait_closed()  # type: ignore[no-untyped-call]  # nats-py has no type there


class LastingClient(Client):
    """A client of NATS that comes back for ever once it was there.

    Args:
        settings: the cluster.
        changed: called with whether NATS is there, whenever that changes.

    Attributes:
        last: what went wrong last; None for nothing.
    """

    def __init__(self, settings: ClusterSettings, changed: Callable[[bool], None]) -> None:
        super().__init__()
        self._settings = settings
        self._changed = changed
        self._transport = BoundedTransport()  # type: ignore[no-untyped-call]  # likewise
        self.last: Exception | None = None

    async def enter(self, options: Mapping[str, Any]) -> None:
        """Connect.

        Args:
            options: what nats-py is told, beside what is done about it here.
        """
        await self.connect(
            **options,
            error_cb=self._failed,
            disconnected_cb=self._gone,
            reconnected_cb=self._back,
            reconnect_to_server_handler=_next_server,
        )

    def stay(self) -> None:
        """Come back from now on, however often that fails."""
        self.options["max_reconnect_attempts"] = -1

    @property
    def may_elect(self) -> bool:
        """Whether there is, or will be, JetStream behind this server."""
        return bool(self._server_info.get("cluster") or self._server_info.get("jetstream"))

    async def _failed(self, failure: Exception) -> None:
        self.last = failure
        logger.debug("nats_error", extra={"error": f"{type(failure).__name__}: {failure}"})

    async def _gone(self) -> None:
        if not self.is_closed:
            logger.warning("nats_away", extra={"where": str(self._settings)})
            self._changed(False)

    async def _back(self) -> None:
        logger.warning("nats_back", extra={"where": str(self._settings)})
        self._changed(True)

    def _connect_command(self) -> bytes:
        """Return the login, which goes to nobody who would have it sent in the clear."""
        if self._settings.must_be_private and not self._server_info.get("tls_required"):
            raise SecureConnWantedError
        return super()._connect_command()

    async def _process_err(self, err_msg: str) -> None:
        """Take a server's complaint as the end of this connection."""
        if _PERMISSIONS in err_msg.lower():
            await super()._process_err(err_msg)
        else:
            await self._process_op_err(Error(f"nats: {err_msg}"))


def _next_server(servers: list[Server], _info: Mapping[str, Any]) -> tuple[Server, float]:
    """Return whom to try next, the one that has failed least, and after how many seconds."""
    server = min(servers, key=lambda each: each.reconnects)
    return server, PAUSE.delay(server.reconnects, random.random())  # noqa: S311  # no secret
