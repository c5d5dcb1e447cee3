"""A document that has been read: its outline, its ranking, and the parts that it falls into."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from providers.extraction.keyphrases import keyphrases
from providers.extraction.outline import outline_of
from providers.extraction.prompt_parts import asked_amounts, focus_of
from providers.extraction.ranking import Ranking
from providers.extraction.terms import terms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from providers.extraction.outline import Sentence
    from providers.extraction.prompt_parts import PromptParts
    from providers.filling.source import Path

MOST_PARTS = 5
MOST_KEYPHRASES = 100
USUAL = {"sentences": 3, "points": 5, "keywords": 8}
BRIEF = 8  # sentences; of a document no longer than that, fewer are enough


class Part(NamedTuple):
    """A part of a document that may be told by itself.

    Attributes:
        heading: what it is called; empty when it has no name.
        sentences: what it says.
    """

    heading: str
    sentences: list[Sentence]


class Reading:
    """A document and what is asked about it.

    Attributes:
        document: it, with its markup.
        outline: its title, sections and sentences.
        ranking: which sentences matter, for what is asked.
    """

    def __init__(self, prompt: PromptParts) -> None:
        self.document = prompt.document
        self.outline = outline_of(prompt.document)
        self.ranking = Ranking(self.outline, set(terms(focus_of(prompt.instruction))))
        self._asked: Mapping[str, int] = asked_amounts(prompt.instruction)

    def amount(self, kind: str) -> int:
        """Return how many ``sentences``, ``points`` or ``keywords`` an answer shall have."""
        brief = kind == "sentences" and len(self.outline.sentences) <= BRIEF
        return self._asked.get(kind, 2 if brief else USUAL[kind])

    def part(self, path: Path) -> Part:
        """Return what the field at ``path`` is about: a part if in a list, else everything."""
        positions = [step for step in path[:-1] if isinstance(step, int)]
        if not positions or not self.parts:
            return Part(self.outline.title, self.outline.sentences)
        return self.parts[min(positions[-1], len(self.parts) - 1)]

    def measures(self) -> dict[str, int]:
        """Return how long the document is, in words, sentences and so on; code is not counted."""
        sentences, sections = self.outline.sentences, self.outline.sections
        return {
            "words": sum(len(one.text.split()) for one in sentences),
            "sentences": len(sentences),
            "characters": self.outline.characters,
            "sections": sum(bool(section.heading) for section in sections),
            "paragraphs": sum(one.first for one in sentences),
        }

    @cached_property
    def keyphrases(self) -> list[str]:
        """What the document is about, the most telling words first."""
        return keyphrases(self.outline, MOST_KEYPHRASES)

    @cached_property
    def parts(self) -> list[Part]:
        """The most telling sections, or of a document without sections its key sentences."""
        named = [one for one in self.outline.sections if one.heading and one.sentences]
        told = [one for one in named if not one.aside]
        sections = [Part(one.heading, one.sentences) for one in (told if len(told) > 1 else named)]
        if len(sections) < 2:  # noqa: PLR2004  # one part would be the whole
            best = self.ranking.best(self.outline.sentences, MOST_PARTS)
            return [Part("", [sentence]) for sentence in best]
        ranked = sorted(sections, key=self._weight, reverse=True)[: self._most_parts]
        return [section for section in sections if section in ranked]

    @property
    def _most_parts(self) -> int:
        return self._asked.get("points", MOST_PARTS)

    def _weight(self, part: Part) -> float:
        return max(self.ranking.scores[sentence.number] for sentence in part.sentences)
