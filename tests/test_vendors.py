"""No vendor is asked for another vendor's model, and no key goes to another vendor's address."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import Context, mag, sag
from runtime.accounts import Accounts
from runtime.catalog import ModelEntry, Policy, ProviderEntry, RouteEntry, RoutingFile, Target
from runtime.errors import ConnectionFailed, PolicyDenied, UnknownName
from runtime.routing import LEVELS, Learned, Task, Wish, World, plan
from tests.chat_server import chat_server, completion
from tests.echoes import any_model_answers, catalog_of, provider, told

if TYPE_CHECKING:
    from runtime.catalog import Catalog
    from runtime.messages import ModelRequest
    from tests.echoes import Told


@mag
async def ask(ctx: Context, wish: dict[str, Any]) -> str:
    return await ctx.ask("x", **wish)


@sag
async def clerk(ctx: Context, text: str) -> str:
    return await ctx.ask(text)


@mag
async def send(ctx: Context, config: dict[str, Any]) -> str:
    result = await ctx.delegate(clerk, {"text": "x", "model_config": config})
    return f"{result.reason}: {result.error}" if result.error else str(result.output)


# --- a provider without a model ------------------------------------------------------------------

GPT, CLAUDE = "gpt-4o", "claude-sonnet"


def two_vendors(*aliases: dict[str, Any], **routing: Any) -> Catalog:
    return catalog_of(
        {
            "openai": provider(GPT, "gpt-4o-mini", model_names=("gpt-*",)),
            "anthropic": provider(CLAUDE, "claude-haiku", model_names=("claude-*",)),
        },
        routing={"tiers": {"usual": {"openai": GPT}}, "aliases": aliases} | routing,
    )


ROW = {"openai": ("gpt-4o", "gpt-4", "gpt-4o-mini"), "anthropic": (CLAUDE, "claude-old")}
OTHER_ROW = {"openai": ("gpt-4o-mini",), "anthropic": ("claude-haiku",)}


@pytest.mark.parametrize(
    ("options", "environ", "wish", "asked"),
    [
        ({"provider": "anthropic"}, {}, {}, f"anthropic/{CLAUDE}"),
        ({}, {"MAGSAG_PROVIDER": "anthropic"}, {}, f"anthropic/{CLAUDE}"),
        ({"model": "openai/gpt-4"}, {}, {"provider": "anthropic"}, f"anthropic/{CLAUDE}"),
        # The first row with both decides, and in it the first model of the one that is chosen.
        ({"model": "gpt-4o-mini"}, {}, {"provider": "anthropic"}, f"anthropic/{CLAUDE}"),
        ({"model": CLAUDE}, {}, {"provider": "openai"}, "openai/gpt-4o"),
        ({"model": "claude-old"}, {}, {"provider": "openai"}, "openai/gpt-4o"),
        # It has that very model, so nothing has to stand for it.
        ({"model": "gpt-4o-mini"}, {}, {"provider": "openai"}, "openai/gpt-4o-mini"),
        ({"model": "gpt-new"}, {}, {"provider": "openai"}, "openai/gpt-new"),
        # The model is the stronger wish: the provider that has it is asked.
        ({"provider": "anthropic"}, {}, {"model": "gpt-4o"}, "openai/gpt-4o"),
        ({"model": "gpt-4o"}, {"MAGSAG_PROVIDER": "anthropic"}, {}, "openai/gpt-4o"),
    ],
)
async def test_a_provider_without_a_model_is_asked_for_what_stands_for_it(
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    environ: dict[str, str],
    wish: dict[str, Any],
    asked: str,
) -> None:
    any_model_answers(monkeypatch)
    came = await told(two_vendors(ROW, OTHER_ROW), ask, wish, environ=environ, **options)
    assert came.asked == [asked], came.outcome.error


@pytest.mark.parametrize(
    ("options", "wish", "named"),
    [
        ({"provider": "anthropic"}, {}, "'usual'"),
        ({"model": "gpt-4o"}, {"provider": "anthropic"}, "'gpt-4o'"),
        ({"model": "openai/gpt-new"}, {"provider": "anthropic"}, "'openai/gpt-new'"),
        ({}, {"model": "gpt-4o", "provider": "anthropic"}, "'gpt-4o'"),
        ({"model": "usual"}, {"provider": "anthropic"}, "'usual'"),
    ],
)
async def test_a_provider_where_nothing_stands_for_the_model_is_one_clear_error_and_no_call(
    options: dict[str, Any], wish: dict[str, Any], named: str
) -> None:
    came = await told(two_vendors(), ask, wish, **options)
    assert came.asked == []
    assert came.calls == []
    assert (came.outcome.reason, came.outcome.exit_code) == ("configuration", 1)
    assert named in (came.outcome.error or "")
    assert "'anthropic'" in (came.outcome.error or "")


async def test_a_model_that_a_weaker_wish_gave_with_its_provider_keeps_its_vendor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A provider that takes any name is not sent one that another was named with."""
    any_model_answers(monkeypatch)
    route = RouteEntry(task_type="ask", provider="deployments", model="ours")
    providers = {"deployments": provider("m", any_model=True), "open": provider(any_model=True)}
    catalog = catalog_of(providers, routing={"routes": (route,)})
    refused = await told(catalog, ask, {}, provider="open")
    assert (refused.asked, refused.outcome.reason) == ([], "configuration")
    row = {"deployments": ("ours",), "open": ("theirs",)}
    catalog = catalog_of(providers, routing={"routes": (route,), "aliases": (row,)})
    assert (await told(catalog, ask, {}, provider="open")).asked == ["open/theirs"]


# --- a model without a provider ------------------------------------------------------------------

PATTERNS = {
    "openai": provider("listed", model_names=("gpt-*", "o?")),
    "anthropic": provider("m", model_names=("claude-*",)),
    "router": provider("both", model_names=("*/*",)),
    "local": provider("both", "gpt-oss", any_model=True),
}


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("gpt-17", "openai/gpt-17"),
        ("o3", "openai/o3"),
        ("claude-x", "anthropic/claude-x"),
        ("gpt-oss", "local/gpt-oss"),  # listed goes before a pattern
        ("vendor/any", "router/vendor/any"),
        ("local/whatever", "local/whatever"),
        ("listed", "openai/listed"),
    ],
)
async def test_a_models_name_alone_says_whose_it_is(
    monkeypatch: pytest.MonkeyPatch, model: str, asked: str
) -> None:
    any_model_answers(monkeypatch)
    came = await told(catalog_of(PATTERNS), ask, {"model": model})
    assert came.asked == [asked], came.outcome.error


@pytest.mark.parametrize(("model", "why"), [("o33", "is called 'o33'"), ("both", "several")])
async def test_a_name_that_says_nobody_or_several_is_refused(model: str, why: str) -> None:
    came = await told(catalog_of(PATTERNS), ask, {"model": model})
    assert came.asked == []
    assert why in (came.outcome.error or "")


# --- whatever is wished --------------------------------------------------------------------------

NAMES = ("a", "b", "c")
MODELS = ("a-1", "a-2", "b-1", "b-2", "c-1", "x")
ENTRIES = st.builds(
    lambda listed, patterns, any_model: ProviderEntry(
        dialect="openai_chat",
        base_url="https://example.com",
        models={name: ModelEntry() for name in listed},
        model_names=patterns,
        any_model=any_model,
    ),
    st.sets(st.sampled_from(MODELS), min_size=1, max_size=3),
    st.sets(st.sampled_from(("a-*", "b-*", "c-*")), max_size=1).map(tuple),
    st.booleans(),
)
WISHES = st.builds(
    Wish,
    st.none() | st.sampled_from((*MODELS, "usual", "a/a-1", "b/x", "c/b-2")),
    st.none() | st.sampled_from((*NAMES, "nobody")),
    st.sampled_from(LEVELS[:8]),
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Return providers, tiers, aliases and routes as a catalog lets them through."""
    providers = {name: draw(ENTRIES) for name in NAMES}
    own = [Target(p, m) for p in NAMES for m in MODELS if providers[p].claims(m)]
    owned = st.sampled_from(own)
    tier = {each.provider: each.model for each in draw(st.lists(owned, min_size=1, max_size=3))}
    rows = [
        {each.provider: tuple({each.model: 1, draw(st.sampled_from(MODELS)): 2}) for each in row}
        for row in draw(st.lists(st.lists(owned, min_size=2, max_size=3), max_size=2))
        if len({each.provider for each in row}) > 1
    ]
    routes = [
        RouteEntry(task_type=name, targets=tuple(str(each) for each in dict.fromkeys(targets)))
        for name, targets in draw(
            st.dictionaries(
                st.sampled_from(("t", "*")), st.lists(owned, min_size=1, max_size=3), max_size=2
            )
        ).items()
    ]
    routing = RoutingFile(
        name="default", provider="a", tiers={"usual": tier}, default="usual",
        aliases=tuple(rows), routes=tuple(routes),
    )  # fmt: skip
    denied = draw(st.sets(owned, max_size=2))
    return World(
        routing,
        providers,
        lambda target: "denied" if target in denied else None,
        Learned(),
        lambda _: None,
    )


@settings(max_examples=300, deadline=None)
@given(
    worlds(),
    st.lists(WISHES, max_size=4),
    st.lists(st.none() | st.sampled_from(("usual", *MODELS)), max_size=2),
    st.booleans(),
)
def test_whatever_is_wished_goes_to_one_that_offers_it_and_is_no_other_vendors(
    world: World, strong: list[Wish], weak: list[str | None], is_named: bool
) -> None:
    levels = ("agent", "proposal")
    weaker = [Wish(model, None, level) for model, level in zip(weak, levels, strict=False)]
    with contextlib.suppress(UnknownName, PolicyDenied):
        found = plan(strong, weaker, Task("t", is_named), world)
        for target in found.targets:
            assert world.forbids(target) is None
            assert world.providers[target.provider].offers(target.model)
            assert _is_own(target, world) or _is_named(target, strong + weaker)


def _is_own(target: Target, world: World) -> bool:
    if world.providers[target.provider].claims(target.model):
        return True
    return not any(entry.claims(target.model) for entry in world.providers.values())


def _is_named(target: Target, wishes: list[Wish]) -> bool:
    """Whether one level names both the provider and the model."""
    return any(
        wish.model == str(target)
        or (wish.provider == target.provider and wish.model in (target.model, str(target)))
        for wish in wishes
    )


# --- an address in a payload ---------------------------------------------------------------------

KEYS = {"OPENAI_KEY": "sk-openai-secret", "OTHER_KEY": "sk-other-secret"}


def at_addresses(openai: str, other: str = "https://other.example/v1", **fields: Any) -> Catalog:
    return catalog_of(
        {
            "openai": _chat(openai, "OPENAI_KEY", "m"),
            "other": _chat(other, "OTHER_KEY", "n"),
        },
        **fields,
    )


def _chat(url: str, key: str, *models: str) -> ProviderEntry:
    known = {name: ModelEntry() for name in models}
    return ProviderEntry(
        dialect="openai_chat", base_url=url, api_key_env=(key,), api_key_required=True, models=known
    )


async def _sent(catalog: Catalog, **config: Any) -> Told:
    return await told(catalog, send, config, agents=(clerk,), environ=KEYS)


@pytest.mark.real_time
async def test_a_server_on_this_machine_may_be_named_in_a_payload() -> None:
    with chat_server(lambda _: completion("here")) as here, chat_server(_never) as home:
        came = await _sent(at_addresses(home.url), base_url=here.url)
    assert came.outcome.output == "here"
    assert [request["model"] for request in here.requests] == ["m"]
    assert home.requests == []
    assert came.asked == ["openai/m"]


@pytest.mark.real_time
@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/v1",
        "http://localhost.evil.example/v1",
        "http://127.0.0.1.evil.example/v1",
        "http://127.0.0.1@evil.example/v1",
        "http://openai.example/v1",  # another scheme than the provider's own
        "https://openai.example:8443/v1",
        "http://0.0.0.0/v1",
        "http://169.254.169.254/latest",
        "http://[::]/v1",
        "no address",
    ],
)
async def test_a_foreign_address_in_a_payload_is_denied_before_anything_is_sent(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = list(_what_is_sent(monkeypatch))
    came = await _sent(at_addresses("https://openai.example/v1"), base_url=address)
    assert came.outcome.output.startswith("denied: base_url"), came.outcome
    assert (sent, came.asked) == ([], [])


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("https://openai.example/v1", "sk-openai-secret"),
        ("https://OPENAI.example:443/elsewhere", "sk-openai-secret"),
        ("http://127.0.0.1:9/v1", "sk-openai-secret"),
    ],
)
async def test_a_key_goes_to_its_providers_own_address_and_to_this_machine_only(
    address: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = _what_is_sent(monkeypatch)
    await _sent(at_addresses("https://openai.example/v1"), base_url=address)
    assert [each[1] for each in sent] == [key]


async def test_another_providers_address_is_refused_for_its_limits_and_prices_hold_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = _what_is_sent(monkeypatch)
    address = "https://other.example/v1"
    came = await _sent(at_addresses("https://openai.example/v1"), base_url=address)
    assert "base_url is that of the provider 'other'; name that one" in str(came.outcome.output)
    assert sent == []


async def test_an_address_without_a_policys_region_is_denied_for_data_that_must_stay_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stays = Policy("stays", "f.yaml:1", "", None, None, {}, {"pii": frozenset(("local",))})
    sent = _what_is_sent(monkeypatch)
    catalog = at_addresses("https://openai.example/v1", policies=(stays,))
    agents = (dataclasses.replace(clerk, name="clerk"),)
    for address, reason in (("https://other.example/v1", "denied"), ("http://localhost:9", None)):
        config = {"text": "x", "data_class": "pii", "model_config": {"base_url": address}}
        came = await told(catalog, agents[0], config, environ=KEYS)
        assert came.outcome.reason == (reason or "provider"), came.outcome
    assert [each[0] for each in sent] == ["http://localhost:9"]


def _what_is_sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Let every call fail before it connects; the list fills with address and key of each."""
    sent: list[tuple[str, str]] = []

    def fail(accounts: Accounts, request: ModelRequest, _pieces: Any = None, **_: Any) -> Any:
        profile = accounts._profiles.get(request.account) or accounts._profile_of(request.provider)
        sent.append((profile.base_url, profile.api_key))
        raise ConnectionFailed("not in a test", provider=request.provider, model=request.model)

    monkeypatch.setattr(Accounts, "ask", fail)
    return sent


def _never(_: Any) -> Any:
    raise AssertionError("must not be asked")
