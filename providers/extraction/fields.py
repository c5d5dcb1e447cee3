"""Values for the fields of a schema, found in a document by the fields' names and types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from providers.extraction.facts import (
    EMAIL,
    URL,
    VERSION,
    dates_in,
    nearest,
    numbers_in,
    texts_in,
    years_in,
)
from providers.extraction.names import (
    ASKS,
    ASSERTING,
    COUNTING,
    MEASURES,
    asks_for,
    ends_in,
    parts_of,
    subject_of,
)
from providers.extraction.terms import terms
from providers.extraction.texts import TITLE_LENGTH, fitted, headline, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from providers.extraction.facts import Fact
    from providers.extraction.outline import Sentence
    from providers.extraction.reading import Reading
    from providers.filling import Field

    Find = Callable[[str], Iterator[Fact]]

LISTED = 10
TITLE_CANDIDATES = 5
OPENING = 4  # sentences among which a title may stand
BARE = ASKS["date"] | ASKS["version"] | ASKS["email"]
QUESTION_MARKS = ("?", "\uff1f")
SCALARS = ("string", "integer", "number", "boolean")
DATE_FORMATS: Mapping[str, str] = {"date": "{}", "date-time": "{}T00:00:00Z"}
FORMAT_ASKS: Mapping[str, str] = {
    "date": "date", "date-time": "date", "uri": "link", "iri": "link", "email": "email",
}  # fmt: skip
FACTS: Mapping[str, Find] = {"email": texts_in(EMAIL), "version": texts_in(VERSION)}
PICTURE = re.compile(r"\.(?:svg|png|gif|jpe?g)\b|shields\.io|badge", re.IGNORECASE)


class ExtractedFields:
    """A document as a source of values for a schema."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._ranking = reading.ranking
        self._outline = reading.outline

    def values(self, field: Field) -> Iterator[Any]:
        """Return candidates for ``field``, the best first; null where nothing was found."""
        if field.choices:
            yield from self._present(field.choices)
        else:
            yield from FINDERS[field.type](self, field)
        if field.type in SCALARS:
            yield from (*field.defaults, None)

    def count(self, field: Field) -> int | None:
        """Return how many objects an array shall have: one for each part of the document."""
        return len(self._reading.parts) if field.item_type == "object" else None

    def names(self, field: Field) -> Iterable[str]:
        """Return nothing: a document names no properties."""
        del field
        return ()

    def words(self) -> list[str]:
        """Return what the document is about."""
        return self._reading.keyphrases[:LISTED]

    # --- texts -----------------------------------------------------------------------------------

    def text(self, field: Field) -> Iterator[str]:
        """Return texts for a field, by what its format or the end of its name asks for."""
        form = field.bounds.get("format", "")
        asked = FORMAT_ASKS.get(form) or ends_in(field.name, "link", "email", "version", "date")
        if asked is None and not form:
            yield from self._prose(field)
        elif asked == "date":
            yield from map(DATE_FORMATS.get(form, "{}").format, self._facts(field, dates_in))
        elif asked == "link":
            yield from self._links(field)
        elif asked is not None:
            yield from map(str, self._facts(field, FACTS[asked]))

    def _prose(self, field: Field) -> Iterator[str]:
        part = self._reading.part(field.path)
        most = int(field.bounds.get("maxLength", 1_000_000))
        asked = asks_for(field.name, *TEXTS) if field.name else "summary"
        if field.path and isinstance(field.path[-1], int):
            yield from (shortened(text, most) for text in self._listed(field)[field.path[-1] :])
        elif asked == "title":
            yield from (
                shortened(title, most) for title in self._titles(part.heading, part.sentences)
            )
        elif asked == "keywords":
            yield from self._reading.keyphrases[:1]
        elif asked is not None:
            amount = 1 if asked == "line" else self._reading.amount("sentences")
            text = fitted(self._ranking, part.sentences, amount, field.bounds)
            yield from () if text is None else (text,)
        else:
            yield from self._related_text(field, part.sentences)

    def _titles(self, heading: str, sentences: list[Sentence]) -> Iterator[str]:
        """Return the heading, or else a key sentence that is short enough, or else a cut one."""
        yield from [headline(heading, len(heading))] if heading else []
        best = self._ranking.best_first(sentences, TITLE_CANDIDATES)
        short = [one for one in best if one.number < OPENING and len(one.text) <= TITLE_LENGTH]
        yield from (headline(one.text) for one in (*short, *best))

    def _related_text(self, field: Field, among: list[Sentence]) -> Iterator[str]:
        """Return what a section of the field's name says, or the sentences nearest to it."""
        under = self._under_heading(field, among)
        text = fitted(self._ranking, under, 2, field.bounds) if under else None
        if text is not None:
            yield text
        most = int(field.bounds.get("maxLength", 1_000_000))
        yield from (shortened(sentence.text, most) for sentence in self._related(field, among)[:3])

    def _under_heading(self, field: Field, among: list[Sentence]) -> list[Sentence]:
        subject = subject_of(field.name)
        headings = [set(terms(section.heading)) for section in self._outline.sections]
        return [one for one in among if subject and subject <= headings[one.section]]

    def _related(self, field: Field, among: list[Sentence]) -> list[Sentence]:
        """Return the sentences that share words with the field's name and description."""
        subject = subject_of(field.name)
        query = subject | set(terms(field.description))
        near = [one for one in among if subject & one.counts.keys()]
        near = [one for one in near if not one.text.endswith(QUESTION_MARKS)]
        near = near or [one for one in among if len(query & one.counts.keys()) > 1]
        affinity, scores = self._ranking.affinity, self._ranking.scores
        return sorted(
            near, key=lambda one: (-affinity(one, query) * (1 + scores[one.number]), one.number)
        )

    # --- lists -----------------------------------------------------------------------------------

    def array(self, field: Field) -> Iterator[list[Any]]:
        """Return lists for a field; an empty one last, as nothing found is an answer."""
        most = int(field.bounds.get("maxItems", 1_000))
        if field.item_choices:
            yield list(self._present(field.item_choices))[:most]
        elif field.item_type == "string":
            yield self._listed(field)[:most]
        elif field.item_type in ("integer", "number"):
            yield list(dict.fromkeys(self.number(field)))[:most]
        if field.item_type != "object":
            yield []

    def _listed(self, field: Field) -> list[str]:
        part = self._reading.part(field.path)
        asked = asks_for(field.name, *LISTS) if field.name else "points"
        if asked in ("headings", "questions"):
            return self._headings() if asked == "headings" else self._questions(part.sentences)
        if asked == "keywords":
            return self._reading.keyphrases[: self._reading.amount("keywords")]
        if asked == "link":
            return list(dict.fromkeys(self._links(field)))[:LISTED]
        if asked == "points":
            amount = max(self._reading.amount("points"), int(field.bounds.get("minItems", 0)))
            return [one.text for one in self._ranking.best(part.sentences, amount)]
        related = self._under_heading(field, part.sentences)
        related = related or self._related(field, part.sentences)
        return [one.text for one in self._ranking.best(related, LISTED)]

    def _headings(self) -> list[str]:
        headings = (section.heading for section in self._outline.sections)
        return [heading for heading in headings if heading and heading != self._outline.title]

    def _questions(self, among: list[Sentence]) -> list[str]:
        return [one.text for one in among if one.text.endswith(QUESTION_MARKS)][:LISTED]

    # --- facts -----------------------------------------------------------------------------------

    def number(self, field: Field) -> Iterator[int | float]:
        """Return numbers for a field: a measure of the document, a year, or one near its name."""
        measure = next((MEASURES[part] for part in parts_of(field.name) if part in MEASURES), None)
        if measure is not None:
            yield self._reading.measures()[measure]
            return
        is_year = asks_for(field.name, "year") is not None or "year" in parts_of(field.name)
        subject = subject_of(field.name, COUNTING | {"year"}) or set(terms(field.description))
        among = self._reading.part(field.path).sentences
        yield from _numeric(nearest(among, years_in if is_year else numbers_in, subject))
        if is_year:
            yield from _numeric(fact.value for one in among for fact in years_in(one.text))

    def boolean(self, field: Field) -> Iterator[bool]:
        """Return whether everything that the field's name is about is mentioned."""
        subject = subject_of(field.name, ASSERTING)
        if subject:
            among = self._reading.part(field.path).sentences
            yield all(any(term in one.counts for one in among) for term in subject)

    def _links(self, field: Field) -> Iterator[str]:
        """Return the addresses in the document, those on a line with the field's name first."""
        subject = subject_of(field.name)
        lines = [line for line in self._reading.document.splitlines() if "://" in line]
        named = [line for line in lines if subject & set(terms(line))]
        found = (str(fact.value) for line in (*named, *lines) for fact in texts_in(URL)(line))
        return (url for url in found if not PICTURE.search(url))

    def _facts(self, field: Field, find: Find) -> Iterator[Any]:
        among = self._reading.part(field.path).sentences
        subject = subject_of(field.name, BARE)
        yield from nearest(among, find, subject)
        everywhere = [fact.value for one in among for fact in find(one.text)]
        if not subject or len(set(everywhere)) == 1:
            yield from everywhere

    def _present(self, choices: Iterable[Any]) -> list[Any]:
        """Return those choices that the document mentions, the most mentioned first."""
        totals = self._ranking.totals
        mentions = {
            choice: sum(totals[term] for term in set(terms(choice)))
            for choice in choices
            if isinstance(choice, str)
        }
        return sorted(filter(mentions.get, mentions), key=lambda choice: -mentions[choice])


def _numeric(values: Iterable[Any]) -> Iterator[int | float]:
    return (value for value in values if isinstance(value, int | float))


def _nothing(_fields: ExtractedFields, _field: Field) -> Iterator[Any]:
    return iter(())


TEXTS = ("title", "line", "summary", "keywords")
LISTS = ("keywords", "headings", "questions", "link", "points")
FINDERS: Mapping[str, Callable[[ExtractedFields, Field], Iterator[Any]]] = {
    "string": ExtractedFields.text,
    "array": ExtractedFields.array,
    "integer": ExtractedFields.number,
    "number": ExtractedFields.number,
    "boolean": ExtractedFields.boolean,
    "object": _nothing,
    "null": _nothing,
}
