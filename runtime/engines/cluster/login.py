"""Servers of NATS as a person names them, apart from who gets in there. Pure; secrets never show.

A login stands in the addresses (``nats://user:password@host``, or ``nats://token@host``), as NATS
has it, and is the same for all servers of one cluster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMES = ("nats", "tls")
PORT = 4222
_EXAMPLE = "nats://user:password@host:4222[,nats://...]"


@dataclass(frozen=True, slots=True)
class Login:
    """Who one is at a server.

    Attributes:
        user: its name; None for none.
        password: what goes with it; None for none.
        token: what lets in whoever has it; None for none.
    """

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of one cluster.

    Attributes:
        addresses: ``scheme://host:port`` each, without a login.
        login: who one is there.
    """

    addresses: tuple[str, ...]
    login: Login

    def __str__(self) -> str:
        """Return them for people, who do not see the login."""
        return ",".join(self.addresses)

    @property
    def must_be_private(self) -> bool:
        """Whether an address asks for TLS."""
        return any(address.startswith("tls:") for address in self.addresses)


def servers_of(given: str) -> Servers:
    """Return what a list of addresses says.

    Args:
        given: addresses, with commas between them.

    Raises:
        ConfigurationError: one of them is none, or they have several logins.
    """
    parts = [_taken_apart(text.strip()) for text in given.split(",") if text.strip()]
    if not parts:
        raise ConfigurationError(f"no server of NATS is named; write --nats {_EXAMPLE}")
    return Servers(tuple(map(_address, parts)), _the_login(map(_login, parts)))


def _taken_apart(text: str) -> SplitResult:
    bare = "://" not in text and "@" not in text  # a login without a scheme could not be masked
    try:
        parts = urlsplit(f"nats://{text}" if bare else text)
        known = parts.scheme in SCHEMES and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, or half of an IPv6 address
        known = False
    if not known or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigurationError(
            f"an address of NATS cannot be understood; write it like {_EXAMPLE}, with %XX for"
            " what has a meaning in addresses"
        )
    return parts


def _address(parts: SplitResult) -> str:
    host = str(parts.hostname)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{parts.port or PORT}"


def _login(parts: SplitResult) -> Login:
    if parts.username is None:
        return Login()
    if parts.password is None:
        return Login(token=unquote(parts.username))
    return Login(user=unquote(parts.username), password=unquote(parts.password))


def _the_login(logins: Iterable[Login]) -> Login:
    """Return the one that is given, once or with every server."""
    given = {*logins} - {Login()}
    if len(given) > 1:
        raise ConfigurationError("the servers of one cluster take one login; --nats has several")
    return given.pop() if given else Login()
