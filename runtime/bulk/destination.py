"""The account that a line asks, and whether the provider's key may go there.

A line without ``base_url`` asks the provider's own account. A ``base_url`` is an account of its
own, with limits, connections and a circuit breaker of its own; what the catalog says of the
provider holds there, too, as far as it suits the dialect.

The key is the one thing that does not simply go along. It goes to the origin that the catalog names
and to this machine; anywhere else only where a person has said so. For a line of data could
otherwise send it to whoever wrote the line.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.bulk.line import DIALECTS
from runtime.catalog import ProviderEntry, Target, profile_of
from runtime.catalog.addresses import account_at, home_of, is_loopback, origin
from runtime.directory import suggest
from runtime.errors import InvalidRequest, PolicyDenied, UnknownName
from runtime.routing import offers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.bulk.allowance import Allowance
    from runtime.bulk.line import Line
    from runtime.catalog import Catalog
    from runtime.messages import ProviderProfile
    from runtime.rules import Rules

MOST_ACCOUNTS = 1_000  # of one call of the command line: each has connections of its own
IN_PROCESS = "echo"
PROVIDERS: Mapping[str | None, str] = {  # who is meant where a line names an endpoint only
    None: "compat",
    "chat": "compat",
    "responses": "openai",
    "messages": "anthropic",
    "generateContent": "google",
    "ollama": "ollama",
}
ENDPOINTS = {dialect: endpoint for endpoint, dialect in DIALECTS.items()}
# What an option means in one dialect it means in the others that know it; the rest is left behind.
OPENAI = frozenset({"openai_chat", "openai_responses"})
OPENAI_OPTIONS = frozenset({"auth", "models_path", "query", "strict_schema", "sampling_params"})
COMMON_OPTIONS: Mapping[str, frozenset[str]] = {"ollama": frozenset()}
ELSEWHERE = frozenset({"sampling_params"})


class Destination(NamedTuple):
    """Where a line goes.

    Attributes:
        provider: the provider's name, as prices and replies have it.
        profile: the account; its name is unique among the accounts of one call.
        warnings: what was decided about the key.
    """

    provider: str
    profile: ProviderProfile
    warnings: tuple[str, ...] = ()


class Destinations:
    """Finds the account of each line; each account is resolved once.

    Args:
        catalog: the providers and the policies.
        environ: the environment variables, with the keys.
        allowance: what the command line says about every account.
        rules: the policies.
        check: raises ``ConfigurationError`` if an account cannot be started.
    """

    def __init__(
        self,
        catalog: Catalog,
        environ: Mapping[str, str],
        allowance: Allowance,
        rules: Rules,
        check: Callable[[ProviderProfile], object],
    ) -> None:
        self._catalog = catalog
        self._environ = environ
        self._allowance = allowance
        self._rules = rules
        self._check = check
        self._found: dict[tuple[str, str | None, str | None], Destination] = {}

    def __repr__(self) -> str:
        return f"<Destinations [{len(self._found)} accounts]>"

    def find(self, line: Line) -> Destination:
        """Return where a line goes.

        Raises:
            InvalidRequest: nobody has named a provider, or the line contradicts it.
            UnknownName: there is no such provider, or it has no such model.
            ConfigurationError: the account lacks its key or its address.
            InvalidInput: its address is another provider's own.
            PolicyDenied: a policy forbids the model.
        """
        provider = line.request.provider or _implied(line)
        if line.base_url is not None:
            self._rules.check_home(provider, line.base_url)
        self._check_policies(Target(provider, line.request.model), line)
        key = (provider, line.endpoint, line.base_url)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= MOST_ACCOUNTS:
                raise InvalidRequest(
                    f"base_url is one more than the {MOST_ACCOUNTS:,} accounts of one call;"
                    " divide the input"
                )
            found = self._found[key] = self._resolve(provider, line)
        self._check_offer(provider, line)
        return found

    def endpoint_of(self, line: Line) -> str | None:
        """Return what a line's account is spoken to in, as far as it is known before ``find``."""
        return line.endpoint or endpoint_of(line.request.provider, self._catalog)

    def _resolve(self, provider: str, line: Line) -> Destination:
        entry = self._entry(provider, line)
        warnings: tuple[str, ...] = ()
        if line.base_url is None:
            profile = profile_of(provider, entry, self._environ)
        else:
            profile, warnings = self._elsewhere(provider, entry, line.base_url)
        dialect = profile.dialect if line.endpoint is None else DIALECTS[line.endpoint]
        if line.base_url is not None or dialect != profile.dialect:
            name = self._name(provider, dialect, line.base_url or "")
            profile = replace(_spoken(profile, dialect), name=name)
        profile = self._allowance.limited(profile)
        self._check(profile)
        return Destination(provider, profile, warnings)

    def _name(self, provider: str, dialect: str, base_url: str) -> str:
        """Return what an account is called; in its provider's dialect as runs call it, too."""
        known = self._catalog.providers.get(provider)
        is_own = known is not None and known.dialect == dialect
        return account_at(provider if is_own else f"{provider}|{dialect}", base_url)

    def _entry(self, provider: str, line: Line) -> ProviderEntry:
        providers = self._catalog.providers
        entry = providers.get(provider)
        if entry is None:
            if line.base_url is None:
                raise UnknownName(f"no provider {provider!r}{suggest(provider, providers)}")
            dialect: Any = DIALECTS[line.endpoint or "chat"]
            usual = providers.get(PROVIDERS[line.endpoint])
            if usual is not None and usual.dialect == dialect:
                return usual.model_copy(update={"base_url_suffix": None})
            return ProviderEntry(dialect=dialect, any_model=True, base_url=line.base_url)
        if entry.dialect == IN_PROCESS and (line.base_url or line.endpoint):
            field = "base_url" if line.base_url else "endpoint"
            raise InvalidRequest(f"{field}: the provider {provider!r} answers in this process")
        return entry

    def _elsewhere(
        self, provider: str, entry: ProviderEntry, base_url: str
    ) -> tuple[ProviderProfile, tuple[str, ...]]:
        """Return a provider's account at another address than its own."""
        own = entry.model_copy(
            update={"base_url": base_url, "base_url_env": (), "api_key_required": False}
        )
        profile = profile_of(provider, own, self._environ)
        home = home_of(provider, entry, self._environ)
        if is_loopback(base_url) or origin(base_url) == home or self._allowance.send_key:
            return profile, ()
        told = (
            f"the key of {provider} was not sent to {origin(base_url)}, which is not its own"
            " address; --send-key sends it"
        )
        keyless = replace(profile, api_key="", key_help="")
        return keyless, (told,) if profile.api_key else ()

    def _check_policies(self, target: Target, line: Line) -> None:
        self._rules.check_classes(line.data_classes)
        denial = self._rules.forbids(target, line.data_classes, base_url=line.base_url)
        if denial is not None:
            raise PolicyDenied(str(denial), denied=((str(target), str(denial)),))

    def _check_offer(self, provider: str, line: Line) -> None:
        """At its own address a provider is asked for what it is said to have, and nothing else."""
        model, entry = line.request.model, self._catalog.providers.get(provider)
        if line.base_url is None and entry is not None:
            offers(model, provider, self._catalog.providers)


def endpoint_of(provider: str | None, catalog: Catalog) -> str | None:
    """Return what a provider of the catalog is spoken to in; None where nobody knows."""
    entry = catalog.providers.get(provider or "")
    return None if entry is None else ENDPOINTS.get(entry.dialect, entry.dialect)


def _implied(line: Line) -> str:
    if line.endpoint is None and line.base_url is None:
        raise InvalidRequest("provider is missing; name it, or all lines' with --provider")
    return PROVIDERS[line.endpoint]


def _spoken(profile: ProviderProfile, dialect: str) -> ProviderProfile:
    """Return an account that is spoken to in a dialect; what does not suit it is left behind."""
    if profile.dialect == dialect:
        return profile
    kept = COMMON_OPTIONS.get(dialect, ELSEWHERE)
    if {profile.dialect, dialect} == OPENAI:
        kept = OPENAI_OPTIONS
    options = {name: value for name, value in profile.options.items() if name in kept}
    return replace(profile, dialect=dialect, fallback_dialect="", options=options)
