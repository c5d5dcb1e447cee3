"""Each fault of a catalog file says what is wrong, where, and what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.catalog_workspace import FILES, Workspace, agent, prompt_only

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


# --- one file's faults ---------------------------------------------------------------------------

ONE_FILE = [
    ({"modle": "fast"}, "5:1: unknown key 'modle'; did you mean 'model'?"),
    ({"zzz": "1"}, "5:1: unknown key 'zzz'; none of the 19 keys is like it"),
    ({"backoff": "{frist_s: 1}"}, "5:11: unknown key 'frist_s'; did you mean 'first_s'?"),
    ({"role": "magg"}, "2:7: 'role' must be 'mag' or 'sag', got 'magg'; did you mean 'mag'?"),
    ({"concurrency": "ten"}, "5:14: 'concurrency' must be a whole number, got 'ten'; "),
    ({"concurrency": "1.5"}, "5:14: 'concurrency' must be a whole number, got the number 1.5; "),
    ({"concurrency": "0"}, "5:14: 'concurrency' must be at least 1, got the number 0; "),
    ({"concurrency": "yes"}, "'concurrency' must be a whole number, got yes, which YAML reads as"),
    ({"mailbox": "1_000_001"}, "'mailbox' must be at most 1000000, got the number 1_000_001; "),
    ({"deadline_s": "0"}, "5:13: 'deadline_s' must be more than 0, got the number 0; "),
    ({"deadline_s": ".inf"}, "5:13: '.inf' is no number that can be used; "),
    ({"deadline_s": ""}, "5:12: 'deadline_s' has no value; give it one, or remove the line"),
    ({"skills": ""}, "5:8: 'skills' has no value; give it one, or remove the line"),
    ({"skills": "find-documents"}, "5:9: 'skills' must be a list, got 'find-documents'; "),
    ({"agents": "[summarise, on]"}, "'agents[1]' must be text, got on, which YAML reads as true; "),
    ({"agents": "[summarise, summarise]"}, "5:21: 'agents' has the same value twice; remove one"),
    ({"description": "no"}, "3:14: 'description' must be text, got no, which YAML reads as false"),
    ({"description": "12:30"}, "3:14: 'description' must be text, got the number 12:30; "),
    ({"description": "''"}, "3:14: 'description' must not be empty, got ''; write a text"),
    ({"description": "[a]"}, "3:14: 'description' must be text, got a list; "),
    ({"name": "A b"}, "1:7: 'name' must be lower-case words joined by '-', got 'A b'; "),
    ({"name": "b"}, "1:7: agent 'b' is in a file called 'a'; give both the same name"),
    ({"max_restarts": "11"}, "5:15: 'max_restarts' must be at most 10, got the number 11; "),
    ({"backoff": "{first_s: 3, longest_s: 2}"}, "5:1: 'backoff.first_s' is 3, more than "),
    ({"backoff": "{longest_s: 0.1}"}, "5:1: 'backoff.first_s' is 0.2, more than "),
    ({"backoff": "fast"}, "5:10: 'backoff' must be a mapping, got 'fast'; "),
    ({"prompt": "x", "output": "{a: str}"}, "5:1: an agent has 'entrypoint' or 'prompt', not both"),
    ({"output": "{a: str}"}, "5:1: 'output' belongs to prompt-only agents; "),
    ({"entrypoint": "agents/digest.py"}, "4:13: 'entrypoint' must be a relative path.py:attribute"),
    ({"entrypoint": "agents.digest:run"}, "'entrypoint' must be a relative path.py:attribute"),
    ({"entrypoint": "/etc/passwd.py:run"}, "'/etc/passwd.py' is not inside the workspace; "),
    ({"entrypoint": "../other.py:run"}, "'../other.py' is not inside the workspace; "),
    ({"entrypoint": "agents/none.py:run"}, "there is no file 'agents/none.py' in the workspace; "),
    ({"entrypoint": f"{'x' * 300}.py:run"}, "in the workspace; write the file, or correct"),
    ({"name": "a\nname: a"}, "2:1: key 'name' is already at line 1; keep one of the two"),
    ({"on": "1"}, "5:1: a key must be text, and YAML does not read 'on' as text; "),
    ({"model": "fats"}, "5:8: 'fats' is neither a tier nor a model of a provider; did you mean"),
    ({"model": "openai/gpt-5"}, "'openai/gpt-5' is neither a tier nor a model of a provider; did"),
]


@pytest.mark.parametrize(("lines", "expected"), ONE_FILE, ids=[str(each[0]) for each in ONE_FILE])
def test_a_fault_says_what_is_wrong_where_and_what_to_do(
    workspace: Workspace, lines: dict[str, str], expected: str
) -> None:
    (fault,) = workspace.faults(agent(**lines))
    assert fault.startswith("agents/a.yaml:")
    assert expected in fault
    assert re.fullmatch(r"\S+:\d+:\d+: [^;]+(;[^;]+)*; .+", fault)


def test_a_missing_key_is_named(workspace: Workspace) -> None:
    first, second = workspace.faults({"agents/a.yaml": "name: a\nrole: sag\n"})
    assert first == "agents/a.yaml:1:1: 'description' is missing; add 'description: …'"
    assert "1:1: an agent needs 'entrypoint' (Python) or 'prompt' (no Python); add" in second


PROMPTS: list[tuple[dict[str, str | None], str]] = [
    ({"output": None}, "1:1: a prompt-only agent needs 'output', the fields of its answer; add it"),
    ({"output": "{}"}, "5:9: 'output' must have at least 1 in it, got a mapping; "),
    ({"role": "mag"}, "2:7: a prompt-only agent cannot orchestrate, so it is no mag; "),
    ({"output": "{a: strng}"}, "5:13: 'output.a.type' must be 'str', 'int', "),
    ({"output": "{a: strng}"}, "got 'strng'; did you mean 'str'?"),
    ({"output": "{a: {}}"}, "5:10: 'output.a.type' is missing; add 'type: …'"),
    ({"output": "{a: [str]}"}, "5:13: 'output.a' must be a mapping, got a list; "),
    ({"output": "{a: {type: str, defualt: x}}"}, "5:25: unknown key 'defualt'; did you mean 'def"),
    (
        {"output": "{a: {type: int, default: x}}"},
        "5:34: 'output.a.default' must be of the type int",
    ),
    (
        {"output": "{a: {type: int, default: true}}"},
        "must be of the type int; change one of the two",
    ),
    ({"output": "{a: {type: int, default: }}"}, "must be of the type int; change one of the two"),
    ({"output": "{a: {type: 'list[str]', default: [1]}}"}, "must be of the type list[str]; "),
    (
        {"output": "{a-b: str}"},
        "5:10: the key 'a-b' must be a letter, then letters, digits and '_'",
    ),
    ({"output": "{model_dump: str}"}, "5:10: the key 'model_dump' is a name that every pydantic"),
    ({"output": "{on: str}"}, "5:10: a key must be text, and YAML does not read 'on' as text; "),
    ({"prompt": "'{b}'"}, "4:9: no input field is called 'b'; there are no input fields yet"),
    ({"prompt": "'{txt}'", "input": "{text: str}"}, "called 'txt'; did you mean 'text'?"),
    ({"prompt": "'{text.x}'", "input": "{text: str}"}, "the placeholder 'text.x' looks inside"),
    ({"prompt": "'{text[0]}'", "input": "{text: str}"}, "the placeholder 'text[0]' looks inside"),
    ({"prompt": "'{text:>9}'", "input": "{text: str}"}, "'text' has a format or conversion; "),
    ({"prompt": "'{text!r}'", "input": "{text: str}"}, "'text' has a format or conversion; "),
    ({"prompt": "'{}'", "input": "{text: str}"}, "no input field is called ''; "),
    ({"prompt": "'{'", "input": "{text: str}"}, "4:9: the braces do not match: "),
    ({"prompt": "'}'", "input": "{text: str}"}, "4:9: the braces do not match: "),
    (
        {"prompt": "'{\"a\": 1}'", "input": "{text: str}"},
        "write {{ and }} for braces that are text",
    ),
]


@pytest.mark.parametrize(("lines", "expected"), PROMPTS, ids=[str(each[0]) for each in PROMPTS])
def test_a_prompt_only_agent_is_checked_to_the_last_placeholder(
    workspace: Workspace, lines: dict[str, str | None], expected: str
) -> None:
    (fault,) = workspace.faults(prompt_only(**lines))
    assert fault.startswith("agents/a.yaml:")
    assert expected in fault


def test_a_prompt_with_very_many_unknown_fields_names_some_of_them(workspace: Workspace) -> None:
    prompt = "".join(f"{{unknown{index}}}" for index in range(50_000))
    assert 1 < len(workspace.faults(prompt_only(prompt=f"'{prompt}'"))) < 50


def test_doubled_braces_are_text(workspace: Workspace) -> None:
    catalog = workspace.load(prompt_only(prompt="'as {{\"json\": {n}}}'", input="{n: int}"))
    assert catalog.agents["a"].prompt == 'as {{"json": {n}}}'


WORKFLOW = "name: w\ndescription: d\nagent: digest-mag\n"
DAILY = "max_cost_per_run_usd: 1, max_cost_per_agent_daily_usd"
BEFORE = (
    "prices: {openai/gpt-4o: {input_usd_per_mtok: 1, output_usd_per_mtok: 1,"
    " before: {input_usd_per_mtok: 1}}}\n"
)
OTHER_FILES = [
    ("skills/s.yaml", "name: a b\ndescription: d\nentrypoint: agents/digest.py:f\n", "1:7: 'name'"),
    ("skills/s.yaml", "name: s\nentrypoint: agents/digest.py:f\n", "'description' is missing"),
    (
        "workflows/w.yaml",
        WORKFLOW + "budget_usd: 0\n",
        "4:13: 'budget_usd' must be more than 0",
    ),
    (
        "workflows/w.yaml",
        WORKFLOW + "budget_usd: yes\n",
        "'budget_usd' must be an amount of US dollars",
    ),
    (
        "workflows/w.yaml",
        WORKFLOW + "budget_usd: 1e-3\n",
        "'budget_usd' must be an amount of US dollars",
    ),
    (
        "workflows/w.yaml",
        WORKFLOW + "budget_usd: 1.0e-12\n",
        "'budget_usd' must not be finer than 0.000000001 US dollars",
    ),
    (
        "workflows/w.yaml",
        WORKFLOW + "budget_usd: 1.0e+300\n",
        "'budget_usd' must be less than 1,000,000,000 US dollars",
    ),
    (
        "policies/p.yaml",
        f"policies: [{{name: p, thresholds: {{{DAILY}: much}}}}]\n",
        "1:90: 'policies[0].thresholds.max_cost_per_agent_daily_usd' must be an amount of US doll",
    ),
    (
        "policies/p.yaml",
        f"policies: [{{name: p, thresholds: {{{DAILY}: -1}}}}]\n",
        "1:90: 'policies[0].thresholds.max_cost_per_agent_daily_usd' must be at least 0; write a",
    ),
    (
        "policies/p.yaml",
        f"policies: [{{name: p, thresholds: {{{DAILY}: {{a b: 1}}}}}}]\n",
        "1:91: the key 'a b' must be a name, or a pattern with '*' and '?'",
    ),
    (
        "policies/p.yaml",
        "policies: [{name: p, thresholds: {max_cost_per_agent_dayly_usd: 1}}]\n",
        "1:35: unknown key 'max_cost_per_agent_dayly_usd'; did you mean 'max_cost_per_agent_daily",
    ),
    (
        "policies/p.yaml",
        "policies: [{name: p, tool_permissions: {tools: {shell: nevr}}}]\n",
        "1:56: 'policies[0].tool_permissions.tools.shell' must be 'always', 'require_approval' or",
    ),
    ("policies/p.yaml", "policies: [{name: p, retired: forbid}]\n", "must be 'warn' or 'deny'"),
    (
        "retirements.yaml",
        "retirements: {v: {m: 2026-02-30}}\n",
        "1:22: 'retirements.v.m' is no day of the calendar; write it like 2026-11-29",
    ),
    ("retirements.yaml", "retirements: {v: {m: soon}}\n", "'retirements.v.m' must be a day"),
    (
        "prices.yaml",
        "prices: {echo/echo-1: {input_usd_per_mtok: 1, output_usd_per_mtok: 1, since: 2026}}\n",
        "1:78: 'prices.echo/echo-1.since' must be text",
    ),
    (
        "prices.yaml",
        BEFORE,
        "'prices.openai/gpt-4o.before.output_usd_per_mtok' is missing",
    ),
    ("policies/p.yaml", "policies: [{name: p}]\n", "a policy says exactly one of allowed_models"),
    (
        "policies/p.yaml",
        "policies: [{name: p, allowed_models: [], requirements: {a: []}}]\n",
        "1:12: a policy says exactly one of",
    ),
    ("policies/p.yaml", "policies: []\n", "'policies' must have at least 1 in it"),
    ("policies/p.yaml", "policies: {}\n", "'policies' must be a list, got a mapping"),
    (
        "prices.yaml",
        "prices: {openai/gpt-4o: {input_usd_per_mtok: -1, output_usd_per_mtok: 1}}\n",
        "'prices.openai/gpt-4o.input_usd_per_mtok' must be at least 0",
    ),
    ("prices.yaml", "prices: {gpt-4o: {}}\n", "the key 'gpt-4o' must be provider/model"),
]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("thresholds: {max_cost_per_provider_monthly_usd: {opnai: 5}}",
         "3:54: there is no provider 'opnai'; did you mean 'openai'?"),
        ("residency: {pii: [local, locall]}",
         "3:30: no provider is in the region 'locall'; did you mean 'local'?"),
    ],
)  # fmt: skip
def test_a_policy_names_no_provider_and_no_region_that_there_is_not(
    workspace: Workspace, rule: str, expected: str
) -> None:
    text = f"policies:\n  - name: x\n    {rule}\n"
    (fault,) = workspace.faults({"policies/p.yaml": text})
    assert fault == f"policies/p.yaml:{expected}"
    pattern = "thresholds: {max_cost_per_provider_daily_usd: {'o*': 5}}"
    workspace.load({"policies/p.yaml": f"policies:\n  - name: x\n    {pattern}\n"})


def test_a_list_is_not_called_empty_because_something_in_it_is_wrong(workspace: Workspace) -> None:
    text = "policies:\n  - name: x\n    thresholds: {max_cost_per_run_usd: -1}\n"
    (fault,) = workspace.faults({"policies/p.yaml": text})
    assert "must be at least 0" in fault


@pytest.mark.parametrize(("name", "text", "expected"), OTHER_FILES)
def test_the_other_files_are_as_strict(
    workspace: Workspace, name: str, text: str, expected: str
) -> None:
    faults = workspace.faults({name: text})
    assert any(line.startswith(f"{name}:") and expected in line for line in faults)


SERVER = "dialect: openai_chat\n    any_model: true\n    "
PROVIDERS = [
    (SERVER, "2:3: this provider has neither 'base_url' nor 'base_url_env'; say where it is"),
    (f"{SERVER}base_url: x:9", "'providers.echo.base_url' must be an http:// or https:// URL; "),
    (f"{SERVER}base_url: http://x\n    api_key_required: true", "a key is required, but no "),
    ("dialect: echo\n    any_model: true\n    base_url: http://x", "5:5: 'base_url' means nothing"),
    ("dialect: echo", "2:3: no model of this provider can be asked; "),
    ("dialect: ech\n    any_model: true", "did you mean 'echo'?"),
    (
        f"{SERVER}base_url: http://x\n    limits: {{concurrency: lots}}",
        "6:27: 'providers.echo.limits.concurrency' must be a whole number from 1 to 100,000, or",
    ),
    (
        f"{SERVER}base_url: http://x\n    limits: {{concurrency: {{start: 600}}}}",
        "'limits.concurrency.start' is 600, more than 'limits.concurrency.max', 512; lower the one",
    ),
    (
        f"{SERVER}base_url: http://x\n    limits: {{concurrency: {{begin: 6}}}}",
        "6:28: unknown key 'begin'; the keys are 'max', 'start'",
    ),
    (
        f"{SERVER}base_url: http://x\n    limits: {{max_queue: 5, max_queue_per_run: 6}}",
        "'limits.max_queue_per_run' is 6, more than 'limits.max_queue', 5; ",
    ),
    (
        f"{SERVER}base_url: http://x\n    model_limits: {{gpt*: {{rmp: 6}}}}",
        "6:27: unknown key 'rmp'; did you mean 'rpm'?",
    ),
    (
        f"{SERVER}base_url: http://x\n    model_limits: {{gpt*: {{}}, gpt-4o: {{}}}}",
        "6:30: 'gpt-4o' is never reached: 'gpt*' above it fits all of it; move it further up",
    ),
    (
        f"{SERVER}base_url: http://x\n    timeouts: {{first_byte: 601}}",
        "'timeouts.first_byte' is 601, more than 'timeouts.total', 600.0; ",
    ),
    (
        f"{SERVER}base_url: http://x\n    fallback_dialect: openai_chat",
        "6:23: 'fallback_dialect' is the dialect itself; name another one, or remove it",
    ),
    (f"{SERVER}base_url: http://x\n    concurrency: 8", "6:5: unknown key 'concurrency'; "),
    (
        "dialect: echo\n    any_model: true\n    http: httpx",
        "5:5: 'http' means nothing to the dialect echo",
    ),
    (
        "dialect: echo\n    models: {a: }",
        "'providers.echo.models.a' must be a mapping, got nothing",
    ),
    ("dialect: echo\n    models: {a b: {}}", "the key 'a b' must be a name without spaces"),
    ("dialect: echo\n    models: {a: {context: 1}}", "'context'; did you mean 'context_tokens'?"),
]


@pytest.mark.parametrize(("text", "expected"), PROVIDERS)
def test_a_provider_that_could_not_be_asked_is_a_fault(
    workspace: Workspace, text: str, expected: str
) -> None:
    faults = workspace.faults({"providers.yaml": f"providers:\n  echo:\n    {text}\n"})
    assert any(line.startswith("providers.yaml:") and expected in line for line in faults)


def test_a_key_pasted_where_a_variable_belongs_is_not_repeated(workspace: Workspace) -> None:
    canary = "sk-canary 0123456789"
    text = FILES["providers.yaml"].replace("[OPENAI_API_KEY]", f"['{canary}']")
    (fault,) = workspace.faults({"providers.yaml": text})
    assert "must be the name of an environment variable" in fault
    assert "canary" not in fault
