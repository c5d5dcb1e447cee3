"""The guide to several providers, read where it lies: its headings, its code blocks, its tables.

``MAGSAG_GUIDE`` names its file. Nothing of its text is in this repository: tests take each block
out of it by its heading and run it as it stands. Where the file is missing they are skipped, with
the reason.

    @covers("Error Handling")
    async def test_...():
        code = block("Error Handling")
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import pytest
from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from markdown_it.token import Token

DEFAULT = Path(__file__).parents[1] / ".." / "shared" / "multi-provider-guide.md"
GUIDE = Path(os.environ.get("MAGSAG_GUIDE", DEFAULT))
COVERED: set[str] = set()
ABOUT_THE_GUIDE = ("Related Documentation", "References", "Update Log")  # nothing to do in these
Test = TypeVar("Test", bound="Callable[..., object]")
Table = list[dict[str, str]]

needs_guide = pytest.mark.skipif(
    not GUIDE.is_file(), reason="no guide here; MAGSAG_GUIDE names its file"
)


class Section(NamedTuple):
    """What stands below one heading, up to the next.

    Attributes:
        level: 1 for the title, 2 for ``##``, 3 for ``###``.
        blocks: the code blocks.
        tables: the tables, each a list of rows by their columns.
        items: the items of its lists, as Markdown.
    """

    level: int
    blocks: list[str]
    tables: list[Table]
    items: list[str]


def covers(heading: str) -> Callable[[Test], Test]:
    """Say that a test is about a heading; without the guide it is skipped."""
    COVERED.add(heading)
    return needs_guide


def block(heading: str, number: int = 0) -> str:
    """Return a code block below a heading, as it stands."""
    return section(heading).blocks[number]


def section(heading: str) -> Section:
    """Return what stands below a heading."""
    return sections()[heading]


@cache
def sections() -> dict[str, Section]:
    """Return what stands below each heading, in their order."""
    return read(GUIDE.read_text(encoding="utf-8"))


def read(markdown: str) -> dict[str, Section]:
    """Return what stands below each heading of a document."""
    body = re.sub(r"\A---\n.*?\n---\n", "", markdown, flags=re.DOTALL)  # the YAML before it
    found: dict[str, Section] = {}
    current = Section(0, [], [], [])
    tokens = MarkdownIt("commonmark").enable("table").parse(body)
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            current = Section(int(token.tag[1:]), [], [], [])
            assert found.setdefault(tokens[at + 1].content, current) is current, "a heading twice"
        elif token.type == "fence":
            current.blocks.append(token.content)
        elif token.type == "table_open":
            current.tables.append(_table(tokens[at:]))
        elif token.type == "list_item_open":
            current.items.append(tokens[at + 2].content)
    return found


def _table(tokens: Sequence[Token]) -> Table:
    head, *rows = _rows(tokens)
    return [dict(zip(head, row, strict=True)) for row in rows]


def _rows(tokens: Sequence[Token]) -> Iterator[list[str]]:
    row: list[str] = []
    for at, token in enumerate(tokens):
        if token.type == "table_close":
            return
        if token.type in ("th_open", "td_open"):
            row.append(tokens[at + 1].content)
        elif token.type == "tr_close":
            yield row
            row = []


# --- shell ---------------------------------------------------------------------------------------


def paragraphs(script: str) -> list[str]:
    """Return the parts of a script that have an empty line between them."""
    return script.strip().split("\n\n")


def exported(script: str) -> dict[str, str]:
    """Return the variables that a script exports, with the values that bash gives them."""
    names = re.findall(r"^export (\w+)=", script, re.MULTILINE)
    assert names
    shown = f'{sys.executable} -c "import json, os; print(json.dumps(dict(os.environ)))"'
    done = subprocess.run(
        ["bash", "-e", "-c", f"{script}\n{shown}"],  # noqa: S607  # whichever bash there is
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    environ = json.loads(done.stdout)
    return {name: environ[name] for name in names}
