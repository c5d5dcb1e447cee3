"""``invoke`` in this process: one prompt, many lines, and what it refuses."""

from __future__ import annotations

import io
import json
import math
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from runtime.bulk.tally import Tally
from runtime.cli.bulk import summary
from runtime.cli.bulk_screen import told
from runtime.cli.provider_live import live_lines
from tests.cli_workspace import Cli, forbid_echo, make_workspace
from tests.loopback import json_response, loopback, response

if TYPE_CHECKING:
    from pathlib import Path

ECHO = ("--provider", "echo", "--model", "echo-1")
STOPPED = {"index": 0, "finish_reason": "stop"}
OTHER = [("openai", "echo-1", None)]
COMPAT = """\
providers:
  echo: {{dialect: echo, models: {{echo-1: {{}}, extract-1: {{}}}}}}
  compat: {{dialect: openai_chat, base_url: "{url}", any_model: true}}
  openai: {{dialect: openai_chat, base_url: "{url}", models: {{gpt-4o: {{}}}}}}
"""


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    make_workspace(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "MAGSAG_CATALOG", "MAGSAG_PROVIDER", "MAGSAG_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MAGSAG_DB", ":memory:")
    return Cli(tmp_path, capsys)


def line(id_: Any = None, text: str = "hi", **fields: Any) -> str:
    return json.dumps({"id": id_, "messages": [{"role": "user", "content": text}]} | fields)


def write(cli: Cli, *lines: str) -> str:
    (cli.workspace / "in.jsonl").write_text("\n".join(lines) + "\n")
    return "in.jsonl"


def bodies(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# --- one prompt ----------------------------------------------------------------------------------


def test_a_prompt_prints_the_text_and_nothing_else_to_stdout(cli: Cli) -> None:
    code, out, err = cli("invoke", *ECHO, "hello there")
    assert (code, out) == (0, "hello there\n")
    assert err == "echo/echo-1: 6 tokens, $0.000000\n"
    assert cli("invoke", *ECHO, "--quiet", "hello there") == (0, "hello there\n", "")


def test_a_prompt_can_be_printed_as_an_object(cli: Cli) -> None:
    for stream in ((), ("--stream",)):
        code, out, err = cli("invoke", *ECHO, "--json", *stream, "hello")
        body = json.loads(out)
        assert (code, err) == (0, "")
        assert (body["ok"], body["text"], body["endpoint"]) == (True, "hello", "echo")


def test_a_streamed_prompt_is_printed_whole_and_its_line_is_ended(cli: Cli) -> None:
    code, out, _ = cli("invoke", *ECHO, "--stream", "one two  three")
    assert (code, out) == (0, "one two  three\n")


@pytest.mark.parametrize("stream", [(), ("--stream",)])
def test_a_model_that_refuses_is_heard_and_its_refusal_is_no_text(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, stream: tuple[str, ...]
) -> None:
    message = {"role": "assistant", "content": None, "refusal": "I will not."}
    pieces = [{"choices": [{"delta": message}]}, {"choices": [{"delta": {}} | STOPPED]}]
    chunks = b"".join(b"data: %s\n\n" % json.dumps(piece).encode() for piece in pieces)
    events = response(200, chunks + b"data: [DONE]\n\n", content_type="text/event-stream")
    whole = json_response({"choices": [{"message": message} | STOPPED]})
    with loopback(events if stream else whole) as server:
        (cli.workspace / "catalog" / "providers.yaml").write_text(COMPAT.format(url=server.url))
        argv = ("--provider", "compat", "--model", "m", *stream, "do it")
        code, out, err = cli("invoke", *argv)
        assert (code, out) == (0, "I will not.\n")
        assert err.startswith("warning: the model refused: I will not.\n")
        code, out, _ = cli("invoke", "--json", *argv)
        body = json.loads(out)
        assert (body["text"], body["finish_reason"]) == ("", "refusal")


def test_the_routing_of_the_catalog_names_what_nobody_named(cli: Cli) -> None:
    for argv in ((), ("--model", "fast"), ("--provider", "echo")):
        code, _, err = cli("invoke", *argv, "One. Two.")
        assert code == 0
        assert err.startswith("warning: ") or "extract-1" in err


def test_a_prompt_that_fails_says_why_and_ends_with_2(cli: Cli) -> None:
    code, out, err = cli("invoke", "--provider", "openai", "--model", "gpt-4o", "hello")
    assert (code, out) == (2, "")
    assert err.startswith("error: NotConfigured: provider 'openai' needs a key")
    code, out, _ = cli("invoke", "--provider", "openai", "--model", "gpt-4o", "--json", "hello")
    assert json.loads(out)["error"]["class"] == "NotConfigured"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--model", "nothing", "hi"), "error: no tier, and no model of any provider"),
        (("--jsonl", "in.jsonl", "hi"), "error: a PROMPT and --jsonl exclude each other"),
        (("--output", "o", "hi"), "error: a PROMPT and --output exclude each other"),
        (("--keep-failed", "hi"), "error: a PROMPT and --keep-failed exclude each other"),
        (("--quiet", "--verbose", "hi"), "error: --quiet and --verbose exclude each other"),
        (("--json", "--jsonl", "in.jsonl"), "error: --json is for a PROMPT"),
        (("--jsonl", "missing.jsonl"), "error: missing.jsonl: No such file or directory; name a"),
        (("--jsonl", "catalog"), "error: catalog: Is a directory"),
        (("--jsonl", "a\0b"), "error: a\\x00b: embedded null byte"),
        (("--concurrency", "0", "hi"), "error: Invalid value for '--concurrency'"),
        (("--rpm", "0", "hi"), "error: Invalid value for '--rpm'"),
        (("--max-concurrency", "many", "hi"), "error: Invalid value for '--max-concurrency'"),
    ],
)
def test_what_makes_no_sense_is_refused_with_1(
    cli: Cli, argv: tuple[str, ...], message: str
) -> None:
    code, out, err = cli("invoke", *argv)
    assert (code, out) == (1, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_with_nothing_to_ask_on_a_terminal_it_says_how(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    code, out, err = cli("invoke")
    assert (code, out) == (1, "")
    assert "--jsonl FILE" in err
    assert "--jsonl - for standard input" in err


# --- lines ---------------------------------------------------------------------------------------


def test_lines_are_answered_in_order_and_the_code_is_0_when_all_are(cli: Cli) -> None:
    source = write(cli, *(line(number, f"t{number}") for number in range(20)))
    code, out, err = cli("invoke", *ECHO, "--jsonl", source)
    assert code == 0
    assert [(body["id"], body["text"]) for body in bodies(out)] == [
        (number, f"t{number}") for number in range(20)
    ]
    assert err.startswith("20 lines: 20 ok, 0 failed, ")
    assert cli("invoke", *ECHO, "--jsonl", source, "--quiet") == (0, out, "")


def test_bad_lines_are_answered_in_their_place_and_the_code_is_2(cli: Cli) -> None:
    source = write(cli, line("a"), "nope", line("b", bogus=1), "", line("c"))
    code, out, err = cli("invoke", *ECHO, "--jsonl", source)
    found = bodies(out)
    assert code == 2
    assert [(body["id"], body["ok"]) for body in found] == [
        *(("a", True), (None, False), ("b", False), ("c", True)),
    ]
    first, second = [body["error"]["message"] for body in found if body["error"]]
    assert first == "in.jsonl:2: is not JSON: Expecting value at column 1"
    assert second.startswith("in.jsonl:3: bogus is no field that is known here (extra_body takes ")
    assert {body["error"]["class"] for body in found if body["error"]} == {"InvalidRequest"}
    assert err.startswith("4 lines: 2 ok, 2 failed, ")


def test_a_refused_line_says_who_would_have_been_asked(cli: Cli) -> None:
    source = write(cli, "nope", line("b", bogus=1), line("c", bogus=1, provider="openai"))
    _, out, _ = cli("invoke", *ECHO, "--jsonl", source)
    known = [(body["provider"], body["model"], body["endpoint"]) for body in bodies(out)]
    assert known == [("echo", "echo-1", "echo"), ("echo", "echo-1", "echo"), *OTHER]
    assert {body["attempts"] for body in bodies(out)} == {0}


def test_a_policy_holds_whatever_is_in_extra_body(cli: Cli) -> None:
    forbid_echo(cli.workspace)
    with loopback(json_response({})) as server:
        (cli.workspace / "catalog" / "providers.yaml").write_text(COMPAT.format(url=server.url))
        source = write(
            cli,
            line("a", provider="openai", model="gpt-4o", extra_body={"model": "echo-1"}),
            line("b", provider="compat", model="gpt-4o", extra_body={"models": ["echo-1"]}),
        )
        code, out, _ = cli("invoke", "--jsonl", source)
        assert server.requests == []
    assert (code, [body["error"]["class"] for body in bodies(out)]) == (2, ["InvalidRequest"] * 2)


def test_a_servers_own_tools_have_no_bound_and_are_not_used_under_a_budget(cli: Cli) -> None:
    source = write(cli, line("a", extra_body={"tools": [{"type": "web_search"}]}))
    code, out, _ = cli("invoke", *ECHO, "--jsonl", source, "--budget-usd", "1")
    (body,) = bodies(out)
    assert (code, body["error"]["class"]) == (2, "BudgetExceeded")
    assert cli("invoke", *ECHO, "--jsonl", source)[0] == 0


def test_a_line_that_policy_denies_is_in_the_audit_trail(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_echo(cli.workspace)
    monkeypatch.setenv("MAGSAG_DB", str(cli.workspace / "journal.db"))
    assert cli("invoke", *ECHO, "--jsonl", write(cli, line("a")))[0] == 2
    (row,) = json.loads(cli("data", "query")[1])
    assert (row["status"], row["decision"], row["task"]) == ("denied", "denied", "a")
    assert "only_gpt" in row["policy"]


RESIDENCY = """\
policies:
  - name: stays_here
    residency: {pii_processing: [local]}
"""


@pytest.mark.parametrize(
    ("said", "argv", "refusal"),
    [
        ({}, ("--data-class", "pii_processing"), ("denied", "policy stays_here")),
        ({"data_class": "pii_processing"}, (), ("denied", "policy stays_here")),
        ({}, ("--data-class", "pii_procesing"), ("denied", "did you mean 'pii_processing'")),
        ({}, ("--budget-usd", "0.000001"), ("budget", "run's budget is")),
    ],
)
def test_whatever_refuses_a_line_is_in_the_audit_trail_and_nobody_is_asked(
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    said: dict[str, Any],
    argv: tuple[str, ...],
    refusal: tuple[str, str],
) -> None:
    reason, words = refusal
    policies = cli.workspace / "catalog" / "policies"
    policies.mkdir()
    (policies / "stays.yaml").write_text(RESIDENCY)
    monkeypatch.setenv("MAGSAG_DB", str(cli.workspace / "journal.db"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    source = write(cli, line("a", provider="openai", model="gpt-4o", **said))
    code, out, _ = cli("invoke", "--jsonl", source, *argv)
    (body,) = bodies(out)
    assert (code, body["ok"], body["attempts"]) == (2, False, 0)
    (row,) = json.loads(cli("data", "query")[1])
    assert (row["status"], row["reason"], row["task"]) == ("denied", reason, "a")
    assert (row["provider"], row["model"]) == ("openai", "gpt-4o")
    assert words in row["policy"]


@pytest.mark.parametrize("argv", [("--jsonl", "in.jsonl"), ("hi",), ("--json", "hi")])
def test_verbose_tells_what_each_account_did_and_nothing_of_it_on_stdout(
    cli: Cli, argv: tuple[str, ...]
) -> None:
    write(cli, line("a"))
    code, out, err = cli("invoke", *ECHO, "--rpm", "6000", "-v", *argv)
    assert code == 0
    (told,) = [each for each in err.splitlines() if each.startswith("echo: ")]
    assert told.startswith("echo: 1 call (0 failed), 1 attempt, 0 in flight of ")
    assert "limits *: " in told
    assert "echo: " not in out
    assert "echo: " not in cli("invoke", *ECHO, *argv)[2]


def test_ids_that_are_there_twice_are_refused_before_anything_is_sent(cli: Cli) -> None:
    source = write(cli, line("a"), line("b"), line("a"))
    code, out, err = cli("invoke", *ECHO, "--jsonl", source, "--output", "out.jsonl")
    assert (code, out) == (1, "")
    assert err == (
        "error: in.jsonl:3: the id 'a' is that of line 1 already; ids must differ, as answers are"
        " told apart by them\n"
    )
    assert not (cli.workspace / "out.jsonl").exists()


def test_standard_input_is_read_where_it_is_no_terminal(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for argv in ((), ("--jsonl", "-")):
        stdin = io.TextIOWrapper(io.BytesIO(f"{line('a')}\n{line('a')}".encode()))
        monkeypatch.setattr(sys, "stdin", stdin)
        code, out, _ = cli("invoke", *ECHO, *argv)
        first, second = bodies(out)
        assert (code, first["ok"], second["ok"]) == (2, True, False)
        assert second["error"]["message"] == "stdin:2: id 'a' is that of an earlier line already"


def test_an_empty_input_is_no_error(cli: Cli) -> None:
    (cli.workspace / "in.jsonl").write_bytes(b"\n\n")
    code, out, err = cli("invoke", *ECHO, "--jsonl", "in.jsonl")
    assert (code, out) == (0, "")
    assert err.startswith("0 lines: 0 ok, 0 failed, 0 tokens, $0.000000, ")


def test_each_line_fails_by_itself(cli: Cli) -> None:
    forbid_echo(cli.workspace)
    source = write(
        cli,
        line("denied", provider="echo", model="echo-1"),
        line("keyless", provider="openai", model="gpt-4o"),
        line("unknown", provider="opnai", model="gpt-4o"),
        line("nobody", model="gpt-4o"),
    )
    code, out, _ = cli("invoke", "--jsonl", source)
    assert code == 2
    assert [(body["id"], body["error"]["class"], body["attempts"]) for body in bodies(out)] == [
        ("denied", "PolicyDenied", 0),
        ("keyless", "NotConfigured", 0),
        ("unknown", "UnknownName", 0),
        ("nobody", "InvalidRequest", 0),
    ]
    assert [(body["provider"], body["endpoint"]) for body in bodies(out)] == [
        *(("echo", "echo"), ("openai", "chat"), ("opnai", None), (None, None)),
    ]


def test_a_file_of_answers_is_gone_on_with(cli: Cli) -> None:
    argv = ("invoke", "--jsonl", "in.jsonl", "--output", "out.jsonl")
    write(cli, line("a", provider="echo", model="none"), line("b", provider="echo", model="echo-1"))
    code, out, err = cli(*argv)
    assert (code, out) == (2, "")
    assert err.splitlines()[1] == "the same command asks the lines of out.jsonl again that failed"
    write(cli, line("c"), line("a"), line("b", "now another text"))
    code, _, err = cli(*argv, *ECHO, "--keep-failed")
    assert code == 2
    assert err.startswith("3 lines: 2 ok, 1 failed, 2 of them settled before, ")
    code, _, err = cli(*argv, *ECHO)
    assert code == 0
    assert err.startswith("3 lines: 3 ok, 0 failed, 2 of them settled before, ")
    found = bodies((cli.workspace / "out.jsonl").read_text())
    assert [(body["id"], body["ok"], body["text"]) for body in found] == [
        *(("c", True, "hi"), ("a", True, "hi"), ("b", True, "hi")),
    ]


def test_answers_are_never_written_over_the_lines(cli: Cli) -> None:
    source = write(cli, line("a"))
    (cli.workspace / "link").symlink_to(source)
    code, _, err = cli("invoke", *ECHO, "--jsonl", source, "--output", "link")
    assert code == 1
    assert err.startswith("error: link is the file of the lines; name another one")
    assert json.loads((cli.workspace / "in.jsonl").read_text())["id"] == "a"


def test_a_summary_says_what_is_unpriced_and_what_was_there_before() -> None:
    tally = Tally(ok=3, failed=1, kept=2, tokens=1234, cost_nano_usd=5_000, priced=1, unpriced=1)
    assert summary(tally, 1.5) == (
        "4 lines: 3 ok, 1 failed, 2 of them settled before, 1,234 tokens,"
        " $0.000005 + 1 unpriced, 1.50 s"
    )
    assert "unpriced" in summary(Tally(ok=1, unpriced=1), 1.5)


def test_an_account_that_waits_says_for_what_and_many_are_counted() -> None:
    group = SimpleNamespace(
        limits={"rpm": 475.0},
        concurrency=8,
        paused_until=102.5,
        unavailable_until=-math.inf,
    )
    idle = SimpleNamespace(
        limits={}, concurrency=4, paused_until=-math.inf, unavailable_until=-math.inf
    )
    open_ = SimpleNamespace(state="half_open", until=101.0, reason="")
    account = SimpleNamespace(
        calls=1_200,
        errors=3,
        attempts=1_210,
        in_flight=2,
        queued=7,
        retry_tokens=12.5,
        breaker=SimpleNamespace(state="closed", until=None, reason=""),
        cluster=None,
        groups={"m": group, "idle": idle},
        breakers={
            "good": SimpleNamespace(state="closed", until=None, reason=""),
            "bad": SimpleNamespace(state="disabled", until=None, reason="no money\x1b[31m"),
            **{f"m{number}": open_ for number in range(4)},
        },
    )
    (shown,) = live_lines({"a": account}, 100.0)
    assert shown == (
        "a: 1,200 calls (3 failed), 1,210 attempts, 2 in flight of 12, 7 queued, 12.5 retry tokens,"
        " limits m: rpm 475, paused m: 2.50 s more, circuit bad: disabled (no money\\x1b[31m);"
        " m0: half open 1.00 s more; m1: half open 1.00 s more and 2 more"
    )
    account.breaker = SimpleNamespace(state="disabled", until=None, reason="no key")
    (shown,) = live_lines({"a": account}, 100.0)
    assert shown.endswith(", paused m: 2.50 s more, circuit account: disabled (no key)")
    account.cluster = SimpleNamespace(epoch=3, is_here=False, away_s=0.0, held=12)
    (shown,) = live_lines({"a": account}, 100.0)
    assert shown.endswith(", limits granted by another node (epoch 3), 12 requests in stock")
    account.cluster = SimpleNamespace(epoch=3, is_here=False, away_s=7.5, held=1)
    (shown,) = live_lines({"a": account}, 100.0)
    assert shown.endswith(", limits granted by nobody for 7.50 s, 1 request in stock")
    assert list(live_lines({}, 0.0)) == []


def test_the_bar_says_how_far_it_is() -> None:
    tally = Tally(total=10, ok=3, failed=1, tokens=12_345, cost_nano_usd=5_000, priced=4)
    assert told(tally, 2.0) == "4/10 lines, 1 failed, 12.3k tokens, $0.000005, 2.0/s"
    assert told(Tally(), None) == "0 lines, 0 failed, 0 tokens, $0.000000"
