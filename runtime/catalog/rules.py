"""What one file must satisfy as a whole, beyond the types of its fields.

The rules read raw data, of any types: a file with a wrong type in one field still hears about
everything else. The JSON Schemas say the same, as far as JSON Schema can say it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from runtime.catalog.agents import AgentEntry
from runtime.catalog.breach import Breach, Data, Rule, out_of_order
from runtime.catalog.fields import placeholder_problems
from runtime.catalog.gates import GateFile
from runtime.catalog.policies import POLICY_KINDS, PolicyFile
from runtime.catalog.provider_rules import PROVIDER_RULES
from runtime.catalog.providers import ProvidersFile
from runtime.catalog.routes import RoutingFile
from runtime.catalog.routing_rules import ROUTING_RULES

if TYPE_CHECKING:
    from pydantic import BaseModel

    from runtime.catalog.document import Path


def breaches(model: type[BaseModel], data: Data) -> Iterator[Breach]:
    """Yield every rule that a file's data breaks."""
    for rule in _RULES.get(model, ()):
        yield from rule(data)


# --- agents --------------------------------------------------------------------------------------


def _one_body(data: Data) -> Iterator[Breach]:
    """An agent is Python or a prompt, never both."""
    if ("entrypoint" in data) != ("prompt" in data):
        return
    if "prompt" in data:
        what = "an agent has 'entrypoint' or 'prompt', not both"
        yield Breach(("prompt",), what, "remove one of the two", key=True)
    else:
        what = "an agent needs 'entrypoint' (Python) or 'prompt' (no Python)"
        yield Breach((), what, "add one of the two")


def _no_types_for_python(data: Data) -> Iterator[Breach]:
    if "entrypoint" in data and "prompt" not in data:
        for name in {"system", "input", "output"} & set(data):
            what = f"{name!r} belongs to prompt-only agents; a function declares its own types"
            yield Breach((name,), what, "remove it, or replace 'entrypoint' by 'prompt'", key=True)


def _prompt_only(data: Data) -> Iterator[Breach]:
    if "prompt" not in data or "entrypoint" in data:
        return
    if data.get("role") == "mag":
        what = "a prompt-only agent cannot orchestrate, so it is no mag"
        yield Breach(("role",), what, "write 'role: sag', or give it an 'entrypoint'")
    if "output" not in data:
        what = "a prompt-only agent needs 'output', the fields of its answer"
        yield Breach((), what, "add it, e.g. 'output: {answer: str}'")


def _placeholders(data: Data) -> Iterator[Breach]:
    prompt, fields = data.get("prompt"), data.get("input", {})
    if isinstance(prompt, str) and isinstance(fields, Mapping):
        for what, todo in placeholder_problems(prompt, fields):
            yield Breach(("prompt",), what, todo)


def _backoff_grows(data: Data) -> Iterator[Breach]:
    defaults = AgentEntry.model_fields["backoff"].default
    yield from out_of_order(data, ("backoff",), "first_s", "longest_s", defaults.model_dump())


# --- policies ------------------------------------------------------------------------------------


def _one_kind(data: Data) -> Iterator[Breach]:
    policies = data.get("policies")
    for index, policy in enumerate(policies if isinstance(policies, list) else ()):
        if isinstance(policy, Mapping) and len(POLICY_KINDS & set(policy)) != 1:
            kinds = ", ".join(sorted(POLICY_KINDS))
            what = f"a policy says exactly one of {kinds}"
            yield Breach(("policies", index), what, "make each a policy of its own")


def _thresholds(data: Data) -> Iterator[Breach]:
    """A policy about money says something, and not two things at once."""
    policies = data.get("policies")
    for index, policy in enumerate(policies if isinstance(policies, list) else ()):
        given = policy.get("thresholds") if isinstance(policy, Mapping) else None
        if not isinstance(given, Mapping):
            continue
        path: Path = ("policies", index, "thresholds")
        if not given:
            yield Breach(path, "these thresholds say nothing", "add 'max_cost_per_run_usd: 5.0'")
        if given.get("on_unknown_price") == "deny" and "unknown_price_usd_per_mtok" in given:
            what = "a model of unknown price is denied, and has a price nevertheless"
            path = (*path, "unknown_price_usd_per_mtok")
            yield Breach(path, what, "remove it, or 'on_unknown_price'", key=True)


_RULES: Mapping[type[BaseModel], tuple[Rule, ...]] = {
    AgentEntry: (_one_body, _no_types_for_python, _prompt_only, _placeholders, _backoff_grows),
    RoutingFile: ROUTING_RULES,
    ProvidersFile: PROVIDER_RULES,
    PolicyFile: (_one_kind, _thresholds),
    GateFile: (_one_kind, _thresholds),
}
