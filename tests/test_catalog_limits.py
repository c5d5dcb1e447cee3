"""How much an account may do: what the catalog says, over what it does not say."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.catalog import ProviderEntry, profile_of
from runtime.messages import Limits, ProviderProfile
from runtime.patterns import covers, fits


def limits(**values: Any) -> dict[str, Limits]:
    entry = ProviderEntry.model_validate(
        {"dialect": "openai_chat", "any_model": True, "base_url": "http://x", **values}
    )
    return dict(profile_of("x", entry, {}).limits)


def test_without_a_word_the_server_teaches() -> None:
    assert limits() == {"*": Limits()}
    assert (Limits().concurrency_start, Limits().concurrency) == (4, 512)


def test_every_limit_of_an_account_can_be_written() -> None:
    given_: dict[str, Any] = {
        "rpm": 500,
        "tpm": 2e5,
        "itpm": 1,
        "otpm": 2,
        "rpd": 3,
        "share": 0.5,
        "burst_s": 2,
        "max_queue": 9,
        "max_queue_per_run": 8,
        "counts_max_tokens": True,
        "counts_cached_tokens": False,
    }
    expected = Limits(**given_, concurrency=64, concurrency_start=2)
    assert limits(limits={**given_, "concurrency": {"start": 2, "max": 64}}) == {"*": expected}


@pytest.mark.parametrize(
    ("concurrency", "start", "most"),
    [
        (8, None, 8),
        (1, None, 1),
        ({"start": 8}, 8, 512),
        ({"max": 64}, 4, 64),
        ({"max": 2}, None, 2),
        ({"max": 4}, None, 4),
        ({"start": 8, "max": 8}, None, 8),
        ({}, 4, 512),
    ],
)
def test_a_number_alone_is_fixed_and_a_range_grows(
    concurrency: Any, start: int | None, most: int
) -> None:
    (found,) = limits(limits={"concurrency": concurrency}).values()
    assert (found.concurrency_start, found.concurrency) == (start, most)


def test_on_this_machine_a_few_calls_at_a_time_are_the_default() -> None:
    assert limits(region="local") == {"*": Limits(concurrency=4, concurrency_start=None)}
    (found,) = limits(region="local", limits={"concurrency": {"max": 16}}).values()
    assert (found.concurrency_start, found.concurrency) == (4, 16)


def test_in_this_process_nothing_is_to_be_spared() -> None:
    echo = ProviderEntry.model_validate({"dialect": "echo", "any_model": True})
    profile = profile_of("echo", echo, {})
    assert profile.limits == {"*": Limits(concurrency=512, concurrency_start=None)}
    assert profile.region == "local"


def test_a_models_limits_lie_over_those_of_the_account_in_their_order() -> None:
    found = limits(
        limits={"rpm": 100, "tpm": 1000, "concurrency": 8},
        model_limits={"gpt-4o-mini*": {"rpm": 500}, "gpt-4o*": {"concurrency": {"max": 32}}},
    )
    assert list(found) == ["gpt-4o-mini*", "gpt-4o*", "*"]
    assert found["gpt-4o-mini*"] == Limits(rpm=500, tpm=1000, concurrency=8, concurrency_start=None)
    assert found["gpt-4o*"] == Limits(rpm=100, tpm=1000, concurrency=32, concurrency_start=4)
    assert found["*"] == Limits(rpm=100, tpm=1000, concurrency=8, concurrency_start=None)


def test_a_pattern_for_all_models_stands_for_the_account_s_own() -> None:
    found = limits(limits={"rpm": 100}, model_limits={"*": {"tpm": 5}})
    assert found == {"*": Limits(rpm=100, tpm=5)}


@pytest.mark.parametrize("name", ["http", "group_by"])
def test_the_catalog_offers_just_the_choices_that_an_account_has(name: str) -> None:
    (had,) = (field.type for field in fields(ProviderProfile) if field.name == name)
    offered = get_args(ProviderEntry.model_fields[name].annotation)
    assert had == f"Literal{list(offered)}"


PATTERNS = st.text(alphabet="ab*?", max_size=4)


@given(PATTERNS, PATTERNS, st.text(alphabet="ab", max_size=6))
def test_a_pattern_that_covers_another_fits_whatever_the_other_fits(
    earlier: str, later: str, name: str
) -> None:
    if covers(earlier, later) and fits(later, name):
        assert fits(earlier, name)


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        ("*", "gpt-4o", True),
        ("gpt-*", "gpt-4*", True),
        ("gpt-4*", "gpt-*", False),
        ("gpt-?", "gpt-*", False),
        ("gpt-?", "gpt-4", True),
        ("gpt-4", "gpt-?", False),
        ("a/*", "b/*", False),
    ],
)
def test_what_a_pattern_covers(earlier: str, later: str, expected: bool) -> None:
    assert covers(earlier, later) is expected


def test_brackets_in_a_name_mean_nothing_but_themselves() -> None:
    assert fits("m[1]*", "m[1]x")
    assert not fits("m[1]*", "m1x")
