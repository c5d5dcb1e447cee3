"""Which cluster, and how one gets in: from the command line and the environment. Reads no file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.engines.cluster.login import Servers, servers_of
from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_NAME = "magsag"
ACK_WAIT_S = 10.0
QUEUE_BYTES = 256 << 20
CREDENTIALS = "MAGSAG_NATS_CREDS"
AUTHORITY = "MAGSAG_NATS_CA"
CERTIFICATE = "MAGSAG_NATS_CERT"
KEY = "MAGSAG_NATS_KEY"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """A cluster and how one gets in.

    Attributes:
        servers: where its NATS is.
        name: what all its subjects, streams and buckets begin with.
        credentials: a file of ``nsc`` with a user's JWT and seed; None for none.
        authority: a PEM file of who signs the servers' certificates; None for the system's.
        certificate: a PEM file with the certificate of this side; None for none.
        key: a PEM file with its key; None where that is in ``certificate``.
        ack_wait_s: after how many seconds without a sign of life what a node has in hand is given
            to another one.
        queue_bytes: how much may wait in NATS to be done; senders wait while it is full. The
            servers set that much storage aside.
    """

    servers: Servers
    name: str = DEFAULT_NAME
    credentials: Path | None = None
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    ack_wait_s: float = ACK_WAIT_S
    queue_bytes: int = QUEUE_BYTES

    def __str__(self) -> str:
        """Return it for people, who do not see the login."""
        return f"cluster {self.name} at {self.servers}"

    @property
    def must_be_private(self) -> bool:
        """Whether nothing may be said to a server that does not speak TLS."""
        given = self.authority is not None or self.certificate is not None
        return given or self.servers.must_be_private


def cluster_settings(
    servers: str, environ: Mapping[str, str], name: str = DEFAULT_NAME
) -> ClusterSettings:
    """Return the settings that a command line and an environment make.

    Args:
        servers: addresses of NATS, with commas between them.
        environ: the environment, for ``MAGSAG_NATS_CREDS``, ``_CA``, ``_CERT`` and ``_KEY``.
        name: the cluster's.

    Raises:
        ConfigurationError: something in them makes no sense.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is no name of a cluster: 1 to 32 letters, digits, '-' and '_'"
        )
    files = {each: _file(environ, each) for each in (CREDENTIALS, AUTHORITY, CERTIFICATE, KEY)}
    if files[KEY] is not None and files[CERTIFICATE] is None:
        raise ConfigurationError(f"{KEY} is set without {CERTIFICATE}, the certificate it is of")
    return ClusterSettings(
        servers=servers_of(servers),
        name=name,
        credentials=files[CREDENTIALS],
        authority=files[AUTHORITY],
        certificate=files[CERTIFICATE],
        key=files[KEY],
    )


def _file(environ: Mapping[str, str], variable: str) -> Path | None:
    text = environ.get(variable)
    return Path(text).expanduser() if text else None
