"""``data search``: words by an index, expressions one by one, and no pattern that breaks it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.cli.main import main
from runtime.errors import ConfigurationError
from runtime.journal import search_index, search_scan
from runtime.journal.search_file import index_of, locked
from runtime.journal.search_index import SearchIndex
from runtime.journal.search_pattern import (
    METACHARACTERS,
    Expression,
    is_expression,
    wanted,
    words_of,
)
from runtime.journal.search_records import Bounds, text_of
from runtime.journal.search_scan import Task, scan
from tests.cli_workspace import Cli, command, environment
from tests.data_journals import NOON, a_call, a_record, a_run, an_end, change, line, rows, write

if TYPE_CHECKING:
    from runtime.journal import Record

A_FEW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return line(tmp_path, capsys, monkeypatch)


@pytest.fixture
def journal(cli: Cli) -> Path:
    return cli.workspace / "journal.db"


def a_log(text: str, number: int = 0, *, run: str = "r", op: str = "") -> Record:
    return a_record("log", op, run=run, at=NOON + number, text=text)


def hits(cli: Cli, pattern: str, *argv: str) -> list[dict[str, Any]]:
    code, out, err = cli("data", "search", *argv, "--", pattern)
    assert (code, err) == (0, "")
    found: list[dict[str, Any]] = json.loads(out)
    return found


def texts(cli: Cli, pattern: str, *argv: str) -> list[str]:
    return [hit["snippet"] for hit in hits(cli, pattern, *argv)]


SAID = (
    "the server said rate_limit",
    "the server said rate-limit",
    "the server said: rate limit!",
    "a limit of the rate",
    "ratelimit, rate limits",
    "claude had\nan error",
    "the error of claude",
    "foo(bar)",
    "two \"quotes\" and a 'c'",
    "line one\nline two",
    "日本語の文章です",
    "Grüße aus Köln",
    "up → down",
    "5 * 3 = 15",
)


@pytest.fixture
def said(journal: Path) -> Path:
    return write(journal, a_run(), (a_log(text, n) for n, text in enumerate(SAID, 1)))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("rate_limit", [2, 1, 0]),
        ("rate-limit", [2, 1, 0]),
        ("Rate Limit", [2, 1, 0]),
        ('"rate limit"', [2, 1, 0]),
        ("  rate --- limit ", [2, 1, 0]),
        ("said rate limit", [2, 1, 0]),
        ("limit rate", []),
        ("ratelimit", [4]),
        ("limit", [3, 2, 1, 0]),
        ("rate.?limit", [4, 2, 1, 0]),
        ("claude.*error", [5]),
        ("CLAUDE.*ERROR", [5]),
        ("error.*claude", [6]),
        ("claude error", []),
        ("foo(", [7]),
        ("(bar", [7]),
        ("foo bar", [7]),
        ("*", [13]),
        ("*abc", []),
        ("[", []),
        ("line two", [9]),
        ("one line", [9]),
        ("one\nline", [9]),
        ("one.line", [9]),
        ('"quotes"', [8]),
        ("quotes' and", [8]),
        ("日本", [10]),
        ("語の文", [10]),
        ("本日", []),
        ("grüße", [11]),
        ("GRÜSSE", [11]),
        ("→", [12]),
        ("5 * 3", []),
        ("5 \\* 3", [13]),
        ("nothing", []),
    ],
)
def test_a_pattern_is_words_or_an_expression_or_the_text_of_a_broken_one(
    cli: Cli, said: Path, pattern: str, found: list[int]
) -> None:
    del said
    seconds = [hit["seq"] - 2 for hit in hits(cli, pattern)]
    assert seconds == found


def test_a_hit_tells_where_it_is_and_what_stands_there(cli: Cli, journal: Path) -> None:
    op = "main:0123:1/sub:4567:1/chat:89ab:2"
    write(journal, a_run(), a_call(op, asked={"agent": "sub", "path": "main/sub"}))
    (begun,) = hits(cli, "gpt-4o")
    assert begun == {
        "run_id": "r",
        "workflow": "flow",
        "seq": 2,
        "at": "2026-09-21T14:13:20.000Z",
        "kind": "invocation_started",
        "agent": "sub",
        "op": op,
        "snippet": '{"provider":"openai","model":"gpt-4o","agent":"sub","path":"main/sub"}',
    }
    (run,) = hits(cli, "run_started")
    assert run["agent"] == ""


def test_the_snippet_is_the_text_around_the_match_on_one_line(cli: Cli, journal: Path) -> None:
    write(journal, a_run(), [a_log(f"{'before ' * 50}\n\nthe needle\n{' after' * 50}")])
    for pattern in ("needle", "ne+dle", "the needle"):
        (shown,) = texts(cli, pattern)
        assert shown.startswith("...")
        assert shown.endswith("...")
        assert "before the needle after" in shown
        assert len(shown) <= 206


def test_the_kind_and_the_step_are_searched_too(cli: Cli, journal: Path) -> None:
    write(journal, a_run(), [a_log("x", 1, op="main:0:1/finder:7:3")], an_end(at=NOON + 2))
    assert [hit["seq"] for hit in hits(cli, "finder")] == [2]
    assert [hit["seq"] for hit in hits(cli, "run completed")] == [3]
    assert [hit["seq"] for hit in hits(cli, "^run_(started|completed)")] == [3, 1]


def test_a_large_body_is_searched_to_its_end(cli: Cli, journal: Path) -> None:
    write(journal, a_run(), [a_log(f"{'x ' * 50_000} the needle")])
    assert rows(journal, "SELECT count(*) FROM blob") == [(1,)]
    assert [hit["seq"] for hit in hits(cli, "the needle")] == [2]
    assert [hit["seq"] for hit in hits(cli, "needle.}$")] == [2]


@pytest.fixture
def crowd(journal: Path) -> Path:
    """Records of several runs and agents that all say hello."""
    return write(
        journal,
        a_run("one", NOON),
        [a_log("hello", 5, run="one", op="main:0:1/sub:0:1")],
        [a_record("skill_started", "main:0:1/find:0:1", run="one", at=NOON + 3, say="hello")],
        a_run("two", NOON),
        [a_log("hello", 4, run="two")],
        [a_record("delegation_sent", "x", run="two", at=NOON + 6, agent="sub", say="hello")],
        [a_record("invocation_denied", "c", run="two", at=NOON + 7, agent="sub", error="hello")],
    )


@pytest.mark.parametrize("pattern", ["hello", "hel+o"])
@pytest.mark.parametrize(
    ("argv", "seconds"),
    [
        ((), [7, 6, 5, 4, 3]),
        (("--limit", "2"), [7, 6]),
        (("--run-id", "one"), [5, 3]),
        (("--agent", "main"), [5, 3]),
        (("--agent", "sub"), [7, 6, 5]),
        (("--agent", "find"), []),
        (("--since", "2026-09-21T14:13:25"), [7, 6, 5]),
        (("--since", "2026-09-21T14:13:25", "--agent", "sub", "--limit", "1"), [7]),
        (("--run-id", "three"), []),
    ],
)
def test_the_newest_come_first_and_only_those_that_are_asked_for(
    cli: Cli, crowd: Path, pattern: str, argv: tuple[str, ...], seconds: list[int]
) -> None:
    del crowd
    found = [hit["at"] for hit in hits(cli, pattern, *argv)]
    assert found == [f"2026-09-21T14:13:{20 + second}.000Z" for second in seconds]


def test_the_agent_of_a_record_is_the_one_whose_step_it_is(cli: Cli, crowd: Path) -> None:
    del crowd
    assert [hit["agent"] for hit in hits(cli, "hello")] == ["sub", "sub", "sub", "", "main"]


def test_a_table_is_for_people(cli: Cli, said: Path) -> None:
    code, out, err = cli("data", "search", "rate_limit", "--format", "table")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split() == ["AT", "RUN", "KIND", "AGENT", "TEXT"]
    assert len(out.splitlines()) == 4
    code, out, err = cli("data", "search", "nothing", "--format", "table")
    assert (code, out) == (0, "")
    assert f"nothing like that in {said}" in err


def test_without_a_journal_nothing_is_found_and_no_file_is_made(cli: Cli) -> None:
    for pattern in ("word", "wo.d"):
        code, out, err = cli("data", "search", pattern)
        assert (code, out) == (0, "[]\n")
        assert "there is no journal " in err
    assert list(cli.workspace.iterdir()) == []


# --- any text at all -----------------------------------------------------------------------------


@given(pattern=st.text(max_size=20))
@A_FEW
def test_no_words_break_it(pattern: str) -> None:
    pattern = "".join("_" if each in METACHARACTERS else each for each in pattern) + "w"
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out := io.StringIO())
        path = write(Path(folder) / "j.db", a_run(), [a_log("w words")])
        assert main(["data", "search", "--db", str(path), "--", pattern]) == 0
    assert isinstance(json.loads(out.getvalue()), list)


@given(pattern=st.text(max_size=20) | st.text(alphabet="ab.*+?[](){}|^$\\-,01:=!<P", max_size=15))
@settings(max_examples=500, deadline=None)
def test_no_expression_breaks_it(pattern: str) -> None:
    sought = wanted(pattern)
    for text in ("", "ab ab", "rate_limit \ud800", "日本語"):
        span = sought.find(text)
        assert span is None or 0 <= span[0] <= span[1]


@pytest.mark.parametrize(
    "pattern",
    [
        b"'; DROP TABLE journal; --",
        b'"unbalanced',
        b'a" OR b NEAR c AND NOT text : x',
        b"\xff\xfe half a pair",
        b"word " * 2_000,
        b"w" * 10_000,
        b"(" * 10_000,
        b"(a" * 3_000 + b")" * 3_000,
        b"[" * 5_000,
        b"(?L)a",
        b"a{99999999999}",
        b"\\N{no such name}",
        b"-5 below",
        b"--rate-limit",
        b"",
        b"\n\t",
    ],
)
def test_a_strange_pattern_finds_something_or_nothing(cli: Cli, said: Path, pattern: bytes) -> None:
    del said
    ended = subprocess.run(
        [*map(str.encode, command("data", "search")), pattern],
        cwd=cli.workspace,
        env=environment(MAGSAG_DB="journal.db"),
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert isinstance(json.loads(ended.stdout), list)


def test_a_nul_separates_words(cli: Cli, said: Path) -> None:
    del said
    assert len(texts(cli, "rate\0limit")) == 3


def test_an_expression_that_would_take_years_is_given_up(cli: Cli, journal: Path) -> None:
    write(journal, a_run(), [a_log("a" * 60 + "!")])
    code, out, err = cli("data", "search", "(a+)+$", "--timeout", "2")
    assert (code, out) == (1, "")
    assert err == (
        "error: no answer within 2 s: write a simpler PATTERN, look at less with --run-id or"
        " --since, or allow more --timeout\n"
    )


def test_a_search_process_whose_parent_is_gone_ends_by_itself(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(journal, a_run(), [a_log("a" * 60 + "!")])
    task = Task(str(journal), "(a+)+$", None, None, None, 10, timeout_s=0.1)
    code = "import runtime.journal.search_scan as s; s._GRACE_S = 0.1; s.main()"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")


def test_a_search_that_breaks_off_is_said(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(journal, a_run())
    monkeypatch.setattr(search_scan, "__name__", "runtime.no_such_module")
    with pytest.raises(ConfigurationError, match=r"the search broke off .*no_such_module"):
        scan(journal, "a.b", Bounds(), 60)


def test_the_process_does_what_its_input_says(
    journal: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(journal, a_run(), [a_log("a needle")])
    task = Task(str(journal), "ne+dle", None, None, None, 10, timeout_s=60)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(task)))
    monkeypatch.setattr(
        search_scan,
        "faulthandler",
        type("Nothing", (), {"dump_traceback_later": lambda *_, **__: None}),
    )
    search_scan.main()
    assert json.loads(capsys.readouterr().out)["hits"][0][2] == 2
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(task._replace(place=f"{journal}-no"))))
    search_scan.main()
    assert "unable to open" in json.loads(capsys.readouterr().out)["error"]


def test_warnings_of_the_compiler_are_nobody_s_business() -> None:
    assert Expression("[[a]").find("x[") == (1, 2)  # "possible nested set", an error in these tests


# --- the index -----------------------------------------------------------------------------------

words = st.sampled_from(("rate", "limit", "Rate", "LIMIT", "ß", "SS", "é", "日本", "語", "Ж", "x1"))
gaps = st.sampled_from((" ", "_", "-", "\n", ", ", "", "→", "🦊", "\u0301"))
sentences = st.lists(st.tuples(words, gaps), max_size=6).map(
    lambda pairs: "".join(part for pair in pairs for part in pair)
)


@given(said=st.lists(sentences | st.text(max_size=8), max_size=5), pattern=sentences)
@A_FEW
def test_the_index_finds_what_looking_through_the_records_finds(
    said: list[str], pattern: str
) -> None:
    sought = words_of(pattern)
    if not sought:
        return
    with TemporaryDirectory() as folder, locked(path := Path(folder) / "j.db"):
        write(path, a_run(), (a_log(text, n) for n, text in enumerate(said, 1)))
        index = SearchIndex(path)
        index.refresh(lambda _: None)
        found = [place.seq for place in index.hits(sought, Bounds())]
        index.close()
        records = rows(path, "SELECT seq, kind, op, body FROM journal ORDER BY seq DESC")
    expected = [seq for seq, *parts in records if f" {sought} " in f" {words_of(text_of(*parts))} "]
    assert found == expected


@given(text=st.text(max_size=30))
@settings(max_examples=300)
def test_words_are_the_same_for_ascii_and_for_everything_else(text: str) -> None:
    ascii_only = text.encode("ascii", "replace").decode()
    with_more = words_of(f"{ascii_only} é")
    assert words_of(ascii_only) == with_more.removesuffix("é").rstrip()
    assert words_of(words_of(text)) == words_of(text)


def test_escapes_in_a_body_are_resolved() -> None:
    body = json.dumps({"a": 'tab\tline\nquote" \\ é 🦊 \ud800'})
    assert text_of("log", "op", body) == 'log op {"a": "tab\tline\nquote" \\ é 🦊 \ud800"}'
    assert text_of("log", "op", r'{"a":"\\n"}') == 'log op {"a":"\\n"}'


def test_an_unchanged_journal_is_not_indexed_again_and_a_new_record_is_found(
    cli: Cli, said: Path
) -> None:
    assert len(texts(cli, "rate limit")) == 3
    before = index_of(said).read_bytes()
    assert len(texts(cli, "rate limit")) == 3
    assert index_of(said).read_bytes() == before
    write(said, [a_log("rate limit", 99)], a_run("s"), [a_log("the rate limit", 50, run="s")])
    found = [(hit["run_id"], hit["seq"]) for hit in hits(cli, "rate limit")]
    assert found == [("r", 16), ("s", 2), ("r", 4), ("r", 3), ("r", 2)]


def test_an_index_is_taken_further_in_pieces_and_nothing_is_missed(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_index, "_GROUP", 7)
    monkeypatch.setattr(search_index, "_CHUNK", 3)
    runs = [
        [*a_run(f"r{r}"), *(a_log("hello", n, run=f"r{r}") for n in range(r))] for r in range(12)
    ]
    write(journal, *runs)
    assert len(hits(cli, "hello")) == sum(range(12))
    assert rows(index_of(journal), "SELECT count(*) FROM record") == [(12 + sum(range(12)),)]


def test_an_index_that_breaks_off_is_gone_on_with(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(journal, a_run(), (a_log("hello", n) for n in range(20)))
    monkeypatch.setattr(search_index, "_GROUP", 5)
    monkeypatch.setattr(search_index, "_CHUNK", 5)
    take, taken = SearchIndex._take, []

    def interrupted(index: SearchIndex, chunk: Any) -> int:
        taken.append(chunk.known)
        if len(taken) == 3:
            raise KeyboardInterrupt
        return take(index, chunk)

    monkeypatch.setattr(SearchIndex, "_take", interrupted)
    assert cli("data", "search", "hello")[0] == 130
    assert len(hits(cli, "hello")) == 20
    assert taken == [0, 5, 10, 10, 15, 20]


def _remove(index: Path) -> None:
    index.unlink()


def _spoil(index: Path) -> None:
    index.write_bytes(b"no database " * 1_000)


def _damage(index: Path) -> None:
    index.write_bytes(index.read_bytes()[:4096] + b"\xff" * 40_000)


def _empty(index: Path) -> None:
    index.write_bytes(b"")


def _of_another_version(index: Path) -> None:
    change(index, "PRAGMA user_version = 99")


def _of_another_journal(index: Path) -> None:
    change(index, "UPDATE known SET run_id = 'other'")


def _of_a_longer_journal(index: Path) -> None:
    change(index, "UPDATE known SET seq = 1000")


def _of_another_run_of_that_name(index: Path) -> None:
    change(index, "UPDATE known SET started_at = 1.0")


@pytest.mark.parametrize(
    "spoil",
    [
        _remove,
        _spoil,
        _damage,
        _empty,
        _of_another_version,
        _of_another_journal,
        _of_a_longer_journal,
        _of_another_run_of_that_name,
    ],
)
def test_an_index_that_is_of_no_use_is_made_afresh(cli: Cli, said: Path, spoil: Any) -> None:
    expected = texts(cli, "rate limit")
    spoil(index_of(said))
    assert texts(cli, "rate limit") == expected
    assert len(expected) == 3
    assert rows(index_of(said), "SELECT run_id, seq FROM known") == [("r", 15)]


def test_an_index_that_cannot_be_written_is_done_without(cli: Cli, said: Path) -> None:
    said.with_name(f"{said.name}-search-lock").mkdir()
    code, out, err = cli("data", "search", "rate_limit")
    assert (code, len(json.loads(out))) == (0, 3)
    (note,) = err.splitlines()
    assert note.startswith(f"note: the index {index_of(said)} cannot be used: ")
    assert note.endswith("the records are looked through one by one")


def test_records_that_are_gone_are_not_shown(cli: Cli, said: Path) -> None:
    assert len(texts(cli, "rate limit")) == 3
    change(said, "DELETE FROM journal WHERE seq = 3")
    assert [hit["seq"] for hit in hits(cli, "rate limit")] == [4, 2]


def test_a_journal_that_was_replaced_by_another_is_searched_as_it_is(cli: Cli, said: Path) -> None:
    assert len(texts(cli, "rate limit")) == 3
    said.unlink()
    for end in ("-wal", "-shm"):
        said.with_name(f"{said.name}{end}").unlink(missing_ok=True)
    write(
        said,
        a_run(at=NOON + 1),
        (a_log("something else", n) for n in range(99)),
        [a_log("rate limit")],
    )
    assert [hit["seq"] for hit in hits(cli, "rate limit")] == [101]


def test_nobody_may_read_the_index_who_may_not_read_the_journal(cli: Cli, said: Path) -> None:
    said.chmod(0o600)
    texts(cli, "rate limit")
    assert index_of(said).stat().st_mode & 0o777 == 0o600


def test_a_journal_that_is_damaged_is_said(cli: Cli, said: Path) -> None:
    size = said.stat().st_size
    with said.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    for pattern in ("rate_limit", "rate.limit"):
        code, out, err = cli("data", "search", pattern)
        assert (code, out) == (1, "")
        assert "error: journal " in err


def test_several_processes_search_at_the_same_time(cli: Cli, said: Path) -> None:
    del said
    processes = [
        subprocess.Popen(
            command("data", "search", "rate limit"),
            cwd=cli.workspace,
            env=environment(MAGSAG_DB="journal.db"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for process in processes:
        out, err = process.communicate()
        assert (process.returncode, err) == (0, b"")
        assert len(json.loads(out)) == 3


def test_many_new_records_are_announced_to_a_person_only(
    cli: Cli, said: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_index, "_MANY", 10)
    assert len(texts(cli, "rate limit")) == 3
    index_of(said).unlink()
    monkeypatch.setattr("runtime.cli.data_search.sys.stderr.isatty", lambda: True, raising=False)
    _, _, err = cli("data", "search", "rate limit")
    assert err == "15 new records go into the index first\n"


def test_expressions_are_told_from_words_by_their_characters() -> None:
    assert not any(map(is_expression, ("rate_limit", "rate-limit", '"quoted"', "日本", "a/b", "")))
    assert all(map(is_expression, METACHARACTERS))
