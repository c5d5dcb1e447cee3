"""Where work is done, as typed: options, environment, and what is refused or warned of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from runtime.cli.machines import LOOPBACK, Machines, settings_of
from runtime.cli.main import commands
from runtime.journal.location import Address
from tests.cli_workspace import Cli, environment, make_workspace
from tests.nats_server import free_port

SERVER = Address("postgresql://db/magsag")
WITHOUT_NATS = """
import sys
sys.modules["nats"] = None
from runtime.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
COMMANDS = ("run", "resume", "fork", "approve", "deny", "invoke")
HELLO = ("invoke", "--provider", "echo", "--model", "echo-1", "hello")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAGSAG_ENGINE", "MAGSAG_NATS", "MAGSAG_CATALOG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    make_workspace(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAGSAG_DB", str(tmp_path / "journal.db"))
    return Cli(tmp_path, capsys)


def without_nats(tmp_path: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Carry a command out where the extra is not installed."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_NATS, *argv],
        cwd=make_workspace(tmp_path),
        env=environment(MAGSAG_DB="journal.db"),
        capture_output=True,
        text=True,
        check=False,
    )


def test_this_process_does_the_work_unless_something_else_is_said() -> None:
    assert settings_of(Machines("local", None, None), None) is None


def test_a_cluster_is_found_on_loopback_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Machines("nats", None, None)
    assert str(settings_of(asked, SERVER)) == f"cluster magsag at {LOOPBACK}"
    monkeypatch.setenv("MAGSAG_NATS", "nats://user:s3cret@one,nats://two")
    there = "cluster magsag at nats://one:4222,nats://two:4222"
    assert str(settings_of(asked, SERVER)) == there
    named = settings_of(Machines("nats", "three", "mine"), SERVER)
    assert str(named) == "cluster mine at nats://three:4222"


def test_an_address_of_a_cluster_without_its_engine_is_refused() -> None:
    for asked in (Machines("local", "host", None), Machines("local", None, "mine")):
        with pytest.raises(click.UsageError, match="--engine nats"):
            settings_of(asked, SERVER)


def test_a_journal_that_nobody_could_share_is_refused() -> None:
    with pytest.raises(click.UsageError, match=":memory:"):
        settings_of(Machines("nats", None, None), None)


def test_a_journal_in_a_file_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    settings_of(Machines("nats", None, None), Path("journal.db"))
    assert "nodes on other machines do not see it" in capsys.readouterr().err
    settings_of(Machines("nats", None, None), SERVER)
    settings_of(Machines("nats", None, None), Path("journal.db"), quiet=True)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_that_ask_models_take_an_engine(name: str) -> None:
    context = commands.make_context("runtime", [name])
    command = commands.get_command(context, name)
    assert command is not None
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--engine", "--nats", "--cluster", "--db", "--journal"} <= options


def test_the_engine_comes_from_the_environment_too(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAGSAG_ENGINE", "nats")
    monkeypatch.setenv("MAGSAG_NATS", f"nats://user:s3cret@127.0.0.1:{free_port()}")
    code, out, err = cli("run", "tree")
    assert code == 1
    assert out == ""
    assert "no NATS answers there" in err
    assert "s3cret" not in err
    code, out, _ = cli("run", "tree", "--engine", "local")
    assert (code, out) == (0, '{\n  "ok": 2\n}\n')


@pytest.mark.parametrize(
    "argv",
    [
        ("run", "tree", "--engine", "nats"),
        (*HELLO, "--engine", "nats"),
        ("up",),
        ("nodes",),
        ("nodes", "--drain", "x"),
    ],
)
def test_without_the_extra_it_is_said_how_to_install_it(
    tmp_path: Path, argv: tuple[str, ...]
) -> None:
    told = without_nats(tmp_path, *argv)
    assert told.returncode == 1
    assert "pip install 'magsag-runtime[cluster]'" in told.stderr
    assert "internal error" not in told.stderr


def test_calls_that_nobody_shares_need_no_extra(tmp_path: Path) -> None:
    told = without_nats(tmp_path, *HELLO)
    assert (told.returncode, told.stdout) == (0, "hello\n"), told.stderr


def test_calls_in_bulk_take_the_engine_from_the_environment_too(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAGSAG_ENGINE", "nats")
    monkeypatch.setenv("MAGSAG_NATS", f"nats://user:s3cret@127.0.0.1:{free_port()}")
    code, out, err = cli(*HELLO)
    assert (code, out) == (1, "")
    assert "no NATS answers there" in err
    assert "s3cret" not in err
    code, out, _ = cli(*HELLO, "--engine", "local")
    assert (code, out) == (0, "hello\n")


@pytest.mark.parametrize("limit", ["--rpm", "--tpm", "--max-concurrency"])
def test_limits_of_one_process_are_refused_where_a_cluster_shares_them(
    cli: Cli, limit: str
) -> None:
    code, out, err = cli(*HELLO, "--engine", "nats", limit, "5")
    assert (code, out) == (1, "")
    assert f"{limit} is for this process alone" in err


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("--engine", "nats", "--db", ":memory:"), "share a journal, which --db :memory: is not"),
        (("--nats", "host"), "--nats and --cluster are of --engine nats"),
        (("--cluster", "mine"), "--nats and --cluster are of --engine nats"),
    ],
)
def test_calls_in_bulk_join_a_cluster_on_the_terms_of_all(
    cli: Cli, argv: tuple[str, ...], told: str
) -> None:
    code, out, err = cli(*HELLO, *argv)
    assert (code, out) == (1, "")
    assert told in err


def test_a_journal_may_be_called_one(cli: Cli) -> None:
    code, _, _ = cli("run", "tree", "--journal", "other.db", "--run-id", "mine")
    assert code == 0
    assert Path("other.db").exists()


def test_an_address_is_typed_wrong(cli: Cli) -> None:
    code, _, err = cli("run", "tree", "--engine", "nats", "--nats", "http://host")
    assert code == 1
    assert "error: an address of NATS cannot be understood" in err


def test_nodes_of_no_cluster_are_no_table(cli: Cli) -> None:
    code, out, err = cli("nodes", "--nats", f"nats://127.0.0.1:{free_port()}")
    assert (code, out) == (1, "")
    assert "no NATS answers there" in err


def test_nodes_are_listed_shown_or_drained_one_at_a_time(cli: Cli) -> None:
    code, _, err = cli("nodes", "--live", "--json")
    assert code == 1
    assert "exclude each other" in err
