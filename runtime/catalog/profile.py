"""From a provider's entry and the environment to the account that a provider actor starts with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runtime.catalog.providers import IN_PROCESS
from runtime.catalog.values import URL
from runtime.errors import ConfigurationError
from runtime.messages import ProviderProfile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runtime.catalog.providers import ProviderEntry

_INSTEAD = "run with --provider echo"


class NotConfigured(ConfigurationError):
    """A key or an address that a provider cannot do without is not set."""


def profile_of(name: str, entry: ProviderEntry, environ: Mapping[str, str]) -> ProviderProfile:
    """Return one provider's account. Pure.

    Args:
        name: the provider's name in the catalog.
        entry: what the catalog says of it.
        environ: the environment variables.

    Raises:
        NotConfigured: a key or address that is needed is missing; the message names the variable.
        ConfigurationError: a key or address is none. The message never shows its value.
    """
    return ProviderProfile(
        name=name,
        dialect=entry.dialect,
        fallback_dialect=entry.fallback_dialect or "",
        base_url=_base_url(name, entry, environ),
        region=entry.place,
        api_key=_api_key(name, entry, environ),
        key_help=_advice(entry.api_key_env) if entry.api_key_env else "",
        limits=entry.all_limits(),
        group_by=entry.group_by,
        timeouts=entry.resolved_timeouts(),
        max_pause_s=entry.max_pause_s,
        retry_ambiguous=entry.retry_ambiguous,
        http=entry.http,
        options=dict(entry.options),
    )


def first_set(variables: Iterable[str], environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the first variable that is set to more than blanks, and its value; else ''."""
    values = ((name, environ.get(name, "").strip()) for name in variables)
    return next(((name, value) for name, value in values if value), ("", ""))


def _advice(variables: Iterable[str]) -> str:
    return f"set {' or '.join(variables)}, or {_INSTEAD}"


def _base_url(name: str, entry: ProviderEntry, environ: Mapping[str, str]) -> str:
    if entry.dialect == IN_PROCESS:
        return ""
    variable, value = first_set(entry.base_url_env, environ)
    url = value or entry.base_url or ""
    if url and not _is_url(url):
        where = variable or f"base_url of provider {name!r}"
        raise ConfigurationError(f"{where} is not an http:// or https:// URL; correct it")
    if not url:
        what = f"provider {name!r} needs a base URL"
        raise NotConfigured(f"{what}: {_advice(entry.base_url_env)}")
    return _completed(url, entry.base_url_suffix or "")


def _is_url(text: str) -> bool:
    try:
        return re.fullmatch(URL, text) is not None and urlsplit(text).port != 0
    except ValueError:  # a bracket without its twin, a port beyond 65535
        return False


def _completed(url: str, suffix: str) -> str:
    """Return a URL that ends with a suffix: only those of its steps are added that are missing."""
    path, steps = urlsplit(url).path.rstrip("/"), suffix.split("/")[1:]
    for there in range(len(steps), 0, -1):
        if f"{path}/".endswith("/" + "/".join(steps[:there]) + "/"):
            return url if there == len(steps) else "/".join([url.rstrip("/"), *steps[there:]])
    return url.rstrip("/") + suffix if suffix else url


def _api_key(name: str, entry: ProviderEntry, environ: Mapping[str, str]) -> str:
    variable, key = first_set(entry.api_key_env, environ)
    if entry.api_key_required and not key:
        raise NotConfigured(f"provider {name!r} needs a key: {_advice(entry.api_key_env)}")
    if not re.fullmatch(r"[!-~]*", key):  # a header could not carry it
        raise ConfigurationError(f"{variable} has blanks or odd characters in it; correct it")
    return key
