"""Whether a model may be asked with a class of data. Pure: allowed, or denied and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.catalog import Policy


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


class RunLimit(NamedTuple):
    """What a run may cost at most, in nano-USD, and who says so."""

    amount: int
    source: str


def check(policies: Iterable[Policy], model: str, data_class: str | None) -> Deny | None:
    """Return the first policy that forbids asking ``model`` with such data, or None."""
    for policy in policies:
        if policy.allowed_models is not None and model not in policy.allowed_models:
            only = ", ".join(sorted(policy.allowed_models))
            return Deny(policy.name, policy.source, f"{model} is not among the models: {only}")
        models = policy.requirements.get(data_class or "")
        if models is not None and model not in models:
            only = ", ".join(sorted(models))
            reason = f"{model} may not see {data_class}, only {only} may"
            return Deny(policy.name, policy.source, reason)
    return None


def run_limit(policies: Iterable[Policy]) -> RunLimit | None:
    """Return the tightest limit that policies set on what a run may cost."""
    limits = [
        RunLimit(policy.max_cost_per_run, f"policy {policy.name}, {policy.source}")
        for policy in policies
        if policy.max_cost_per_run is not None
    ]
    return min(limits, default=None)
