"""What the tables of the catalog's README name is there: files, commands and their options."""

from __future__ import annotations

import re
from itertools import takewhile

import pytest

from runtime.cli.main import main
from tests.cli_workspace import ROOT
from tests.guide import read

README = read((ROOT / "catalog" / "README.md").read_text(encoding="utf-8"))
COMMAND = "python -m runtime "


def named() -> list[str]:
    """Return what stands between backticks in the tables."""
    rows = [row for section in README.values() for table in section.tables for row in table]
    found = re.findall(r"`([^`]+)`", " ".join(cell for row in rows for cell in row.values()))
    return sorted(set(found))


@pytest.mark.parametrize("path", [each for each in named() if not each.startswith(COMMAND)])
def test_every_file_of_the_tables_exists(path: str) -> None:
    assert any(ROOT.glob(path))


@pytest.mark.parametrize("command", [each for each in named() if each.startswith(COMMAND)])
def test_every_command_of_the_tables_exists_with_its_options(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command.removeprefix(COMMAND).split()
    names = list(takewhile(lambda word: not word.startswith("-"), words))
    assert main([*names, "--help"]) == 0
    told = capsys.readouterr().out
    assert f"runtime {' '.join(names)} " in told
    for option in (word for word in words if word.startswith("--")):
        assert option in told
