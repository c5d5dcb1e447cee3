"""A run in which everything happens that a trace has to tell, and its tree from either side."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.cli_workspace import run_process

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tests.jaeger import Stored

Node: TypeAlias = "tuple[Any, ...]"  # of an operation: what it is, and the same of those inside it
AGENTS = '''\
"""Agents to which all happens that can: retries, a fallback, tools, a crash, a cancel, a denial."""

from runtime import Context, mag, sag, skill
from runtime.errors import RuntimeFault

CRASHES = []


@skill
def measure(text: str) -> int:
    return len(text)


@skill
def breaks(text: str) -> int:
    raise ValueError(text)


@mag
async def chief(ctx: Context, topics: list[str]) -> dict:
    worked = await ctx.fan_out(worker, topics)
    crashed = await ctx.delegate(crasher)
    recovered = await ctx.delegate(recovers)
    first = await ctx.first([quick, slow], "which one")
    return {
        "worked": [result.ok for result in worked],
        "crashed": crashed.reason,
        "recovered": recovered.unwrap(),
        "first": first.unwrap(),
    }


@sag
async def worker(ctx: Context, topic: str) -> str:
    await ctx.use(measure, topic)
    retried = await ctx.ask(f"retried: {topic}", model="openai/gpt-4o")
    fallen = await ctx.ask(f"fallen back: {topic}", model="openai/gpt-4.1-mini")
    for attempt in (ctx.use(breaks, topic), ctx.ask(topic, model="openai/gpt-4.1")):
        try:
            await attempt
        except (ValueError, RuntimeFault):
            pass
    return retried + fallen


@sag
async def crasher(ctx: Context) -> str:
    await ctx.ask("before the crash", model="openai/gpt-4o")
    raise ValueError("bang")


@sag
async def recovers(ctx: Context) -> str:
    if not CRASHES:
        CRASHES.append("once")
        raise ValueError("bang")
    return "recovered"


@sag
async def quick(ctx: Context, text: str) -> str:
    return await ctx.ask(text, model="google/gemini-2.5-flash")


@sag
async def slow(ctx: Context, text: str) -> str:
    return await ctx.ask(text, model="openai/gpt-5-nano")
'''
PROVIDERS = """\
providers:
  echo: {{dialect: echo, models: {{echo-1: {{}}}}}}
  openai: {{dialect: openai_chat, base_url: "{url}/v1", any_model: true}}
  anthropic: {{dialect: anthropic, base_url: "{url}", any_model: true}}
  google: {{dialect: google, base_url: "{url}", any_model: true}}
"""
ROUTING = """\
name: default
provider: echo
default: fast
tiers:
  fast: {echo: echo-1}
fallback:
  openai/gpt-4.1-mini: [anthropic/claude-haiku-4-5]
"""
POLICIES = """\
policies:
  - name: some
    allowed_models: ["gpt-4o*", gpt-4.1-mini, "gpt-5*", "claude-*", "gemini-*", echo-1]
"""
SCENARIO: Mapping[str, Any] = {
    "defaults": {"output_tokens": 37, "latency": 0.02},
    "rules": [
        {"match": {"model": "gpt-4o", "nth": [1, 2]}, "then": {"error": "overloaded"}},
        {"match": {"model": "gpt-4.1-mini"}, "then": {"error": "model_not_found"}},
        {"match": {"model": "gpt-5-nano"}, "then": {"latency": 600}},
        {"match": {"model": "gemini-*"}, "then": {"latency": 0.3}},
    ],
}
SEMANTIC_NAMES = {"google": "gcp.gemini"}  # the conventions' name of a provider
TOPICS = json.dumps(["one", "two", "three"])


def make_traced_workspace(root: Path, url: str) -> Path:
    """Write agents that ask a simulator of servers, and return their folder."""
    catalog = root / "catalog"
    _write(root / "agents" / "traced.py", AGENTS)
    _write(catalog / "providers.yaml", PROVIDERS.format(url=url))
    _write(catalog / "routing" / "default.yaml", ROUTING)
    _write(catalog / "policies" / "all.yaml", POLICIES)
    for name in ("chief", "worker", "crasher", "recovers", "quick", "slow"):
        role = "mag" if name == "chief" else "sag"
        entry = f"name: {name}\nrole: {role}\ndescription: d\nentrypoint: agents/traced.py:{name}\n"
        _write(catalog / "agents" / f"{name}.yaml", entry)
    return root


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def run_traced(folder: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """Run it, and return what ``run --json`` says."""
    argv = ("run", "chief", "--input", TOPICS, "--json", "--quiet")
    ended = run_process(folder, *argv, **environ)
    assert ended.returncode == 0, ended.stderr
    outcome: dict[str, Any] = json.loads(ended.stdout)
    return outcome


def journal_spans(folder: Path, run_id: str) -> list[dict[str, Any]]:
    """Return a run's operations as the journal has them."""
    ended = run_process(folder, "trace", "show", run_id, "--json")
    assert ended.returncode == 0, ended.stderr
    spans: list[dict[str, Any]] = json.loads(ended.stdout)
    return spans


def journal_tree(spans: Sequence[Mapping[str, Any]]) -> Node:
    """Return the tree of what began; what was denied has no span."""
    below = defaultdict(list)
    for span in spans:
        if span["status"] != "denied":
            below[span["parent"]].append(span)

    def node(span: Mapping[str, Any]) -> Node:
        bad = span["status"] in {"failed", "cancelled"}
        why = span["reason"] if span["operation"] == "invoke_agent" else None
        return (
            span["operation"],
            span["name"],
            span["attempts"] if span["operation"] == "invoke_agent" else 1,
            SEMANTIC_NAMES.get(span["provider"], span["provider"] or ""),
            span["input_tokens"] or 0,
            span["output_tokens"] or 0,
            span["cost_nano_usd"] or 0,
            bad,
            why or "",
            _sorted(node(each) for each in below[span["span"]]),
        )

    return node(spans[0])


def trace_tree(spans: Sequence[Stored]) -> Node | None:
    """Return the same of a trace; None where its root is not there.

    Spans without an operation, such as those of attempts and waits, are looked through. The bodies
    of an agent that crashed and was started again are one node.
    """
    by_id = {span.id: span for span in spans}
    below: defaultdict[str, list[Stored]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.started):
        if span.operation is not None:
            below[_above(span, by_id)].append(span)

    def node(bodies: Sequence[Stored]) -> Node:
        last = bodies[-1]
        said = last.attributes
        why = said.get("error.type", "") if last.operation == "invoke_agent" else ""
        return (
            last.operation,
            last.name.partition(" ")[2],
            len(bodies),
            said.get("gen_ai.provider.name", ""),
            said.get("gen_ai.usage.input_tokens", 0),
            said.get("gen_ai.usage.output_tokens", 0),
            said.get("magsag.cost.nano_usd", 0),
            last.failed,
            why,
            _sorted(map(node, _tasks(each for body in bodies for each in below[body.id]))),
        )

    roots = below[""]
    return node(roots) if len(roots) == 1 else None


def _above(span: Stored, by_id: Mapping[str, Stored]) -> str:
    """Return the id of the nearest operation above a span."""
    parent = by_id.get(span.parent)
    while parent is not None and parent.operation is None:
        parent = by_id.get(parent.parent)
    return "" if parent is None else parent.id


def _tasks(spans: Iterable[Stored]) -> list[list[Stored]]:
    """Group the bodies of each task of an agent; everything else stands alone."""
    groups: defaultdict[str, list[Stored]] = defaultdict(list)
    for span in spans:
        task = span.attributes.get("magsag.task.id")
        is_agent = span.operation == "invoke_agent" and task
        groups[f"task {task}" if is_agent else span.id].append(span)
    return list(groups.values())


def _sorted(nodes: Iterable[Node]) -> tuple[Node, ...]:
    return tuple(sorted(nodes, key=repr))
