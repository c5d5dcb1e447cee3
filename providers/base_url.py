"""Whether a profile's base URL is one, asked before anything of it is used, and its parts."""

from __future__ import annotations

from functools import lru_cache
from posixpath import normpath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from runtime.messages import ProviderProfile

DEFAULT_PORTS = {"http": 80, "https": 443}
MOST_KEPT = 1_024
SAFE_IN_TARGET = "%/?:@!$&'()*+,;=~[]|"  # what may stand as it is; a percent sign is an escape


class Address(NamedTuple):
    """Where an account's server is.

    Attributes:
        scheme: ``http`` or ``https``.
        host: its name in ASCII, or its IP address without brackets.
        port: its port.
        path: what every path begins with, without a slash at the end.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def netloc(self) -> str:
        """Host and port, the host of an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port: what a key may be sent to."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def host_field(self) -> str:
        """The value of the header field ``host``."""
        usual = DEFAULT_PORTS[self.scheme] == self.port
        return self.netloc.removesuffix(f":{self.port}") if usual else self.netloc

    @lru_cache(MOST_KEPT)  # noqa: B019  # an address is a value of four parts, and few are kept
    def target(self, path: str) -> str:
        """Return the path of a request below this address, escaped where it has to be.

        Steps upwards are taken here, because not every server takes them.
        """
        whole, mark, query = (self.path + path).partition("?")
        if "/." in whole:
            whole = normpath(whole)
        return quote(whole + mark + query, safe=SAFE_IN_TARGET)


def check_base_url(profile: ProviderProfile) -> None:
    """Check that the base URL is an http or https address and nothing else.

    Raises:
        ConfigurationError: it is not, or it holds a credential, which is then not shown.
    """
    reason = _reason_against(profile.base_url)
    if reason is not None:
        raise ConfigurationError(f"provider {profile.name!r}: base_url {reason}")


def address_of(profile: ProviderProfile) -> Address:
    """Return the parts of the base URL.

    Raises:
        ConfigurationError: it is none; see ``check_base_url``.
    """
    check_base_url(profile)
    parts = urlsplit(profile.base_url)
    host = _ascii(parts.hostname or "")
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    return Address(parts.scheme, host, port, parts.path.rstrip("/"))


def _reason_against(base_url: str) -> str | None:
    if "@" in base_url:
        return "holds a credential; give it as the provider's key"
    if "?" in base_url or "#" in base_url:
        return "holds a query or fragment; give it as an option"
    if not base_url.isprintable() or " " in base_url:
        return f"is no address: there are blanks or odd characters in {base_url!r}"
    try:
        parts = urlsplit(base_url)
        has_address = bool(_ascii(parts.hostname or "")) and parts.port != 0  # asking checks it
    except ValueError as error:
        return f"is no address: {error}"
    if parts.scheme not in DEFAULT_PORTS or not has_address:
        return f"is {base_url!r}; it begins with http:// or https:// and names a host"
    return None


def _ascii(host: str) -> str:
    """Return a host's name as DNS knows it; an UnicodeError is a ValueError."""
    return host if host.isascii() else host.encode("idna").decode()
