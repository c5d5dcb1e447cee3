"""What a document is about, in a few words: terms that it repeats, alone and in pairs."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from providers.extraction.terms import IS_WIDE, fold, words

if TYPE_CHECKING:
    from providers.extraction.outline import Outline

TITLE_WEIGHT = 2.0
HEADING_WEIGHT = 1.5
LONG_DOCUMENT = 12  # sentences; in one that is longer, what is said once is not what it is about
PAIR_WEIGHT = 2.2
LEAST_TIMES = 2
LONGEST = 40  # characters
SHORTEST = 3


def keyphrases(outline: Outline, amount: int) -> list[str]:
    """Return the ``amount`` most telling words and pairs of words, the best first."""
    scores, spellings = _scored(outline)
    ranked = sorted(scores, key=lambda phrase: (-scores[phrase], phrase))
    chosen: list[str] = []
    parts: set[str] = set()
    for phrase in ranked:
        if len(chosen) == amount:
            break
        own = set(phrase.split())
        if own.isdisjoint(parts):
            chosen.append(_usual(spellings[phrase]))
            parts |= own
    return chosen


def _scored(outline: Outline) -> tuple[dict[str, float], dict[str, Counter[str]]]:
    scores: dict[str, float] = defaultdict(float)
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    seen: Counter[str] = Counter()
    for text, weight in _weighted(outline):
        for phrase, spelling in _phrases(text):
            is_pair = " " in phrase
            scores[phrase] += weight * (PAIR_WEIGHT if is_pair else 1.0)
            spellings[phrase][spelling] += 1
            seen[phrase] += 1
    for phrase in [
        phrase for phrase, times in seen.items() if " " in phrase and times < LEAST_TIMES
    ]:
        del scores[phrase]
    return scores, spellings


def _weighted(outline: Outline) -> list[tuple[str, float]]:
    texts = [(sentence.text, 1.0) for sentence in outline.sentences]
    texts += [(section.heading, HEADING_WEIGHT) for section in outline.sections]
    return [*texts, (outline.title, TITLE_WEIGHT)]


def _phrases(text: str) -> list[tuple[str, str]]:
    """Return the folded words and pairs of words of ``text``, each with its spelling."""
    spoken = [(fold(word), word) for word in words(text)]
    found = [(term, word) for term, word in spoken if _is_telling(term, word)]
    for (one, first), (other, second) in pairwise(spoken):
        spelling = f"{first} {second}"
        telling = _is_telling(one, first) and _is_telling(other, second) and one != other
        if telling and len(spelling) <= LONGEST and spelling in text:
            found.append((f"{one} {other}", spelling))
    return found


def _is_telling(term: str, word: str) -> bool:
    if not term or len(word) > LONGEST:
        return False
    return IS_WIDE.match(word) is not None or (len(term) >= SHORTEST and not term[0].isdigit())


def _usual(spellings: Counter[str]) -> str:
    """Return the most frequent spelling; of several, one that does not begin a sentence."""
    return min(spellings, key=lambda word: (-spellings[word], word[:1].isupper(), word))
