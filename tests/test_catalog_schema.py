"""Editors are told the same rules: a JSON Schema accepts what loading accepts of one file."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from runtime.catalog.check import check
from runtime.catalog.document import START, Document, Spot
from runtime.catalog.fields import TYPES, FieldType
from runtime.catalog.kinds import KINDS
from runtime.catalog.schema import json_schemas, write_schemas
from runtime.catalog.source import read_document
from tests.catalog_workspace import FILES, agent

SHIPPED = Path(__file__).parent.parent / "catalog"
SCHEMAS = dict(zip(KINDS, json_schemas().values(), strict=True))
# What only loading can say, by a part of its sentence; the schema module's docstring lists them.
BEYOND = (
    "backoff.first_s",
    "placeholder",
    "no input field",
    "braces",
    "is not among the tiers",
    "has no model of the provider that is asked",
    "is never reached",
    ", more than '",
    "no day of the calendar",
)


@cache
def validator(kind: str) -> Draft202012Validator:
    Draft202012Validator.check_schema(SCHEMAS[kind])
    return Draft202012Validator(SCHEMAS[kind])


def faults(kind: str, data: Any) -> list[str]:
    """Return what loading says of one file's data by itself."""
    document = Document("x.yaml", data, {(): Spot(START, START, None)})
    return [fault.what for fault in check(KINDS[kind].model, document)[1]]


def entry(text: str | None) -> Any:
    return yaml.safe_load(text or "")


PROMPT_ONLY = entry(FILES["agents/sub/summarise.yaml"])
FULL_AGENT = {
    **entry(agent()["agents/a.yaml"]),
    "model": "fast",
    "skills": ["a.b"],
    "agents": [],
    "concurrency": 2,
    "deadline_s": 1.5,
    "max_restarts": 0,
    "backoff": {"first_s": 1, "jitter": 0.5},
    "mailbox": 1,
    "data_class": "pii",
    "max_output_tokens": 1,
}
WORKFLOW = {"name": "w", "description": "d", "agent": "a", "input": {"x": [None]}, "budget_usd": 1}
PROVIDERS = entry(FILES["providers.yaml"])
FULL_PROVIDER = {
    "dialect": "openai_responses",
    "fallback_dialect": "openai_chat",
    "region": "eu",
    "base_url": "http://x",
    "any_model": True,
    "limits": {
        "rpm": 60,
        "tpm": 1.5,
        "itpm": 1,
        "otpm": 1,
        "rpd": 1,
        "share": 1,
        "burst_s": 0.5,
        "concurrency": 8,
        "max_queue": 10,
        "max_queue_per_run": 5,
        "counts_max_tokens": True,
        "counts_cached_tokens": False,
    },
    "model_limits": {"gpt-4*": {"concurrency": {"start": 2, "max": 9}}, "*": {}},
    "group_by": "pattern",
    "timeouts": {"connect": 1, "first_byte": 2, "idle": 3, "total": 4},
    "max_pause_s": 1,
    "retry_ambiguous": False,
    "http": "httpx",
}
ROUTING = entry(FILES["routing/default.yaml"])
SKILL = entry(FILES["skills/documents.yaml"])
PRICES = {"prices": {"a/b": {"input_usd_per_mtok": 0, "output_usd_per_mtok": "0.125"}}}
RATES = {
    "input_usd_per_mtok": 1,
    "output_usd_per_mtok": 2,
    "cached_input_usd_per_mtok": 0.5,
    "cache_write_usd_per_mtok": 1.25,
    "cache_write_1h_usd_per_mtok": 2,
    "reasoning_usd_per_mtok": 3,
}
LONG = [{**RATES, "above_tokens": 200_000}]
FULL_PRICES = {
    "prices": {
        "a/b": {
            **RATES,
            "long_prompts": LONG,
            "service_tiers": {"batch": {**RATES, "long_prompts": LONG}},
            "since": "2026-11-29",
            "before": {**RATES, "since": "2025-01-01"},
        }
    }
}
RETIREMENTS = {"retirements": {"a": {"m": "2025-10-28", "n": "2027-01-14"}}}
POLICIES = {
    "policies": [
        {"name": "a", "allowed_models": ["x"]},
        {"name": "b", "thresholds": {"max_cost_per_run_usd": "1.5"}},
        {"name": "c", "requirements": {"pii": []}, "description": "d"},
    ]
}
FULL_POLICIES = {
    "policies": [
        {"name": "a", "allowed_models": ["gpt-*", "echo/echo-1"]},
        {
            "name": "b",
            "thresholds": {
                "max_cost_per_run_usd": 0,
                "max_cost_per_agent_daily_usd": 100.0,
                "max_cost_per_agent_monthly_usd": "2.5",
                "max_cost_per_provider_daily_usd": {"openai": 5, "*": 1},
                "max_cost_per_provider_monthly_usd": {"openai": "5.25"},
                "max_cost_per_tenant_daily_usd": 1,
                "max_cost_per_tenant_monthly_usd": 1,
                "on_unknown_price": "allow",
                "unknown_price_usd_per_mtok": 10,
            },
        },
        {"name": "c", "residency": {"pii": ["local", "eu"]}},
        {
            "name": "d",
            "tool_permissions": {
                "default": "always",
                "tools": {"shell.*": "never"},
                "environments": {"production": {"default": "require_approval", "tools": {}}},
                "rules": [
                    {"tool": "read", "agent": "x-*", "when": {"path": "/e*"}, "permission": "never"}
                ],
            },
        },
        {"name": "e", "retired": "deny"},
        {"name": "f", "contents": {"pii": "digest", "*": "keep"}},
    ]
}
FULL_ROUTING = {
    **ROUTING,
    "fallback": {"openai/gpt-4o": ["echo/echo-1"], "fast": [], "openai/*": ["echo/echo-1"]},
    "fallback_on": ["quota", "content_filtered"],
    "on_content_filter": "fallback",
    "attempts": {"per_target": 1, "total": 2},
    "aliases": [{"echo": "echo-1", "openai": ["gpt-4o", "gpt-4"]}],
    "routes": [
        {"task_type": "code.*", "tier": "fast", "prefer": "order", "priority": 3},
        {
            "task_type": "analysis",
            "description": "d",
            "targets": ["echo/echo-1", {"target": "openai/gpt-4o", "weight": 2.5}],
            "needs": {"tools": True, "vision": True, "structured_output": True},
            "fallback_on": ["quota"],
            "on_content_filter": "fallback",
            "attempts": {"per_target": 1},
        },
        {
            "task_type": "*",
            "provider": "openai",
            "model": "gpt-4o",
            "needs": {"context_tokens": 5},
            "max_output_tokens": 100,
            "temperature": 0.5,
            "structured_output": True,
            "use_cache": True,
            "cache_ttl_s": 60,
        },
        {"task_type": "b", "targets": ["echo/echo-1"], "prefer": "latency"},
    ],
}
GOOD: list[tuple[str, Any]] = [
    ("agents", PROMPT_ONLY),
    ("agents", FULL_AGENT),
    ("skills", SKILL),
    ("workflows", {**WORKFLOW, "deadline_s": 5, "model": "m", "provider": "p"}),
    ("routing", ROUTING),
    ("providers", PROVIDERS),
    ("providers", {"providers": {"a": FULL_PROVIDER}}),
    ("routing", FULL_ROUTING),
    ("prices", PRICES),
    ("policies", POLICIES),
    ("prices", FULL_PRICES),
    ("policies", FULL_POLICIES),
    ("retirements", RETIREMENTS),
]

SERVER = {"dialect": "openai_chat", "any_model": True}
DAILY = {"max_cost_per_run_usd": 1, "max_cost_per_agent_dayly_usd": 2}
BAD: list[tuple[str, Any]] = [
    ("agents", {**FULL_AGENT, "modle": "fast"}),
    ("agents", {**FULL_AGENT, "model": None}),
    ("agents", {**FULL_AGENT, "role": "boss"}),
    ("agents", {**FULL_AGENT, "name": "A b"}),
    ("agents", {**FULL_AGENT, "concurrency": "ten"}),
    ("agents", {**FULL_AGENT, "concurrency": True}),
    ("agents", {**FULL_AGENT, "concurrency": 0}),
    ("agents", {**FULL_AGENT, "deadline_s": 0}),
    ("agents", {**FULL_AGENT, "skills": ["a", "a"]}),
    ("agents", {**FULL_AGENT, "skills": "a"}),
    ("agents", {**FULL_AGENT, "backoff": {"first": 1}}),
    ("agents", {**FULL_AGENT, "entrypoint": "agents.digest:run"}),
    ("agents", {**FULL_AGENT, "prompt": "x"}),
    ("agents", {**FULL_AGENT, "output": {"a": "str"}}),
    ("agents", {**FULL_AGENT, "system": "x"}),
    ("agents", {key: value for key, value in FULL_AGENT.items() if key != "entrypoint"}),
    ("agents", {key: value for key, value in FULL_AGENT.items() if key != "description"}),
    ("agents", {**PROMPT_ONLY, "role": "mag"}),
    ("agents", {**PROMPT_ONLY, "output": {}}),
    ("agents", {**PROMPT_ONLY, "output": {"a": "strng"}}),
    ("agents", {**PROMPT_ONLY, "output": {"a": {"type": "int", "default": "x"}}}),
    ("agents", {**PROMPT_ONLY, "output": {"a": {"type": "int", "default": None}}}),
    ("agents", {**PROMPT_ONLY, "output": {"a": {"description": "d"}}}),
    ("agents", {**PROMPT_ONLY, "output": {"a-b": "str"}}),
    ("agents", {**PROMPT_ONLY, "output": {"model_dump": "str"}}),
    ("agents", {key: value for key, value in PROMPT_ONLY.items() if key != "output"}),
    ("skills", {**SKILL, "timeout_s": -1}),
    ("skills", {**SKILL, "name": "a b"}),
    ("workflows", {**WORKFLOW, "budget_usd": 0}),
    ("workflows", {**WORKFLOW, "budget_usd": "0.0"}),
    ("workflows", {**WORKFLOW, "budget_usd": True}),
    ("workflows", {**WORKFLOW, "budget_usd": "1e3"}),
    ("workflows", {**WORKFLOW, "budget_usd": 10**9}),
    ("workflows", {**WORKFLOW, "input": [1]}),
    ("routing", {**ROUTING, "tiers": {}}),
    ("routing", {**ROUTING, "tiers": {"fast": {}}}),
    ("routing", {**ROUTING, "tiers": {"a/b": {"echo": "x"}}}),
    ("routing", {**ROUTING, "tiers": {"fast": {"echo": ["x"]}}}),
    ("routing", {**FULL_ROUTING, "fallback": {"fast": ["gpt-4o"]}}),
    ("routing", {**FULL_ROUTING, "fallback": {"fast": ["a/b", "a/b"]}}),
    ("routing", {**FULL_ROUTING, "fallback": {"fast": [f"a/{n}" for n in range(21)]}}),
    ("routing", {**FULL_ROUTING, "fallback": {"a[b]": []}}),
    ("routing", {**FULL_ROUTING, "fallback": {"fast": None}}),
    ("routing", {**FULL_ROUTING, "fallback_on": ["rate_limit"]}),
    ("routing", {**FULL_ROUTING, "on_content_filter": "fail"}),
    ("routing", {**FULL_ROUTING, "attempts": {"per_target": 0}}),
    ("routing", {**FULL_ROUTING, "attempts": 3}),
    ("routing", {**ROUTING, "aliases": [{"echo": "echo-1"}]}),
    ("routing", {**ROUTING, "aliases": [{"echo": "echo-1", "openai": []}]}),
    *(
        ("routing", {**ROUTING, "routes": [{"task_type": "a", **wrong}]})
        for wrong in (
            {"task_type": None},
            {"task_type": "a b"},
            {"tier": "fast", "targets": ["echo/echo-1"]},
            {"tier": "fast", "provider": "echo", "model": "echo-1"},
            {"provider": "echo"},
            {"model": "echo-1"},
            {"targets": []},
            {"targets": ["echo-1"]},
            {"targets": ["echo/echo-1", {"target": "echo/extract-1", "weight": 0}]},
            {"targets": [{"target": "echo/echo-1", "weight": 2}], "prefer": "cost"},
            {"prefer": "speed"},
            {"needs": {"audio": True}},
            {"fallback_on": ["content_filtered"]},
            {"cache_ttl_s": 5},
            {"use_cache": False, "cache_ttl_s": 5},
            {"use_batch": True},
            {"priority": 1.5},
        )
    ),
    *(
        ("providers", {"providers": {"a": {**FULL_PROVIDER, **wrong}}})
        for wrong in (
            {"dialect": "openai"},
            {"fallback_dialect": "openai_responses"},
            {"fallback_dialect": "echo"},
            {"limits": {"rpm": 0}},
            {"limits": {"rpm": "60"}},
            {"limits": {"share": 1.5}},
            {"limits": {"concurrency": 0}},
            {"limits": {"concurrency": "8"}},
            {"limits": {"concurrency": True}},
            {"limits": {"concurrency": {"start": 0}}},
            {"limits": {"concurrency": {"mx": 8}}},
            {"limits": {"rmp": 60}},
            {"limits": None},
            {"model_limits": {"a b": {}}},
            {"model_limits": {"*": {"rpm": -1}}},
            {"group_by": "run"},
            {"timeouts": {"connect": 0}},
            {"timeouts": {"connect_s": 1}},
            {"http": "requests"},
            {"concurrency": 8},
        )
    ),
    ("providers", {"providers": {"a": {"dialect": "echo", "any_model": True, "http": "httpx"}}}),
    ("providers", {"providers": {}}),
    ("providers", {"providers": {"a/b": PROVIDERS["providers"]["echo"]}}),
    ("providers", {"providers": {"a": SERVER}}),
    ("providers", {"providers": {"a": {**SERVER, "base_url_env": []}}}),
    ("providers", {"providers": {"a": {**SERVER, "base_url": "localhost"}}}),
    ("providers", {"providers": {"a": {"dialect": "echo", "models": {}}}}),
    ("providers", {"providers": {"a": {"dialect": "echo", "models": {"a b": {}}}}}),
    ("providers", {"providers": {"a": {"dialect": "echo", "models": {"a": None}}}}),
    ("providers", {"providers": {"a": {**SERVER, "dialect": "echo", "base_url": "http://x"}}}),
    (
        "providers",
        {"providers": {"a": {**SERVER, "base_url": "http://x", "api_key_required": True}}},
    ),
    ("prices", {"prices": {"gpt": PRICES["prices"]["a/b"]}}),
    ("prices", {"prices": {"a/b": {"input_usd_per_mtok": 1}}}),
    ("prices", {"prices": {"a/b": {"input_usd_per_mtok": -1, "output_usd_per_mtok": 1}}}),
    ("policies", {"policies": []}),
    ("policies", {"policies": [{"name": "a"}]}),
    ("policies", {"policies": [{"name": "a", "allowed_models": [], "requirements": {"a": []}}]}),
    ("policies", {"policies": [{"name": "a", "requirements": {}}]}),
    ("policies", {"policies": [{"name": "a", "thresholds": DAILY}]}),
    *(
        ("policies", {"policies": [{"name": "a", **wrong}]})
        for wrong in (
            {"thresholds": {}},
            {"thresholds": {"max_cost_per_agent_daily_usd": True}},
            {"thresholds": {"max_cost_per_agent_daily_usd": {}}},
            {"thresholds": {"max_cost_per_agent_daily_usd": {"a b": 1}}},
            {"thresholds": {"max_cost_per_agent_daily_usd": -1}},
            {"thresholds": {"on_unknown_price": "ask"}},
            {"thresholds": {"on_unknown_price": "deny", "unknown_price_usd_per_mtok": 1}},
            {"residency": {}},
            {"residency": {"pii": "local"}},
            {"tool_permissions": {"default": "maybe"}},
            {"tool_permissions": {"rules": [{"tool": "x"}]}},
            {"tool_permissions": {"environments": {"production": {"rules": []}}}},
            {"retired": True},
            {"contents": {"pii": "drop"}},
            {"retired": "deny", "contents": {"pii": "keep"}},
        )
    ),
    ("prices", {"prices": {"a/b": {**RATES, "long_prompts": [RATES]}}}),
    ("prices", {"prices": {"a/b": {**RATES, "service_tiers": {"batch": {}}}}}),
    ("prices", {"prices": {"a/b": {**RATES, "since": "soon"}}}),
    ("prices", {"prices": {"a/b": {**RATES, "before": {"since": "2026-01-01"}}}}),
    ("retirements", {"retirements": {}}),
    ("retirements", {"retirements": {"a": {"m": 2026}}}),
    ("retirements", {"retirements": {"a b": {"m": "2026-01-01"}}}),
]


@pytest.mark.parametrize(("kind", "data"), GOOD)
def test_a_good_file_satisfies_both(kind: str, data: Any) -> None:
    assert faults(kind, data) == []
    assert [error.message for error in validator(kind).iter_errors(data)] == []


@pytest.mark.parametrize(("kind", "data"), BAD)
def test_a_structural_fault_is_refused_by_both(kind: str, data: Any) -> None:
    assert faults(kind, data)
    assert not validator(kind).is_valid(data)


def shipped_files() -> list[tuple[str, Path]]:
    folders = [(kind, path) for kind in KINDS for path in sorted((SHIPPED / kind).rglob("*.yaml"))]
    files = [(kind, SHIPPED / f"{kind}.yaml") for kind in ("providers", "prices", "retirements")]
    return folders + [(kind, path) for kind, path in files if path.exists()]


@pytest.mark.parametrize(("kind", "path"), shipped_files(), ids=lambda value: Path(value).name)
def test_every_shipped_file_satisfies_its_schema(kind: str, path: Path) -> None:
    document, _ = read_document(path)  # which reads a day as text, as JSON does
    assert document is not None
    assert [error.message for error in validator(kind).iter_errors(document.data)] == []


def places(data: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) of nested data."""
    if isinstance(data, dict):
        inner = list(data.items())
    elif isinstance(data, list):
        inner = list(enumerate(data))
    else:
        return []
    return [(data, key) for key, _ in inner] + [
        place for _, value in inner for place in places(value)
    ]


SCALARS = [None, True, False, 0, 1, -1, 7, 0.5, 10**12, "", "x", "yes", "a b", "a/b", "str", "echo"]
NESTED = [[], ["x"], ["x", "x"], [1], {}, {"x": "x"}, {"x": {}}, {"a b": 1}, {"type": "int"}]
VALUES = st.sampled_from([*SCALARS, *NESTED])


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, Any]:
    """Return a good file's data with a few keys renamed, removed, or given another value."""
    kind, good = draw(st.sampled_from(GOOD))
    data = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(places(data) or [({"": 0}, "")]))
        change = draw(st.sampled_from(["value", "rename", "remove"]))
        if change == "value":
            holder[key] = copy.deepcopy(draw(VALUES))
        elif change == "remove":
            holder.pop(key)
        elif isinstance(holder, dict):
            holder[draw(st.sampled_from(["x", "prompt", "base_url", "models", "a b"]))] = (
                holder.pop(key)
            )
    return kind, data


@given(mutated())
def test_both_agree_on_whatever_a_person_may_write(case: tuple[str, Any]) -> None:
    kind, data = case
    assume(isinstance(data, dict))
    said, valid = faults(kind, data), validator(kind).is_valid(data)
    if valid:
        assert all(any(part in what for part in BEYOND) for what in said)
    else:
        assert said


def test_each_key_is_described_for_the_one_who_writes_it() -> None:
    for schema in SCHEMAS.values():
        for model in (schema, *schema.get("$defs", {}).values()):
            assert model["description"]
            assert "Attributes" not in model["description"]
    properties = SCHEMAS["agents"]["properties"]
    assert all(text["description"] for text in properties.values())
    assert properties["model"]["description"].startswith("a tier of the routing file, ")


@pytest.mark.parametrize("kind", TYPES)
def test_a_default_is_checked_for_every_type(kind: FieldType) -> None:
    defaults: list[Any] = ["x", 1, 1.5, True, ["x"], [1], [1.5], [True], {"x": 1}, None]
    for default in defaults:
        data = {**PROMPT_ONLY, "output": {"a": {"type": kind, "default": default}}}
        assert validator("agents").is_valid(data) == (faults("agents", data) == [])


def test_schemas_are_written_as_files_that_can_be_read(tmp_path: Path) -> None:
    paths = write_schemas(tmp_path / "new" / "_schemas")
    assert {path.name for path in paths} == set(json_schemas())
    for path in paths:
        assert json.loads(path.read_text(encoding="utf-8")) == json_schemas()[path.name]
