"""``providers list``, ``check`` and ``stats``: what can be asked from here, and what was."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import pytest

from runtime.catalog import load_catalog
from runtime.cli.main import main
from runtime.cli.moments import moment
from runtime.cli.provider_checks import AT_ONCE, look_at_all
from runtime.errors import ConfigurationError
from runtime.journal import Record, SqliteJournal
from tests.loopback import closed_port, json_response, loopback, response

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from runtime.messages import ProviderProfile
    from tests.loopback import Received

KEY = "sk-canary-0123456789"
PROVIDERS = """\
providers:
  echo:
    dialect: echo
    models: {echo-1: {}, extract-1: {}}
  cloud:
    dialect: openai_chat
    base_url: https://api.example.com/v1
    base_url_env: [CLOUD_URL]
    api_key_env: [CLOUD_KEY, OTHER_KEY]
    api_key_required: true
    models: {small: {}, large: {}}
    limits: {rpm: 500, tpm: 2_000_000, counts_max_tokens: true}
    model_limits: {"large*": {rpm: 50}}
  here:
    dialect: openai_responses
    fallback_dialect: openai_chat
    region: local
    base_url: http://127.0.0.1:9/v1
    base_url_env: [HERE_URL]
    any_model: true
"""
ROUTING = (
    "name: default\nprovider: echo\ndefault: fast\ntiers: {fast: {echo: echo-1, here: tiny}}\n"
)
LISTED = {"data": [{"id": "small"}, {"id": "medium"}], "object": "list"}


class Said(NamedTuple):
    """What the command line answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def of(self, name: str) -> Any:
        (row,) = (row for row in self.json if row["name"] == name)
        return row


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    catalog = tmp_path / "catalog"
    (catalog / "routing").mkdir(parents=True)
    (catalog / "providers.yaml").write_text(PROVIDERS)
    (catalog / "routing" / "default.yaml").write_text(ROUTING)
    for name in ("CLOUD_URL", "CLOUD_KEY", "OTHER_KEY", "HERE_URL", "MAGSAG_DB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MAGSAG_CATALOG", str(catalog))
    monkeypatch.chdir(tmp_path)

    def call(*argv: str, **environ: str) -> Said:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        code = main(["providers", *argv])
        out, err = capsys.readouterr()
        assert KEY not in out + err
        return Said(code, out, err)

    return call


def models(body: bytes, **headers: str) -> bytes:
    return response(200, body, content_type="application/json", **headers)


# --- list ----------------------------------------------------------------------------------------


def test_list_names_addresses_variables_and_limits(run: Callable[..., Said]) -> None:
    said = run("list", OTHER_KEY=KEY)
    lines = [line.split("  ") for line in said.out.splitlines()]
    rows = {cells[0]: [cell.strip() for cell in cells if cell.strip()] for cells in lines}
    assert said.code == 0
    assert rows["echo"][1:] == ["echo", "in this process", "none", "512 calls"]
    assert rows["cloud"][1:] == [
        "openai_chat",
        "https://api.example.com/v1",
        "OTHER_KEY is set",
        "500 rpm, 2,000,000 tpm, 4 to 512 calls; 1 by model",
    ]
    assert rows["here"][1:] == [
        "openai_responses, else openai_chat",
        "http://127.0.0.1:9/v1",
        "none",
        "4 calls",
    ]


def test_list_says_which_variable_is_missing(run: Callable[..., Said]) -> None:
    assert "CLOUD_KEY or OTHER_KEY is not set" in run("list").out
    row = run("list", "--json").of("cloud")
    assert row["key"] == {"variables": ["CLOUD_KEY", "OTHER_KEY"], "set": None, "required": True}
    assert (row["ready"], "set CLOUD_KEY" in row["needs"]) == (False, True)
    row = run("list", "--json", CLOUD_KEY=KEY).of("cloud")
    assert (row["ready"], row["needs"], row["key"]["set"]) == (True, None, "CLOUD_KEY")


def test_list_has_the_limits_as_an_account_gets_them(run: Callable[..., Said]) -> None:
    limits = run("list", "--json").of("cloud")["limits"]
    assert list(limits) == ["large*", "*"]
    assert (limits["large*"]["rpm"], limits["large*"]["tpm"]) == (50, 2_000_000)
    assert (limits["*"]["rpm"], limits["*"]["counts_max_tokens"]) == (500, True)
    assert run("list", "--json").of("here")["timeouts"]["first_byte"] == 300


def test_list_shows_no_credential_that_stands_in_an_address(run: Callable[..., Said]) -> None:
    said = run("list", "--json", CLOUD_URL=f"https://me:{KEY}@proxy.example.com:8443/v1")
    assert said.of("cloud")["address"] == "https://proxy.example.com:8443/v1"


def test_list_agrees_with_the_list_of_everything(
    run: Callable[..., Said], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = run("list", "--json").json
    assert main(["list", "providers", "--json"]) == 0
    short = json.loads(capsys.readouterr().out)["providers"]
    assert [{name: row[name] for name in short[0]} for row in rows] == short


# --- check ---------------------------------------------------------------------------------------


def test_an_account_that_answers_is_ok_and_what_it_lacks_is_said(
    run: Callable[..., Said],
) -> None:
    body = json.dumps(LISTED).encode()
    with loopback(models(body, x_ratelimit_limit_requests="500", x_other="1")) as server:
        said = run("check", "cloud", "--json", CLOUD_URL=server.url, CLOUD_KEY=KEY)
        (request,) = server.requests
    (row,) = said.json
    assert (said.code, row["status"], row["problem"], row["advice"]) == (0, "ok", None, None)
    assert (row["reachable"], row["authorised"], row["key"]) == (True, True, "CLOUD_KEY")
    assert (row["models"], row["first_models"]) == (2, ["small", "medium"])
    assert row["missing_models"] == ["large"]
    assert row["limits"] == {"x-ratelimit-limit-requests": "500"}
    assert row["latency_ms"] >= 0
    assert (request.method, request.path, request.body) == ("GET", "/v1/models", b"")
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_the_page_tells_the_same(run: Callable[..., Said]) -> None:
    body = json.dumps({"data": [{"id": f"m{n}"} for n in range(7)]}).encode()
    with loopback(models(body, x_ratelimit_limit_requests="500")) as server:
        said = run("check", "cloud", CLOUD_URL=server.url, CLOUD_KEY=KEY)
    table, _, notes = said.out.partition("\n\n")
    assert table.splitlines()[1].split()[:3] == ["cloud", "ok", "7"]
    assert notes.splitlines() == [
        "cloud: has m0, m1, m2, m3, m4 and 2 more",
        "cloud: does not list small, large, which the catalog names",
        "cloud: says x-ratelimit-limit-requests: 500",
    ]


def refusal(status: int, kind: str, message: str, **headers: str) -> bytes:
    body = json.dumps({"error": {"message": message, "type": kind, "code": kind}}).encode()
    return response(status, body, content_type="application/json", **headers)


@pytest.mark.parametrize(
    ("answer", "authorised", "problem", "advice"),
    [
        (
            refusal(401, "invalid_api_key", f"Incorrect API key provided: {KEY}."),
            False,
            "401 (invalid_api_key): Incorrect API key provided: [key].",
            "correct the key: set CLOUD_KEY or OTHER_KEY, or run with --provider echo",
        ),
        (
            refusal(429, "insufficient_quota", "You exceeded your current quota."),
            True,
            "429 (insufficient_quota): You exceeded your current quota.",
            "raise the quota or the balance of this account",
        ),
        (
            refusal(429, "rate_limit_exceeded", "Slow\ndown.", retry_after="7"),
            True,
            "429 (rate_limit_exceeded): Slow down.",
            "wait, or lower the account's limits in the catalog",
        ),
        (
            refusal(403, "unsupported_country_region_territory", "Not here."),
            True,
            "403 (unsupported_country_region_territory): Not here.",
            "choose a provider that serves this region",
        ),
        (
            response(503, b"upstream connect error", content_type="text/plain"),
            False,
            "upstream connect error",
            "try again; the fault is the server's",
        ),
        (
            response(404, b"404 page not found", content_type="text/plain"),
            False,
            "404 page not found",
            "correct the address, {url}, or the dialect, openai_chat",
        ),
        (
            response(200, b"<html>It works!</html>", content_type="text/html"),
            False,
            "no list of models",
            "correct the address, {url}, or the dialect, openai_chat",
        ),
    ],
)
def test_a_refusal_is_told_with_what_to_do(
    run: Callable[..., Said], answer: bytes, authorised: bool, problem: str, advice: str
) -> None:
    with loopback(answer) as server:
        said = run("check", "--json", CLOUD_URL=server.url, CLOUD_KEY=KEY)
    row = said.of("cloud")
    assert (said.code, row["status"]) == (1, "failed")
    assert (row["reachable"], row["authorised"]) == (True, authorised)
    assert problem in row["problem"]
    assert row["advice"] == advice.format(url=server.url)
    assert "\n" not in row["problem"]


def test_a_server_that_is_not_there_fails_once_somebody_has_set_its_address(
    run: Callable[..., Said],
) -> None:
    url = f"http://127.0.0.1:{closed_port()}/v1"
    said = run("check", "--json", HERE_URL=url)
    row = said.of("here")
    assert (said.code, row["status"], row["reachable"]) == (1, "failed", False)
    assert "nothing listens there" in row["problem"]
    assert url in row["advice"]


def test_what_nobody_has_set_up_is_no_failure_unless_it_is_named(run: Callable[..., Said]) -> None:
    said = run("check", "--json")
    assert said.code == 0
    assert [row["status"] for row in said.json] == ["ok", "not_configured", "not_configured"]
    assert said.of("echo")["first_models"] == ["echo-1", "extract-1"]
    assert (said.of("cloud")["reachable"], said.of("here")["reachable"]) == (None, False)
    for name, words in (("cloud", "needs a key; set CLOUD_KEY"), ("here", "nothing listens")):
        said = run("check", name)
        assert said.code == 1
        assert "not configured" in said.out
        assert words in said.out
    assert run("check", "echo").code == 0


def test_a_key_that_is_none_is_a_failure_and_not_a_missing_key(run: Callable[..., Said]) -> None:
    said = run("check", "--json", CLOUD_KEY=f"{KEY} x")
    row = said.of("cloud")
    assert (said.code, row["status"]) == (1, "failed")
    assert (row["problem"], row["advice"]) == (
        "CLOUD_KEY has blanks or odd characters in it",
        "correct it",
    )


def test_a_server_that_says_nothing_is_given_up(run: Callable[..., Said]) -> None:
    def silent(_: Received, __: socket.socket) -> bytes | None:
        server.released.wait()
        return None

    with loopback(silent) as server:
        said = run("check", "here", "--timeout", "0.2", "--json", HERE_URL=server.url)
    (row,) = said.json
    assert (said.code, row["reachable"]) == (1, True)
    assert "did not answer within 0.2 s" in row["problem"]


def test_an_unknown_name_is_a_usage_error(run: Callable[..., Said]) -> None:
    said = run("check", "clod")
    assert (said.code, said.out) == (1, "")
    assert "no provider 'clod'" in said.err
    assert "cloud" in said.err


LISTS = {
    "anthropic": ("/v1/models", {"data": [{"type": "model", "id": "a"}], "has_more": False}),
    "google": ("/v1beta/models", {"models": [{"name": "models/a"}]}),
    "ollama": ("/api/tags", {"models": [{"name": "a", "model": "a"}]}),
    "openai_responses": ("/models", {"data": [{"id": "a"}]}),
}


@pytest.mark.parametrize("dialect", LISTS)
def test_every_dialect_is_asked_for_its_models_in_its_own_way(
    run: Callable[..., Said], tmp_path: Path, dialect: str
) -> None:
    path, body = LISTS[dialect]
    with loopback(json_response(body)) as server:
        url = server.url.removesuffix("/v1")
        entry = f"  more: {{dialect: {dialect}, base_url: '{url}', models: {{a: {{}}}}}}\n"
        (tmp_path / "catalog" / "providers.yaml").write_text(PROVIDERS + entry)
        row = run("check", "more", "--json").json[0]
        (request,) = server.requests
    assert (row["status"], row["problem"], row["models"]) == ("ok", None, 1)
    assert row["missing_models"] == []
    assert request.method == "GET"
    assert request.path.partition("?")[0].endswith(path)


class _Report(NamedTuple):
    reachable: bool = True
    authorised: bool = True
    models: tuple[str, ...] = ()
    limits: Mapping[str, str] = {}
    problem: str | None = None
    advice: str | None = None
    latency_ms: float = 1.0


async def test_accounts_are_looked_at_side_by_side_but_not_all_at_once(tmp_path: Path) -> None:
    entries = "".join(
        f"  e{n}: {{dialect: echo, models: {{echo-1: {{}}}}}}\n" for n in range(3 * AT_ONCE)
    )
    (tmp_path / "routing").mkdir()
    (tmp_path / "providers.yaml").write_text(PROVIDERS + entries)
    (tmp_path / "routing" / "default.yaml").write_text(ROUTING)
    catalog = load_catalog(tmp_path)
    now, most = 0, 0

    async def look(_: ProviderProfile, __: float) -> _Report:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await anyio.sleep(1)
        now -= 1
        return _Report()

    names = [f"e{n}" for n in range(3 * AT_ONCE)]
    began = anyio.current_time()
    checks = await look_at_all(catalog, names, look, 1.0)
    assert [check.name for check in checks] == names
    assert most == AT_ONCE
    assert anyio.current_time() - began == pytest.approx(3.0)


# --- stats ---------------------------------------------------------------------------------------


async def _journal(path: Path, now: float) -> None:
    journal = await SqliteJournal.open(path)

    def note(run_id: str, kind: Any, op: str, body: Mapping[str, Any], at: float) -> None:
        cost = body.get("cost", 0)
        journal.append(Record(run_id, kind, op, body, at, cost))

    for run_id, at in (("old", now - 10 * 86_400), ("new", now - 60)):
        note(run_id, "run_started", "", {"target": "t"}, at)
        for number, outcome in enumerate(OUTCOMES):
            op = f"call-{number}"
            asked = {"provider": "openai", "model": outcome["model"]}
            note(run_id, "invocation_started", op, asked, at)
            kind = "invocation_failed" if "reason" in outcome else "invocation_completed"
            note(run_id, kind, op, outcome, at + outcome["after"])
        note(run_id, "run_completed", "", {"output": 1}, at + 9)
    await journal.close()


OUTCOMES: list[dict[str, Any]] = [
    {
        "model": "small",
        "usage": {"input_tokens": 100, "output_tokens": 10},
        "cost": 5_000_000,
        "after": 1.0,
    },
    {
        "model": "small",
        "usage": {"input_tokens": 200, "output_tokens": None},
        "cost": 1_000_000,
        "after": 2.0,
    },
    {"model": "small", "error": "e", "reason": "rate_limit", "after": 5.0},
    {"model": "small", "error": "e", "reason": "provider", "error_class": "AuthFailed", "after": 5},
    {"model": "mystery", "usage": {"input_tokens": 7}, "unpriced": True, "after": 0.5},
]


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = tmp_path / "journal.db"
    anyio.run(_journal, path, datetime.now(UTC).timestamp())
    return str(path)


def test_stats_count_calls_errors_tokens_money_and_time(
    run: Callable[..., Said], database: str
) -> None:
    said = run("stats", "--db", database, "--last", "1", "--json")
    assert said.code == 0
    assert said.json == {
        "runs": 1,
        "providers": [
            {
                "provider": "openai",
                "model": "mystery",
                "calls": 1,
                "errors": 0,
                "errors_by_class": {},
                "input_tokens": 7,
                "output_tokens": 0,
                "cost_usd": None,
                "unpriced_calls": 1,
                "latency_s": 0.5,
            },
            {
                "provider": "openai",
                "model": "small",
                "calls": 4,
                "errors": 2,
                "errors_by_class": {"rate_limit": 1, "AuthFailed": 1},
                "input_tokens": 300,
                "output_tokens": 10,
                "cost_usd": 0.006,
                "unpriced_calls": 0,
                "latency_s": 1.5,
            },
        ],
    }


def test_stats_are_a_table_for_people(run: Callable[..., Said], database: str) -> None:
    lines = run("stats", "--db", database).out.splitlines()
    assert lines[0].split() == [
        *("PROVIDER", "MODEL", "CALLS", "ERRORS", "INPUT", "OUTPUT", "COST", "LATENCY")
    ]
    assert lines[1].split() == ["openai", "mystery", "2", "0", "14", "0", "unpriced", "0.50", "s"]
    assert lines[2].split() == [
        *("openai", "small", "8", "4", "600", "20", "$0.012000", "1.50", "s")
    ]
    assert lines[3] == "openai/small failed: 2 AuthFailed, 2 rate_limit"


@pytest.mark.parametrize(("since", "runs"), [("1h", 1), ("9d", 1), ("11d", 2), ("1970-01-01", 2)])
def test_stats_begin_where_they_are_told(
    run: Callable[..., Said], database: str, since: str, runs: int
) -> None:
    assert run("stats", "--db", database, "--since", since, "--json").json["runs"] == runs


def test_stats_agree_with_the_rows_of_the_runs(
    run: Callable[..., Said], database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = run("stats", "--db", database, "--json").json["providers"]
    assert main(["runs", "--db", database, "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)
    for name in ("calls", "errors", "input_tokens", "output_tokens"):
        assert sum(row[name] for row in rows) == sum(run["usage"][name] for run in runs)
    assert sum(row["unpriced_calls"] for row in rows) == sum(run["unpriced_calls"] for run in runs)


def test_without_calls_stats_say_so_and_make_no_file(run: Callable[..., Said]) -> None:
    said = run("stats", "--db", "none.db")
    assert (said.code, said.out) == (0, "")
    assert "no model calls in 0 runs of " in said.err
    assert run("stats", "--db", "none.db", "--json").json == {"runs": 0, "providers": []}
    assert run("stats", "--db", ":memory:").code == 1


def test_stats_say_what_they_do_not_know_and_who_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["providers", "stats", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Those of invoke count as the calls of a run" in told
    assert "invoke -v tells it at its end" in told


@pytest.mark.parametrize("since", ["", "yesterday", "7w", "-7d", "2026-13-01", "999999d"])
def test_a_time_that_is_none_is_a_usage_error(run: Callable[..., Said], since: str) -> None:
    said = run("stats", "--db", "none.db", "--since", since)
    assert (said.code, said.out) == (1, "")
    assert "is no time; write it like 30m, 12h, 7d or 2026-11-22" in said.err


def test_times_are_utc_unless_they_say_otherwise() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    ten = datetime(2026, 11, 22, 10, tzinfo=UTC).timestamp()
    assert moment("--since", "90m", now) == ten + 1_800
    assert moment("--since", "2026-11-22", now) == datetime(2026, 11, 22, tzinfo=UTC).timestamp()
    assert moment("--since", "2026-11-22T12:00+02:00", now) == ten
    with pytest.raises(ConfigurationError):
        moment("--since", "soon", now)
