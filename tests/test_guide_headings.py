"""Every heading of the guide has its test, and its place in the table of the catalog's README."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tests.cli_workspace import ROOT
from tests.guide import ABOUT_THE_GUIDE, COVERED, Section, needs_guide, read, sections

pytestmark = needs_guide


def headings() -> dict[str, Section]:
    """Return the guide's headings that are about something to do."""
    return {
        name: each
        for name, each in sections().items()
        if each.level > 1 and name not in ABOUT_THE_GUIDE
    }


def test_every_heading_with_code_or_a_table_has_a_test() -> None:
    for path in Path(__file__).parent.glob("test_guide_*.py"):
        import_module(f"tests.{path.stem}")
    assert {name for name, each in headings().items() if each.blocks or each.tables} == COVERED


def test_every_heading_is_in_the_table_of_the_catalog_in_the_same_order() -> None:
    readme = read((ROOT / "catalog" / "README.md").read_text(encoding="utf-8"))
    table = next(each for section in reversed(readme.values()) for each in section.tables)
    assert [next(iter(row.values())) for row in table] == list(headings())
