"""Which sentences of a document matter.

A sentence scores by how much it resembles the whole document (the cosine of its terms and the
document's, weighted by how telling a term is), and then by where and what it is: openings count
more, fragments, questions and cross-references less. Picking takes the best one, then the best one
that does not repeat it, and so on. Everything is linear in the length of the document.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

from providers.extraction.terms import terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from providers.extraction.outline import Outline, Sentence

OPENING_SENTENCES = 3
OPENING_BONUS = 0.35
SECTION_BONUS = 0.08
TITLE_BONUS = 0.2
QUESTION_BONUS = 1.5
REPETITION_COST = 0.7
CANDIDATES = 200
LENGTHS = ((4, 0.15), (7, 0.6), (10, 0.85), (32, 1.0), (48, 0.85), (math.inf, 0.6))
ODD = re.compile(r"[^\w\s,.'\u2019!?。、\uff0c\uff01\uff1f-]")
ODD_SHARES = ((0.025, 1.0), (0.05, 0.85), (0.08, 0.6), (math.inf, 0.35))
TELEGRAM_SHARE = 1.3  # more telling than the document's average by this: a list, not a sentence
TELEGRAM_DAMPER = 0.6
ASIDE_DAMPER = 0.4
SAME = 0.8  # two sentences that are this similar say the same
DAMPERS: tuple[tuple[re.Pattern[str], float], ...] = (
    (re.compile(r"(?:[:,;]|\.\.\.|…)\Z"), 0.55),
    (re.compile(r"[?\uff1f]\Z"), 0.6),
    (re.compile(r"\A(?:this|that|these|those|it|they|he|she|here|there)\b", re.IGNORECASE), 0.85),
    (
        re.compile(
            r"\A(?:which|but|however|and|or|so|then|also|thus|otherwise|see)\b", re.IGNORECASE
        ),
        0.8,
    ),
    (re.compile(r"\A(?:please|install|click|run|visit|check|refer|read)\b", re.IGNORECASE), 0.75),
    (re.compile(r"https?://\S+\Z|\A\S+\Z"), 0.3),
)


class Ranking:
    """The scores of a document's sentences.

    Attributes:
        scores: by the sentence's number; higher is better, the best about 1 before bonuses.
        weights: how telling each term is: high for one that few sentences have.
        totals: how often each term is in the document.
    """

    def __init__(self, outline: Outline, query: AbstractSet[str] = frozenset()) -> None:
        """Rank the sentences of ``outline``; those that share the terms of ``query`` gain."""
        sentences = outline.sentences
        spread = Counter(term for sentence in sentences for term in sentence.counts)
        self.weights = {
            term: math.log(1 + len(sentences) / count) for term, count in spread.items()
        }
        self.totals: Counter[str] = Counter()
        for sentence in sentences:
            self.totals.update(sentence.counts)
        self._norms = [self._norm(sentence) for sentence in sentences]
        likeness = [self._likeness(sentence) for sentence in sentences]
        highest = max(likeness, default=0.0) or 1.0
        place = _Places(outline)
        self.scores = [
            (like / highest + place.bonus(sentence)) * place.damping(sentence)
            + _answering(sentence, query)
            for sentence, like in zip(sentences, likeness, strict=True)
        ]

    def best(self, among: Sequence[Sentence], amount: int) -> list[Sentence]:
        """Return the ``amount`` best sentences that do not repeat each other, in their order."""
        return sorted(self.best_first(among, amount), key=lambda sentence: sentence.number)

    def best_first(self, among: Sequence[Sentence], amount: int) -> list[Sentence]:
        """Return the ``amount`` best sentences that do not repeat each other, the best first."""
        ranked = sorted(among, key=lambda one: (-self.scores[one.number], one.number))
        left = ranked[: CANDIDATES + amount]
        costs = dict.fromkeys((one.number for one in left), 0.0)
        chosen: list[Sentence] = []
        while left and len(chosen) < amount:
            best = max(
                left, key=lambda one: (self.scores[one.number] - costs[one.number], -one.number)
            )
            left.remove(best)
            chosen.append(best)
            for one in left:
                likeness = REPETITION_COST * self.similarity(one, best)
                costs[one.number] = max(costs[one.number], likeness)
            left = [one for one in left if costs[one.number] < REPETITION_COST * SAME]
        return chosen

    def similarity(self, one: Sentence, other: Sentence) -> float:
        """Return how much two sentences say the same: 0 nothing, 1 all."""
        shared = sum(self.weights[term] ** 2 for term in one.counts.keys() & other.counts.keys())
        return shared / (self._norms[one.number] * self._norms[other.number] or 1.0)

    def affinity(self, sentence: Sentence, query: Iterable[str]) -> float:
        """Return how much of what is told by the terms of ``query`` is in ``sentence``."""
        return sum(self.weights[term] for term in set(query) if term in sentence.counts)

    def _norm(self, sentence: Sentence) -> float:
        return math.sqrt(sum(self.weights[term] ** 2 for term in sentence.counts))

    def _likeness(self, sentence: Sentence) -> float:
        weights, totals = self.weights, self.totals
        told = sum(weights[term] ** 2 * totals[term] for term in sentence.counts)
        return told / (self._norms[sentence.number] or 1.0)


def _answering(sentence: Sentence, query: AbstractSet[str]) -> float:
    """Return what a sentence gains by the terms that are asked for, whatever else it is."""
    return QUESTION_BONUS * len(query & sentence.counts.keys()) / max(len(query), 1)


class _Places:
    """What a sentence gains and loses by where and what it is."""

    def __init__(self, outline: Outline) -> None:
        self._sections = outline.sections
        self._title = set(terms(outline.title))
        prose = [one for one in outline.sentences if one.kind == "paragraph"]
        told = sum(one.told for one in outline.sentences) / max(len(outline.sentences), 1)
        self._most_told = TELEGRAM_SHARE * told
        self._opening = {one.number: rank for rank, one in enumerate(prose[:OPENING_SENTENCES])}

    def bonus(self, sentence: Sentence) -> float:
        found = sentence.counts.keys()
        gained = OPENING_BONUS / (1 + self._opening.get(sentence.number, math.inf))
        gained += SECTION_BONUS * (self._sections[sentence.section].sentences[0] is sentence)
        return gained + TITLE_BONUS * len(self._title & found) / max(len(self._title), 1)

    def damping(self, sentence: Sentence) -> float:
        text = sentence.text
        damped = next(factor for length, factor in LENGTHS if sentence.length < length)
        for pattern, factor in DAMPERS:
            damped *= factor if pattern.search(text) else 1.0
        odd = len(ODD.findall(text)) / max(len(text), 1)
        damped *= next(factor for share, factor in ODD_SHARES if odd < share)
        damped *= TELEGRAM_DAMPER if sentence.told > self._most_told else 1.0
        return damped * (ASIDE_DAMPER if self._sections[sentence.section].aside else 1.0)
