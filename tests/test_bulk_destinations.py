"""Which account a line asks, and where a key never goes."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from providers import ProviderActors, adapter_of
from runtime.bulk.allowance import Allowance
from runtime.bulk.destination import MOST_ACCOUNTS, Destinations
from runtime.bulk.line import DIALECTS, Line
from runtime.catalog import load_catalog
from runtime.catalog.addresses import is_loopback, origin
from runtime.elsewhere import Elsewhere
from runtime.errors import (
    ConfigurationError,
    InvalidInput,
    InvalidRequest,
    PolicyDenied,
    UnknownName,
)
from runtime.identity import wall_clock
from runtime.messages import Message, ModelRequest
from runtime.rules import Rules
from tests.cli_workspace import forbid_echo, make_workspace
from tests.shipped import CATALOG

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runtime.bulk.destination import Destination
    from runtime.catalog import Catalog
    from runtime.messages import ProviderProfile

KEYS = {"OPENAI_API_KEY": "sk-openai", "ANTHROPIC_API_KEY": "sk-ant", "GOOGLE_API_KEY": "g-key"}
SHIPPED = load_catalog(CATALOG)
HERE = "http://127.0.0.1:9999/v1"
AWAY = "https://models.example.com/v1"


def a_line(
    provider: str = "",
    model: str = "m",
    *,
    endpoint: str | None = None,
    base_url: str | None = None,
) -> Line:
    request = ModelRequest(provider=provider, model=model, messages=(Message("user", "x"),))
    return Line(id="a", request=request, endpoint=endpoint, base_url=base_url)


def destinations(
    environ: dict[str, str],
    catalog: Catalog = SHIPPED,
    start: Callable[[ProviderProfile], object] | None = None,
    **allowance: Any,
) -> Destinations:
    rules = Rules(catalog, environ, wall_clock)
    return Destinations(
        catalog, environ, Allowance(**allowance), rules, start or ProviderActors().start
    )


def find(line: Line, environ: dict[str, str] | None = None, **allowance: Any) -> Destination:
    given = KEYS if environ is None else environ
    return destinations(given, **allowance).find(line)


@pytest.mark.parametrize("provider", ["mine", "anthropic", "compat"])
def test_another_providers_own_address_is_refused_for_its_limits_hold_there(provider: str) -> None:
    """Else its key would go along, and nothing would count for it."""
    line = a_line(provider, "gpt-4o", endpoint="responses", base_url="https://api.openai.com/v1")
    with pytest.raises(InvalidInput, match="base_url is that of the provider 'openai'"):
        find(line)


def test_the_kinds_of_data_in_a_line_decide_where_it_may_go() -> None:
    secret = replace(a_line("openai", "gpt-4o"), data_classes=frozenset(("pii_processing",)))
    with pytest.raises(PolicyDenied, match="pii_processing stays in local"):
        find(secret)
    local = replace(a_line("ollama", "llama3.1:70b"), data_classes=frozenset(("pii_processing",)))
    assert find(local).provider == "ollama"
    misspelt = replace(local, data_classes=frozenset(("pii_procesing",)))
    with pytest.raises(PolicyDenied, match="did you mean 'pii_processing'"):
        find(misspelt)


def test_a_line_without_a_server_of_its_own_asks_the_catalogs_account() -> None:
    found = find(a_line("openai", "gpt-4o"))
    assert (found.provider, found.profile.name) == ("openai", "openai")
    assert (found.profile.dialect, found.profile.api_key) == ("openai_responses", "sk-openai")
    same = find(a_line("openai", "gpt-4o", endpoint="responses"))
    assert same == found


@pytest.mark.parametrize(
    ("endpoint", "provider"),
    [
        (None, "compat"),
        ("chat", "compat"),
        ("responses", "openai"),
        ("messages", "anthropic"),
        ("generateContent", "google"),
        ("ollama", "ollama"),
    ],
)
def test_a_server_without_a_provider_is_what_its_endpoint_is(
    endpoint: str | None, provider: str
) -> None:
    found = find(a_line(endpoint=endpoint, base_url=HERE))
    dialect = DIALECTS[endpoint or "chat"]
    assert (found.provider, found.profile.dialect) == (provider, dialect)
    assert found.profile.base_url == HERE
    assert found.profile.name == f"{provider}|{HERE}"


def test_a_provider_that_the_catalog_lacks_keeps_its_name_at_a_server_of_its_own() -> None:
    found = find(a_line("mistral", base_url=HERE))
    assert (found.provider, found.profile.dialect) == ("mistral", "openai_chat")
    found = find(a_line("proxy", endpoint="messages", base_url=HERE))
    assert (found.provider, found.profile.dialect) == ("proxy", "anthropic")
    assert found.profile.name == f"proxy|anthropic|{HERE}"


def test_a_server_is_the_same_account_for_lines_and_for_what_runs_ask_there() -> None:
    """Those of a cluster that call an account alike share its limits."""
    made: list[ProviderProfile] = []
    accounts: Any = SimpleNamespace(add=made.append)
    name = Elsewhere(SHIPPED, KEYS, accounts).account("compat", f"{HERE}/")
    found = find(a_line("compat", base_url=HERE))
    assert found.profile.name == name
    assert found.profile.limits == made[0].limits


def test_each_server_is_an_account_of_its_own_and_is_resolved_once() -> None:
    places = destinations(KEYS, start=lambda _: None)
    first = places.find(a_line("openai", base_url="http://127.0.0.1:1/v1"))
    second = places.find(a_line("openai", base_url="http://127.0.0.1:2/v1"))
    again = places.find(a_line("openai", base_url="http://127.0.0.1:1/v1"))
    assert first.profile.name != second.profile.name
    assert again is first
    spoken = places.find(a_line("openai", endpoint="chat"))
    assert spoken.profile.name == "openai|openai_chat|"
    assert spoken.profile.base_url == "https://api.openai.com/v1"


def test_there_are_only_so_many_accounts() -> None:
    places = destinations(KEYS, start=lambda _: None)
    for number in range(MOST_ACCOUNTS):
        places.find(a_line(base_url=f"http://127.0.0.1:{number + 1}/v1"))
    with pytest.raises(InvalidRequest, match="1,000 accounts of one call; divide the input"):
        places.find(a_line(base_url="http://127.0.0.1:9999/v1"))
    places.find(a_line(base_url="http://127.0.0.1:1/v1"))


# --- keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        AWAY,
        "https://api.openai.com.example.com/v1",
        "https://api.openai.com:8443/v1",
        "http://api.openai.com/v1",
        "http://localhost.example.com/v1",
        "http://127.0.0.1.example.com/v1",
        "http://0.0.0.0:80/v1",
        "http://10.0.0.1/v1",
        "http://2130706433/v1",
    ],
)
def test_a_key_never_goes_to_a_foreign_server_by_accident(address: str) -> None:
    found = find(a_line("openai", base_url=address))
    assert found.profile.api_key == ""
    (warning,) = found.warnings
    assert "the key of openai was not sent to http" in warning
    assert "--send-key" in warning
    assert "sk-openai" not in warning
    assert find(a_line("openai", base_url=address), send_key=True).profile.api_key == "sk-openai"


@pytest.mark.parametrize(
    "address",
    [
        HERE,
        "http://localhost:8000/v1",
        "http://[::1]:8000/v1",
        "http://127.9.9.9/v1",
        "https://api.openai.com/v1",
        "https://API.openai.com:443/other",
    ],
)
def test_a_key_goes_to_this_machine_and_to_its_own_provider(address: str) -> None:
    found = find(a_line("openai", base_url=address))
    assert (found.profile.api_key, found.warnings) == ("sk-openai", ())


def test_the_own_address_of_a_provider_may_come_from_the_environment() -> None:
    environ = KEYS | {"OPENAI_BASE_URL": "https://eu.api.openai.com/v1"}
    own = find(a_line("openai", base_url="https://eu.api.openai.com/v1"), environ)
    other = find(a_line("openai", base_url="https://api.openai.com/v1"), environ)
    assert (own.profile.api_key, other.profile.api_key) == ("sk-openai", "")


def test_a_missing_key_stops_no_line_with_a_server_of_its_own() -> None:
    for address in (HERE, AWAY):
        found = find(a_line("openai", base_url=address), {})
        assert (found.profile.api_key, found.warnings) == ("", ())
    with pytest.raises(ConfigurationError, match="needs a key: set OPENAI_API_KEY"):
        find(a_line("openai"), {})


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://localhost", True),
        ("http://a.localhost:1/x", True),
        ("http://[::1]", True),
        ("http://127.0.0.1\\.example.com", False),
        ("http://[::1", False),
        ("http://", False),
        ("nothing", False),
    ],
)
def test_only_what_is_certain_to_be_this_machine_is(address: str, *, expected: bool) -> None:
    assert is_loopback(address) is expected


@pytest.mark.parametrize("address", ["http://[::1", "http://x:99999", "http://", ""])
def test_what_is_no_address_has_no_origin(address: str) -> None:
    assert origin(address) is None


# --- limits, dialects, refusals ------------------------------------------------------------------


def test_the_command_lines_limits_hold_for_all_models_of_every_account() -> None:
    for line in (a_line("openai", "gpt-4o"), a_line(base_url=HERE), a_line("echo", "echo-1")):
        profile = find(line, rpm=60.0, tpm=1000.0, concurrency=3).profile
        (limits,) = profile.limits.values()
        assert (limits.rpm, limits.tpm, limits.concurrency) == (60.0, 1000.0, 3)
        assert profile.group_by == "account"
    untouched = find(a_line("openai", "gpt-4o")).profile
    assert (untouched.group_by, untouched.limits["*"].rpm) == ("model", None)
    only = find(a_line("openai", "gpt-4o"), rpm=60.0).profile.limits["*"]
    assert only.concurrency == untouched.limits["*"].concurrency
    assert only.counts_max_tokens


@pytest.mark.parametrize(
    ("allowance", "start"),
    [
        ({"concurrency": 200}, 4),  # what the server can bear is learned, up to the bound
        ({"concurrency": 3}, 3),
        ({"concurrency": 200, "tpm": 1000.0}, 4),  # how many requests that is depends on them
        ({"concurrency": 200, "rpm": 60.0}, None),  # known: nothing is to be learned
        ({"rpm": 60.0}, 4),
    ],
)
def test_a_bound_of_calls_in_flight_is_begun_with_only_where_the_rate_is_known(
    allowance: dict[str, Any], start: int | None
) -> None:
    assert SHIPPED.providers["openai"].all_limits()["*"].concurrency_start == 4
    assert find(a_line("openai", "m"), **allowance).profile.limits["*"].concurrency_start == start
    here = find(a_line("openai", base_url=HERE), **allowance).profile.limits["*"]
    assert here.concurrency_start == start


@pytest.mark.parametrize("endpoint", list(DIALECTS))
@pytest.mark.parametrize(
    "provider", [name for name, entry in SHIPPED.providers.items() if entry.dialect != "echo"]
)
def test_every_provider_can_be_spoken_to_in_every_dialect(provider: str, endpoint: str) -> None:
    profile = find(a_line(provider, endpoint=endpoint, base_url=HERE)).profile
    assert adapter_of(profile).endpoint == endpoint


def test_options_that_mean_the_same_in_both_dialects_are_kept() -> None:
    profile = find(a_line("azure", endpoint="responses", base_url="http://localhost:1")).profile
    assert profile.options == {"auth": "api-key"}
    assert profile.base_url == "http://localhost:1/openai/v1"
    dated = find(a_line("azure-dated", endpoint="responses", base_url=HERE)).profile
    assert "path" not in dated.options
    assert dated.options["query"] == {"api-version": "2024-10-21"}
    assert find(a_line("azure", endpoint="messages", base_url=HERE)).profile.options == {}


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        (a_line(), InvalidRequest, "provider is missing"),
        (a_line("opnai"), UnknownName, "no provider 'opnai'; did you mean 'openai'"),
        (a_line("echo", "gpt-4o"), UnknownName, "'echo' does not offer 'gpt-4o'; it offers echo-1"),
        (a_line("echo", endpoint="chat"), InvalidRequest, "endpoint: the provider 'echo' answers"),
        (a_line("echo", base_url=HERE), InvalidRequest, "base_url: the provider 'echo' answers"),
        (a_line("compat"), ConfigurationError, "needs a base URL: set MAGSAG_COMPAT_BASE_URL"),
    ],
)
def test_a_line_that_goes_nowhere_says_why(
    line: Line, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        find(line)


def test_a_model_that_a_policy_forbids_is_not_asked_wherever_it_is(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    forbid_echo(tmp_path)
    catalog = load_catalog(tmp_path / "catalog")
    places = destinations(KEYS, catalog)
    for line in (a_line("echo", "echo-1"), a_line("x", "echo-1", base_url=HERE)):
        with pytest.raises(PolicyDenied, match="policy only_gpt"):
            places.find(line)
    assert places.find(a_line("openai", "gpt-4o")).provider == "openai"


def test_an_account_that_cannot_be_started_is_refused_before_it_is(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    file = tmp_path / "catalog" / "providers.yaml"
    file.write_text(file.read_text() + "    options: {bogus: 1}\n")
    catalog = load_catalog(tmp_path / "catalog")
    places = destinations(KEYS, catalog)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="has no option 'bogus'"):
            places.find(a_line("openai", "gpt-4o"))
