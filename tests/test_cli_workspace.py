"""``init``, ``list`` and ``catalog``, and where things are."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from runtime.catalog import load_catalog
from runtime.cli.main import main
from runtime.cli.places import SHIPPED_CATALOG, catalog_folder, journal_location
from runtime.errors import ConfigurationError
from tests.cli_workspace import make_workspace, run_process

PLAIN_SHELL = "python -m runtime "


@pytest.mark.parametrize("role", ["mag", "sag"])
@pytest.mark.parametrize("folder", ["", "my work"])
def test_the_command_that_init_prints_works_at_once(tmp_path: Path, role: str, folder: str) -> None:
    argv = ["init", "FindDocuments", "--role", role, *(["--dir", folder] if folder else [])]
    ended = run_process(tmp_path, *argv)
    assert ended.returncode == 0, ended.stderr
    where = tmp_path / folder
    assert (where / "agents" / "find_documents.py").is_file()
    entry = yaml.safe_load((where / "catalog" / "agents" / "find-documents.yaml").read_text())
    assert (entry["name"], entry["role"]) == ("find-documents", role)
    printed = ended.stdout.splitlines()[-1].removeprefix("next: ")
    assert printed.startswith(PLAIN_SHELL)
    ran = run_process(tmp_path, *shlex.split(printed.removeprefix(PLAIN_SHELL)), "--json")
    assert ran.returncode == 0, ran.stderr
    outcome = json.loads(ran.stdout)
    assert outcome["usage"]["calls"] >= 1
    assert "Supervisors restart them" in json.dumps(outcome["output"])
    without_input = run_process(tmp_path, *shlex.split(printed)[3:-2])
    assert without_input.returncode == 0, without_input.stderr


def test_init_writes_code_that_the_linters_of_the_workspace_like(tmp_path: Path) -> None:
    for role in ("mag", "sag"):
        run_process(tmp_path, "init", f"{role}-agent", "--role", role)
        text = (tmp_path / "agents" / f"{role}_agent.py").read_text()
        assert max(map(len, text.splitlines())) <= 100
        compile(text, role, "exec")


def test_init_overwrites_nothing_and_changes_nothing_when_it_refuses(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    (tmp_path / "agents" / "mine.py").write_text("precious = True\n")
    before = sorted(tmp_path.rglob("*"))
    ended = run_process(tmp_path, "init", "mine")
    assert ended.returncode == 1
    assert "error: agents/mine.py exists already and nothing is overwritten" in ended.stderr
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "agents" / "mine.py").read_text() == "precious = True\n"
    for name in ("two-leaves", "says"):
        ended = run_process(tmp_path, "init", name)
        assert ended.returncode == 1
        assert f"{name}.yaml" in ended.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_init_leaves_a_catalog_that_is_there_as_it_is(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    routing = (tmp_path / "catalog" / "routing" / "default.yaml").read_text()
    assert run_process(tmp_path, "init", "mine").returncode == 0
    assert (tmp_path / "catalog" / "routing" / "default.yaml").read_text() == routing
    assert run_process(tmp_path, "catalog", "validate").returncode == 0


@pytest.mark.parametrize("name", ["", "1st", "a b", "../up", "ü", "-x", "a--b", "class", "x" * 65])
def test_init_refuses_what_cannot_be_a_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["init", "--dir", str(tmp_path), "--", name]) == 1
    assert capsys.readouterr().err.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_list_has_every_kind_and_says_what_a_provider_lacks(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    ended = run_process(tmp_path, "list", "--json")
    found = json.loads(ended.stdout)
    assert list(found) == ["agents", "skills", "workflows", "providers"]
    assert {"name": "two-leaves", "agent": "tree", "description": "A tree with two leaves."} in (
        found["workflows"]
    )
    ready = {each["name"]: (each["ready"], each["needs"]) for each in found["providers"]}
    assert ready["echo"] == (True, None)
    assert ready["openai"][0] is False
    assert "OPENAI_API_KEY" in ready["openai"][1]
    assert "an import that prints" not in ended.stdout + ended.stderr
    only = json.loads(run_process(tmp_path, "list", "skills", "--json").stdout)
    assert only == {"skills": []}
    people = run_process(tmp_path, "list", OPENAI_API_KEY="k").stdout
    assert "no skills" in people
    assert "OPENAI_API_KEY" not in people
    assert run_process(tmp_path, "list", "agent").returncode == 1


def test_validate_counts_what_is_right_and_names_what_is_wrong(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    ended = run_process(tmp_path, "catalog", "validate")
    assert ended.returncode == 0
    assert ended.stdout.endswith(
        "12 agents, 0 skills, 1 workflow, 2 providers, 0 prices, 0 policies: ok\n"
    )
    (tmp_path / "agents" / "some.py").write_text("import no_such_module\n")
    ended = run_process(tmp_path, "catalog", "validate")
    assert (ended.returncode, ended.stdout) == (1, "")
    faults = ended.stderr.splitlines()
    assert len(faults) == 12
    assert all("no_such_module" in fault for fault in faults)
    for name in ("says", "asks"):
        (tmp_path / "catalog" / "agents" / f"{name}.yaml").write_text("role: boss\n")
    ended = run_process(tmp_path, "catalog", "validate")
    assert ended.returncode == 1
    assert {"says", "asks"} <= {
        Path(line.split(":")[1].strip()).stem for line in ended.stderr.splitlines()
    }


def test_schemas_go_where_loading_passes_over_and_are_explained(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    ended = run_process(tmp_path, "catalog", "schema")
    assert ended.returncode == 0
    for line in ended.stdout.splitlines():
        assert json.loads(Path(line).read_text())["$schema"]
    assert "# yaml-language-server: $schema=../.schemas/agent.schema.json" in ended.stderr
    load_catalog(tmp_path / "catalog")
    assert run_process(tmp_path, "catalog", "schema", "--out", "here").returncode == 0
    assert (tmp_path / "here" / "agent.schema.json").is_file()
    (tmp_path / "file").write_text("")
    ended = run_process(tmp_path, "catalog", "schema", "--out", "file/below")
    assert ended.returncode == 1
    assert "--out" in ended.stderr


def test_the_shipped_catalog_is_used_where_there_is_no_other(tmp_path: Path) -> None:
    ended = run_process(tmp_path, "catalog", "validate")
    assert ended.returncode == 0, ended.stderr
    assert str(SHIPPED_CATALOG) in ended.stdout


def test_another_catalog_is_named_by_option_or_variable(tmp_path: Path) -> None:
    make_workspace(tmp_path / "elsewhere")
    catalog = str(tmp_path / "elsewhere" / "catalog")
    assert run_process(tmp_path, "run", "tree", "--catalog", catalog).returncode == 0
    assert run_process(tmp_path, "run", "tree", MAGSAG_CATALOG=catalog).returncode == 0


def test_the_journal_is_where_help_says(tmp_path: Path) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    assert journal_location(":memory:", state, tmp_path) is None
    assert journal_location("my.db", state, tmp_path) == tmp_path / "my.db"
    assert journal_location("/my.db", state, tmp_path) == Path("/my.db")
    assert journal_location(None, state, tmp_path) == tmp_path / "state" / "magsag" / "journal.db"
    assert journal_location("", {"XDG_STATE_HOME": "relative"}, tmp_path) == (
        Path.home() / ".local" / "state" / "magsag" / "journal.db"
    )
    (tmp_path / ".magsag").mkdir()
    assert journal_location(None, state, tmp_path) == tmp_path / ".magsag" / "journal.db"


def test_without_a_home_a_journal_has_to_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(ConfigurationError, match="--db"):
        journal_location(None, {}, tmp_path)


def test_the_catalog_is_where_help_says(tmp_path: Path) -> None:
    assert catalog_folder(Path("x"), tmp_path) == Path("x")
    assert catalog_folder(None, tmp_path) == SHIPPED_CATALOG
    (tmp_path / "catalog").mkdir()
    assert catalog_folder(None, tmp_path) == tmp_path / "catalog"


def test_an_incomplete_checkout_is_a_mistake_of_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_workspace(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr("runtime.workspace.BESIDE", ("agents", "no_such_package"))
    assert main(["catalog", "validate"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "complete checkout" in line
