"""What the name of a field asks for, as tables: ``key_points`` for points, ``tagline`` for a line.

A name asks for something when, without words that only decorate (``main``, ``short``), it is made
of the words of one row.
"""

from __future__ import annotations

import re

from providers.extraction.terms import fold

PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")

_ASKS = {
    "title": "title heading headline name caption",
    "line": "tldr tagline gist lead takeaway point highlight finding claim fact sentence quote"
    " statement insight liner line",
    "summary": "summary abstract description overview synopsis digest conclusion answer text"
    " content body result report explanation purpose about output response",
    "points": "point highlight bullet takeaway finding insight fact sentence idea claim lesson note"
    " detail conclusion learning statement observation quote summary result message item",
    "keywords": "keyword topic tag term subject theme concept entity category label keyphrase"
    " phrase",
    "headings": "section heading chapter outline toc headline structure",
    "questions": "question",
    "link": "link url uri href website homepage",
    "email": "email mail",
    "version": "version",
    "date": "date day at on",
    "year": "year",
}
_DECORATION = """
a the of in for and key main top important short brief long concise document doc text article
page file overall full one single line project package library list most general primary core
readme source
"""
_COUNTING = "count number num total amount n of how many size length"
_ASSERTING = """
has have is are was mention mentions mentioned contain contains include includes use uses used
support supports supported require requires required need needs with does do can offer offers
provide provides provided available
"""
ASKS = {kind: frozenset(words.split()) for kind, words in _ASKS.items()}
DECORATION = frozenset(_DECORATION.split())
COUNTING = frozenset(_COUNTING.split())
ASSERTING = frozenset(_ASSERTING.split())
MEASURES = {
    "word": "words",
    "sentence": "sentences",
    "character": "characters",
    "char": "characters",
    "section": "sections",
    "heading": "sections",
    "paragraph": "paragraphs",
}


def parts_of(name: str) -> list[str]:
    """Return the words of a name in snake, kebab or camel case, in lower case."""
    return [part.lower() for part in PARTS.findall(name)]


def asks_for(name: str, *what: str) -> str | None:
    """Return the first of ``what``, keys of ``ASKS``, that ``name`` asks for, or None."""
    parts = parts_of(name)
    telling = [part for part in parts if part not in DECORATION] or parts[-1:]
    forms = [{part, fold(part)} for part in telling]
    return next((row for row in what if forms and all(form & ASKS[row] for form in forms)), None)


def ends_in(name: str, *what: str) -> str | None:
    """Return the first of ``what`` that the last word of ``name`` asks for: ``release_date``."""
    last = parts_of(name)[-1:]
    return next((row for row in what for part in last if ASKS[row] & {part, fold(part)}), None)


def subject_of(name: str, without: frozenset[str] = frozenset()) -> set[str]:
    """Return the folded words of ``name`` that say what it is about."""
    parts = [part for part in parts_of(name) if part not in without]
    return {folded for part in parts if (folded := fold(part))}
