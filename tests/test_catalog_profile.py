"""A provider's entry and the environment become an account, or a sentence that says what to set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtime.catalog import ProviderEntry, load_catalog, profile_of
from runtime.errors import ConfigurationError

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
    "url", ["localhost:11434", "ftp://x", "http://", "http://a b", "http://x?q"]
)
def test_an_address_without_a_scheme_or_host_names_its_variable(url: str) -> None:
    with pytest.raises(ConfigurationError, match="OLLAMA_BASE_URL is not an http"):
        profile_of("ollama", PROVIDERS["ollama"], {"OLLAMA_BASE_URL": url})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (None, "http://localhost:11434/v1"),
        ("http://box:11434", "http://box:11434/v1"),
        ("http://box:11434/", "http://box:11434/v1"),
        ("http://box:11434/v1", "http://box:11434/v1"),
        ("http://box:11434/v1/", "http://box:11434/v1/"),
        ("http://box/api", "http://box/api/v1"),
        ("http://box/notv1", "http://box/notv1/v1"),
    ],
)
def test_a_suffix_is_appended_once(url: str | None, expected: str) -> None:
    environ = {"OLLAMA_BASE_URL": url} if url else {}
    assert profile_of("ollama", PROVIDERS["ollama"], environ).base_url == expected


def test_limits_and_options_are_handed_on() -> None:
    entry = provider(
        base_url="http://x",
        concurrency=3,
        max_queue=0,
        connect_timeout_s=1,
        first_byte_timeout_s=2.5,
        options={"structured_output": "json_object"},
    )
    profile = profile_of("x", entry, {})
    assert (profile.concurrency, profile.max_queue) == (3, 0)
    assert (profile.connect_timeout_s, profile.first_byte_timeout_s) == (1, 2.5)
    assert profile.options == {"structured_output": "json_object"}
