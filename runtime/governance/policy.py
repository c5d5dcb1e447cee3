"""Whether a target may be asked with some data, and what calls may cost. Pure."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

from runtime.catalog import stands_for
from runtime.patterns import fits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from runtime.catalog import Cap, Policy, Retirement, Subject, Target, Window

ALMOST_EQUAL = 0.8  # of two names, as difflib counts it: one is a misspelling of the other
MOST_NAMED = 8  # models that a refusal lists
ANY = "*"  # data class: a rule for it speaks of none in particular
NO_REGION = "a region that is not known"


class Deny(NamedTuple):
    """A rule forbids it.

    Attributes:
        rule: the policy's name.
        source: where it is written.
        reason: what it forbids, and what it allows instead.
    """

    rule: str
    source: str
    reason: str

    def __str__(self) -> str:
        return f"policy {self.rule} ({self.source}): {self.reason}"


class Candidate(NamedTuple):
    """A concrete target, as policies look at it.

    Attributes:
        target: the provider and the model.
        region: where its data stays; empty where nobody says.
        retired: since when it is retired, if it is.
    """

    target: Target
    region: str = ""
    retired: Retirement | None = None


class RunLimit(NamedTuple):
    """What a run may cost at most, in nano-USD, and who says so."""

    amount: int
    source: str


class SpendingLimit(NamedTuple):
    """What all calls of one agent, provider or tenant may cost, in nano-USD.

    Attributes:
        subject: whose calls.
        name: the name of the agent, provider or tenant.
        window: in which time.
        amount: the limit.
        source: who says so.
    """

    subject: Subject
    name: str
    window: Window
    amount: int
    source: str


def check(
    policies: Sequence[Policy], candidate: Candidate, data_classes: Iterable[str] = ()
) -> Deny | None:
    """Return the first policy that forbids asking a target with data of some classes, or None.

    A model that a requirement names for the data at hand is allowed for that data, whatever
    ``allowed_models`` say of data in general.
    """
    classes = sorted(data_classes)
    named = is_required(policies, candidate.target, classes)
    for policy in policies:
        reason = reason_of(policy, candidate, classes, named=named)
        if reason is not None:
            return Deny(policy.name, policy.source, reason)
    return None


def is_required(policies: Iterable[Policy], target: Target, data_classes: Iterable[str]) -> bool:
    """Return whether a requirement names a target for one of some classes of data."""
    classes = [*data_classes]
    return any(
        _is_among(target, models)
        for policy in policies
        for name, models in policy.requirements.items()
        if name in classes
    )


def reason_of(
    policy: Policy, candidate: Candidate, data_classes: Sequence[str], *, named: bool
) -> str | None:
    """Return why one policy forbids asking a target; None if it does not.

    Args:
        policy: the policy.
        candidate: the target.
        data_classes: the kinds of data.
        named: whether a requirement names the target for that data.
    """
    target, model = candidate.target, candidate.target.model
    allowed = policy.allowed_models
    if allowed is not None and not named and not _is_among(target, allowed):
        return f"{model} is not among the models: {_told(allowed)}"
    if policy.denies_retired and candidate.retired is not None:
        return f"{model} is retired since {candidate.retired.day} ({candidate.retired.source})"
    for data_class in data_classes:
        models = policy.requirements.get(data_class)
        if models is not None and not _is_among(target, models):
            return f"{model} may not see {data_class}, only {_told(models)} may"
        regions = policy.residency.get(data_class)
        if regions is not None and candidate.region not in regions:
            where = candidate.region or NO_REGION
            return f"{target} is in {where}; {data_class} stays in {_told(regions)}"
    return None


def _is_among(target: Target, names: frozenset[str]) -> bool:
    return any(stands_for(name, target) for name in names)


def _told(names: frozenset[str]) -> str:
    told = sorted(names)
    more = [f"{len(told) - MOST_NAMED} more"] if len(told) > MOST_NAMED else []
    return ", ".join([*told[:MOST_NAMED], *more]) or "none"


def verdict(
    policy: Policy, candidate: Candidate, data_classes: Iterable[str] = (), *, named: bool = False
) -> str | None:
    """Return what a policy says of asking a target; None if it is not about that.

    What it says of money is in ``run_limit`` and ``spending_limits``.

    Args:
        policy: the policy.
        candidate: the target.
        data_classes: the kinds of data.
        named: whether a requirement names the target for that data.
    """
    classes = sorted(data_classes)
    reason = reason_of(policy, candidate, classes, named=named)
    if reason is not None:
        return f"denies it: {reason}"
    allowed = policy.allowed_models
    if allowed is not None or policy.denies_retired:
        among = allowed is None or _is_among(candidate.target, allowed)
        return "allows it" if among else "gives way to the policy that names it for such data"
    if any(name in named for name in classes for named in (policy.requirements, policy.residency)):
        return f"allows it with {_told(frozenset(classes))}"
    if policy.tools is not None:
        return "decides on each tool when it is used"
    kept = contents((policy,), classes)
    if not kept.in_journal:
        return "has prompts and replies kept as digests only"
    return "has prompts and replies in the audit trail" if kept.in_audit else None


def data_classes_of(policies: Iterable[Policy]) -> set[str]:
    """Return the data classes that policies speak of."""
    return {
        name
        for policy in policies
        for names in (policy.requirements, policy.residency, policy.contents)
        for name in names
        if "*" not in name and "?" not in name
    }


def misspelt(policies: Iterable[Policy], data_class: str) -> str | None:
    """Return the data class that somebody must have meant by one that no policy speaks of.

    A class without a policy is free, so one that almost has a policy must not pass for it.
    """
    known = data_classes_of(policies)
    patterns = (each for policy in policies for each in policy.contents if each != ANY)
    if data_class in known or any(fits(pattern, data_class) for pattern in patterns):
        return None
    return _almost(data_class, known)


def environments_of(policies: Iterable[Policy]) -> set[str]:
    """Return the environments that policies speak of."""
    tools = [policy.tools for policy in policies if policy.tools is not None]
    rules = {rule.environment for each in tools for rule in each.rules}
    return {name for name in rules.union(*(each.defaults for each in tools)) if name is not None}


def meant_environment(policies: Iterable[Policy], environment: str) -> str | None:
    """Return the environment that somebody must have meant by one that no policy speaks of.

    None of an environment's tool rules holds under a misspelt name.
    """
    known = environments_of(policies)
    return None if environment in known else _almost(environment, known)


def _almost(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that one is a misspelling of."""
    alike = {each.casefold(): each for each in known}
    near = get_close_matches(name.casefold(), alike, n=1, cutoff=ALMOST_EQUAL)
    return alike[near[0]] if near else None


# --- money ---------------------------------------------------------------------------------------


def run_limit(policies: Iterable[Policy]) -> RunLimit | None:
    """Return the tightest limit that policies set on what a run may cost."""
    limits = [
        RunLimit(policy.max_cost_per_run, _place(policy))
        for policy in policies
        if policy.max_cost_per_run is not None
    ]
    return min(limits, default=None)


def spending_limits(
    policies: Iterable[Policy], names: Mapping[Subject, str]
) -> tuple[SpendingLimit, ...]:
    """Return the tightest limit of each kind that holds for a call, in a fixed order.

    Args:
        policies: all of them.
        names: who makes the call: the agent, the provider, the tenant; empty for none.
    """
    tightest: dict[tuple[Subject, Window], SpendingLimit] = {}
    for limit in _limits(policies, names):
        kind = (limit.subject, limit.window)
        if kind not in tightest or limit.amount < tightest[kind].amount:
            tightest[kind] = limit
    return tuple(tightest[kind] for kind in sorted(tightest))


def amount_of(cap: Cap, name: str) -> int | None:
    """Return what a cap allows somebody; an exact name goes before a pattern, any before ``*``."""
    fitting = [(known, amount) for known, amount in cap.amounts if fits(known, name)]
    best = min(fitting, key=lambda each: (each[0] == ANY, each[0] != name), default=None)
    return None if best is None else best[1]


def _limits(policies: Iterable[Policy], names: Mapping[Subject, str]) -> Iterator[SpendingLimit]:
    for policy in policies:
        for cap in policy.caps:
            name = names.get(cap.subject, "")
            amount = amount_of(cap, name)
            if name and amount is not None:
                yield SpendingLimit(cap.subject, name, cap.window, amount, _place(policy))


def unknown_price(policies: Iterable[Policy]) -> tuple[str | None, int | None, str]:
    """Return what policies say of models whose price nobody knows; the strictest counts.

    Returns:
        ``deny``, ``allow`` or None; the nano-USD that a million tokens count, the highest; who
        says so.
    """
    saying = [p for p in policies if p.unknown_price is not None or p.unknown_rate is not None]
    denying = next((policy for policy in saying if policy.unknown_price == "deny"), None)
    if denying is not None:
        return "deny", None, _place(denying)
    rates = [policy.unknown_rate for policy in saying if policy.unknown_rate is not None]
    return ("allow" if saying else None), max(rates, default=None), "".join(map(_place, saying[:1]))


# --- contents ------------------------------------------------------------------------------------


class Contents(NamedTuple):
    """What becomes of prompts and replies.

    Attributes:
        in_journal: whether the journal has them.
        in_audit: whether the audit trail has them.
    """

    in_journal: bool = True
    in_audit: bool = False

    @property
    def word(self) -> str:
        """The word of the audit trail for it; empty if only the journal has them."""
        return "keep" if self.in_audit else "" if self.in_journal else "digest"


def contents(policies: Iterable[Policy], data_classes: Iterable[str]) -> Contents:
    """Return what policies say of prompts and replies with such data; the strictest counts."""
    rules = [rule for policy in policies for rule in policy.contents.items()]
    said = [
        {word for pattern, word in rules if fits(pattern, name)}
        for name in ([*data_classes] or [""])
    ]
    in_journal = not any("digest" in words for words in said)
    return Contents(in_journal, in_audit=in_journal and all(said))


def _place(policy: Policy) -> str:
    return f"policy {policy.name}, {policy.source}"
