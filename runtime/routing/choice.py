"""From wishes to one model of one provider.

The strongest wish for a model and the strongest one for a provider count, and the stronger of the
two does not give way: a provider that somebody chose is asked for what stands for the model there,
and a model that somebody chose is asked of a provider that has it. A vendor is never asked for
another vendor's model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtime.catalog import Target, find_targets, owner_of
from runtime.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runtime.catalog import ProviderEntry, RoutingFile
    from runtime.routing.wish import Wish

MOST_NAMED = 12  # models that an error lists


class Chosen(NamedTuple):
    """What the wishes come to.

    Attributes:
        target: the model to ask.
        stands_for: the model that it stands for as an alias; None where it is what was wished.
    """

    target: Target
    stands_for: str | None = None


def choose(
    wishes: Sequence[Wish], routing: RoutingFile, providers: Mapping[str, ProviderEntry]
) -> Target:
    """Return the model to ask; see ``decide``."""
    return decide(wishes, routing, providers).target


def decide(
    wishes: Sequence[Wish], routing: RoutingFile, providers: Mapping[str, ProviderEntry]
) -> Chosen:
    """Return the model to ask, and what it stands for.

    Args:
        wishes: strongest first.
        routing: the tiers, the aliases and the defaults.
        providers: all providers by name.

    Raises:
        UnknownName: there is no such provider, tier or model, or the provider does not offer it.
    """
    of_model = next((n for n, wish in enumerate(wishes) if wish.model), len(wishes))
    of_provider = next((n for n, wish in enumerate(wishes) if wish.provider), None)
    model = wishes[of_model].model if of_model < len(wishes) else None
    model = model or routing.default
    provider = None if of_provider is None else wishes[of_provider].provider
    if provider is not None and provider not in providers:
        raise UnknownName(f"no provider {provider!r}; the catalog has {_names(providers)}")
    if model in routing.tiers:
        return _of_tier(model, provider, routing)
    if provider is None or of_provider is None:
        return Chosen(_only(model, offers(model, None, providers)))
    if of_provider == of_model:
        return Chosen(offers(model, provider, providers)[0])
    if of_provider < of_model:
        return translate(_in_full(model, wishes[of_model:]), provider, routing, providers)
    return Chosen(_of_model(model, provider, providers))


def _in_full(model: str, wishes: Sequence[Wish]) -> str:
    """Return a model's name with the provider that the first wish, which names it, says it has."""
    vendor = wishes[0].provider if wishes else None
    return model if vendor is None else f"{vendor}/{model.removeprefix(f'{vendor}/')}"


def translate(
    model: str, provider: str, routing: RoutingFile, providers: Mapping[str, ProviderEntry]
) -> Chosen:
    """Return what a provider is asked for in place of a model that others may have.

    Args:
        model: ``provider/model`` or a model's name.
        provider: the provider to ask, which must be there.
        routing: the aliases.
        providers: all providers by name.

    Raises:
        UnknownName: nothing of it stands for that model.
    """
    entry, bare = providers[provider], model.removeprefix(f"{provider}/")
    if entry.claims(bare):
        return Chosen(Target(provider, bare))
    others = find_targets(model, providers)
    for target in others:
        alias = _alias(target, provider, routing)
        if alias is not None:
            return Chosen(alias, stands_for=str(target))
    if entry.offers(bare) and all(target.provider == provider for target in others):
        return Chosen(Target(provider, bare))
    raise UnknownName(
        f"provider {provider!r} has no model that stands for {model!r}; name one with --model or"
        f" MAGSAG_MODEL, or add a row with {provider!r} to 'aliases' in catalog/routing"
    )


def _alias(target: Target, provider: str, routing: RoutingFile) -> Target | None:
    """Return the model of ``provider`` that stands for a target; None if there is no such row."""
    for row in routing.aliases:
        if provider in row and target.model in row.get(target.provider, ()):
            return Target(provider, row[provider][0])
    return None


def _of_tier(tier: str, provider: str | None, routing: RoutingFile) -> Chosen:
    """Return a tier's model at a provider, or what stands there for the one that is usual."""
    offered = routing.tiers[tier]
    asked = provider or routing.provider
    if asked in offered:
        return Chosen(Target(asked, offered[asked]))
    if routing.provider in offered:
        usual = Target(routing.provider, offered[routing.provider])
        alias = _alias(usual, asked, routing)
        if alias is not None:
            return Chosen(alias, stands_for=str(usual))
    hint = "name one with --model" if provider is not None else "add one to catalog/routing"
    raise UnknownName(f"tier {tier!r} names no model of provider {asked!r}; {hint}")


def _of_model(model: str, weaker: str, providers: Mapping[str, ProviderEntry]) -> Target:
    """Return who is asked for a model when a weaker wish names a provider, which may have it."""
    if providers[weaker].claims(model):
        return Target(weaker, model)
    found = find_targets(model, providers)
    return _only(model, found or offers(model, weaker, providers))


def offers(
    model: str, provider: str | None, providers: Mapping[str, ProviderEntry]
) -> tuple[Target, ...]:
    """Return every model that a name which is no tier may mean; at least one.

    Args:
        model: ``provider/model`` or a model's name.
        provider: the provider that is wished, which must be there; None for any.
        providers: all providers by name.

    Raises:
        UnknownName: no provider offers it, or the wished one does not.
    """
    if provider is not None:
        entry, bare = providers[provider], model.removeprefix(f"{provider}/")
        if entry.offers(bare):
            return (_not_foreign(Target(provider, bare), providers),)
        raise UnknownName(
            f"provider {provider!r} does not offer {model!r}; it offers {_offered(entry)}"
        )
    targets = find_targets(model, providers)
    if not targets:
        raise UnknownName(
            f"no tier, and no model of any provider, is called {model!r};"
            " write provider/model, or list it in catalog/providers.yaml"
        )
    return tuple(_not_foreign(target, providers) for target in targets)


def _not_foreign(target: Target, providers: Mapping[str, ProviderEntry]) -> Target:
    owner = owner_of(target, providers)
    if owner is None:
        return target
    raise UnknownName(
        f"{target.model!r} is a model of {owner!r}, not of {target.provider!r}; a vendor is never"
        " sent another vendor's model, so name the other provider, or another model"
    )


def _only(model: str, targets: tuple[Target, ...]) -> Target:
    if len(targets) == 1:
        return targets[0]
    choices = " or ".join(map(str, targets))
    raise UnknownName(f"several providers offer {model!r}; say {choices}")


def _offered(entry: ProviderEntry) -> str:
    listed = sorted(entry.models)
    more = [f"{len(listed) - MOST_NAMED} more"] if len(listed) > MOST_NAMED else []
    return ", ".join([*listed[:MOST_NAMED], *more, *entry.model_names]) or "no models"


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
