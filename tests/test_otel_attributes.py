"""What spans say about workflows, agents, tools and model calls."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from otel import conventions
from otel.attributes import (
    execute_tool_end,
    execute_tool_start,
    invoke_agent_end,
    invoke_agent_start,
    invoke_workflow_end,
    invoke_workflow_start,
    plan_start,
    span_name,
)
from otel.chat_attributes import chat_end, chat_start, provider_name
from otel.spool.attribute_fields import attribute_fields
from otel.spool.span_limits import SpanLimits

README = Path(__file__).parents[1] / "otel" / "README.md"


@pytest.mark.parametrize(
    ("operation", "subject", "name"),
    [
        (conventions.CHAT, "gpt-5-mini", "chat gpt-5-mini"),
        (conventions.INVOKE_AGENT, "writer", "invoke_agent writer"),
        (conventions.EXECUTE_TOOL, "search", "execute_tool search"),
        (conventions.INVOKE_WORKFLOW, "digest", "invoke_workflow digest"),
        (conventions.INVOKE_AGENT, "", "invoke_agent"),
    ],
)
def test_a_span_is_named_by_its_operation_and_its_subject(
    operation: str, subject: str, name: str
) -> None:
    assert span_name(operation, subject) == name


def test_a_span_that_may_say_little_says_what_it_does_before_whose_work_it_is() -> None:
    spans = (
        invoke_workflow_start("digest", run_id="r-1"),
        invoke_agent_start("writer", run_id="r-1", task_id="t-1"),
        execute_tool_start("search", run_id="r-1", task_id="t-1", call_id="c-1"),
        plan_start("writer", run_id="r-1", task_id="t-1"),
        chat_start("gpt-5-mini", provider="openai", run_id="r-1", task_id="t-1"),
    )
    for attributes in spans:
        left = SpanLimits(attributes=1).cut(attributes)
        assert list(left) == ["gen_ai.operation.name"]
        assert attribute_fields(attributes).startswith(attribute_fields(left))


def test_a_workflow_says_what_runs_and_leaves_out_a_conversation_that_nobody_has() -> None:
    assert invoke_workflow_start("digest", run_id="r-1") == {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": "digest",
        "magsag.run.id": "r-1",
    }


def test_a_workflow_of_a_user_carries_session_and_conversation() -> None:
    said = invoke_workflow_start("digest", run_id="r-1", session_id="s", conversation_id="c")
    assert said["session.id"] == "s"
    assert said["gen_ai.conversation.id"] == "c"


def test_a_workflow_ends_with_totals_that_no_sum_over_model_calls_counts_again() -> None:
    said = invoke_workflow_end(calls=3, input_tokens=10, output_tokens=5, cost_nano_usd=7)
    assert said == {
        "magsag.total.calls": 3,
        "magsag.total.input_tokens": 10,
        "magsag.total.output_tokens": 5,
        "magsag.total.cost.nano_usd": 7,
    }


def test_an_agent_says_who_it_is_who_asked_and_how_long_the_message_lay() -> None:
    said = invoke_agent_start(
        "writer",
        run_id="r-1",
        task_id="t-2",
        description="writes",
        actor_id="writer/7",
        delegated_by="editor",
        depth=2,
        mode="tell",
        message_id="m-3",
        mailbox_wait_ms=1.5,
        conversation_id="c",
    )
    assert said == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "writer",
        "gen_ai.agent.description": "writes",
        "gen_ai.conversation.id": "c",
        "magsag.run.id": "r-1",
        "magsag.task.id": "t-2",
        "magsag.actor.id": "writer/7",
        "magsag.message.id": "m-3",
        "magsag.delegation.from": "editor",
        "magsag.delegation.to": "writer",
        "magsag.delegation.depth": 2,
        "magsag.delegation.mode": "tell",
        "magsag.mailbox.wait_ms": 1.5,
    }


def test_zero_is_a_value_and_is_said() -> None:
    said = invoke_agent_start("a", run_id="r", task_id="t", depth=0, mailbox_wait_ms=0.0)
    assert said["magsag.delegation.depth"] == 0
    assert said["magsag.mailbox.wait_ms"] == 0.0


def test_an_agent_never_carries_usage_or_cost_of_its_model_calls() -> None:
    said = invoke_agent_end(
        turns=2, calls=2, input_tokens=10, output_tokens=5, cost_nano_usd=900_000
    )
    assert said["magsag.turns"] == 2
    assert said["magsag.total.cost.nano_usd"] == 900_000
    assert not [name for name in said if name.startswith("gen_ai.usage")]
    assert "operation.cost" not in said


def test_a_tool_says_its_kind_its_call_and_the_agent_that_executes_it() -> None:
    said = execute_tool_start(
        "search", call_id="call_1", description="finds", agent="writer", run_id="r", task_id="t"
    )
    assert said == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": "call_1",
        "gen_ai.tool.description": "finds",
        "gen_ai.agent.name": "writer",
        "magsag.run.id": "r",
        "magsag.task.id": "t",
    }


def test_a_tool_that_costs_money_says_so_in_integers() -> None:
    assert execute_tool_end(result_bytes=12, cost_nano_usd=5) == {
        "magsag.tool.bytes": 12,
        "magsag.cost.nano_usd": 5,
    }


def test_a_model_call_says_everything_that_its_request_says() -> None:
    said = chat_start(
        "gpt-5-mini",
        provider="openai",
        server_address="api.openai.com",
        server_port=443,
        max_tokens=100,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        stop_sequences=["END"],
        seed=7,
        choice_count=2,
        stream=True,
        reasoning_level="low",
        previous_response_id="resp_0",
        output_type="json",
        prompt_name="summary",
        prompt_version="3",
        conversation_id="c",
        run_id="r",
        task_id="t",
    )
    assert said == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5-mini",
        "server.address": "api.openai.com",
        "server.port": 443,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.presence_penalty": 0.2,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.seed": 7,
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.stream": True,
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.request.previous_response.id": "resp_0",
        "gen_ai.output.type": "json",
        "gen_ai.prompt.name": "summary",
        "gen_ai.prompt.version": "3",
        "gen_ai.conversation.id": "c",
        "magsag.run.id": "r",
        "magsag.task.id": "t",
    }


def test_what_the_conventions_want_only_under_a_condition_is_absent_without_it() -> None:
    said = chat_start("m", provider="openai", server_port=443, prompt_version="3", temperature=0.0)
    assert said == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.temperature": 0.0,
    }


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("google", "gcp.gemini"), ("azure", "azure.ai.openai"), ("mistral", "mistral_ai")],
)
def test_a_provider_goes_by_the_name_that_the_conventions_give_it(ours: str, theirs: str) -> None:
    assert provider_name(ours) == theirs
    assert chat_start("m", provider=ours)["gen_ai.provider.name"] == theirs


def test_a_provider_that_the_conventions_do_not_know_keeps_its_name() -> None:
    assert provider_name("openai-eu") == "openai-eu"


def test_a_model_call_ends_with_answer_usage_cost_and_effort() -> None:
    said = chat_end(
        response_id="resp_1",
        response_model="gpt-5-mini-2026",
        finish_reasons=["stop", "length"],
        time_to_first_chunk_s=0.25,
        input_tokens=100,
        output_tokens=50,
        cached_input_tokens=40,
        cache_write_tokens=20,
        reasoning_tokens=30,
        cost_nano_usd=1_500_000,
        cost_source="local",
        attempts=2,
        retry_wait_ms=200.0,
        rate_limit_wait_ms=30.0,
        cache_hit=False,
    )
    assert said == {
        "gen_ai.response.id": "resp_1",
        "gen_ai.response.model": "gpt-5-mini-2026",
        "gen_ai.response.finish_reasons": ("stop", "length"),
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.cache_write.input_tokens": 20,
        "gen_ai.usage.cache_creation.input_tokens": 20,
        "gen_ai.usage.reasoning.output_tokens": 30,
        "gen_ai.usage.cost.amount": 0.0015,
        "gen_ai.usage.cost.currency": "USD",
        "gen_ai.usage.cost.source": "local",
        "operation.cost": 0.0015,
        "magsag.cost.nano_usd": 1_500_000,
        "magsag.attempts": 2,
        "magsag.retry.wait_ms": 200.0,
        "magsag.ratelimit.wait_ms": 30.0,
        "magsag.cache.hit": False,
    }


def test_a_call_that_cost_nothing_says_zero_and_one_of_unknown_price_says_nothing() -> None:
    assert chat_end(cost_nano_usd=0)["magsag.cost.nano_usd"] == 0
    assert chat_end(cost_nano_usd=0)["gen_ai.usage.cost.amount"] == 0.0
    assert chat_end() == {}


def test_the_price_that_a_provider_says_itself_is_marked_as_such() -> None:
    said = chat_end(cost_nano_usd=1, cost_source="provider")
    assert said["gen_ai.usage.cost.source"] == "provider"


def test_the_readme_lists_every_name_that_is_emitted_and_no_other() -> None:
    emitted = {
        value
        for name, value in vars(conventions).items()
        if name.isupper() and "." in value and name != "SCOPE"
    }
    text = README.read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    listed = {name for row in rows for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", row)}
    assert listed == emitted


def test_equal_numbers_of_different_types_are_said_as_what_they_are() -> None:
    for given in (1, 1.0):
        said = chat_start("m", provider="p", temperature=given)["gen_ai.request.temperature"]
        assert type(said) is type(given)
