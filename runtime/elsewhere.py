"""Accounts at addresses that payloads name: ``model_config: {base_url: ...}``.

Where such an address may lead is the rules' affair. Each is an account of its own, with limits,
connections and a circuit breaker of its own. A key goes only to its provider's own address and to
this machine.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runtime.catalog import Target, profile_of
from runtime.catalog.addresses import account_at, home_of, is_loopback, origin
from runtime.catalog.providers import IN_PROCESS
from runtime.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.accounts import Accounts
    from runtime.catalog import Catalog, ProviderEntry

MOST_ADDRESSES = 100  # of one system: each has connections of its own
NATIVE = "ollama"  # the dialect that is not spoken below /v1
COMPATIBLE = "local"  # the provider for servers that speak OpenAI's


def target_at(base_url: str, target: Target, providers: Mapping[str, ProviderEntry]) -> Target:
    """Return the target that is meant at an address: below ``/v1``, servers speak OpenAI's.

    Args:
        base_url: the address.
        target: the target that was chosen without it.
        providers: all providers by name.

    Raises:
        InvalidInput: the provider answers in this process.
    """
    entry = providers[target.provider]
    if entry.dialect == IN_PROCESS:
        raise InvalidInput(f"base_url: the provider {target.provider!r} answers in this process")
    below = urlsplit(base_url).path.rstrip("/").endswith("/v1")
    if entry.dialect == NATIVE and below and COMPATIBLE in providers:
        return Target(COMPATIBLE, target.model)
    return target


class Elsewhere:
    """Finds the account of a provider at another address.

    Args:
        catalog: the providers.
        environ: the environment variables, with the keys.
        accounts: where accounts are made known.
    """

    def __init__(self, catalog: Catalog, environ: Mapping[str, str], accounts: Accounts) -> None:
        self._providers = catalog.providers
        self._environ = environ
        self._accounts = accounts
        self._names: dict[tuple[str, str], str] = {}

    def __repr__(self) -> str:
        return f"<Elsewhere [{len(self._names)} addresses]>"

    def account(self, provider: str, base_url: str) -> str:
        """Return the name of a provider's account at an address.

        Raises:
            InvalidInput: there are too many addresses.
            ConfigurationError: it is no address.
        """
        key = (provider, base_url.rstrip("/"))
        name = self._names.get(key)
        if name is None:
            if len(self._names) >= MOST_ADDRESSES:
                raise InvalidInput(
                    f"base_url is one more than the {MOST_ADDRESSES} addresses of one system"
                )
            entry = self._providers[provider]
            here = {"base_url": base_url, "base_url_env": (), "api_key_required": False}
            own = entry.model_copy(update=here)
            if not self._may_have_key(provider, base_url):
                own = own.model_copy(update={"api_key_env": ()})
            profile = profile_of(provider, own, self._environ)
            name = self._names[key] = account_at(provider, base_url)
            self._accounts.add(replace(profile, name=name))
        return name

    def _may_have_key(self, provider: str, base_url: str) -> bool:
        """Whether an address is the provider's own or on this machine: not another provider's."""
        home = home_of(provider, self._providers[provider], self._environ)
        return is_loopback(base_url) or origin(base_url) == home
