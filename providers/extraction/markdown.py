"""The prose of a Markdown or plain document: headings, paragraphs and list items, without markup.

Left out are front matter, code, tables, images, comments, rules and link definitions. It is no full
Markdown parser: it knows just enough to tell prose from what is not, line by line.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["heading", "paragraph", "item"]

LONGEST_FENCE = 16
LONGEST_INLINE = 20_000  # characters of a paragraph; in a longer one nobody has written markup
FRONT_MATTER_LINES = 200
LONGEST_MARKUP = 2_000  # characters of a line; a longer one is prose, whatever it looks like
FENCE = re.compile(r" {0,3}(`{3,16}|~{3,16})")
HEADING = re.compile(r" {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$")
UNDERLINE = re.compile(r" {0,3}(=+|-{2,})\s*$")
RULE = re.compile(r" {0,3}([-*_])(?:\s*\1){2,}\s*$")
ITEM = re.compile(r"\s*(?:[-*+•\u2013]|\d{1,9}[.)]|\(\d{1,3}\))\s+(?:\[[ xX]\]\s+)?(.*)")
TABLE_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)+\|?\s*$")
DEFINITION = re.compile(r" {0,3}\[[^\]]{1,200}\]:\s*\S+")
INDENTED = re.compile(r"(?: {4}|\t)")
QUOTE = re.compile(r"\A\s{0,3}(?:>\s?)+")
WIDE = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")

HTML_HEADING = re.compile(r"\s*<h([1-6])\b[^<>]*>(.{1,500}?)</h\1>\s*$", re.IGNORECASE)
DIRECTIVE = re.compile(r"\s*(?:\.\.(?:\s|$)|:[\w-]+:(?:\s|$))")  # of reStructuredText

MARKUP = re.compile(r"[*_`<\[\\~&]")
REFERENCE = re.compile(r"`([^`<>]{1,500}?)\s*<[^<>]{1,2000}>`__?")  # of reStructuredText
CODE = re.compile(r"(`+)([^`]{1,1000}?)\1")
# What stands in code is no markup: its characters take cover while the markup goes.
MARKS = "*_[]<>~\\"
COVER = {ord(mark): 0xE000 + place for place, mark in enumerate(MARKS)}
UNCOVER = {cover: mark for mark, cover in COVER.items()}

INLINE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"!\[[^\]]{0,500}\](?:\([^)\n]{0,2000}\)|\[[^\]]{0,200}\])"), ""),
    (re.compile(r"\[\^[^\]]{1,50}\]"), ""),
    (
        re.compile(r"\[([^\[\]]{0,500})\]\([^()\n]{0,2000}(?:\([^()\n]{0,500}\)[^()\n]{0,500})?\)"),
        r"\1",
    ),
    (re.compile(r"\[([^\[\]]{1,500})\]\[[^\]]{0,200}\]"), r"\1"),
    (re.compile(r"<(https?://[^<>\s]{1,2000})>"), r"\1"),
    (re.compile(r"</?[A-Za-z][^<>]{0,1000}>"), ""),
    (re.compile(r"(?<!\w)([A-Za-z][\w-]{0,100}?[A-Za-z0-9])__?(?=[\s.,;:!?)]|$)"), r"\1"),
    (re.compile(r"(\*\*|__)(?=\S)(.{1,1000}?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]{1,1000})(?<=\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<!\w)_(?=[^\s_])([^_\n]{1,1000})(?<=\S)_(?!\w)"), r"\1"),
    (re.compile(r"~~([^~\n]{1,1000})~~"), r"\1"),
    (re.compile(r"\\([!-/:-@\[-`{-~])"), r"\1"),
    (re.compile(r"\s+"), " "),
)


class Block(NamedTuple):
    """One heading, paragraph or list item.

    Attributes:
        kind: which of them.
        text: its text, on one line.
        level: a heading's level, 1 to 6; 0 for others.
    """

    kind: Kind
    text: str
    level: int = 0


def blocks_of(text: str) -> list[Block]:
    """Return the prose of ``text``; of a text that seems to have none, every line as it is."""
    lines = text.lstrip("\ufeff\r\n").expandtabs(4).splitlines()
    found = [block for block in _Reader().read(_without_front_matter(lines)) if block.text]
    if found or not text.strip():
        return found
    return [Block("paragraph", plain) for line in lines if (plain := without_markup(line))]


def without_markup(text: str) -> str:
    """Return one line of prose without emphasis, links, images and tags."""
    if len(text) > LONGEST_INLINE or not MARKUP.search(text):
        return " ".join(text.split())
    text = REFERENCE.sub(r"\1", text)
    text = CODE.sub(lambda code: code.group(2).translate(COVER), text)
    for pattern, replacement in INLINE:
        text = pattern.sub(replacement, text)
    return html.unescape(text).translate(UNCOVER).strip()


def _without_front_matter(lines: list[str]) -> list[str]:
    if not lines or lines[0].rstrip() not in ("---", "+++"):
        return lines
    for number, line in enumerate(lines[1:FRONT_MATTER_LINES], start=1):
        if line.rstrip() in (lines[0].rstrip(), "..."):
            block = [entry for entry in lines[1:number] if entry.strip()]
            is_data = all(":" in entry or "=" in entry or entry[0] in " -#" for entry in block)
            return lines[number + 1 :] if is_data else lines
    return lines


class _Reader:
    """Reads line by line; holds the block that is being read."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._kind: Kind = "paragraph"
        self._fence = ""
        self._closings: dict[str, int] = {}
        self._in_comment = False
        self._last_comment = -1
        self._in_table = False
        self._in_list = False
        self._after_blank = True

    def read(self, lines: list[str]) -> Iterator[Block]:
        self._closings = _last_closings(lines)
        self._last_comment = max((at for at, line in enumerate(lines) if "-->" in line), default=-1)
        for number, line in enumerate(lines):
            if not self._skips(line, number):
                yield from self._line(QUOTE.sub("", line, count=1))
        yield from self._finish()

    def _skips(self, line: str, number: int) -> bool:
        """Return whether ``line`` is part of code or of a comment; what never ends is neither."""
        if self._in_comment:
            self._in_comment = "-->" not in line
            return True
        fence = FENCE.match(line)
        if self._fence:
            if fence and fence.group(1).startswith(self._fence) and not line.strip(" `~"):
                self._fence = ""
            return True
        if fence and self._ends(fence.group(1), number):
            self._fence = fence.group(1)
            return False
        begins = line.lstrip().startswith("<!--")
        self._in_comment = begins and "-->" not in line and number < self._last_comment
        return begins or fence is not None

    def _ends(self, fence: str, number: int) -> bool:
        return any(
            at > number and closing.startswith(fence) for closing, at in self._closings.items()
        )

    def _line(self, line: str) -> Iterator[Block]:
        if self._fence or not line.strip():
            yield from self._finish()
            self._after_blank, self._in_table = True, False
            return
        after_blank, self._after_blank = self._after_blank, False
        if len(line) > LONGEST_MARKUP:
            self._lines.append(line.strip())
            return
        heading, item = HEADING.match(line), ITEM.match(line)
        self._in_list = item is not None or (self._in_list and line.startswith(" "))
        if heading:
            yield from self._finish()
            yield Block("heading", without_markup(heading.group(2) or ""), len(heading.group(1)))
        elif html_heading := HTML_HEADING.match(line):
            yield from self._finish()
            text = without_markup(html_heading.group(2))
            yield Block("heading", text, int(html_heading.group(1)))
        elif UNDERLINE.match(line) and self._kind == "paragraph" and self._lines:
            yield from self._underlined(1 if "=" in line else 2)
        elif self._is_no_prose(line, after_blank=after_blank):
            yield from self._finish()
        elif item:
            yield from self._finish()
            self._kind, self._lines = "item", [item.group(1)]
        else:
            self._lines.append(line.strip())

    def _underlined(self, level: int) -> Iterator[Block]:
        *before, title = self._lines
        self._lines = before
        yield from self._finish()
        yield Block("heading", without_markup(title), level)

    def _is_no_prose(self, line: str, *, after_blank: bool) -> bool:
        if TABLE_RULE.match(line):
            self._in_table, self._lines = True, self._lines[:-1]
            return True
        if line.lstrip().startswith("|") or (self._in_table and "|" in line):
            return True
        is_code = after_blank and INDENTED.match(line) is not None and not self._in_list
        self._after_blank = is_code  # the next line is code as well if it is indented
        return is_code or any(mark.match(line) for mark in (RULE, DEFINITION, DIRECTIVE))

    def _finish(self) -> Iterator[Block]:
        """End the block that is being read."""
        if self._lines:
            yield Block(self._kind, without_markup(_joined(self._lines)))
            self._lines = []
        self._kind = "paragraph"


def _last_closings(lines: list[str]) -> dict[str, int]:
    """Return for every fence that may end a block of code the last line where it stands."""
    fences = ((line.strip()[:LONGEST_FENCE], at) for at, line in enumerate(lines))
    return {fence: at for fence, at in fences if fence and not fence.strip("`~")}


def _joined(lines: list[str]) -> str:
    text = lines[0]
    for line in lines[1:]:
        tight = WIDE.match(text[-1:]) and WIDE.match(line[:1])
        text += line if tight else f" {line}"
    return text
