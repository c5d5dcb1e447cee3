"""Contents in spans: opt-in, redacted, bounded, and valid JSON whatever goes in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel.contents import MOST_CHARACTERS, Contents
from otel.openinference import with_openinference
from otel.redaction import Redactor
from otel.settings import TelemetryMisconfigured
from otel.trace_options import CAPTURE, COMPAT, trace_options
from runtime import Context, RunOptions, mag, running, skill
from runtime.chat_contents import input_of, output_of
from runtime.errors import InvalidInput
from runtime.messages import Image, Message, ModelReply, ToolCall
from tests.echoes import catalog_of, policy, price, provider
from tests.fake_backends import a_request
from tests.recorded_spans import CANARY, Recorded, said

CONTENTS = Contents(Redactor([CANARY]))
CAPTURED = {CAPTURE: "true", "OPENAI_API_KEY": CANARY}
WORDS = ("gen_ai.input.", "gen_ai.output.m", "gen_ai.system_", "gen_ai.tool.call.a", "input.value")


def turn(text: str) -> dict[str, Any]:
    return {"role": "user", "parts": [{"type": "text", "content": text}]}


def test_what_is_short_is_as_it_was() -> None:
    assert json.loads(CONTENTS.messages([turn("hi")])) == [turn("hi")]
    assert json.loads(CONTENTS.value({"a": [1, None, "x"]})) == {"a": [1, None, "x"]}


def test_a_secret_is_taken_out_before_anything_is_cut() -> None:
    text = CONTENTS.messages([turn(f"{'x' * 60_000} {CANARY}"), turn(f"my key is {CANARY}")])
    assert CANARY not in text
    assert CANARY[:8] not in text
    assert "[redacted]" in text
    assert CONTENTS.value({"password": "hunter2"}) == '{"password":"[redacted]"}'


def test_a_long_text_is_cut_and_a_short_one_beside_it_is_not() -> None:
    first, second = json.loads(CONTENTS.messages([turn("x" * 50_000), turn("short")]))
    assert first["parts"][0]["content"].endswith("…")
    assert second == turn("short")


def test_of_a_long_conversation_the_newest_turns_are_kept() -> None:
    shown = json.loads(CONTENTS.messages([turn(f"turn {n} {'x' * 200}") for n in range(1_000)]))
    assert shown[0]["role"] == "system"
    assert "earlier messages left out" in shown[0]["parts"][0]["content"]
    assert shown[-1]["parts"][0]["content"].startswith("turn 999")
    left_out = int(shown[0]["parts"][0]["content"].split()[1])
    assert left_out + len(shown) - 1 == 1_000


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4_000),
        lambda inner: st.lists(inner, max_size=60) | st.dictionaries(st.text(), inner, max_size=60),
        max_leaves=200,
    )
)
def test_whatever_goes_in_short_valid_json_comes_out(value: Any) -> None:
    for text in (CONTENTS.value(value), CONTENTS.messages([turn("x"), {"any": value}])):
        assert len(text) <= MOST_CHARACTERS
        json.loads(text)


def test_a_shape_that_nobody_can_shorten_is_cut_as_a_text() -> None:
    text = CONTENTS.value({f"key {n}": {"q" * 60: '"' * 60} for n in range(900)})
    assert len(text) <= MOST_CHARACTERS
    assert isinstance(json.loads(text), str)


def test_messages_have_the_shape_of_the_conventions() -> None:
    call = ToolCall("c-1", "look", {"up": 1}, '{"up": 1}')
    request = a_request(
        system="be brief",
        messages=(
            Message("user", ("see", Image("https://x.example/p.png"), Image("data:image/png,AA"))),
            Message("assistant", "", tool_calls=(call,)),
            Message("tool", "found", call_id="c-1"),
        ),
    )
    told = input_of(CONTENTS, request)
    assert json.loads(str(told["gen_ai.system_instructions"])) == [
        {"type": "text", "content": "be brief"}
    ]
    user, assistant, tool = json.loads(str(told["gen_ai.input.messages"]))
    assert [part["type"] for part in user["parts"]] == ["text", "uri", "blob"]
    assert "AA" not in str(user["parts"][2])
    wanted = {"type": "tool_call", "id": "c-1", "name": "look", "arguments": {"up": 1}}
    assert assistant == {"role": "assistant", "parts": [wanted]}
    answer = {"type": "tool_call_response", "id": "c-1", "response": "found"}
    assert tool == {"role": "tool", "parts": [answer]}
    reply = ModelReply(
        text="yes", usage=None, model="m", tool_calls=(call,), finish_reason="tool_calls"
    )
    (said_,) = json.loads(str(output_of(CONTENTS, reply)["gen_ai.output.messages"]))
    assert said_["finish_reason"] == "tool_call"
    assert said_["parts"] == [{"type": "text", "content": "yes"}, wanted]


# --- in runs -------------------------------------------------------------------------------------


@skill(inline=True)
def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@mag
async def talk(ctx: Context, payload: Any = None) -> str:
    await ctx.use(shout, f"hello {CANARY}")
    return await ctx.ask(f"good day {CANARY}", system="be kind", data_class="health")


async def told(environ: dict[str, str], **fields: Any) -> Recorded:
    recorded = Recorded()
    catalog = catalog_of({"home": provider("echo-1")}, prices={"home/echo-1": price()}, **fields)
    async with running(catalog, agents=(talk,), environ=environ, tracing=recorded) as system:
        outcome = await system.run(talk, {"data_class": "health"}, RunOptions())
        assert outcome.ok, outcome.error
    return recorded


@skill(inline=True)
def takes(payload: dict[str, Any]) -> str:
    """Take a payload."""
    return str(payload)


@mag
async def gives_wrong_hints(ctx: Context, payload: Any = None) -> str:
    with pytest.raises(InvalidInput):
        await ctx.use(takes, {"model_config": {"temperature": "hot"}})
    return "told"


@pytest.mark.parametrize("environ", [{}, CAPTURED])
async def test_a_skill_whose_hints_are_wrong_ends_with_or_without_contents(
    environ: dict[str, str],
) -> None:
    recorded = Recorded()
    async with running(
        catalog_of({"home": provider("echo-1")}),
        agents=(gives_wrong_hints,),
        environ=environ,
        tracing=recorded,
    ) as system:
        outcome = await system.run(gives_wrong_hints, None, RunOptions())
    assert outcome.ok, outcome.error
    recorded.one("execute_tool takes")


def has_words(recorded: Recorded) -> set[str]:
    return {
        span.name.split()[0]
        for span in recorded.told.ended
        if any(name.startswith(WORDS) for name in said(span))
    }


async def test_by_default_no_words_are_in_a_span() -> None:
    recorded = await told({})
    assert has_words(recorded) == set()
    assert "good day" not in str([said(span) for span in recorded.told.ended])


async def test_who_asks_for_contents_gets_them_without_secrets() -> None:
    recorded = await told(CAPTURED)
    assert has_words(recorded) == {"chat", "execute_tool"}
    chat, tool = said(recorded.one("chat echo-1")), said(recorded.one("execute_tool shout"))
    assert json.loads(chat["gen_ai.output.messages"])[0]["role"] == "assistant"
    assert "good day [redacted]" in chat["gen_ai.input.messages"]
    assert "be kind" in chat["gen_ai.system_instructions"]
    assert "hello [redacted]" in tool["gen_ai.tool.call.arguments"]
    assert "HELLO" in tool["gen_ai.tool.call.result"]
    assert CANARY not in str([said(span) for span in recorded.told.ended])


async def test_a_policy_that_lets_only_digests_be_kept_keeps_contents_out_of_spans() -> None:
    policies = (policy(contents={"health": "digest"}),)
    recorded = await told(CAPTURED, policies=policies)
    assert has_words(recorded) == set()
    assert "good day" not in str([said(span) for span in recorded.told.ended])


# --- OpenInference -------------------------------------------------------------------------------


async def test_with_openinference_each_span_says_its_kind_tokens_and_cost() -> None:
    recorded = await told({COMPAT: "openinference", **CAPTURED})
    kinds = {span.name: said(span)["openinference.span.kind"] for span in recorded.told.ended}
    assert kinds == {
        "invoke_workflow talk": "CHAIN",
        "invoke_agent talk": "AGENT",
        "execute_tool shout": "TOOL",
        "chat echo-1": "LLM",
    }
    chat = said(recorded.one("chat echo-1"))
    assert (chat["llm.model_name"], chat["llm.provider"]) == ("echo-1", "home")
    tokens = {side: chat[f"llm.token_count.{side}"] for side in ("prompt", "completion", "total")}
    assert tokens["total"] == tokens["prompt"] + tokens["completion"]
    cost = {side: chat[f"llm.cost.{side}"] for side in ("prompt", "completion", "total")}
    assert cost["total"] == pytest.approx(cost["prompt"] + cost["completion"])
    assert cost["prompt"] == pytest.approx(tokens["prompt"] * 0.01)
    assert chat["input.value"] == chat["gen_ai.input.messages"]


async def test_with_openinference_alone_no_words_are_said() -> None:
    recorded = await told({COMPAT: "openinference"})
    assert has_words(recorded) == set()


def test_only_what_our_names_say_is_said_in_theirs() -> None:
    assert with_openinference({"gen_ai.usage.input_tokens": 3}) == {
        "gen_ai.usage.input_tokens": 3,
        "llm.token_count.prompt": 3,
    }
    assert with_openinference({"http.request.method": "POST"}) == {"http.request.method": "POST"}


# --- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "captures"),
    [("TRUE", True), ("span_and_event", True), ("no_content", False), ("", False)],
)
def test_the_words_of_opentelemetrys_own_instrumentations_are_understood(
    value: str, captures: bool
) -> None:
    assert (trace_options({CAPTURE: value}).contents is not None) is captures


@pytest.mark.parametrize("variable", [CAPTURE, COMPAT])
def test_a_word_that_is_not_known_stops_the_start(variable: str) -> None:
    with pytest.raises(TelemetryMisconfigured, match=variable):
        trace_options({variable: "yes please"})
