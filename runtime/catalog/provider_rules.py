"""What an account of ``providers.yaml`` must satisfy as a whole, beyond the types of its fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from runtime.catalog.allowances import ConcurrencyEntry
from runtime.catalog.breach import Breach, Data, Rule, out_of_order
from runtime.catalog.faults import shown
from runtime.catalog.providers import MOST_PATTERNS, SERVER_KEYS
from runtime.messages import Limits, Timeouts
from runtime.patterns import covers


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
        for name in SERVER_KEYS & set(data):
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
    named = data.get("models") or data.get("model_names")
    if not named and data.get("any_model", False) is False:
        what = "no model of this provider can be asked"
        yield Breach((), what, "list some under 'models', or write 'any_model: true'")


def _another_dialect(data: Data) -> Iterator[Breach]:
    fallback = data.get("fallback_dialect")
    if fallback is not None and fallback == data.get("dialect"):
        what = "'fallback_dialect' is the dialect itself"
        yield Breach(("fallback_dialect",), what, "name another one, or remove it")


def _limits_fit(data: Data) -> Iterator[Breach]:
    models = data.get("model_limits")
    named = [("model_limits", name) for name in models] if isinstance(models, Mapping) else []
    queue = {"max_queue": Limits().max_queue}
    calls = {"max": ConcurrencyEntry().max}
    for path in (("limits",), *named):
        yield from out_of_order(data, path, "max_queue_per_run", "max_queue", queue)
        yield from out_of_order(data, (*path, "concurrency"), "start", "max", calls)


def _timeouts_fit(data: Data) -> Iterator[Breach]:
    for part in ("connect", "first_byte", "idle"):
        yield from out_of_order(data, ("timeouts",), part, "total", {"total": Timeouts().total})


def _patterns_are_reached(data: Data) -> Iterator[Breach]:
    models = data.get("model_limits")
    earlier: list[str] = []
    for name in islice(models, MOST_PATTERNS) if isinstance(models, Mapping) else ():
        before = next((pattern for pattern in earlier if covers(pattern, name)), None)
        if before is not None:
            what = f"{shown(name)} is never reached: {shown(before)} above it fits all of it"
            yield Breach(("model_limits", name), what, "move it further up", key=True)
        earlier.append(name)


PROVIDER_RULES: tuple[Rule, ...] = tuple(
    map(
        _each_provider,
        (
            _an_address,
            _a_key,
            _a_model,
            _another_dialect,
            _limits_fit,
            _timeouts_fit,
            _patterns_are_reached,
        ),
    )
)
