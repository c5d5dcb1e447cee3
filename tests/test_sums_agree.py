"""What calls cost is one sum, to the nano-dollar, wherever it is told and however they ended.

One workspace, one journal: agents and files of lines are run by real processes against a simulator
of servers, at the prices of real models and at one whose parts are no whole nano-dollars. Then the
sums are taken: of the spans, of the journal's tables, of ``flow summarize``, of ``data query``, and
what each command said itself.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import subprocess
from collections import Counter, defaultdict
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.cli_workspace import command, environment, run_process
from tests.otel_metrics import Measured
from tests.otel_receivers import running_collector
from tests.simulated import simulator
from tests.test_invoke_processes import assert_goes_on

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from tests.simulated import Simulated

COST, TOTAL = "magsag.cost.nano_usd", "magsag.total.cost.nano_usd"
TOKENS = ("input_tokens", "output_tokens")
AGENTS = '''\
"""Agents that ask as they are told, and bear what comes of it."""

from runtime import Context, mag, sag
from runtime.errors import RuntimeFault


async def ask(ctx: Context, call: dict) -> None:
    call = dict(call)
    prompt, leave_after = call.pop("prompt"), call.pop("leave_after", None)
    if not call.pop("stream", False):
        await ctx.ask(prompt, **call)
        return
    read = 0
    async for _ in ctx.stream(prompt, **call):
        read += 1
        if read == leave_after:
            break


async def bear(ctx: Context, calls: list) -> list:
    told = []
    for call in calls:
        try:
            await ask(ctx, call)
        except RuntimeFault as error:
            told.append(type(error).__name__)
        else:
            told.append("ok")
    return told


@mag
async def spends(ctx: Context, calls: list) -> list:
    return await bear(ctx, calls)


@mag
async def insists(ctx: Context, calls: list) -> None:
    for call in calls:
        await ask(ctx, call)


@mag
async def shares(ctx: Context, calls: list) -> list:
    own = await bear(ctx, calls[:1])
    parts = await ctx.fan_out(helps, [calls[1::2], calls[2::2]])
    return [own, *(part.unwrap() for part in parts)]


@sag
async def helps(ctx: Context, calls: list) -> list:
    return await bear(ctx, calls)
'''
ROLES = {"spends": "mag", "insists": "mag", "shares": "mag", "helps": "sag"}
PROVIDERS = """\
providers:
  echo: {{dialect: echo, models: {{echo-1: {{}}}}}}
  openai: {{dialect: openai_chat, base_url: "{url}/v1", any_model: true}}
  responses: {{dialect: openai_responses, vendor: openai, base_url: "{url}/v1", any_model: true}}
  anthropic: {{dialect: anthropic, base_url: "{url}", any_model: true}}
  google: {{dialect: google, base_url: "{url}", any_model: true}}
  house: {{dialect: openai_chat, base_url: "{url}/v1", any_model: true}}
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
PRICES = """\
prices:
  openai/odd:
    input_usd_per_mtok: "0.123456789"
    output_usd_per_mtok: "0.987654321"
    cached_input_usd_per_mtok: "0.000000001"
"""
NOT_ALLOWED = "gpt-4.1"
POLICIES = {
    "catalog": """\
policies:
  - name: some
    allowed_models: ["gpt-4o*", gpt-4.1-mini, "gpt-5*", "claude-*", "gemini-*", odd, own, echo-1]
""",
    # Here a model whose price nobody knows counts 50 dollars a million tokens.
    "counting": """\
policies:
  - name: counted
    thresholds: {unknown_price_usd_per_mtok: 50}
""",
}
GPT, CLAUDE, GEMINI = "openai/gpt-4o", "anthropic/claude-haiku-4-5", "google/gemini-2.5-flash"
NANO, ODD, OWN = "responses/gpt-5-nano", "openai/odd", "house/own"
PRICED = (GPT, CLAUDE, GEMINI, NANO, ODD)


class Work(NamedTuple):
    """What one process is to do.

    Attributes:
        scenario: how the server behaves.
        calls: what the agent asks, or the lines of ``invoke``.
        statuses: how often which status is in the audit trail in the end; None where chance has a
            part in it.
        agent: the agent, where there is one.
        argv: further options.
        code: what the process ends with.
        costs: whether anything is known to be spent.
    """

    scenario: Mapping[str, Any]
    calls: Sequence[Mapping[str, Any]]
    statuses: Mapping[str, int] | None
    agent: str = "spends"
    argv: tuple[str, ...] = ()
    code: int = 0
    costs: bool = True


def asks(word: str, *targets: str, **fields: Any) -> list[dict[str, Any]]:
    """Return calls with different prompts, whose lengths are no round numbers of tokens."""
    return [
        {"prompt": f"{word} {'x' * (101 + 7 * number)}", "model": target} | fields
        for number, target in enumerate(targets)
    ]


def lines(word: str, *targets: str, **fields: Any) -> list[dict[str, Any]]:
    """Return the same as lines."""
    split = (target.split("/", 1) for target in targets)
    return [
        {
            "id": number,
            "provider": provider,
            "model": model,
            "messages": [{"role": "user", "content": f"{word} {'x' * (101 + 7 * number)}"}],
        }
        | fields
        for number, (provider, model) in enumerate(split)
    ]


def behaving(*rules: tuple[dict[str, Any], dict[str, Any]], **defaults: Any) -> dict[str, Any]:
    """Return a scenario."""
    usual = {"output_tokens": 37} | defaults
    return {"defaults": usual, "rules": [{"match": when, "then": then} for when, then in rules]}


FIRST, LATER = {"nth": 1}, {"nth": {"first": 2}}
CUT, LOST = {"fault": "reset_mid_body", "after": 3}, {"fault": "close_mid_body"}
CHAT = {"path": "/v1/chat/*"}
RUNS: dict[str, Work] = {
    "plain": Work(behaving(), asks("plain", *PRICED), {"completed": 5}),
    "cached tokens": Work(
        behaving(cached_share=0.37, reasoning_tokens=5),
        asks("cached " + "y" * 900, *PRICED),
        {"completed": 5},
    ),
    "streams": Work(
        behaving(cached_share=0.61), asks("stream", *PRICED, stream=True), {"completed": 5}
    ),
    "streams that are left": Work(
        behaving(), asks("left", *PRICED, stream=True, leave_after=3), {"completed": 5}
    ),
    "streams that are cut": Work(behaving(**CUT), asks("cut", *PRICED, stream=True), {"failed": 5}),
    "lost, then answered": Work(
        behaving(({"nth": [1, 3]}, LOST)), asks("lost", GPT, ODD), {"completed": 2}
    ),
    "lost, then refused": Work(
        behaving((FIRST, LOST), (LATER, {"error": "invalid_request"})),
        asks("refused", GPT),
        {"failed": 1},
        costs=False,
    ),
    "lost for good": Work(
        behaving(fault="close_before_head"), asks("gone", GPT), {"failed": 1}, costs=False
    ),
    "failed for good": Work(
        behaving(error="invalid_request"), asks("bad", *PRICED), {"failed": 5}, costs=False
    ),
    "fallen back": Work(
        behaving((CHAT, {"error": "invalid_key"})),
        asks("fallen", "openai/gpt-4.1-mini"),
        {"failed": 1, "completed": 1},
    ),
    "lost, then fallen back": Work(
        behaving((CHAT, LOST)),
        asks("fallen twice", "openai/gpt-4.1-mini"),
        {"failed": 1, "completed": 1},
    ),
    "refused by the budget": Work(
        behaving(),
        [*asks("paid", GPT, max_output_tokens=50), *asks("dear", GPT, max_output_tokens=4_000)],
        {"completed": 1, "denied": 1},
        agent="insists",
        argv=("--budget-usd", "0.01"),
        code=3,
    ),
    "answered before": Work(
        behaving(), asks("again", GPT, use_cache=True) * 3, {"completed": 1, "cached": 2}
    ),
    "denied": Work(
        behaving(),
        asks("denied", f"openai/{NOT_ALLOWED}", GPT),
        {"denied": 1, "completed": 1},
    ),
    "unpriced among priced": Work(behaving(), asks("own", OWN, GPT, OWN), {"completed": 3}),
    "unpriced alone": Work(behaving(), asks("alone", OWN), {"completed": 1}, costs=False),
    "unpriced and cut": Work(
        behaving((CHAT, CUT)),
        asks("own cut", OWN, NANO, stream=True),
        {"failed": 1, "completed": 1},
    ),
    "unpriced but counted": Work(
        behaving(({"stream": True}, CUT)),
        [*asks("counted", OWN, GPT), *asks("counted cut", OWN, stream=True)],
        {"completed": 2, "failed": 1},
        argv=("--catalog", "counting"),
    ),
    "shared out": Work(
        behaving(({"nth": {"every": 4}}, LOST)),
        asks("shared", *PRICED, *PRICED),
        {"completed": 10},
        agent="shares",
    ),
    "over in the middle": Work(
        behaving(({"stream": True}, {"fault": "stall_mid_body", "after": 3})),
        [*asks("before", GPT), *asks("middle", CLAUDE, stream=True)],
        {"completed": 2},  # what was read of the second is an answer that was left
        argv=("--deadline", "3"),
        code=2,
    ),
    "over in flight": Work(
        behaving((LATER, {"latency": 600})),
        asks("flight", GPT, CLAUDE),
        {"completed": 1, "failed": 1},
        argv=("--deadline", "3"),
        code=2,
    ),
}
FIFTY = [
    one | {"stream": number % 3 == 0}
    for number, one in enumerate(lines("fifty", *((*PRICED, OWN) * 9)[:50]))
]
INVOKED: dict[str, Work] = {
    "fifty lines": Work(
        behaving(
            ({"model": "gemini-*"}, {"cached_share": 0.83}),
            ({"stream": False, "nth": {"every": 11}}, LOST),
            ({"stream": False, "nth": [5, 15]}, {"error": "invalid_request"}),
            ({"stream": True, "nth": {"every": 5}}, CUT),
            reasoning_tokens=3,
        ),
        FIFTY,
        None,
        code=2,
    ),
    "lines that are lost": Work(
        behaving(fault="close_before_head"),
        lines("gone", GPT, ODD),
        {"failed": 2},
        code=2,
        costs=False,
    ),
    "a line that is lost and over": Work(
        behaving((FIRST, LOST), (LATER, {"latency": 600})),
        lines("over", GPT, timeout=3),
        {"failed": 1},
        code=2,
        costs=False,
    ),
    "a line over in flight": Work(
        behaving(latency=600), lines("flight", GPT, timeout=1), {"failed": 1}, code=2, costs=False
    ),
    "lines that are cut": Work(
        behaving(**CUT), lines("cut", *PRICED, OWN, stream=True), {"failed": 6}, code=2
    ),
    "lines over a budget": Work(
        behaving(),
        lines("dear", *[GPT] * 6, max_tokens=50),
        {"completed": 2, "denied": 4},
        argv=("--budget-usd", "0.0030", "--concurrency", "1"),
        code=2,
    ),
}
NAMES = (*RUNS, *INVOKED)


class Done(NamedTuple):
    """A process that has ended.

    Attributes:
        run_id: its run.
        code: what it ended with.
        result: the object that it printed; of lines, a list of them.
        told: what it wrote to standard error.
    """

    run_id: str
    code: int
    result: Any
    told: str


class History:
    """A workspace with processes that have ended, and what is told of them.

    Attributes:
        done: the processes by the name of their work.
        killed: the runs of those that were killed, by name.
        spans: all spans.
        measured: all metrics.
        summary: what ``flow summarize`` says.
        rows: the rows of ``data query --format csv``.
        listed: what ``runs --json`` says of each run.
        stats: what ``providers stats --json`` says of each model.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: dict[str, Done] = {}
        self.killed: dict[str, str] = {}
        self.spans: list[Span] = []
        self.measured = Measured()
        self.summary: dict[str, Any] = {}
        self.rows: list[dict[str, str]] = []
        self.listed: dict[str, dict[str, Any]] = {}
        self.stats: list[dict[str, Any]] = []

    def table(self, query: str, *given: Any) -> list[sqlite3.Row]:
        """Return rows of the journal's own tables; none while there is no journal."""
        file = self.folder / "journal.db"
        if not file.exists():
            return []
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(query, given).fetchall()

    def run_ids(self) -> set[str]:
        return {row["run_id"] for row in self.table("SELECT run_id FROM run")}

    def run(self, run_id: str) -> sqlite3.Row:
        (row,) = self.table("SELECT * FROM run WHERE run_id = ?", run_id)
        return row

    def calls(self, run_id: str) -> list[sqlite3.Row]:
        return self.table("SELECT * FROM call WHERE run_id = ? ORDER BY started_at", run_id)

    def of_csv(self, run_id: str) -> list[dict[str, str]]:
        return [row for row in self.rows if row["run_id"] == run_id]

    def spans_of(self, run_id: str) -> list[Span]:
        trace = bytes.fromhex(self.run(run_id)["trace_id"])
        return [span for span in self.spans if span.trace_id == trace]

    def run_cost(self, run_id: str) -> dict[str, Any]:
        (found,) = (each for each in self.summary["run_costs"] if each["run_id"] == run_id)
        return dict(found)


def attributes(span: Span) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value")
        for each in span.attributes
    }


def nano(usd: float | None) -> int:
    """Return dollars that were printed as nano-dollars; unknown ones count nothing."""
    return 0 if usd is None else round(usd * 10**9)


def is_call(span: Span) -> bool:
    return span.name.startswith("chat ")


# --- what happens --------------------------------------------------------------------------------


def make(root: Path, url: str) -> None:
    """Write the workspace, with a second catalog beside the first."""
    for name, policies in POLICIES.items():
        write(root / name / "providers.yaml", PROVIDERS.format(url=url))
        write(root / name / "routing" / "default.yaml", ROUTING)
        write(root / name / "prices.yaml", PRICES)
        write(root / name / "policies" / "all.yaml", policies)
        for agent, role in ROLES.items():
            entry = f"name: {agent}\nrole: {role}\ndescription: d\n"
            write(
                root / name / "agents" / f"{agent}.yaml",
                f"{entry}entrypoint: agents/spending.py:{agent}\n",
            )
    write(root / "agents" / "spending.py", AGENTS)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def ended(history: History, name: str, argv: Sequence[str], environ: Mapping[str, str]) -> None:
    """Run a command that makes one run, and note what it printed."""
    before = history.run_ids()
    process = run_process(history.folder, *argv, **environ)
    (run_id,) = history.run_ids() - before
    printed = process.stdout
    many = argv[0] == "invoke"
    result = [json.loads(line) for line in printed.splitlines()] if many else json.loads(printed)
    history.done[name] = Done(run_id, process.returncode, result, process.stderr)


def killed(
    history: History, name: str, argv: Sequence[str], is_ripe: Callable[[Counter[str]], bool]
) -> None:
    """Run a command, and kill it once its calls stand as wanted in the journal."""
    before = history.run_ids()
    statuses: Counter[str] = Counter()
    with subprocess.Popen(  # our own interpreter
        command(*argv),
        cwd=history.folder,
        env=environment(MAGSAG_DB=str(history.folder / "journal.db")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        while not is_ripe(statuses):
            assert_goes_on(process)
            new = history.run_ids() - before
            statuses = Counter(call["status"] for run_id in new for call in history.calls(run_id))
        process.kill()
    (history.killed[name],) = history.run_ids() - before


def play(history: History, server: Simulated, environ: Mapping[str, str]) -> None:
    """Do all the work."""
    for name, work in RUNS.items():
        server.swap(work.scenario)
        given = json.dumps(work.calls)
        argv = ("run", work.agent, "--input", given, "--json", "--quiet", *work.argv)
        ended(history, name, argv, environ)
    for name, work in INVOKED.items():
        server.swap(work.scenario)
        write_lines(history.folder / "in.jsonl", work.calls)
        ended(history, name, ("invoke", "--jsonl", "in.jsonl", *work.argv), environ)
    held = {"nth": {"first": 2, "last": 3}}, {"latency": 600}
    server.swap(behaving(held))
    given = json.dumps(asks("killed", GPT, CLAUDE))
    ripe = {"completed": 1, "running": 1}
    killed(history, "a run", ("run", "spends", "--input", given), lambda now: dict(now) == ripe)
    server.swap(behaving(held))
    write_lines(history.folder / "in.jsonl", lines("killed", *PRICED, *PRICED))
    many = {"completed": 8, "running": 2}
    killed(history, "lines", ("invoke", "--jsonl", "in.jsonl"), lambda now: dict(now) == many)


def write_lines(file: Path, given: Sequence[Mapping[str, Any]]) -> None:
    file.write_text("".join(json.dumps(each) + "\n" for each in given))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    history = History(tmp_path_factory.mktemp("sums"))
    with simulator() as server, running_collector() as collector:
        make(history.folder, server.url)
        play(history, server, collector.metric_environ)
        history.spans = list(collector.collected.spans)
        history.measured = collector.measured
    history.summary = json.loads(output_of(history.folder, "flow", "summarize"))
    query = output_of(history.folder, "data", "query", "--format", "csv")
    history.rows = list(csv.DictReader(io.StringIO(query)))
    runs = json.loads(output_of(history.folder, "runs", "--json", "--limit", "1000"))
    history.listed = {run["run_id"]: run for run in runs}
    history.stats = json.loads(output_of(history.folder, "providers", "stats", "--json"))[
        "providers"
    ]
    return history


def output_of(folder: Path, *argv: str) -> str:
    """Return what a command prints that only looks."""
    process = run_process(folder, *argv)
    assert process.returncode == 0, process.stderr
    return process.stdout


# --- run by run ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_everything_happened_as_it_was_meant_to(history: History, name: str) -> None:
    work = RUNS[name] if name in RUNS else INVOKED[name]
    done = history.done[name]
    assert done.code == work.code, (done.result, done.told)
    statuses = Counter(call["status"] for call in history.calls(done.run_id))
    assert work.statuses is None or statuses == work.statuses
    assert (history.run(done.run_id)["cost_nano_usd"] > 0) == work.costs


@pytest.mark.parametrize("name", NAMES)
def test_spans_journal_summary_and_command_line_tell_one_cost(history: History, name: str) -> None:
    done = history.done[name]
    run_id = done.run_id
    spans = history.spans_of(run_id)
    (root,) = (span for span in spans if not span.parent_span_id)
    of_command = (
        sum(nano(line["cost_usd"]) for line in done.result)
        if name in INVOKED
        else nano(done.result["cost_usd"])
    )
    told = {
        "chat spans": sum(attributes(span).get(COST, 0) for span in spans if is_call(span)),
        "root span": attributes(root).get(TOTAL, 0),
        "call table": sum(call["cost_nano_usd"] for call in history.calls(run_id)),
        "run table": history.run(run_id)["cost_nano_usd"],
        "events": sum(
            event["cost_nano_usd"]
            for event in history.table("SELECT * FROM journal WHERE run_id = ?", run_id)
        ),
        "summary": nano(history.run_cost(run_id)["cost_usd"]),
        "list of runs": nano(history.listed[run_id]["cost_usd"]),
        "csv, nano": sum(int(row["cost_nano_usd"]) for row in history.of_csv(run_id)),
        "csv, dollars": int(
            sum(Decimal(row["cost_usd"] or 0) for row in history.of_csv(run_id)) * 10**9
        ),
        "command": of_command,
    }
    assert len(set(told.values())) == 1, told


@pytest.mark.parametrize("name", INVOKED)
def test_the_total_that_invoke_tells_is_that_cost_too(history: History, name: str) -> None:
    """It is for people, with six digits behind the point."""
    done = history.done[name]
    told = re.search(r"\$(\d+\.\d{6})", done.told)
    assert told is not None, done.told
    cost = Decimal(history.run(done.run_id)["cost_nano_usd"]) / 10**9
    assert abs(Decimal(told[1]) - cost) <= Decimal("0.0000005")


@pytest.mark.parametrize("name", NAMES)
def test_what_budgets_count_is_one_sum_and_no_less_than_the_cost(
    history: History, name: str
) -> None:
    run_id = history.done[name].run_id
    calls = history.calls(run_id)
    ends = history.table(
        "SELECT json_extract(body, '$.settled_nano_usd') AS settled FROM journal"
        " WHERE run_id = ? AND kind IN ('invocation_completed', 'invocation_failed')",
        run_id,
    )
    counted = sum(call["settled_nano_usd"] for call in calls)
    assert counted == sum(end["settled"] for end in ends)
    assert counted == nano(history.run_cost(run_id)["counted_usd"])
    assert all(call["settled_nano_usd"] >= call["cost_nano_usd"] for call in calls)


@pytest.mark.parametrize("name", NAMES)
def test_the_tokens_are_one_sum_too(history: History, name: str) -> None:
    done = history.done[name]
    spans = [attributes(span) for span in history.spans_of(done.run_id) if is_call(span)]
    for kind in TOKENS:
        counted = sum(call[kind] for call in history.calls(done.run_id))
        assert sum(span.get(f"gen_ai.usage.{kind}", 0) for span in spans) == counted
        assert sum(int(row[kind]) for row in history.of_csv(done.run_id)) == counted
        assert history.run(done.run_id)[kind] == counted
        if name in RUNS:
            assert done.result["usage"][kind] == counted


def test_the_cost_of_plain_calls_is_what_the_prices_make_of_their_tokens(history: History) -> None:
    """The simulator counts four bytes a token: 107 are 27, and seven more each time."""
    calls = history.calls(history.done["plain"].run_id)
    assert [call["input_tokens"] for call in calls] == [27, 29, 31, 32, 34]
    assert {f"{call['provider']}/{call['model']}": call["cost_nano_usd"] for call in calls} == {
        GPT: 27 * 2_500 + 37 * 10_000,
        CLAUDE: 29 * 1_000 + 37 * 5_000,
        GEMINI: 31 * 300 + 37 * 2_500,
        NANO: 32 * 50 + 37 * 400,
        ODD: 40_741,  # 34 * 123.456789 + 37 * 987.654321 is 40_740.740703
    }


def test_an_agent_s_total_is_that_of_the_calls_below_it(history: History) -> None:
    spans = history.spans_of(history.done["shared out"].run_id)
    parents = {span.span_id: span.parent_span_id for span in spans}
    below: defaultdict[bytes, int] = defaultdict(int)
    for span in filter(is_call, spans):
        above = span.parent_span_id
        while above:
            below[above] += attributes(span)[COST]
            above = parents[above]
    totals = {span.span_id: attributes(span)[TOTAL] for span in spans if TOTAL in attributes(span)}
    assert len(totals) == 4  # the run, the agent, and two that help it
    assert totals == below


def test_calls_of_unknown_price_are_unknown_wherever_they_are_told(history: History) -> None:
    done = history.done["unpriced alone"]
    (row,) = history.of_csv(done.run_id)
    (call,) = (attributes(span) for span in history.spans_of(done.run_id) if is_call(span))
    (root,) = (span for span in history.spans_of(done.run_id) if not span.parent_span_id)
    assert (done.result["cost_usd"], done.result["unpriced_calls"]) == (None, 1)
    assert (row["cost_usd"], row["unpriced"]) == ("", "true")
    assert not {COST, "operation.cost"} & call.keys()
    assert TOTAL not in attributes(root)
    assert history.run_cost(done.run_id)["cost_usd"] is None
    assert history.summary["model_stats"]["own"]["cost_usd"] is None
    among = history.done["unpriced among priced"]
    assert among.result["unpriced_calls"] == 2
    assert history.run_cost(among.run_id)["unpriced_calls"] == 2


@pytest.mark.parametrize("name", ["unpriced and cut", "unpriced but counted"])
def test_no_span_of_a_call_of_unknown_price_says_that_it_cost_nothing(
    history: History, name: str
) -> None:
    spans = [attributes(span) for span in history.spans_of(history.done[name].run_id)]
    own = [span for span in spans if span.get("gen_ai.request.model") == "own"]
    assert own
    assert all(COST not in span for span in own)


def test_what_an_unknown_price_counts_is_no_cost(history: History) -> None:
    """At 50 dollars a million, 50_000 nano-dollars a token, as the policy says."""
    calls = history.calls(history.done["unpriced but counted"].run_id)
    own = [call for call in calls if call["model"] == "own"]
    assert len(own) == 2
    for call in own:
        tokens = call["input_tokens"] + call["output_tokens"]
        assert (call["cost_nano_usd"], call["settled_nano_usd"]) == (0, tokens * 50_000)


def test_attempts_whose_fate_nobody_knows_count_at_their_worst_whatever_the_call_ends_with(
    history: History,
) -> None:
    names = ("lost, then answered", "lost, then refused", "lost for good")
    first = [history.calls(history.done[name].run_id)[0] for name in names]
    assert [call["attempts"] for call in first] == [2, 2, 3]
    answer = 27 * 2_500 + 37 * 10_000
    assert [call["cost_nano_usd"] for call in first] == [answer, 0, 0]
    answered, refused, gone = first
    assert answered["settled_nano_usd"] == answered["reserved_nano_usd"] / 2 + answer
    assert refused["settled_nano_usd"] == refused["reserved_nano_usd"] / 2
    assert gone["settled_nano_usd"] == gone["reserved_nano_usd"], "all three of them"


def test_what_is_refused_denied_or_answered_before_costs_nothing(history: History) -> None:
    calls = [call for done in history.done.values() for call in history.calls(done.run_id)]
    free = [call for call in calls if call["status"] in ("denied", "cached")]
    assert len(free) == 3 + 5  # five of them a budget has refused
    assert {(call["cost_nano_usd"], call["settled_nano_usd"]) for call in free} == {(0, 0)}
    paid, refused = history.calls(history.done["refused by the budget"].run_id)
    assert (paid["status"], refused["reason"]) == ("completed", "budget")
    assert history.done["refused by the budget"].result["reason"] == "budget"


def test_fifty_lines_ended_in_all_sorts_of_ways(history: History) -> None:
    done = history.done["fifty lines"]
    assert [line["id"] for line in done.result] == list(range(50))
    calls = history.calls(done.run_id)
    assert len(calls) == 50
    assert {call["status"] for call in calls} == {"completed", "failed"}
    assert any(call["attempts"] > 1 for call in calls)
    assert any(call["status"] == "failed" and call["cost_nano_usd"] > 0 for call in calls)
    assert any(call["cached_input_tokens"] > 0 for call in calls)
    assert any(call["unpriced"] for call in calls)


# --- what was killed -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status", "lost"), [("a run", "lost", 1), ("lines", "running", 2)]
)
def test_the_worst_case_of_calls_that_a_kill_has_lost_counts_and_is_no_cost(
    history: History, name: str, status: str, lost: int
) -> None:
    """Whether a later process has found them already, or none has come yet."""
    run_id = history.killed[name]
    calls = history.calls(run_id)
    gone = [call for call in calls if call["status"] == status]
    kept = [call for call in calls if call["status"] == "completed"]
    assert (len(gone), len(kept) > 0) == (lost, True)
    assert all(call["reserved_nano_usd"] > 0 for call in gone)
    cost = sum(call["cost_nano_usd"] for call in kept)
    worst = sum(call["reserved_nano_usd"] for call in gone)
    told = history.run_cost(run_id)
    assert (nano(told["cost_usd"]), nano(told["counted_usd"])) == (cost, cost + worst)
    assert history.run(run_id)["cost_nano_usd"] == cost
    assert nano(history.listed[run_id]["cost_usd"]) == cost
    rows = history.of_csv(run_id)
    assert sum(int(row["cost_nano_usd"]) for row in rows) == cost
    assert Counter(row["status"] for row in rows) == {"lost": lost, "completed": len(kept)}


# --- everything together -------------------------------------------------------------------------


def test_the_summary_s_sums_are_those_of_the_journal(history: History) -> None:
    calls = history.table("SELECT * FROM call")
    cost = sum(call["cost_nano_usd"] for call in calls)
    counted = sum(
        call["reserved_nano_usd"] if call["status"] == "running" else call["settled_nano_usd"]
        for call in calls
    )
    summary = history.summary
    runs = summary["run_costs"]
    models = [stats["cost_usd"] for stats in summary["model_stats"].values()]
    targets = [model["cost_usd"] for model in summary["models"]]
    assert sum(row["cost_nano_usd"] for row in history.table("SELECT * FROM run")) == cost
    assert sum(int(row["cost_nano_usd"]) for row in history.rows) == cost
    assert sum(Decimal(row["cost_usd"] or 0) for row in history.rows) * 10**9 == cost
    assert nano(summary["costs"]["cost_usd"]) == cost
    assert sum(map(nano, models)) == cost
    assert sum(map(nano, targets)) == cost
    assert sum(nano(run["cost_usd"]) for run in runs) == cost
    assert sum(nano(model["cost_usd"]) for model in history.stats) == cost
    assert nano(summary["costs"]["counted_usd"]) == counted
    assert sum(nano(run["counted_usd"]) for run in runs) == counted
    for subject in ("agent", "provider"):
        for length in (len("YYYY-MM-DD"), len("YYYY-MM")):
            spent = (
                each
                for each in summary["spending"]
                if each["subject"] == subject and len(each["window"]) == length
            )
            assert sum(nano(each["counted_usd"]) for each in spent) == counted


def test_each_model_s_sums_are_those_of_its_calls(history: History) -> None:
    made = [row for row in history.rows if row["status"] in ("completed", "failed", "lost")]
    for name, stats in history.summary["model_stats"].items():
        rows = [row for row in made if row["model"] == name]
        assert stats["calls"] == len(rows)
        assert nano(stats["cost_usd"]) == sum(int(row["cost_nano_usd"]) for row in rows)
        for kind in TOKENS:
            assert stats[kind] == sum(int(row[kind]) for row in rows)


def test_unpriced_calls_are_as_many_wherever_they_are_counted(history: History) -> None:
    unpriced = sum(row["unpriced"] == "true" for row in history.rows)
    summary = history.summary
    assert unpriced > 3
    assert summary["costs"]["unpriced_calls"] == unpriced
    assert sum(run["unpriced_calls"] for run in summary["run_costs"]) == unpriced
    assert sum(model["unpriced_calls"] for model in summary["models"]) == unpriced
    assert sum(use["unpriced_calls"] for use in summary["uses"]) == unpriced


def test_what_limits_go_by_is_what_was_settled(history: History) -> None:
    """The ledger has what has ended; what a kill has lost is still a reservation there."""
    calls = history.table("SELECT * FROM call WHERE status <> 'running'")
    settled = sum(call["settled_nano_usd"] for call in calls)
    for subject in ("agent", "provider"):
        spent = history.table("SELECT nano_usd FROM spending WHERE subject = ?", subject)
        assert sum(row["nano_usd"] for row in spent) == settled


def test_all_spans_of_calls_together_are_the_bill_of_all_that_was_not_killed(
    history: History,
) -> None:
    runs = [history.run(done.run_id) for done in history.done.values()]
    bill = sum(attributes(span).get(COST, 0) for span in history.spans if is_call(span))
    assert bill == sum(run["cost_nano_usd"] for run in runs) > 0


def test_all_metrics_together_are_the_same_bill_and_the_same_tokens(history: History) -> None:
    calls = [call for done in history.done.values() for call in history.calls(done.run_id)]
    measured = history.measured
    assert measured.of_all_processes(COST) == sum(call["cost_nano_usd"] for call in calls) > 0
    counted = sum(call["settled_nano_usd"] for call in calls)
    assert measured.of_all_processes("magsag.budget.spent.nano_usd") == counted
    for kind in TOKENS:
        total = sum(call[kind] for call in calls)
        assert measured.of_all_processes(f"gen_ai.client.inference.usage.{kind}") == total > 0
    runs = measured.of_all_processes("magsag.runs")
    assert runs == len({done.run_id for done in history.done.values()})
