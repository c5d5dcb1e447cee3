"""A document as a list of sentences, each with its place in sections and paragraphs."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from providers.extraction.markdown import Block, Kind, blocks_of
from providers.extraction.sentences import split_sentences
from providers.extraction.terms import IS_WIDE, terms, words

LONGEST_TITLE = 100  # characters
TITLE_WITHIN = 12  # blocks; a heading of level 1 further down is no title
TITLE_BEFORE = 2
# Headings of what is in most documents and is not what they are about.
ASIDE = re.compile(
    r"licen[sc]e|copyright|acknowledg|contribut|sponsor|credits?\b|table of contents|changelog"
    r"|release|what's (?:new|changed)|history|authors?\b|support us|code of conduct|see also"
    r"|references|related|further|\blinks\b|get(?:ting)? help|enterprise|\Av?\d+\.\d+"
    r"|\A(?:added|fixed|changed|removed|deprecated|security|community)\Z|\Asupport\b",
    re.IGNORECASE,
)
OPEN_ENDS = (";", ":", ",", "?", "!")


class Sentence(NamedTuple):
    """One sentence.

    Attributes:
        number: its position in the document.
        text: the sentence.
        counts: its terms, with how often each is in it.
        length: its words; a character of Han or kana counts for half of one.
        told: the share of its words that carry meaning, 0 to 1; high in lists and code.
        kind: what it stands in.
        section: the number of its section.
        first: whether it begins its paragraph or item.
    """

    number: int
    text: str
    counts: Counter[str]
    length: int
    told: float
    kind: Kind
    section: int
    first: bool


class Section(NamedTuple):
    """A heading and the sentences up to the next heading.

    Attributes:
        heading: its text; empty for what stands before the first heading.
        level: the heading's level; 0 without one.
        aside: whether it, or a section that it is a part of, is beside the point.
        sentences: the sentences, in their order.
    """

    heading: str
    level: int
    aside: bool
    sentences: list[Sentence]


@dataclass(frozen=True, slots=True)
class Outline:
    """A document, read.

    Attributes:
        title: the highest first heading, or else a short first line; empty when there is neither.
        sections: in the order of the document.
        sentences: all of them, in the order of the document.
        characters: the length of the document.
    """

    title: str
    sections: list[Section] = field(default_factory=list)
    sentences: list[Sentence] = field(default_factory=list)
    characters: int = 0


def outline_of(document: str) -> Outline:
    """Read a Markdown or plain document."""
    blocks = blocks_of(document)
    title_at = _title_at(blocks)
    sections = [Section("", 0, False, [])]
    sentences: list[Sentence] = []
    aside = math.inf
    for number, block in enumerate(blocks):
        if block.kind == "heading":
            aside = _aside_level(aside, block, is_title=number == title_at)
            sections.append(Section(block.text, block.level, aside < math.inf, []))
        elif number != title_at:
            for position, text in enumerate(split_sentences(block.text)):
                place = len(sections) - 1
                sentences.append(_sentence(len(sentences), text, block.kind, place, position == 0))
                sections[-1].sentences.append(sentences[-1])
    title = blocks[title_at].text if title_at is not None else ""
    return Outline(title, sections, sentences, len(document))


def _aside_level(level: float, block: Block, *, is_title: bool) -> float:
    """Return the level of the aside that a heading is in or begins; infinity when it is in none."""
    if block.level > level:
        return level
    is_aside = not is_title and ASIDE.search(block.text) is not None
    return block.level if is_aside else math.inf


def _sentence(number: int, text: str, kind: Kind, section: int, first: bool) -> Sentence:
    spoken = words(text)
    counts = Counter(terms(text))
    wide = sum(len(word) // 2 for word in spoken if IS_WIDE.match(word))
    length = max(len(text.split()), wide)
    told = min(1.0, counts.total() / max(len(spoken), 1))
    return Sentence(number, text, counts, length, told, kind, section, first)


def _title_at(blocks: list[Block]) -> int | None:
    """Return which block is the document's title: a heading near its top, or a short first line."""
    for number, block in enumerate(blocks[:TITLE_WITHIN]):
        is_near = block.level == 1 or number <= TITLE_BEFORE
        if block.kind == "heading" and is_near and not ASIDE.search(block.text):
            return number
    first = blocks[0] if blocks else Block("item", "")
    is_short = first.kind == "paragraph" and len(first.text) <= LONGEST_TITLE
    return 0 if is_short and len(blocks) > 1 and not first.text.endswith(OPEN_ENDS) else None
