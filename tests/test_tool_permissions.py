"""Which tools may be used: always, with approval, never; and that ``never`` is absolute."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import Context, mag, skill
from runtime.approval import approval_of
from runtime.catalog.policy import ToolRule, Tools
from runtime.errors import InvalidInput
from runtime.governance.tools import STRICTER, Use, ruling
from tests.catalog_workspace import Workspace
from tests.chat_server import chat_server
from tests.cli_workspace import make_workspace, run_process
from tests.echoes import at, catalog_of, policy, provider, told

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.approval import ApprovalRequest
    from runtime.catalog.policies import Permission

ENVIRONMENTS = ("development", "staging", "production", "")
PERMISSIONS = st.sampled_from(STRICTER)
PATTERNS = st.sampled_from(["*", "read", "shell.*", "shell.run", "r?ad"])
RULES = st.builds(
    ToolRule,
    PATTERNS,
    PERMISSIONS,
    st.sampled_from([None, "development", "production"]),
    st.sampled_from([None, "clerk", "c*", "other"]),
    st.sampled_from([(), (("path", "/etc/*"),), (("force", "true"),), (("path", "*"),)]),
)
TOOLS = st.builds(
    Tools,
    st.lists(RULES, max_size=5).map(tuple),
    st.dictionaries(st.sampled_from([None, "development", "production"]), PERMISSIONS),
)
USES = st.builds(
    Use,
    st.sampled_from(["read", "shell.run", "write"]),
    st.sampled_from(["clerk", "other"]),
    st.sampled_from(ENVIRONMENTS),
    st.sampled_from([{}, None, "text", ["/etc/x"], {"path": "/etc/x"}, {"force": True}]),
)


def of(text: str, tmp_path: Path) -> Any:
    """Return the policies of a YAML text, whose lines are those of ``tool_permissions``."""
    lines = "".join(f"      {line}\n" for line in text.strip().splitlines())
    whole = f"policies:\n  - name: p\n    tool_permissions:\n{lines}"
    return Workspace(tmp_path).load({"policies/all.yaml": whole}).policies


YAML = """
default: require_approval
tools: {read: always, "shell.*": never}
environments:
  development: {default: always, tools: {write: always, "shell.run": always}}
  production: {tools: {read: require_approval}}
rules:
  - {tool: read, when: {path: "/etc/*"}, permission: never}
  - {tool: "*", when: {force: "true"}, permission: require_approval}
  - {tool: "*", when: {count: "1?"}, permission: never}
  - {tool: "*", when: {nothing: "null"}, permission: never}
  - {tool: "*", when: {path: "*", mode: w}, permission: never}
  - {tool: deploy, agent: "release-*", permission: always}
"""


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (Use("read", "a", "staging", {}), "always"),
        (Use("read", "a", "production", {}), "require_approval"),
        (Use("write", "a", "development", {}), "always"),
        (Use("write", "a", "staging", {}), "require_approval"),
        (Use("other", "a", "development", {}), "always"),
        (Use("other", "a", "staging", {}), "require_approval"),
        (Use("other", "a", "production", {}), "require_approval"),
        # Never is absolute, whatever an environment says.
        (Use("shell.run", "a", "development", {}), "never"),
        (Use("shell.rm", "a", "production", {}), "never"),
        (Use("shell", "a", "development", {}), "always"),
        # Rules see arguments, as text.
        (Use("read", "a", "development", {"path": "/etc/passwd"}), "never"),
        (Use("read", "a", "development", {"path": "/home/me"}), "always"),
        (Use("read", "a", "development", {"file": "/etc/passwd"}), "always"),
        (Use("read", "a", "development", {"force": True}), "require_approval"),
        (Use("read", "a", "development", {"force": "true"}), "require_approval"),
        (Use("read", "a", "development", {"force": False}), "always"),
        (Use("read", "a", "development", {"count": 12}), "never"),
        (Use("read", "a", "development", {"count": 120}), "always"),
        (Use("read", "a", "development", {"nothing": None}), "never"),
        (Use("read", "a", "development", {"path": "x", "mode": "w"}), "never"),
        (Use("read", "a", "development", {"mode": "w"}), "always"),
        (Use("read", "a", "development", "/etc/passwd"), "always"),  # only objects have names
        # Rules see agents; among those that fit the strictest decides.
        (Use("deploy", "release-bot", "staging", {}), "always"),
        (Use("deploy", "intern", "staging", {}), "require_approval"),
        (Use("deploy", "release-bot", "staging", {"force": True}), "require_approval"),
    ],
)
def test_the_strictest_of_what_fits_decides(tmp_path: Path, use: Use, expected: Permission) -> None:
    assert ruling(of(YAML, tmp_path), use).permission == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tools: {other: never}", "always"),
        ("default: never", "never"),
        ("environments: {production: {default: never}}", "never"),
        ("environments: {staging: {default: never}}", "always"),
        ("default: never\nenvironments: {production: {default: always}}", "always"),
        ("default: never\ntools: {read: always}", "always"),
    ],
)
def test_where_nothing_fits_the_environments_default_goes_before_the_general_one(
    tmp_path: Path, text: str, expected: Permission
) -> None:
    use = Use("read", "a", "production", {})
    assert ruling(of(text, tmp_path), use).permission == expected


def test_without_any_policy_every_tool_may_be_used() -> None:
    assert ruling([policy()], Use("shell.run", "a", "production", {})) == ("always", "")


@given(TOOLS, USES, st.sampled_from(ENVIRONMENTS), st.lists(RULES, max_size=3))
def test_never_is_absolute_in_every_environment_and_no_further_rule_makes_it_less(
    tools: Tools, use: Use, environment: str, more: list[ToolRule]
) -> None:
    everywhere = ToolRule(use.tool, "never")
    forbidding = tools._replace(rules=(*tools.rules, everywhere, *more))
    elsewhere = use._replace(environment=environment)
    assert ruling([policy(tools=forbidding)], elsewhere).permission == "never"
    both = [policy(tools=tools), policy(tools=Tools((everywhere,)))]
    assert ruling(both, elsewhere).permission == "never"


@given(st.lists(TOOLS, min_size=1, max_size=4), USES)
def test_of_several_policies_the_strictest_decides_and_is_named(
    several: list[Tools], use: Use
) -> None:
    policies = [policy(f"p{number}", tools=tools) for number, tools in enumerate(several)]
    alone = [ruling([each], use) for each in policies]
    found = ruling(policies, use)
    assert found.permission == max((each.permission for each in alone), key=STRICTER.index)
    assert found in alone


# --- in a run ------------------------------------------------------------------------------------

DONE: list[str] = []


@skill(name="shell.run")
async def shell_run(command: str) -> str:
    DONE.append(command)
    return f"ran {command}"


@mag
async def operator(ctx: Context, command: str) -> str:
    answer: str = await ctx.use(shell_run, command)
    return answer


@mag
async def asks_a_model(ctx: Context) -> str:
    return await ctx.ask("list it", tools=[shell_run])


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    DONE.clear()


def under(permission: Permission, environment: str | None = None, **entry: Any) -> Any:
    rule = ToolRule("shell.*", permission, environment)
    return catalog_of(
        {"home": provider("echo-1")} | entry,
        policies=(policy("tools", tools=Tools((rule,))),),
    )


def noted(came: Any) -> list[str]:
    events = (event.body for event in came.events if event.kind == "log")
    return [body["event"] for body in events if body["event"].startswith("tool_")]


def decided(came: Any) -> list[bool]:
    events = (event for event in came.events if event.kind == "approval_decided")
    return [event.body["approved"] for event in events]


async def test_what_may_always_be_used_is_used() -> None:
    came = await told(under("always"), operator, "ls")
    assert (came.outcome.output, DONE, noted(came)) == ("ran ls", ["ls"], [])


@skill
async def remove(path: str, force: bool = True) -> str:
    return path


@skill(name="remove")
async def remove_one(path: str) -> str:
    return path


@pytest.mark.parametrize(
    ("tool", "payload", "when"),
    [
        (remove, {"path": "/etc/x"}, ("force", "true")),  # a default that nobody gave
        (remove, {"path": "/etc/x", "force": "yes"}, ("force", "true")),
        (remove, {"path": "/etc/x", "force": 1}, ("force", "true")),
        (remove, {"path": "/etc/x", "force": 1}, ("path", "/etc/*")),
        (remove_one, "/etc/x", ("path", "/etc/*")),  # an argument without its name
    ],
)
async def test_a_rule_looks_at_the_arguments_as_the_tool_gets_them(
    tool: Any, payload: Any, when: tuple[str, str]
) -> None:
    @mag
    async def janitor(ctx: Context) -> Any:
        return await ctx.use_payload(tool, payload)

    rule = ToolRule("remove", "never", None, None, (when,))
    policies = (policy("tools", tools=Tools((rule,))),)
    came = await told(catalog_of({"home": provider("echo-1")}, policies=policies), janitor)
    assert came.outcome.reason == "denied"


async def test_arguments_that_a_tool_refuses_are_refused_and_not_denied() -> None:
    @mag
    async def janitor(ctx: Context) -> Any:
        return await ctx.use_payload(remove, {"path": "/etc/x", "force": "perhaps"})

    rule = ToolRule("remove", "never", None, None, (("force", "true"),))
    policies = (policy("tools", tools=Tools((rule,))),)
    came = await told(catalog_of({"home": provider("echo-1")}, policies=policies), janitor)
    assert came.outcome.reason == "invalid_input"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
async def test_what_may_never_be_used_is_denied_in_every_environment(environment: str) -> None:
    async def approve(_: ApprovalRequest) -> bool | None:
        raise AssertionError("nobody is asked to approve what is never allowed")

    environ = {"MAGSAG_ENVIRONMENT": environment}
    came = await told(under("never"), operator, "ls", environ=environ, approve=approve)
    assert (came.outcome.reason, came.outcome.exit_code, DONE) == ("denied", 4, [])
    assert "policy tools (tools.yaml:1): agent operator may never" in (came.outcome.error or "")
    assert noted(came) == ["tool_denied"]


@pytest.mark.parametrize(
    ("environ", "denied"),
    [
        ({}, True),
        ({"MAGSAG_ENVIRONMENT": "production"}, True),
        ({"MAGSAG_ENVIRONMENT": " dev "}, False),
    ],
)
async def test_an_environment_that_nobody_names_is_production(
    environ: dict[str, str], denied: bool
) -> None:
    came = await told(under("never", "production"), operator, "ls", environ=environ)
    assert (came.outcome.reason == "denied") == denied


@pytest.mark.parametrize("said", ["prodution", "PRODUCTION"])
async def test_a_misspelt_environment_switches_no_rule_off(said: str) -> None:
    environ = {"MAGSAG_ENVIRONMENT": said}
    with pytest.raises(InvalidInput, match=f"MAGSAG_ENVIRONMENT={said}.*mean 'production'"):
        await told(under("never", "production"), operator, "ls", environ=environ)


async def test_what_needs_approval_is_used_once_somebody_has_approved_just_that() -> None:
    asked: list[ApprovalRequest] = []

    async def approve(wish: ApprovalRequest) -> bool | None:
        asked.append(wish)
        return {"ls": True, "rm": False}.get(wish.data["command"])

    catalog = under("require_approval")
    allowed = await told(catalog, operator, "ls", approve=approve)
    refused = await told(catalog, operator, "rm", approve=approve)
    nobody = await told(catalog, operator, "ls")
    left = await told(catalog, operator, "df", approve=approve)
    assert (allowed.outcome.output, decided(allowed)) == ("ran ls", [True])
    assert (refused.outcome.reason, decided(refused)) == ("denied", [False])
    assert "only with approval, and" in (refused.outcome.error or "")
    for came in (nobody, left):
        assert (came.outcome.status, decided(came)) == ("waiting", [])
        assert [each.tool for each in came.outcome.waits_for] == ["shell.run"]
    assert DONE == ["ls"]
    wish = asked[0]
    assert (wish.run_id, wish.agent, wish.tool) == (allowed.outcome.run_id, "operator", "shell.run")
    assert wish.policy == "policy tools (tools.yaml:1)"


@pytest.mark.parametrize(
    ("patterns", "approved"),
    [(["shell.run"], True), (["shell.*"], True), (["*"], True), (["shell"], False), ([], False)],
)
async def test_tools_are_approved_by_name_or_pattern(patterns: list[str], approved: bool) -> None:
    approve = approval_of(patterns)
    came = await told(under("require_approval"), operator, "ls", approve=approve)
    assert came.outcome.ok == approved


@pytest.mark.real_time
async def test_a_model_that_calls_what_it_may_not_ends_the_call_and_nothing_runs() -> None:
    call = {"name": "shell_run", "arguments": json.dumps({"command": "rm -rf /"})}
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "1", "type": "function", "function": call}],
    }
    choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
    reply = {"id": "1", "object": "chat.completion", "model": "m", "choices": [choice]}
    with chat_server(lambda _: (200, reply)) as server:
        catalog = under("never", p=at(server.url))
        came = await told(catalog, asks_a_model, model="p/m")
    assert (came.outcome.reason, DONE, len(server.requests)) == ("denied", [], 1)


SHELL = """\
from runtime import Context, mag, skill


@skill(name="shell.run")
async def shell_run(command: str) -> str:
    return f"ran {command}"


@mag
async def operator(ctx: Context) -> str:
    return await ctx.use(shell_run, "ls")
"""
ENTRY = "name: operator\nrole: mag\ndescription: d\nentrypoint: agents/shell.py:operator\n"
APPROVED = """\
policies:
  - name: tools
    tool_permissions: {tools: {"shell.*": require_approval, "shell.rm": never}}
"""


def test_the_command_line_approves_what_it_names(tmp_path: Path) -> None:
    root = make_workspace(tmp_path)
    files = {"agents/shell.py": SHELL, "catalog/agents/operator.yaml": ENTRY}
    for name, text in (files | {"catalog/policies/p.yaml": APPROVED}).items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    assert run_process(root, "run", "operator").returncode == 5
    assert run_process(root, "run", "operator", "--approve", "read").returncode == 5
    done = run_process(root, "run", "operator", "--approve", "read", "--approve", "shell.*")
    assert (done.returncode, done.stdout) == (0, "ran ls\n")
