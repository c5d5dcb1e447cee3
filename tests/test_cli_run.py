"""``run`` in this process: what it prints, what it ends with, and what it refuses."""

from __future__ import annotations

import io
import json
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from runtime.cli.report import readable
from runtime.journal import JournalFailed, MemoryJournal
from tests.cli_workspace import Cli, forbid_echo, make_workspace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    make_workspace(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAGSAG_DB", str(tmp_path / "journal.db"))
    for name in ("OPENAI_API_KEY", "MAGSAG_CATALOG", "MAGSAG_PROVIDER", "MAGSAG_MODEL"):
        monkeypatch.delenv(name, raising=False)
    return Cli(tmp_path, capsys)


def test_only_the_result_goes_to_stdout_and_the_summary_to_stderr(cli: Cli) -> None:
    code, out, err = cli("run", "tree", "--run-id", "mine")
    assert code == 0
    assert json.loads(out) == {"ok": 2}
    assert "a body that prints" in err
    (summary,) = [line for line in err.splitlines() if line.startswith("run ")]
    assert summary.startswith("run mine (trace ")
    assert ") completed: 0 calls, 0 tokens, $0.000000, " in summary


def test_a_new_run_id_is_its_own_trace_id_and_is_shown_once(cli: Cli) -> None:
    code, _, err = cli("run", "two-leaves")
    assert code == 0
    assert "(trace" not in err


def test_json_is_one_object_with_everything(cli: Cli) -> None:
    code, out, err = cli("run", "asks", "--json")
    outcome = json.loads(out)
    assert code == 0
    assert list(outcome) == [
        *("run_id", "status", "output", "error", "reason", "usage"),
        *("cost_usd", "unpriced_calls", "duration_s", "trace_id", "waits_for"),
    ]
    assert outcome["status"] == "completed"
    assert outcome["usage"]["calls"] == 1
    assert outcome["usage"]["input_tokens"] > 0
    assert outcome["trace_id"] == outcome["run_id"].replace("-", "")
    assert "completed:" not in err


def test_quiet_leaves_nothing_but_the_result(cli: Cli) -> None:
    code, out, err = cli("run", "says", "--input", '{"text": "hello"}', "--quiet")
    assert (code, out) == (0, "hello\n")
    assert "completed" not in err


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("plain\ntext", "plain\ntext"),
        ({"report": "# All is well", "count": 1}, "# All is well"),
        ({"text": "alone"}, "alone"),
        ({"text": "not alone", "score": 1}, '{\n  "text": "not alone",\n  "score": 1\n}'),
        ({"report": {"nested": 1}}, '{\n  "report": {\n    "nested": 1\n  }\n}'),
        ({"é": "ü"}, '{\n  "é": "ü"\n}'),
        (None, "null"),
        ([], "[]"),
    ],
)
def test_people_get_texts_as_they_are_and_all_else_as_indented_json(
    output: object, text: str
) -> None:
    assert readable(output) == text


def test_a_wrong_input_ends_the_run_before_any_code_of_the_agent(cli: Cli) -> None:
    code, out, err = cli("run", "required", "--input", '{"bogus": 1}')
    assert (code, out) == (1, "")
    assert "role" in err
    assert "bogus" in err
    assert "required ran" not in err


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("run", "crashes"), 2, ("error: ", "bang", "--debug")),
        (("run", "late", "--deadline", "0.05"), 2, ("error: ", "--deadline")),
        (("run", "asks", "--provider", "openai"), 1, ("error: ", "OPENAI_API_KEY")),
        (("run", "asks", "--provider", "opena"), 1, ("did you mean 'openai'",)),
        (("run", "asks", "--model", "gpt-9"), 1, ("gpt-9",)),
        (("run", "tre"), 1, ("no workflow or agent 'tre'", "did you mean 'tree'")),
        (("run",), 1, ("Missing argument 'TARGET'", "--help")),
        (("run", "tree", "--budget-usd", "nan"), 1, ("--budget-usd", "'nan'")),
        (("run", "tree", "--budget-usd", "0"), 1, ("--budget-usd",)),
        (("run", "tree", "--budget-usd", "1e999999999"), 1, ("--budget-usd",)),
        (("run", "tree", "--budget-usd", "ten"), 1, ("'ten' is no number",)),
        (("run", "tree", "--deadline", "inf"), 1, ("--deadline",)),
        (("run", "tree", "--deadline", "-1"), 1, ("--deadline",)),
        (("run", "tree", "--run-id", "a b"), 1, ("blanks or control characters",)),
        (("run", "tree", "--run-id", "a\x1bb"), 1, ("blanks or control characters",)),
        (("run", "tree", "--run-id", ""), 1, ("1 to 128 characters",)),
        (("run", "tree", "--run-id", "x" * 129), 1, ("1 to 128 characters",)),
        (("run", "tree", "--quiet", "--verbose"), 1, ("exclude each other",)),
        (("run", "tree", "--jsn"), 1, ("Did you mean '--json'",)),
        (("run", "tree", "--catalog", "nowhere"), 1, ("nowhere", "--catalog DIR")),
        (("runn",), 1, ("No such command 'runn'", "Did you mean 'run'")),
        ((), 1, ("Missing command", "--help")),
    ],
)
def test_what_goes_wrong_is_one_line_with_the_next_step(
    cli: Cli, argv: tuple[str, ...], code: int, words: tuple[str, ...]
) -> None:
    ended, out, err = cli(*argv)
    assert (ended, out) == (code, "")
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert [word for word in words if word not in line] == []
    assert "Traceback" not in err


def test_a_failed_run_with_json_has_its_object_and_its_line(cli: Cli) -> None:
    code, out, err = cli("run", "crashes", "--json")
    outcome = json.loads(out)
    assert code == 2
    assert (outcome["status"], outcome["reason"], outcome["output"]) == ("failed", "crashed", None)
    assert "bang" in outcome["error"]
    assert f"show {outcome['run_id']}" in err


def test_a_denied_model_ends_with_four_and_an_unpriced_one_under_a_budget_with_three(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("providers.price_of", lambda *_, **__: None, raising=False)
    code, _, err = cli("run", "asks", "--budget-usd", "1")
    assert code == 3
    assert "--budget-usd" in err
    forbid_echo(cli.workspace)
    code, _, err = cli("run", "asks")
    assert code == 4
    assert "only_gpt" in err


def test_tracebacks_are_for_debug_before_or_after_the_command(cli: Cli) -> None:
    assert "Traceback" not in cli("run", "crashes")[2]
    assert "Traceback" in cli("--debug", "run", "crashes")[2]
    assert "Traceback" in cli("run", "crashes", "--debug")[2]


def test_an_error_that_nobody_foresaw_is_one_line_and_two(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.cli.workplace.open_catalog", lambda _: 1 / 0)
    code, out, err = cli("run", "tree")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "internal error: ZeroDivisionError: division by zero; run again with --debug to see where"
    ]
    code, _, err = cli("run", "tree", "--debug")
    assert code == 2
    assert "Traceback" in err


def test_a_misspelt_telemetry_variable_is_a_mistake_of_configuration(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere")
    code, out, err = cli("run", "tree")
    assert (code, out) == (1, "")
    assert "error: OTEL_EXPORTER_OTLP_ENDPOINT" in err


def test_a_result_is_printed_even_where_the_journal_fails_in_the_end(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def close(_: MemoryJournal) -> None:
        raise JournalFailed("journal: the disk is full")

    monkeypatch.setattr(MemoryJournal, "close", close)
    code, out, err = cli("run", "tree", "--db", ":memory:")
    assert (code, json.loads(out)) == (2, {"ok": 2})
    assert "error: journal: the disk is full" in err


def test_a_run_id_is_used_once(cli: Cli) -> None:
    assert cli("run", "tree", "--run-id", "once")[0] == 0
    code, out, err = cli("run", "tree", "--run-id", "once")
    assert (code, out) == (1, "")
    assert "error: run once is in the journal already, completed" in err
    assert "show once" in err


def test_a_journal_in_memory_keeps_nothing_and_offers_nothing_to_show(cli: Cli) -> None:
    code, _, err = cli("run", "crashes", "--db", ":memory:")
    assert code == 2
    assert "show" not in err
    assert not (cli.workspace / "journal.db").exists()


def test_a_journal_that_cannot_be_opened_is_one_line(cli: Cli) -> None:
    (cli.workspace / "some.txt").write_text("no database " * 100)
    code, out, err = cli("run", "tree", "--db", "some.txt")
    assert (code, out) == (1, "")
    assert "error: journal" in err
    assert "--db" in err


def test_the_faults_of_a_catalog_are_a_line_each(cli: Cli) -> None:
    agents = cli.workspace / "catalog" / "agents"
    (agents / "tree.yaml").write_text("name: tree\nrole: boss\nbogus: 1\n")
    code, out, err = cli("run", "says")
    assert (code, out) == (1, "")
    lines = err.splitlines()
    assert len(lines) > 2
    assert all(line.startswith("error: ") for line in lines)
    assert any("tree.yaml:2:" in line for line in lines)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"text": }', ("line 1, column 10",)),
        (b'{"text":\n NaN}', ("NaN is no JSON number",)),
        (b"\xff\xfe", ("is not UTF-8 at byte 1",)),
        (b"", ("is not JSON", "line 1, column 1")),
        (b"[" * 100_000, ("is not JSON",)),
    ],
)
def test_an_input_that_is_no_json_is_refused_with_its_place(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, content: bytes, words: tuple[str, ...]
) -> None:
    (cli.workspace / "input.json").write_bytes(content)
    code, _, err = cli("run", "says", "--input", "@input.json")
    assert code == 1
    assert [word for word in (*words, "input.json") if word not in err] == []
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    code, _, err = cli("run", "says", "--input", "-")
    assert code == 1
    assert [word for word in words if word not in err] == []


def test_an_input_with_a_number_that_json_has_none_for_is_refused(cli: Cli) -> None:
    code, out, err = cli("run", "says", "--input", '{"text": 1e999}')
    assert (code, out) == (1, "")
    assert "error: input of says is no JSON: " in err


def test_code_that_ends_its_process_while_it_is_imported_is_named(cli: Cli) -> None:
    (cli.workspace / "agents" / "some.py").write_text("import sys\nsys.exit(0)\n")
    code, _, err = cli("run", "says", "--input", "{}")
    assert code == 1
    assert "agents/some.py cannot be imported: SystemExit: 0 (" in err


@pytest.mark.parametrize("name", ["missing.json", ".", "a\0b"])
def test_an_input_file_that_cannot_be_read_is_named(cli: Cli, name: str) -> None:
    code, _, err = cli("run", "says", "--input", f"@{name}")
    assert code == 1
    assert err.startswith("error: --input @")
    assert len(err.splitlines()) == 1


def test_an_input_may_come_from_a_file_or_from_stdin(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = '{"text": "grüezi"}'.encode()
    (cli.workspace / "input.json").write_bytes(b"\xef\xbb\xbf" + content)
    assert cli("run", "says", "--input", "@input.json", "-q")[1] == "grüezi\n"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    assert cli("run", "says", "--input", "-", "-q")[1] == "grüezi\n"
