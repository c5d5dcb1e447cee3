"""The catalog's policies, asked of today, of concrete targets and of where these are."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from runtime.catalog.addresses import home_of, is_loopback, origin
from runtime.catalog.providers import IN_PROCESS, LOCAL
from runtime.errors import InvalidInput, PolicyDenied
from runtime.governance.lifecycle import stage_of
from runtime.governance.policy import (
    Candidate,
    Contents,
    check,
    contents,
    is_required,
    meant_environment,
    misspelt,
    run_limit,
    spending_limits,
    unknown_price,
    verdict,
)
from runtime.governance.tools import Use, ruling, strictest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import date
    from typing import Any

    from runtime.catalog import Catalog, Policy, Retirement, Subject, Target
    from runtime.governance.policy import Deny, RunLimit, SpendingLimit
    from runtime.governance.tools import Ruling

ENVIRONMENT = "MAGSAG_ENVIRONMENT"
USUAL_ENVIRONMENT = "production"
MOST_KEPT = 4_096


class Terms(NamedTuple):
    """What policies say of one call that may be made.

    Attributes:
        limits: what all calls of its agent, provider and tenant may cost.
        unknown_price: ``deny``, ``allow`` or None, should nobody know its price.
        unknown_rate: nano-USD that a million tokens then count; None for none.
        unknown_source: who says so.
        contents: what becomes of prompt and reply.
    """

    limits: tuple[SpendingLimit, ...] = ()
    unknown_price: str | None = None
    unknown_rate: int | None = None
    unknown_source: str = ""
    contents: Contents = Contents()


class Rules:
    """The policies of a catalog. What they say of a target is worked out once a day.

    Attributes:
        rule_on_tools: whether any says anything of tools.

    Args:
        catalog: the policies, the providers and the dates of retirement.
        environ: the environment variables.
        clock: the time, in seconds since the Unix epoch.

    Raises:
        InvalidInput: the environment's name is almost one that policies speak of.
    """

    def __init__(
        self, catalog: Catalog, environ: Mapping[str, str], clock: Callable[[], float]
    ) -> None:
        self._catalog = catalog
        self._policies = catalog.policies
        self._environ = environ
        self._clock = clock
        self._environment = _environment(self._policies, environ)
        self._cares_for_dates = any(policy.denies_retired for policy in self._policies)
        self.rule_on_tools = any(policy.tools is not None for policy in self._policies)
        self._region = lru_cache(self._find_region)
        self._denial = lru_cache(MOST_KEPT)(self._find_denial)
        self._meant = lru_cache(MOST_KEPT)(partial(misspelt, self._policies))
        self._unknown = unknown_price(self._policies)

    def __repr__(self) -> str:
        return f"<Rules [{len(self._policies)} policies]>"

    @property
    def today(self) -> date:
        """The day, UTC."""
        return datetime.fromtimestamp(self._clock(), UTC).date()

    def forbids(
        self, target: Target, data_classes: frozenset[str], *, base_url: str | None = None
    ) -> Deny | None:
        """Return why a target must not be asked with such data; None if it may be.

        Args:
            target: the target.
            data_classes: the kinds of data.
            base_url: where it would be asked, if not at its provider's own address.
        """
        if not self._policies:
            return None
        return self._denial(target, data_classes, base_url, self.today)

    def region(self, provider: str, base_url: str | None = None) -> str:
        """Return where a provider's data stays; empty where nobody says.

        Args:
            provider: its name.
            base_url: where it is asked, if not at its own address.
        """
        return self._region(provider) if base_url is None else self._region_at(base_url)

    def verdicts(
        self, target: Target, data_classes: frozenset[str], base_url: str | None = None
    ) -> Iterator[tuple[str, str]]:
        """Yield what each policy says that is about such a call, and where it is written."""
        candidate = self._candidate(target, base_url, self.today)
        named = is_required(self._policies, target, data_classes)
        for policy in self._policies:
            said = verdict(policy, candidate, data_classes, named=named)
            if said is not None:
                yield f"{policy.name} {said}", policy.source

    @property
    def run_limit(self) -> RunLimit | None:
        """What the tightest policy lets a run cost; None if none says anything."""
        return run_limit(self._policies)

    def check_classes(self, data_classes: frozenset[str]) -> None:
        """Refuse a kind of data that is almost one that policies speak of.

        Raises:
            PolicyDenied: one is; it would pass for data that nobody has a rule for.
        """
        for name in sorted(data_classes):
            meant = self._meant(name)
            if meant is not None:
                raise PolicyDenied(
                    f"no policy mentions the data class {name!r}; did you mean {meant!r}?"
                )

    def terms(self, names: Mapping[Subject, str], data_classes: frozenset[str]) -> Terms:
        """Return what policies say of a call that may be made.

        Args:
            names: who makes it: the agent, the provider, the tenant.
            data_classes: the kinds of data in it.
        """
        if not self._policies:
            return Terms()
        limits = spending_limits(self._policies, names)
        return Terms(limits, *self._unknown, contents(self._policies, data_classes))

    def contents(self, data_classes: frozenset[str]) -> Contents:
        """Return what becomes of what is said about such data."""
        return contents(self._policies, data_classes)

    def tool(self, tool: str, agent: str, arguments: Iterable[Any]) -> Ruling:
        """Return whether an agent may use a tool; the strictest counts.

        Args:
            tool: its name.
            agent: who wants to use it.
            arguments: what it would be given, in all the ways in which that can be read.
        """
        uses = (Use(tool, agent, self._environment, each) for each in arguments)
        return strictest(ruling(self._policies, use) for use in uses)

    def providers_at(self, base_url: str) -> tuple[str, ...]:
        """Return the providers whose own address that is; those on this machine are no matter."""
        if is_loopback(base_url):
            return ()
        entries, place = self._catalog.providers.items(), origin(base_url)
        return tuple(
            name for name, entry in entries if home_of(name, entry, self._environ) == place
        )

    def check_home(self, provider: str, base_url: str) -> None:
        """Refuse an address that is another provider's own: its limits and prices hold there.

        Raises:
            InvalidInput: it is.
        """
        there = self.providers_at(base_url)
        if there and provider not in there:
            raise InvalidInput(f"base_url is that of the provider {there[0]!r}; name that one")

    def check_address(self, base_url: str) -> None:
        """Refuse an address from data that is neither here nor a provider's own.

        Raises:
            PolicyDenied: prompts must not go where only a payload says.
        """
        if not is_loopback(base_url) and not self.providers_at(base_url):
            raise PolicyDenied(
                f"base_url {origin(base_url)} is neither on this machine nor the address of a"
                " provider; add it to catalog/providers.yaml"
            )

    def _find_denial(
        self, target: Target, data_classes: frozenset[str], base_url: str | None, day: date
    ) -> Deny | None:
        return check(self._policies, self._candidate(target, base_url, day), data_classes)

    def _candidate(self, target: Target, base_url: str | None, day: date) -> Candidate:
        """Return a target as policies look at it."""
        return Candidate(target, self.region(target.provider, base_url), self._retired(target, day))

    def _retired(self, target: Target, day: date) -> Retirement | None:
        if not self._cares_for_dates:
            return None
        stage = stage_of(target, self._catalog, day)
        return stage.retirement if stage is not None and stage.word == "retired" else None

    def _find_region(self, provider: str) -> str:
        """Return where a provider's data stays: what the catalog says, of the address it names."""
        entry = self._catalog.providers.get(provider)
        if entry is None or entry.dialect == IN_PROCESS:
            return "" if entry is None else entry.place
        home, named = home_of(provider, entry, self._environ), origin(entry.base_url or "")
        if entry.place == LOCAL:
            return LOCAL if home is not None and (home == named or is_loopback(home)) else ""
        is_moved = named is not None and home != named  # by a variable, nobody knows where to
        return "" if is_moved else entry.place

    def _region_at(self, base_url: str) -> str:
        """Return where data stays that goes to an address: that of the provider that is there."""
        if is_loopback(base_url):
            return LOCAL
        return next(map(self._region, self.providers_at(base_url)), "")


def _environment(policies: Iterable[Policy], environ: Mapping[str, str]) -> str:
    """Return the environment whose tool rules hold."""
    said = environ.get(ENVIRONMENT, "").strip() or USUAL_ENVIRONMENT
    meant = meant_environment(policies, said)
    if meant is not None:
        raise InvalidInput(
            f"{ENVIRONMENT}={said}: no policy mentions that environment; did you mean {meant!r}?"
        )
    return said
