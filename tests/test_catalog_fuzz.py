"""Whatever a person does to a catalog, loading it gives a catalog or faults inside its files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.catalog import Catalog, CatalogFaults, load_catalog
from tests.catalog_workspace import FILES

TOKENS = (
    "",
    " ",
    "\n",
    "\t",
    ":",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "'",
    '"',
    "|",
    "&a ",
    "*a",
    "<<: ",
    "~",
)
WORDS = (
    "name",
    "prompt",
    "models",
    "tiers",
    "yes",
    "1.5",
    "-1",
    "2024-01-01",
    "é",
    "{x}",
    "!!set ",
)


def load_changed(files: dict[str, str]) -> Catalog | None:
    """Load a catalog, and check that whatever is wrong with it lies inside one of its files."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "agents").mkdir()
        (root / "agents" / "digest.py").write_text("")
        for name, text in files.items():
            path = root / "catalog" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        try:
            return load_catalog(root / "catalog")
        except CatalogFaults as error:
            faults = error.faults
        assert faults
        for fault in faults:
            assert_inside(fault.file, fault.line, fault.column)
            assert len(str(fault).splitlines()) == 1
            assert len(fault.what) + len(fault.todo) < 1_500
        return None


def assert_inside(file: str, line: int, column: int) -> None:
    if Path(file).is_dir():
        assert (line, column) == (0, 0)
        return
    text = Path(file).read_bytes().decode("utf-8-sig")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert 1 <= line <= len(lines)
    assert 1 <= column <= len(lines[line - 1]) + 1


@st.composite
def edited(draw: st.DrawFn) -> dict[str, str]:
    """Return the files with a few stretches of one of them cut, replaced or doubled."""
    files = dict(FILES)
    name = draw(st.sampled_from(sorted(files)))
    text = files[name]
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        middle = draw(st.sampled_from(TOKENS + WORDS) | st.just(text[start:end] * 2))
        text = text[:start] + middle + text[end:]
    return {**files, name: text[: draw(st.none() | st.integers(0, len(text)))]}


@given(edited())
@settings(deadline=None)
def test_edited_text_gives_a_catalog_or_faults_in_its_files(files: dict[str, str]) -> None:
    load_changed(files)


ATOMS = st.none() | st.booleans() | st.integers(-5, 10**20) | st.floats() | st.text(max_size=8)
KEYS = st.sampled_from(["name", "x", "type", "models", "a b", "default", "<<", "1"]) | st.integers(
    0, 3
)
DATA = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)


@st.composite
def retyped(draw: st.DrawFn) -> dict[str, str]:
    """Return the files, one of them with top-level keys renamed or of any type."""
    files = dict(FILES)
    name = draw(st.sampled_from(sorted(files)))
    data: dict[Any, Any] = yaml.safe_load(files[name])
    for key in draw(st.lists(st.sampled_from(sorted(data)), min_size=1, max_size=3, unique=True)):
        if draw(st.booleans()):
            data[key] = draw(DATA)
        else:
            data[draw(KEYS)] = data.pop(key)
    return {**files, name: yaml.safe_dump(data, allow_unicode=True)}


@given(retyped())
@settings(deadline=None)
def test_any_types_give_a_catalog_or_faults_in_its_files(files: dict[str, str]) -> None:
    load_changed(files)


def test_the_unchanged_files_are_faultless() -> None:
    assert load_changed(dict(FILES)) is not None
