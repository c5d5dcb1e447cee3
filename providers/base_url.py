"""Whether a profile's base URL is one; asked before anything of it is used or shown."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from runtime.messages import ProviderProfile


def check_base_url(profile: ProviderProfile) -> None:
    """Check that the base URL is an http or https address and nothing else.

    Raises:
        ConfigurationError: it is not, or it holds a credential, which is then not shown.
    """
    reason = _reason_against(profile.base_url)
    if reason is not None:
        raise ConfigurationError(f"provider {profile.name!r}: base_url {reason}")


def _reason_against(base_url: str) -> str | None:
    if "@" in base_url:
        return "holds a credential; give it as the provider's key"
    if "?" in base_url or "#" in base_url:
        return "holds a query or fragment; give it as an option"
    if not base_url.isprintable() or " " in base_url:
        return f"is no address: there are blanks or odd characters in {base_url!r}"
    try:
        parts = urlsplit(base_url)
        has_address = bool(parts.hostname) and parts.port != 0  # asking for the port checks it
    except ValueError as error:
        return f"is no address: {error}"
    if parts.scheme not in ("http", "https") or not has_address:
        return f"is {base_url!r}; it begins with http:// or https:// and names a host"
    return None
