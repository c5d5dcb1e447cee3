"""Why a cluster did not let one in, in one sentence with what to do about it. Pure."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from runtime.engines.cluster.settings import AUTHORITY, CERTIFICATE
from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from runtime.engines.cluster.settings import ClusterSettings

_LOGIN = (
    "it does not accept the login; give it in the address as nats://user:password@host, or as a"
    " file in MAGSAG_NATS_CREDS"
)
_JETSTREAM = (
    "it has no JetStream (for this account); start it with `nats-server -js`, or with a block"
    " jetstream {} in its configuration"
)
_SAID: tuple[tuple[str, str], ...] = (  # what is in an error's text, in lower case; the first wins
    ("authorization", _LOGIN),
    ("authentication", _LOGIN),
    ("serviceunavailable", _JETSTREAM),
    ("jetstream", _JETSTREAM),
    (
        "secure connection not available",
        f"it does not speak TLS, which tls://, {AUTHORITY} or {CERTIFICATE} ask for",
    ),
    (
        "maximum connections",
        "it has as many connections as it may have; raise max_connections in its configuration",
    ),
)
_CERTIFICATE = (
    f"its certificate is not trusted; name who has signed it in {AUTHORITY}, and the host as the"
    " certificate has it"
)
_HANDSHAKE = f"TLS failed; does it ask for a certificate of this side, see {CERTIFICATE}?"
_SILENT = "empty response"  # as nats-py says of a server that has hung up
_HUNG_UP = (
    f"it hangs up; where it wants a certificate of this side, name one in {CERTIFICATE}, and if it"
    " is no NATS, name one with --nats"
)
_ABSENT = "no NATS answers there; start one with `nats-server -js`, or name where it is with --nats"


def refusal(settings: ClusterSettings, error: Exception) -> ConfigurationError:
    """Return what to tell a person of a connection that could not be made.

    Args:
        settings: the cluster.
        error: what went wrong at last.
    """
    what = " ".join(str(error).split()) or type(error).__name__
    return ConfigurationError(f"{settings}: {_advice(error, what.lower())} ({what})")


def _advice(error: Exception, said: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE
    if isinstance(error, ssl.SSLError):
        return _HANDSHAKE
    if isinstance(error, BrokenPipeError | ConnectionResetError) or _SILENT in said:
        return _HUNG_UP
    return next((advice for part, advice in _SAID if part in said), _ABSENT)
