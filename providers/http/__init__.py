"""All HTTP goes through one small port: send, stream, close.

Its parts, in reading order:

1. ``port``: the protocol. ``ready_port``: what is the same whatever library is below it:
   redirects, the bound of connections, whole answers, and that a request is sent again which met
   a connection that the server had given up.
2. ``outgoing`` checks the header fields that go out, ``redirects`` says where a key may follow,
   ``failures`` what went wrong, ``decompression`` unpacks bodies.
3. ``with_asyncio``: HTTP/1.1 on the event loop's own transports: ``wire`` reads the bytes,
   ``connection`` is one connection, ``dial`` and ``racing`` make one, ``proxies`` says through
   whom. ``with_httpx``: the same over that library, for SOCKS proxies and the like.

Why a client of our own: a cancelled call has to close its connection, or the server goes on and
bills it, and the pool must not cost more than the call. Compiled clients (pyreqwest 0.15) do not do
the first, httpx does not do the second: ``python -m benchmarks invocations`` shows them side by
side.

A library is imported when the first account uses it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from providers.http.port import Port
    from runtime.messages import ProviderProfile

__all__ = ["open_port"]

PORTS = {
    "asyncio": "providers.http.with_asyncio:AsyncioPort",
    "httpx": "providers.http.with_httpx:HttpxPort",
}


def open_port(profile: ProviderProfile) -> Port:
    """Return the connections of an account; the first call connects.

    May be called in a worker thread: the first call loads a library and the machine's
    certificates, which takes up to a third of a second; later ones take microseconds.

    Args:
        profile: the account; its ``http`` names the library.

    Raises:
        ConfigurationError: the base URL is no address, the environment names a proxy that cannot
            be used, or there is no such library.
    """
    if profile.http not in PORTS:
        raise ConfigurationError(
            f"provider {profile.name!r}: http is one of {', '.join(sorted(PORTS))},"
            f" not {profile.http!r}"
        )
    module, _, name = PORTS[profile.http].partition(":")
    made: Callable[[ProviderProfile], Port] = getattr(import_module(module), name)
    return made(profile)
