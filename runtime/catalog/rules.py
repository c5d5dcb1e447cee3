"""What one file must satisfy as a whole, beyond the types of its fields.

The rules read raw data, of any types: a file with a wrong type in one field still hears about
everything else. The JSON Schemas say the same, as far as JSON Schema can say it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from runtime.catalog.agents import AgentEntry
from runtime.catalog.faults import shown, suggestion
from runtime.catalog.fields import placeholder_problems
from runtime.catalog.limits import POLICY_KINDS, PolicyFile
from runtime.catalog.routes import ADDRESS_KEYS, ProvidersFile, RoutingFile

if TYPE_CHECKING:
    from pydantic import BaseModel

    from runtime.catalog.document import Path


class Breach(NamedTuple):
    """One rule that a file breaks.

    Attributes:
        path: where.
        what: what is wrong.
        todo: what to do.
        key: whether it is the key that is wrong, not the value.
    """

    path: Path
    what: str
    todo: str
    key: bool = False


Data: TypeAlias = Mapping[str, Any]
Rule: TypeAlias = Callable[[Data], Iterator[Breach]]


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
    backoff = data.get("backoff")
    if not isinstance(backoff, Mapping):
        return
    defaults = AgentEntry.model_fields["backoff"].default
    first = backoff.get("first_s", defaults.first_s)
    longest = backoff.get("longest_s", defaults.longest_s)
    if isinstance(first, int | float) and isinstance(longest, int | float) and first > longest:
        what = f"'backoff.first_s' is {first}, more than 'backoff.longest_s', {longest}"
        yield Breach(("backoff",), what, "lower the one or raise the other", key=True)


# --- routing and providers -----------------------------------------------------------------------


def _default_tier(data: Data) -> Iterator[Breach]:
    default, tiers = data.get("default"), data.get("tiers")
    if isinstance(default, str) and isinstance(tiers, Mapping) and default not in tiers:
        what = f"the default tier {shown(default)} is not among the tiers"
        yield Breach(("default",), what, suggestion(default, tiers, kind="tiers"))


def _tiers_offer_the_provider(data: Data) -> Iterator[Breach]:
    provider, tiers = data.get("provider"), data.get("tiers")
    if not isinstance(provider, str) or not isinstance(tiers, Mapping):
        return
    for tier, models in tiers.items():
        if isinstance(models, Mapping) and provider not in models:
            what = f"tier {shown(tier)} has no model of the provider that is asked"
            yield Breach(("tiers", tier), what, f"add one for {shown(provider)}", key=True)


def _each_provider(rule: Rule) -> Rule:
    """Return a rule of one provider's data as a rule of the whole file."""

    def of_the_file(data: Data) -> Iterator[Breach]:
        providers = data.get("providers")
        for name, entry in providers.items() if isinstance(providers, Mapping) else ():
            if isinstance(entry, Mapping):
                for breach in rule(entry):
                    path = ("providers", name, *breach.path)
                    yield breach._replace(path=path, key=breach.key or not breach.path)

    return of_the_file


def _an_address(data: Data) -> Iterator[Breach]:
    """A server has an address; the provider in this process has none."""
    dialect = data.get("dialect")
    if dialect == "echo":
        for name in ADDRESS_KEYS & set(data):
            what = f"{name!r} means nothing to the dialect echo, which answers in this process"
            yield Breach((name,), what, "remove it", key=True)
    elif dialect is not None and not data.get("base_url") and not data.get("base_url_env"):
        what = "this provider has neither 'base_url' nor 'base_url_env'"
        yield Breach((), what, "say where it is")


def _a_key(data: Data) -> Iterator[Breach]:
    if data.get("api_key_required") is True and not data.get("api_key_env"):
        what = "a key is required, but no environment variable is named that could hold it"
        yield Breach(("api_key_required",), what, "add 'api_key_env: [VARIABLE]'", key=True)


def _a_model(data: Data) -> Iterator[Breach]:
    if not data.get("models") and data.get("any_model", False) is False:
        what = "no model of this provider can be asked"
        yield Breach((), what, "list some under 'models', or write 'any_model: true'")


# --- policies ------------------------------------------------------------------------------------


def _one_kind(data: Data) -> Iterator[Breach]:
    policies = data.get("policies")
    for index, policy in enumerate(policies if isinstance(policies, list) else ()):
        if isinstance(policy, Mapping) and len(POLICY_KINDS & set(policy)) != 1:
            kinds = ", ".join(sorted(POLICY_KINDS))
            what = f"a policy says exactly one of {kinds}"
            yield Breach(("policies", index), what, "make each a policy of its own")


_RULES: Mapping[type[BaseModel], tuple[Rule, ...]] = {
    AgentEntry: (_one_body, _no_types_for_python, _prompt_only, _placeholders, _backoff_grows),
    RoutingFile: (_default_tier, _tiers_offer_the_provider),
    ProvidersFile: tuple(map(_each_provider, (_an_address, _a_key, _a_model))),
    PolicyFile: (_one_kind,),
}
