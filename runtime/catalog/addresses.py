"""Where an address leads: its origin, and whether it is on this machine. Pure."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runtime.catalog.profile import profile_of
from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.catalog.providers import ProviderEntry

_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> str | None:
    """Return scheme, host and port of an address in one spelling; None where it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host  # a version 6 address
    return f"{parts.scheme}://{host}:{port}" if host else None


def is_loopback(url: str) -> bool:
    """Whether an address is certain to be on this machine."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def account_at(provider: str, base_url: str) -> str:
    """Return what a provider's account at another address than its own is called, by everybody."""
    return f"{provider}|{base_url.rstrip('/')}"


def home_of(provider: str, entry: ProviderEntry, environ: Mapping[str, str]) -> str | None:
    """Return the origin that catalog and environment name; None where they do not."""
    keyless = entry.model_copy(update={"api_key_env": (), "api_key_required": False})
    try:
        return origin(profile_of(provider, keyless, environ).base_url)
    except ConfigurationError:
        return None
