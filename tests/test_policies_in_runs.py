"""Policies while agents work: what is denied is asked of nobody, and the audit trail has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runtime import Context, mag, sag, skill
from runtime.agent import Limits
from runtime.catalog import RouteEntry
from runtime.identity import digest_of
from tests.chat_server import chat_server, completion
from tests.echoes import CENT, at, catalog_of, policy, price, provider, told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime import Agent
    from runtime.catalog import Catalog, Policy
    from tests.echoes import Told

PII = policy("stays", requirements={"pii": frozenset(("local/echo-1",))})
BOTH = {"home": provider("echo-1"), "local": provider("extract-1", "echo-1")}


@sag
async def clerk(ctx: Context, text: str, mark: str | None = None) -> str:
    return await ctx.ask(text, data_class=mark)


@skill
async def tell(ctx: Context, text: str) -> str:
    return await ctx.ask(text)


@sag
async def skilled(ctx: Context, payload: dict[str, Any]) -> Any:
    return await ctx.use_payload(tell, payload)


@sag
async def middle(ctx: Context, text: str) -> str:
    return str((await ctx.delegate(clerk, {"text": text})).unwrap())


@sag
async def middle_frees(ctx: Context, text: str) -> str:
    result = await ctx.delegate(clerk, {"text": text}, context={"data_class": []})
    return str(result.unwrap())


@mag
async def send(ctx: Context, way: dict[str, Any]) -> str:
    result = await ctx.delegate(way["to"], way["input"], context=way.get("context"))
    return str(result.unwrap())


TEXT = {"text": "x"}
MARKED = TEXT | {"data_class": "pii"}
SAID: Mapping[str, tuple[str, dict[str, Any], dict[str, Any], str | None]] = {
    "by the agent's entry": ("clerk", TEXT, {}, "clerk"),
    "by the input": ("clerk", MARKED, {}, None),
    "by the input, among others": ("clerk", TEXT | {"data_class": ["x", "pii"]}, {}, None),
    "by the context": ("clerk", TEXT, {"data_class": "pii"}, None),
    "by the context, among others": ("clerk", TEXT, {"data_class": ("pii", "x")}, None),
    "by the question": ("clerk", TEXT | {"mark": "pii"}, {}, None),
    "by the skill's input": ("skilled", MARKED, {}, None),
    "above, by the context": ("middle", TEXT, {"data_class": "pii"}, None),
    "above, by the input": ("middle", MARKED, {}, None),
    "above, by the entry": ("middle", TEXT, {}, "middle"),
    "above both, by the entry": ("middle", TEXT, {}, "send"),
}


async def sent(way: str, *policies: Policy, **fields: Any) -> Told:
    to, given_, context, marked = SAID[way]
    agents: list[tuple[Agent, Limits]] = [
        (agent, Limits(data_class="pii" if agent.name == marked else None))
        for agent in (clerk, skilled, middle, middle_frees)
    ]
    agents.append((send, Limits(data_class="pii" if marked == "send" else None)))
    catalog: Catalog = catalog_of(BOTH, policies=policies, **fields)
    payload = {"to": to, "input": given_, "context": context}
    return await told(catalog, "send", payload, agents=agents)


@pytest.mark.parametrize("way", SAID)
async def test_whoever_says_what_the_data_is_it_goes_only_where_it_may(way: str) -> None:
    refused = await sent(way, PII)
    assert refused.outcome.reason == "denied", refused.outcome
    assert refused.asked == []
    (row,) = refused.calls
    assert (row.status, row.decision, row.provider, row.model) == (
        ("denied", "denied", "home", "echo-1")
    )
    assert "pii" in row.data_classes.split(",")
    assert "policy stays (stays.yaml:1): echo-1 may not see pii" in row.policy
    assert (row.cost_nano_usd, row.settled_nano_usd, row.reason) == (0, 0, "denied")
    routes = (RouteEntry(task_type="*", targets=("home/echo-1", "local/echo-1")),)
    assert (await sent(way, PII, routing={"routes": routes})).asked == ["local/echo-1"]


async def test_a_delegation_adds_to_the_kinds_of_its_data_and_takes_none_away() -> None:
    catalog = catalog_of(BOTH, policies=(PII,))
    came = await told(catalog, middle_frees, MARKED, agents=(clerk,))
    assert (came.outcome.reason, came.asked) == ("denied", [])


@pytest.mark.parametrize("wrong", [5, {"pii": True}, [["pii"]], "pii,money", "p i i", ""])
async def test_what_is_no_name_of_a_kind_of_data_is_an_error(wrong: Any) -> None:
    came = await told(catalog_of(BOTH, policies=(PII,)), clerk, TEXT | {"data_class": wrong})
    assert (came.outcome.reason, came.asked) == ("invalid_input", [])
    assert "data_class must be a name" in (came.outcome.error or "")


async def test_a_misspelt_kind_of_data_is_denied_and_nobody_is_asked() -> None:
    came = await told(catalog_of(BOTH, policies=(PII,)), clerk, TEXT | {"data_class": "PII"})
    assert (came.outcome.reason, came.asked) == ("denied", [])
    assert "did you mean 'pii'?" in (came.outcome.error or "")


@pytest.mark.real_time
async def test_neither_a_denied_model_nor_a_denied_fallback_is_ever_contacted() -> None:
    busy = (400, {"error": {"message": "no", "type": "model_not_found", "code": "model_not_found"}})
    with (
        chat_server(lambda _: busy) as first,
        chat_server(lambda _: completion("never")) as denied,
        chat_server(lambda _: completion("last")) as last,
    ):
        providers = {
            name: at(server.url)
            for name, server in (("first", first), ("denied", denied), ("last", last))
        }
        fallback = {"first/m": ("denied/m", "last/m")}
        rule = policy(allowed_models=frozenset(("first/*", "last/*")))
        catalog = catalog_of(providers, policies=(rule,), routing={"fallback": fallback})
        came = await told(catalog, clerk, TEXT)
        refused = await told(catalog, clerk, TEXT, model="denied/m")
    assert came.outcome.output == "last", came.outcome
    assert (len(first.requests), denied.requests, len(last.requests)) == (1, [], 1)
    assert sorted((row.provider, row.status) for row in came.calls) == [
        ("denied", "denied"),
        ("first", "failed"),
        ("last", "completed"),
    ]
    assert (refused.outcome.reason, refused.outcome.exit_code) == ("denied", 4)
    assert [(row.status, row.provider) for row in refused.calls] == [("denied", "denied")]


@pytest.mark.parametrize(
    ("first_answers", "rows"),
    [
        (True, [("home", "completed")]),
        (False, [("away", "denied"), ("home", "failed")]),
    ],
)
@pytest.mark.real_time
async def test_a_denied_fallback_is_an_event_only_when_it_is_its_turn(
    first_answers: bool, rows: list[tuple[str, str]]
) -> None:
    gone = (404, {"error": {"message": "no", "type": "model_not_found", "code": "model_not_found"}})
    answer = completion("here") if first_answers else gone
    with chat_server(lambda _: answer) as server:
        providers = {"home": at(server.url), "away": at(server.url)}
        rule = policy(allowed_models=frozenset(("home/*",)))
        fallback = {"home/m": ("away/m",)}
        catalog = catalog_of(providers, policies=(rule,), routing={"fallback": fallback})
        came = await told(catalog, clerk, TEXT, model="home/m")
    assert sorted((row.provider, row.status) for row in came.calls) == rows


# --- models whose price nobody knows -------------------------------------------------------------


@mag
async def ask(ctx: Context, text: str = "x") -> str:
    return await ctx.ask(text, max_output_tokens=8)


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("words", "budget_usd", "reason", "settled"),
    [
        ({}, None, None, 0),
        ({}, 1.0, "budget", None),
        ({"unknown_price": "allow"}, 1.0, None, 0),
        ({"unknown_price": "deny"}, None, "denied", None),
        ({"unknown_price": "deny"}, 1.0, "denied", None),
        ({"unknown_rate": 10**6 * CENT}, 10.0, None, 30 * CENT),
        ({"unknown_rate": 10**6 * CENT}, None, None, 30 * CENT),
        ({"unknown_rate": 10**6 * CENT}, 0.1, "budget", None),
        ({"unknown_rate": 10**6 * CENT, "unknown_price": "allow"}, 0.1, "budget", None),
    ],
)
async def test_a_model_of_unknown_price_is_asked_only_as_policy_says(
    words: dict[str, Any], budget_usd: float | None, reason: str | None, settled: int | None
) -> None:
    with chat_server(lambda _: completion("yes", prompt=20, answer=10)) as server:
        catalog = catalog_of({"p": at(server.url)}, policies=(policy(**words),) if words else ())
        came = await told(catalog, ask, budget_usd=budget_usd)
    assert came.outcome.reason == reason, came.outcome.error
    assert len(server.requests) == (reason is None)
    if reason is None:
        (row,) = came.calls
        assert (row.settled_nano_usd, row.cost_nano_usd, row.unpriced) == (settled, 0, True)
        assert came.outcome.cost_usd is None
    elif reason == "denied":
        (row,) = came.calls
        assert (row.status, row.decision, row.model) == ("denied", "denied", "m")
        assert "nobody knows the price of p/m" in row.policy


@pytest.mark.real_time
async def test_the_strictest_policy_decides_on_unknown_prices() -> None:
    rules = [
        policy("a", unknown_price="allow"),
        policy("b", unknown_rate=10**6 * CENT),
        policy("c", unknown_price="deny"),
    ]
    for number, reason in ((1, None), (2, "budget"), (3, "denied")):
        home = {"home": provider("echo-1"), "p": at("http://127.0.0.1:9")}
        catalog = catalog_of(home, policies=tuple(rules[:number]))
        came = await told(catalog, ask, model="p/m", budget_usd=0.05)
        assert came.outcome.reason == (reason or "provider"), came.outcome.error


# --- what is kept --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "in_journal", "kept"),
    [(None, True, ""), ("keep", True, "keep"), ("digest", False, "digest")],
)
async def test_prompts_and_replies_are_kept_as_policy_says_and_their_digests_always(
    word: str | None, in_journal: bool, kept: str
) -> None:
    rules = () if word is None else (policy(contents={"*": word}),)
    came = await told(catalog_of(BOTH, policies=rules), ask, "a secret")
    begun, ended = (
        next(event.body for event in came.events if event.kind == f"invocation_{kind}")
        for kind in ("started", "completed")
    )
    assert ("request" in begun, "text" in ended) == (in_journal, in_journal)
    (row,) = came.calls
    assert row.contents == kept
    assert len(row.request_sha256) == 64
    assert row.reply_sha256 == digest_of(["a secret", "", []])
    said = [event for event in came.events if event.kind.startswith("invocation")]
    assert ("a secret" in repr(said)) == in_journal


async def test_a_failure_does_not_say_the_prompt_that_is_kept_nowhere() -> None:
    broken = provider("echo-1", options={"fail_with": "server_error"})
    catalog = catalog_of({"home": broken}, policies=(policy(contents={"pii": "digest"}),))
    marked = Limits(data_class="pii")
    came = await told(catalog, "ask", "a secret", agents=((ask, marked),))
    assert came.outcome.reason == "provider"
    assert "a secret" not in repr([e for e in came.events if e.kind.startswith("invocation")])
    assert "a secret" not in repr(came.calls)


async def test_an_allowed_call_says_who_and_by_which_route_it_was_asked() -> None:
    route = RouteEntry(task_type="ask", targets=("local/echo-1",))
    catalog = catalog_of(
        BOTH, policies=(PII,), routing={"routes": (route,)}, prices={"local/echo-1": price()}
    )
    came = await told(catalog, "ask", agents=((ask, Limits(data_class="pii")),), tenant="acme")
    (row,) = came.calls
    assert (row.agent, row.path, row.tenant, row.decision) == ("ask", "ask", "acme", "allowed")
    assert (row.level, row.route, row.data_classes) == ("route", "ask", "pii")
    assert (row.status, row.price_source, row.policy) == ("completed", "a test", "")
    assert row.cost_nano_usd == row.settled_nano_usd == 2 * CENT
