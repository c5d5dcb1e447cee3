"""Numbers, dates and addresses in a document, and which of them a name asks for.

A fact belongs to a name when a word of it stands in the same sentence; the nearer, the better.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from providers.extraction.terms import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from providers.extraction.outline import Sentence

WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
NUMBER = re.compile(
    r"(?<![\w.,-])[-+]?(\d{1,3}(?:[,_ \u202f]\d{3})+(?:\.\d+)?|\d{1,18}(?:\.\d{1,9})?)"
    r"\s?(k|thousand|m|million|bn|billion|%)?(?![\w-]|[.,]\d)",
    re.IGNORECASE,
)
SCALES = {
    "k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "bn": 1e9, "billion": 1e9,
}  # fmt: skip
YEAR = re.compile(r"(?<!\d)(1[5-9]\d\d|20\d\d|21\d\d)(?!\d)")
IN_YEAR = re.compile(
    r"\b(?:in|since|until|from|by|before|after|©)\s+(?:1[5-9]|20|21)\d\d\Z", re.IGNORECASE
)
MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
ISO_DATE = re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
DAY_FIRST = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th|\.)?\s+{MONTH},?\s+(\d{{4}})\b", re.IGNORECASE
)
MONTH_FIRST = re.compile(rf"\b{MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})\b", re.IGNORECASE)
URL = re.compile(r"https?://[^\s<>\"')\[\]{}`|]{3,2000}(?<![.,;:!?])")
EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
VERSION = re.compile(
    r"(?<![\w.])v?\d{1,4}\.\d{1,4}(?:\.\d{1,6})?(?:[-+.]?(?:a|b|rc|dev|alpha|beta)\.?\d*)?(?![\w.]*\d)"
)
FAR = 80  # characters; a name's word that is further away says nothing


class Fact(NamedTuple):
    """One fact.

    Attributes:
        value: a number, or text.
        at: where in its sentence it begins.
        end: where it ends.
    """

    value: int | float | str
    at: int
    end: int


def numbers_in(text: str) -> Iterator[Fact]:
    """Return the numbers in ``text`` but for years; a percentage counts as its number."""
    for match in NUMBER.finditer(text):
        if IN_YEAR.search(text, 0, match.end()):
            continue
        digits = re.sub(r"[,_ \u202f]", "", match.group(1))
        value = float(digits) * SCALES.get((match.group(2) or "").lower(), 1.0)
        value = -value if match.group().startswith("-") else value
        yield Fact(int(value) if value.is_integer() else value, match.start(), match.end())


def years_in(text: str) -> Iterator[Fact]:
    """Return what looks like a year in ``text``."""
    return (Fact(int(match.group()), match.start(), match.end()) for match in YEAR.finditer(text))


def dates_in(text: str) -> Iterator[Fact]:
    """Return the dates in ``text``, as ``YYYY-MM-DD``."""
    for match in ISO_DATE.finditer(text):
        yield from _date(match, match.group(1), match.group(2), match.group(3))
    for match in DAY_FIRST.finditer(text):
        yield from _date(match, match.group(3), match.group(2), match.group(1))
    for match in MONTH_FIRST.finditer(text):
        yield from _date(match, match.group(3), match.group(1), match.group(2))


def _date(match: re.Match[str], year: str, month: str, day: str) -> Iterator[Fact]:
    number = int(month) if month.isdigit() else 1 + MONTHS.index(month[:3].lower())
    try:
        found = date(int(year), number, int(day))
    except ValueError:
        return
    yield Fact(found.isoformat(), match.start(), match.end())


def texts_in(pattern: re.Pattern[str]) -> Callable[[str], Iterator[Fact]]:
    """Return a finder of everything that ``pattern`` matches."""
    return lambda text: (
        Fact(match.group(), match.start(), match.end()) for match in pattern.finditer(text)
    )


def nearest(
    sentences: Iterable[Sentence], find: Callable[[str], Iterator[Fact]], name: AbstractSet[str]
) -> list[int | float | str]:
    """Return the facts that stand near a word of ``name``, the best first.

    Args:
        sentences: where to look.
        find: finds the facts in a text.
        name: the folded words that ask for it.
    """
    ranked = []
    for sentence in sentences:
        if name.isdisjoint(sentence.counts):
            continue
        places = [m.span() for m in WORD.finditer(sentence.text) if fold(m.group()) in name]
        ranked += [
            (min(_distance(fact, *place) for place in places), sentence.number, fact)
            for fact in (find(sentence.text) if places else ())
        ]
    close = [entry for entry in sorted(ranked, key=lambda entry: entry[:2]) if entry[0] <= FAR]
    return [fact.value for _, _, fact in close]


def _distance(fact: Fact, start: int, end: int) -> int:
    """Return the characters between a fact and a word; a word behind it is a little nearer."""
    return start - fact.end if start >= fact.end else 2 + fact.at - end
