"""Provider actors: the only place that talks to language models.

Its parts, in reading order:

1. ``actor``: the supervised actor of one account.  ``call``: one call with all its attempts, the
   main path.  ``account``: what an account knows and must not forget in a crash.
2. Pure decisions, which ``call`` asks: ``admission`` (who starts when), ``line`` (waiting for it),
   ``breaker`` (whether at all), ``retry`` (whether once more), ``estimate`` (how many tokens),
   ``rate_headers`` (what a server says of its limits), ``downgrade`` (which dialect it knows).
   ``settlement`` tells them what became of an attempt.
   ``cluster``: how nodes share the limits of one account.
3. ``backend``: what makes an attempt.  ``http_backend``: over HTTP; ``http_stream``: in pieces;
   ``http``: the port to the HTTP libraries.
4. ``adapter``: what a wire dialect has to do, without any I/O.  One package a dialect:
   ``openai_responses``, ``openai_chat``, ``anthropic``, ``google``, ``ollama``.  What they share:
   ``classification`` (errors), ``sse``, ``accumulate``, ``json_values``, ``response_hints``,
   ``strict_schema``, ``left_out``, ``options``, ``base_url``.
5. ``echo``: two models in this process, without network, key or cost. ``echo-1`` gives the prompt
   back or fills a schema (``filling``, from ``prompt_json`` where it can); ``extract-1``
   summarises by picking sentences (``extract``, ``extraction``). ``prompt`` is what they read,
   ``local_answer`` what they answer.
6. ``prices``: what a model costs.  ``checks``: whether an account can be used at all.
   ``simulator``: a server that speaks all dialects, for tests, benchmarks and demonstrations.

A dialect is imported when the first account speaks it, so ``echo`` never loads an HTTP library.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from providers.account import Account
    from providers.adapter import Adapter
    from providers.backend import Backend
    from providers.cluster import Party
    from providers.prices import price_of
    from runtime.actors import Actor
    from runtime.messages import ProviderProfile

__all__ = ["ADAPTERS", "ProviderActors", "adapter_of", "price_of"]


class Dialect(NamedTuple):
    """Where a wire dialect is.

    Attributes:
        module: its package.
        adapter: the name of its adapter there.
        settings: the module that names its options, as ``OPTIONS``.
    """

    module: str
    adapter: str
    settings: str


ADAPTERS = {
    "anthropic": Dialect(
        "providers.anthropic", "AnthropicMessages", "providers.anthropic.settings"
    ),
    "google": Dialect("providers.google", "GoogleGenerateContent", "providers.google"),
    "ollama": Dialect("providers.ollama", "OllamaChat", "providers.ollama"),
    "openai_chat": Dialect("providers.openai_chat", "OpenAIChat", "providers.openai_chat.profile"),
    "openai_responses": Dialect(
        "providers.openai_responses", "OpenAIResponses", "providers.openai_responses.settings"
    ),
}
IN_PROCESS = "echo"


class ProviderActors:
    """Starts the provider actors of one system, again after a crash with what they knew.

    They share the limits of an account with nobody else until ``share_over`` says so.
    """

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._node = ""
        self._share: Callable[[str, Party], None] | None = None

    def share_over(self, node: str, share: Callable[[str, Party], None]) -> None:
        """Share the limits of those accounts with other nodes that are started from now on.

        What is in this process, like ``echo``, is of no concern to others.

        Args:
            node: the name of this node.
            share: called with each account's name and its part here, for whoever carries what the
                nodes tell each other.
        """
        self._node, self._share = node, share

    def start(self, profile: ProviderProfile) -> Actor:
        """Return the actor that makes the model calls of one account.

        Args:
            profile: the account; of the same name it is the same account.

        Raises:
            ConfigurationError: nobody speaks its dialect, or the profile does not suit it.
        """
        from providers.account import Account  # noqa: PLC0415  # anyio, for those who list only
        from providers.actor import ProviderActor  # noqa: PLC0415  # likewise

        account = self._accounts.get(profile.name)
        if account is None or account.profile != profile:
            is_shared = self._share is not None and profile.dialect != IN_PROCESS
            account = self._accounts[profile.name] = Account(
                profile, _backend_of(profile), share=self._party_of if is_shared else None
            )
        return ProviderActor(account)

    def _party_of(self, account: Account) -> Party:
        from providers.cluster import Party  # noqa: PLC0415  # for clusters

        profile = account.profile
        party = Party(self._node, account.limits_of, profile.timeouts.total)
        if self._share is not None:
            self._share(profile.name, party)
        return party


def adapter_of(profile: ProviderProfile, dialect: str | None = None) -> Adapter:
    """Return the adapter of an account over HTTP.

    Args:
        profile: the account.
        dialect: another dialect than the account's own.

    Raises:
        ConfigurationError: nobody speaks the dialect, or an option does not suit it.
    """
    dialect = dialect or profile.dialect
    place = ADAPTERS.get(dialect)
    if place is None:
        raise ConfigurationError(
            f"provider {profile.name!r}: nobody speaks the dialect {dialect!r};"
            f" known are {', '.join(sorted([*ADAPTERS, IN_PROCESS]))}"
        )
    suited = replace(profile, dialect=dialect, options=_options_for(dialect, profile))
    adapter: Adapter = getattr(import_module(place.module), place.adapter)(suited)
    return adapter


def _options_for(dialect: str, profile: ProviderProfile) -> Mapping[str, Any]:
    """Return the options for one of an account's two dialects: those that only the other has go."""
    other = {profile.dialect, profile.fallback_dialect} - {dialect, ""}
    foreign = {name for each in other & ADAPTERS.keys() for name in _known_options(each)}
    foreign -= set(_known_options(dialect))
    return {name: value for name, value in profile.options.items() if name not in foreign}


def _known_options(dialect: str) -> Mapping[str, Any]:
    known: Mapping[str, Any] = import_module(ADAPTERS[dialect].settings).OPTIONS
    return known


def _backend_of(profile: ProviderProfile) -> Backend:
    if profile.dialect == IN_PROCESS:
        from providers.echo import EchoBackend  # noqa: PLC0415  # filling and extraction

        return EchoBackend(profile)
    from providers.http_backend import HttpBackend  # noqa: PLC0415  # not for echo

    fallback = profile.fallback_dialect
    return HttpBackend(
        profile, adapter_of(profile), adapter_of(profile, fallback) if fallback else None
    )


def __getattr__(name: str) -> Any:
    """Import ``price_of`` when it is first asked for."""
    if name == "price_of":
        from providers.prices import price_of  # noqa: PLC0415  # keeps the import of providers cheap

        return price_of
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
