"""Where a journal is: a file, or an address of PostgreSQL. Pure; a password is never shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from runtime.errors import ConfigurationError

SCHEMES = ("postgresql://", "postgres://")
_HIDDEN = "***"
_NATS_LOGIN = re.compile(r"((?:nats|tls)://)[^/@,\s]*@")  # in addresses of a cluster
_SECRET_OPTIONS = frozenset(("password", "sslpassword"))


class Address:
    """A PostgreSQL database, as libpq's connection URIs name it.

    Attributes:
        uri: the whole of it, with the password if it has one; for libpq alone.
    """

    def __init__(self, uri: str) -> None:
        """Take an address apart.

        Raises:
            ConfigurationError: it is none.
        """
        self.uri = uri
        try:
            parts = urlsplit(uri)
        except ValueError as error:
            raise ConfigurationError(
                f"the address of the journal is none ({error}); write it like"
                " postgresql://user@host:port/dbname"
            ) from error
        login, _, host = parts.netloc.rpartition("@")
        user, _, password = login.partition(":")
        told = (value for name, value in parse_qsl(parts.query) if name in _SECRET_OPTIONS)
        self._secrets = {password, unquote(password), *told} - {""}
        self._shown = f"postgresql://{f'{user}@' if user else ''}{host}{parts.path}"

    def __str__(self) -> str:
        """Return it without its password and its options, for people."""
        return self._shown

    def __repr__(self) -> str:
        return f"Address({self._shown!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and other.uri == self.uri

    def __hash__(self) -> int:
        return hash(self.uri)

    def without_secrets(self, text: str) -> str:
        """Return what somebody else says of this address, without its password."""
        for secret in (self.uri, *sorted(self._secrets, key=len, reverse=True)):
            shown = self._shown if secret == self.uri else _HIDDEN
            text = text.replace(secret, shown)
        return text


Location: TypeAlias = Path | Address


def is_address(text: str) -> bool:
    """Whether a text names a PostgreSQL database rather than a file."""
    return text.startswith(SCHEMES)


def place_of(location: Location) -> str:
    """Return a location as ``location_of`` takes it, with its password."""
    return location.uri if isinstance(location, Address) else str(location)


def location_of(place: str) -> Location:
    """Return what a text names."""
    return Address(place) if is_address(place) else Path(place)


def without_passwords(argument: str) -> str:
    """Return an argument of a command line as it may be kept: addresses without their logins."""
    argument = _NATS_LOGIN.sub(r"\1", argument)
    option, equals, value = argument.partition("=")
    if equals and option.startswith("-") and is_address(value):
        return f"{option}={Address(value)}"
    return str(Address(argument)) if is_address(argument) else argument
