"""The guide on what single providers can do: each field arrives at the server in its own words."""

from __future__ import annotations

import json
import re
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.guide import block, covers, paragraphs
from tests.guide_vendors import MESSAGES, OLLAMA, RESPONSES, vendors
from tests.guide_workspace import TEXT, as_body, make_workspace, run, write_agent

if TYPE_CHECKING:
    from pathlib import Path

    from tests.guide_vendors import Asked
    from tests.guide_workspace import Ran

pytestmark = pytest.mark.real_time  # plain functions run in threads
OPENAI, ANTHROPIC, OLLAMA_MODELS = "OpenAI", "Anthropic", "Local Models (Ollama)"
FUNCTION = {
    "name": "monthly_orders",
    "description": "Counts the orders of a month.",
    "parameters": {
        "type": "object",
        "properties": {"month": {"type": "string"}},
        "required": ["month"],
    },
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path)


async def ask(workspace: Path, code: str, *rules: Any) -> tuple[Asked, Ran]:
    """Run some statements of the guide as an agent, and return the only request that came of it."""
    write_agent(workspace, "guide-mag", as_body(code), max_output_tokens=8_000)
    with vendors(*rules) as server:
        ran = await run(workspace, server)
    assert ran.outcome.error is None
    (asked,) = server.asked
    return asked, ran


@covers(OPENAI)
async def test_a_function_is_offered_to_the_model_and_its_call_is_the_answer(
    workspace: Path,
) -> None:
    """The guide leaves the function out, by three dots that Python takes for a set: here is one."""
    code, _ = paragraphs(block(OPENAI))
    assert "{...}" in code
    calls = {"match": {}, "then": {"tool_calls": "single"}}
    asked, ran = await ask(workspace, code.replace("{...}", repr(FUNCTION)), calls)
    assert (asked.path, asked.model) == (RESPONSES, "gpt-4o")
    (tool,) = asked.body["tools"]
    assert {name: tool[name] for name in FUNCTION} == FUNCTION
    (call,) = json.loads(ran.outcome.output["answer"])
    assert call["name"] == FUNCTION["name"]
    assert list(call["arguments"]) == ["month"]


@covers(OPENAI)
async def test_an_answer_may_be_wanted_as_json(workspace: Path) -> None:
    _, code = paragraphs(block(OPENAI))
    asked, ran = await ask(workspace, code)
    assert (asked.path, asked.model) == (RESPONSES, "gpt-4o")
    assert asked.body["text"]["format"] == {"type": "json_object"}
    assert isinstance(json.loads(ran.outcome.output["answer"]), dict)


@covers(ANTHROPIC)
async def test_the_length_of_an_answer_is_the_one_that_is_wanted(workspace: Path) -> None:
    code, _ = paragraphs(block(ANTHROPIC))
    asked, _ = await ask(workspace, code)
    assert (asked.path, asked.model) == (MESSAGES, "claude-3-5-sonnet-20241022")
    assert asked.body["max_tokens"] == 4096


@covers(ANTHROPIC)
async def test_a_system_prompt_is_kept_apart_from_what_the_user_says(workspace: Path) -> None:
    _, code = paragraphs(block(ANTHROPIC))
    asked, _ = await ask(workspace, code)
    assert (asked.path, asked.model) == (MESSAGES, "claude-3-5-sonnet-20241022")
    (system,) = asked.body["system"]
    (message,) = asked.body["messages"]
    assert f'"system": "{system["text"]}"' in code
    assert message["role"] == "user"
    assert system["text"] not in json.dumps(message)
    assert TEXT["text"] in json.dumps(message)


@covers(OLLAMA_MODELS)
async def test_a_local_model_is_asked_at_the_address_of_the_payload(workspace: Path) -> None:
    """The guide's address is served here as it stands; its port must be free for that."""
    code = block(OLLAMA_MODELS)
    (url,) = re.findall(r'http://[^"]+', code)
    port = urlsplit(url).port
    assert port == 11434
    if is_taken(port):
        pytest.skip(f"something else listens on port {port}")
    write_agent(workspace, "guide-mag", as_body(code))
    with vendors() as elsewhere, vendors(port=port) as server:
        ran = await run(workspace, elsewhere)
    assert ran.outcome.error is None
    assert server.places == [(OLLAMA, "llama3.1:70b")]
    assert (server.asked[0].key, elsewhere.asked) == ("", [])


def is_taken(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
