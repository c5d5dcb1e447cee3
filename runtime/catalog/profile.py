"""From a provider's entry and the environment to the account that a provider actor starts with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runtime.catalog.values import URL
from runtime.errors import ConfigurationError
from runtime.messages import ProviderProfile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runtime.catalog.routes import ProviderEntry

_INSTEAD = "run with --provider echo"


def profile_of(name: str, entry: ProviderEntry, environ: Mapping[str, str]) -> ProviderProfile:
    """Return one provider's account. Pure.

    Args:
        name: the provider's name in the catalog.
        entry: what the catalog says of it.
        environ: the environment variables.

    Raises:
        ConfigurationError: a key or address that is needed is missing, or is none. The message
            names the variable, never its value.
    """
    return ProviderProfile(
        name=name,
        dialect=entry.dialect,
        base_url=_base_url(name, entry, environ),
        api_key=_api_key(name, entry, environ),
        key_help=_advice(entry.api_key_env) if entry.api_key_env else "",
        concurrency=entry.concurrency,
        max_queue=entry.max_queue,
        connect_timeout_s=entry.connect_timeout_s,
        first_byte_timeout_s=entry.first_byte_timeout_s,
        options=dict(entry.options),
    )


def _first_set(variables: Iterable[str], environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the first variable that is set to more than blanks, and its value; else ''."""
    values = ((name, environ.get(name, "").strip()) for name in variables)
    return next(((name, value) for name, value in values if value), ("", ""))


def _advice(variables: Iterable[str]) -> str:
    return f"set {' or '.join(variables)}, or {_INSTEAD}"


def _base_url(name: str, entry: ProviderEntry, environ: Mapping[str, str]) -> str:
    if entry.dialect == "echo":
        return ""
    variable, value = _first_set(entry.base_url_env, environ)
    if variable and not re.fullmatch(URL, value):
        raise ConfigurationError(f"{variable} is not an http:// or https:// URL; correct it")
    url, suffix = value or entry.base_url or "", entry.base_url_suffix
    if not url:
        what = f"provider {name!r} needs a base URL"
        raise ConfigurationError(f"{what}: {_advice(entry.base_url_env)}")
    if suffix is None or url.rstrip("/").endswith(suffix):
        return url
    return url.rstrip("/") + suffix


def _api_key(name: str, entry: ProviderEntry, environ: Mapping[str, str]) -> str:
    variable, key = _first_set(entry.api_key_env, environ)
    if entry.api_key_required and not key:
        raise ConfigurationError(f"provider {name!r} needs a key: {_advice(entry.api_key_env)}")
    if not re.fullmatch(r"[!-~]*", key):  # a header could not carry it
        raise ConfigurationError(f"{variable} has blanks or odd characters in it; correct it")
    return key
