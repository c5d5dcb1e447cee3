"""A provider's entry and the environment become an account, or a sentence that says what to set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtime.catalog import NotConfigured, ProviderEntry, load_catalog, profile_of
from runtime.errors import ConfigurationError
from runtime.messages import ProviderProfile, Timeouts

PROVIDERS = load_catalog(Path(__file__).parent.parent / "catalog").providers


def provider(**values: Any) -> ProviderEntry:
    return ProviderEntry.model_validate({"dialect": "openai_chat", "any_model": True, **values})


def test_echo_needs_nothing() -> None:
    profile = profile_of("echo", PROVIDERS["echo"], {"OPENAI_API_KEY": "sk-other"})
    assert (profile.name, profile.dialect) == ("echo", "echo")
    assert (profile.base_url, profile.api_key, profile.key_help) == ("", "", "")


def test_a_missing_key_says_which_variable_to_set() -> None:
    expected = "'openai' needs a key: set OPENAI_API_KEY, or run with --provider echo"
    for environ in ({}, {"OPENAI_API_KEY": ""}, {"OPENAI_API_KEY": "  \n"}):
        with pytest.raises(ConfigurationError, match=expected):
            profile_of("openai", PROVIDERS["openai"], environ)


def test_a_key_is_taken_without_the_blanks_around_it_and_never_shown() -> None:
    profile = profile_of("openai", PROVIDERS["openai"], {"OPENAI_API_KEY": " sk-canary\n"})
    assert profile.api_key == "sk-canary"
    assert "canary" not in repr(profile)
    assert profile.key_help == "set OPENAI_API_KEY, or run with --provider echo"


@pytest.mark.parametrize("key", ["sk-canary two", "sk-canary\r\nHost: x", "sk-canary\u2026"])
def test_a_key_that_no_header_could_carry_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY has blanks") as raised:
        profile_of("openai", PROVIDERS["openai"], {"OPENAI_API_KEY": key})
    assert "canary" not in str(raised.value)


def test_the_first_variable_that_is_set_wins() -> None:
    entry = PROVIDERS["compat"]
    both = {"MAGSAG_COMPAT_BASE_URL": "http://a/v1", "OPENAI_BASE_URL": "http://b/v1"}
    assert profile_of("compat", entry, both).base_url == "http://a/v1"
    blank = {**both, "MAGSAG_COMPAT_BASE_URL": " "}
    assert profile_of("compat", entry, blank).base_url == "http://b/v1"
    keys = {**both, "MAGSAG_COMPAT_API_KEY": "mine", "OPENAI_API_KEY": "other"}
    assert profile_of("compat", entry, keys).api_key == "mine"


def test_a_key_that_is_not_required_may_be_missing() -> None:
    profile = profile_of("compat", PROVIDERS["compat"], {"OPENAI_BASE_URL": "http://b/v1"})
    assert profile.api_key == ""
    assert "set MAGSAG_COMPAT_API_KEY, or" in profile.key_help


def test_an_address_that_only_the_environment_knows_must_be_there() -> None:
    expected = "needs a base URL: set MAGSAG_COMPAT_BASE_URL or OPENAI_BASE_URL"
    with pytest.raises(ConfigurationError, match=expected):
        profile_of("compat", PROVIDERS["compat"], {})


@pytest.mark.parametrize(
    "url",
    [
        "localhost:11434",
        "ftp://x",
        "http://",
        "http://a b",
        "http://x?q",
        "http://[::1",
        "http://x:99999",
    ],
)
def test_an_address_without_a_scheme_or_host_names_its_variable(url: str) -> None:
    with pytest.raises(ConfigurationError, match="OLLAMA_BASE_URL is not an http"):
        profile_of("ollama", PROVIDERS["ollama"], {"OLLAMA_BASE_URL": url})


@pytest.mark.parametrize(
    ("url", "suffix", "expected"),
    [
        ("http://box:11434", "/v1", "http://box:11434/v1"),
        ("http://box:11434/", "/v1", "http://box:11434/v1"),
        ("http://box:11434/v1", "/v1", "http://box:11434/v1"),
        ("http://box:11434/v1/", "/v1", "http://box:11434/v1/"),
        ("http://box/api", "/v1", "http://box/api/v1"),
        ("http://box/notv1", "/v1", "http://box/notv1/v1"),
        ("http://v1", "/v1", "http://v1/v1"),
        ("https://x.openai.azure.com/", "/openai/v1", "https://x.openai.azure.com/openai/v1"),
        (
            "https://x.openai.azure.com/openai/",
            "/openai/v1",
            "https://x.openai.azure.com/openai/v1",
        ),
        ("https://gateway/x/openai", "/openai/v1", "https://gateway/x/openai/v1"),
        ("https://gateway/openai/x", "/openai/v1", "https://gateway/openai/x/openai/v1"),
    ],
)
def test_only_the_steps_of_a_suffix_that_are_missing_are_appended(
    url: str, suffix: str, expected: str
) -> None:
    entry = provider(base_url="http://default", base_url_env=["U"], base_url_suffix=suffix)
    assert profile_of("x", entry, {"U": url}).base_url == expected


def test_what_is_missing_is_told_from_what_is_wrong() -> None:
    """The first is a provider that nobody has set up, the second a mistake."""
    with pytest.raises(NotConfigured):
        profile_of("openai", PROVIDERS["openai"], {})
    with pytest.raises(NotConfigured):
        profile_of("compat", PROVIDERS["compat"], {})
    with pytest.raises(ConfigurationError) as raised:
        profile_of("compat", PROVIDERS["compat"], {"OPENAI_BASE_URL": "x"})
    assert not isinstance(raised.value, NotConfigured)


def test_everything_that_an_entry_says_is_handed_on() -> None:
    entry = provider(
        dialect="openai_responses",
        fallback_dialect="openai_chat",
        base_url="http://x",
        region="eu",
        group_by="account",
        max_pause_s=5,
        retry_ambiguous=False,
        http="httpx",
        timeouts={"connect": 1, "first_byte": 2.5, "idle": 3, "total": 4},
        options={"structured_output": "json_object"},
    )
    profile = profile_of("x", entry, {})
    assert (profile.dialect, profile.fallback_dialect) == ("openai_responses", "openai_chat")
    assert (profile.region, profile.group_by, profile.http) == ("eu", "account", "httpx")
    assert (profile.max_pause_s, profile.retry_ambiguous) == (5, False)
    assert profile.timeouts == Timeouts(connect=1, first_byte=2.5, idle=3, total=4)
    assert profile.options == {"structured_output": "json_object"}


def test_an_entry_that_says_nothing_has_the_defaults_of_an_account() -> None:
    assert profile_of("x", provider(base_url="http://x"), {}) == ProviderProfile(
        name="x", dialect="openai_chat", base_url="http://x"
    )


def test_a_server_on_this_machine_may_take_longer_to_begin_its_answer() -> None:
    local = profile_of("x", provider(base_url="http://x", region="local"), {})
    assert local.timeouts == Timeouts(first_byte=300.0)
    entry = provider(base_url="http://x", region="local", timeouts={"first_byte": 7})
    assert profile_of("x", entry, {}).timeouts == Timeouts(first_byte=7)
