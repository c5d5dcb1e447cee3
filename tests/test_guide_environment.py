"""The guide on providers' variables: what its exports bring about, against a simulator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from runtime.catalog import load_catalog
from tests.cli_workspace import run_process
from tests.guide import block, covers, exported, paragraphs, section
from tests.guide_vendors import CHAT, KEYS, MESSAGES, OLLAMA, RESPONSES, Vendors, vendors
from tests.guide_workspace import ASKS, TEXT, make_workspace, run, run_command, write_agent
from tests.shipped import CATALOG, of_kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VARIABLES, SELECTION = "Environment Variables", "Unified Provider Selection"
GEMINI = "/v1beta/models/{model}:generateContent"


@pytest.fixture
def server() -> Iterator[Vendors]:
    with vendors() as running:
        yield running


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path)


def ask(
    workspace: Path, server: Vendors, exports: dict[str, str], *, target: str = "asks-mag"
) -> None:
    """Run an agent in a process with some exports, and with the simulator in the vendors' place."""
    done = run_command(workspace, target, **{**KEYS, **exports, **server.addresses})
    assert done.returncode == 0, done.stderr


def accounts(workspace: Path, exports: dict[str, str]) -> dict[str, Any]:
    done = run_process(workspace, "providers", "list", "--json", **exports)
    return {each["name"]: each for each in json.loads(done.stdout)}


# --- Environment Variables -----------------------------------------------------------------------


@covers(VARIABLES)
def test_the_exports_give_each_provider_its_key_and_its_address(workspace: Path) -> None:
    exports = exported(block(VARIABLES))
    found = accounts(workspace, exports)
    assert found["openai"]["key"]["set"] == "OPENAI_API_KEY"
    assert found["anthropic"]["key"]["set"] == "ANTHROPIC_API_KEY"
    assert found["azure"]["key"]["set"] == "AZURE_OPENAI_API_KEY"
    assert found["openai"]["address"] == exports["OPENAI_BASE_URL"]
    assert found["ollama"]["address"] == exports["OLLAMA_BASE_URL"]
    assert found["azure"]["address"].startswith(exports["AZURE_OPENAI_ENDPOINT"])


@covers(VARIABLES)
def test_without_the_exports_the_providers_that_need_keys_say_which(workspace: Path) -> None:
    exports = exported(block(VARIABLES))
    found = accounts(workspace, {})
    for name, variable in [
        ("openai", "OPENAI_API_KEY"),
        ("anthropic", "ANTHROPIC_API_KEY"),
        ("azure", "AZURE_OPENAI_ENDPOINT"),
    ]:
        assert variable in exports
        assert variable in found[name]["needs"]


@covers(VARIABLES)
@pytest.mark.parametrize(
    ("target", "path", "variable"),
    [
        ("openai/gpt-4o", RESPONSES, "OPENAI_API_KEY"),
        ("anthropic/claude-haiku-5-5", MESSAGES, "ANTHROPIC_API_KEY"),
        ("azure/gpt-4o", f"/openai{CHAT}", "AZURE_OPENAI_API_KEY"),
        ("ollama/llama3.1:70b", OLLAMA, None),
    ],
)
@pytest.mark.real_time
async def test_each_provider_is_sent_its_own_key_only(
    workspace: Path, server: Vendors, target: str, path: str, variable: str | None
) -> None:
    exports = exported(block(VARIABLES))
    variables = {**exports, **server.addresses, "MAGSAG_MODEL": target}
    await run(workspace, server, "asks-mag", **variables)
    (asked,) = server.asked
    assert (asked.path, asked.model) == (path, target.partition("/")[2])
    assert asked.key == ("" if variable is None else exports[variable])


@covers(VARIABLES)
@pytest.mark.real_time
async def test_the_local_provider_goes_on_in_chat_completions_and_the_reply_says_so(
    workspace: Path,
) -> None:
    no_responses = {"match": {"path": RESPONSES}, "then": {"error": "endpoint_gin"}}
    with vendors(no_responses) as server:
        ran = await run(workspace, server, "asks-mag", MAGSAG_PROVIDER="local")
    assert [asked.path for asked in server.asked] == [RESPONSES, CHAT]
    (reply,) = of_kind(ran.records, "invocation_completed")
    (warning,) = reply.body["warnings"]
    assert "Chat Completions" in warning


# --- Unified Provider Selection ------------------------------------------------------------------


@covers(SELECTION)
def test_every_provider_that_the_guide_names_is_in_the_catalog(workspace: Path) -> None:
    exports = {exported(line)["MAGSAG_PROVIDER"] for line in settings("MAGSAG_PROVIDER")}
    listed = {item.split("`")[1] for item in section(SELECTION).items if item.startswith("`")}
    assert exports == {"openai", "anthropic", "google", "local", "compat"}
    assert exports <= listed
    assert exports <= set(accounts(workspace, {}))


@covers(SELECTION)
@pytest.mark.parametrize(
    ("provider", "path"), [("openai", RESPONSES), ("anthropic", MESSAGES), ("google", GEMINI)]
)
def test_a_provider_alone_is_asked_for_what_stands_there_for_the_policy_s_model(
    workspace: Path, server: Vendors, provider: str, path: str
) -> None:
    write_agent(workspace, "own-mag", ASKS, model="gpt-4o")
    ask(workspace, server, exported(setting("MAGSAG_PROVIDER", provider)), target="own-mag")
    model = alias("gpt-4o", provider)
    assert server.places == [(path.format(model=model), model)]


def alias(model: str, provider: str) -> str:
    """Return what the shipped catalog asks a provider for in the place of OpenAI's model."""
    rows = load_catalog(CATALOG).routing.aliases
    names = next(row[provider] for row in rows if model in row["openai"])
    return model if provider == "openai" else names[0]


@covers(SELECTION)
@pytest.mark.parametrize(
    ("provider", "path", "model"),
    [("local", RESPONSES, "llama3.1:70b"), ("compat", CHAT, "gpt-4o")],
)
def test_a_server_of_one_s_own_is_asked_for_what_stands_there_for_tier_and_model(
    workspace: Path, server: Vendors, provider: str, path: str, model: str
) -> None:
    exports = exported(setting("MAGSAG_PROVIDER", provider))
    write_agent(workspace, "own-mag", ASKS, model="gpt-4o")
    write_agent(workspace, "tier-mag", ASKS, model="careful")
    for target in ("own-mag", "tier-mag"):
        ask(workspace, server, exports, target=target)
    assert server.places == [(path, model)] * 2
    ask(workspace, server, exports | {"MAGSAG_MODEL": "some-model"})
    assert server.places[-1] == (path, "some-model")


@covers(SELECTION)
@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gpt-4", RESPONSES),
        ("claude-3-5-sonnet-20241022", MESSAGES),
        ("gemini-1.5-pro", GEMINI),
    ],
)
def test_a_model_alone_is_asked_of_its_vendor(
    workspace: Path, server: Vendors, model: str, path: str
) -> None:
    ask(workspace, server, exported(setting("MAGSAG_MODEL", model)))
    assert server.places == [(path.format(model=model), model)]


@covers(SELECTION)
@pytest.mark.parametrize(
    ("number", "path", "model"),
    [
        (0, RESPONSES, "gpt-4o-mini"),
        (1, MESSAGES, "claude-3-5-sonnet-20241022"),
        (2, RESPONSES, "llama3.1:70b"),
        (3, RESPONSES, "gpt-4o"),
    ],
)
def test_each_example_configuration_asks_what_it_says(
    workspace: Path, server: Vendors, number: int, path: str, model: str
) -> None:
    examples = paragraphs(block(SELECTION, 1))
    assert len(examples) == 4
    write_agent(workspace, "own-mag", ASKS, model="gpt-4o")
    ask(workspace, server, exported(examples[number]), target="own-mag")
    assert server.places == [(path, model)]


@covers(SELECTION)
def test_the_local_server_is_where_its_variable_says(workspace: Path) -> None:
    exports = exported(paragraphs(block(SELECTION, 1))[2])
    assert accounts(workspace, exports)["local"]["address"] == exports["MAGSAG_LOCAL_LLM_BASE_URL"]


@covers(SELECTION)
@pytest.mark.parametrize(
    ("context", "variables", "asked"),
    [
        ({"llm_overrides": {"model": "o1-preview"}}, {"MAGSAG_MODEL": "gpt-4"}, "o1-preview"),
        ({"preferred_model": "gpt-4o"}, {"MAGSAG_PROVIDER": "google"}, "gpt-4o"),
        ({"task_type": "local"}, {"MAGSAG_MODEL": "gpt-4"}, "gpt-4"),
        ({"task_type": "local"}, {}, "llama3.1:70b"),
        ({"task_type": "without-a-route"}, {}, None),
    ],
    ids=["code", "code-alone", "environment", "routing", "default"],
)
@pytest.mark.real_time
async def test_code_goes_before_the_environment_and_that_before_the_routing_and_its_default(
    workspace: Path,
    server: Vendors,
    context: dict[str, Any],
    variables: dict[str, str],
    asked: str | None,
) -> None:
    """The default answers in this process, so the simulator is not asked."""
    payload = {**TEXT, "context": context}
    await run(workspace, server, "delegates-mag", payload, **variables)
    assert server.models == ([asked] if asked else [])


@covers(SELECTION)
def test_explain_tells_which_variable_decides(workspace: Path) -> None:
    exports = exported(paragraphs(block(SELECTION, 1))[1])
    done = run_process(workspace, "explain", "asks-mag", "--json", **KEYS, **exports)
    told = json.loads(done.stdout)[0]
    assert told["asks"] == "anthropic/claude-3-5-sonnet-20241022"
    assert [each["where"] for each in told["because"]] == ["MAGSAG_MODEL, MAGSAG_PROVIDER"]


def settings(variable: str) -> list[str]:
    """Return the lines of the guide's first block that export a variable."""
    lines = block(SELECTION).splitlines()
    return [line for line in lines if line.startswith(f"export {variable}=")]


def setting(variable: str, value: str) -> str:
    """Return the line of the guide's first block that exports a variable with a value."""
    (line,) = [line for line in settings(variable) if f"={value} " in line]
    return line
