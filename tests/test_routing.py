"""Which model is asked: tables of wishes."""

from __future__ import annotations

import pytest

from runtime.catalog import ModelEntry, ProviderEntry, RoutingFile
from runtime.errors import UnknownName
from runtime.routing import Wish, choose

ROUTING = RoutingFile(
    name="default",
    provider="echo",
    tiers={
        "fast": {"echo": "extract-1", "openai": "gpt-4o-mini"},
        "echo": {"echo": "echo-1"},
    },
    default="fast",
)
PROVIDERS = {
    "echo": ProviderEntry(
        dialect="echo", models={"echo-1": ModelEntry(), "extract-1": ModelEntry()}
    ),
    "openai": ProviderEntry(
        dialect="openai_chat",
        base_url="https://api.example",
        models={"gpt-4o-mini": ModelEntry(), "both": ModelEntry()},
        any_model=True,
    ),
    "compat": ProviderEntry(
        dialect="openai_chat", base_url="http://localhost", models={"both": ModelEntry()}
    ),
}


@pytest.mark.parametrize(
    ("wishes", "target"),
    [
        ((), "echo/extract-1"),
        ((Wish("echo"),), "echo/echo-1"),
        ((Wish(None, "openai"),), "openai/gpt-4o-mini"),
        ((Wish(), Wish("fast"), Wish("echo")), "echo/extract-1"),
        ((Wish("openai/anything"),), "openai/anything"),
        ((Wish("gpt-4o-mini"),), "openai/gpt-4o-mini"),
        ((Wish("echo-1"), Wish("fast", None)), "echo/echo-1"),
        ((Wish("some/nested-name", "openai"),), "openai/some/nested-name"),
        ((Wish("openai/gpt-4o-mini", "openai"),), "openai/gpt-4o-mini"),
        ((Wish("both", "compat"),), "compat/both"),
        ((Wish("both"), Wish(None, "compat")), "compat/both"),
        ((Wish("echo/echo-1"), Wish(None, "openai")), "echo/echo-1"),
        ((Wish("echo-1"), Wish("both", "compat")), "echo/echo-1"),
        ((Wish("echo"), Wish(None, "echo")), "echo/echo-1"),
    ],
)
def test_the_strongest_wish_decides(wishes: tuple[Wish, ...], target: str) -> None:
    assert "/".join(choose(wishes, ROUTING, PROVIDERS)) == target


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Wish("nothing"), "no tier, and no model of any provider, is called 'nothing'"),
        (Wish(None, "nobody"), "no provider 'nobody'; the catalog has compat, echo, openai"),
        (Wish("both"), "several providers offer 'both'; say openai/both or compat/both"),
        (Wish("gpt-4o-mini", "echo"), "provider 'echo' does not offer 'gpt-4o-mini'"),
        (Wish("fast", "compat"), "tier 'fast' names no model of provider 'compat'"),
    ],
)
def test_a_model_is_never_sent_to_a_provider_that_does_not_offer_it(
    wish: Wish, message: str
) -> None:
    with pytest.raises(UnknownName, match=message):
        choose((wish,), ROUTING, PROVIDERS)
