"""Sentences put together so that they keep within a length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from providers.extraction.outline import Sentence
    from providers.extraction.ranking import Ranking

MOST_SENTENCES = 60
ELLIPSIS = "…"
TITLE_LENGTH = 80
WIDE_ENDS = "。\uff01\uff1f」"
ENDS = ".。;:,"


def fitted(
    ranking: Ranking, among: Sequence[Sentence], amount: int, bounds: Mapping[str, Any]
) -> str | None:
    """Return the best ``amount`` sentences as one text within ``minLength`` and ``maxLength``.

    Returns:
        Fewer sentences where more do not fit, more where they are too short, the beginning of the
        best one where none fits; None when there is no sentence at all.
    """
    most = int(bounds.get("maxLength", 1_000_000))
    ranked = ranking.best_first(among, max(amount, MOST_SENTENCES if "minLength" in bounds else 0))
    if not ranked:
        return None
    chosen: list[Sentence] = []
    for sentence in ranked:
        text = joined([*chosen, sentence])
        if len(chosen) >= amount and len(joined(chosen)) >= bounds.get("minLength", 0):
            break
        if len(text) <= most:
            chosen.append(sentence)
    return joined(chosen) if chosen else shortened(ranked[0].text, most)


def joined(sentences: Sequence[Sentence]) -> str:
    """Return sentences as one text, in the order of the document; those without an end get one."""
    text = ""
    for sentence in sorted(sentences, key=lambda one: one.number):
        if text and (text[-1].isalnum() or text[-1] in ")]"):
            text += "."
        text += sentence.text if not text or text[-1] in WIDE_ENDS else f" {sentence.text}"
    return text


def shortened(text: str, most: int) -> str:
    """Return the beginning of ``text``, up to the end of a word and ``most`` characters."""
    if len(text) <= most:
        return text
    cut = text[: most - len(ELLIPSIS)]
    whole = cut.rpartition(" ")[0] if text[len(cut) : len(cut) + 1] != " " else cut
    return (whole or cut).rstrip(ENDS + " ") + ELLIPSIS if most > len(ELLIPSIS) else text[:most]


def headline(text: str, most: int = TITLE_LENGTH) -> str:
    """Return ``text`` as a title: short, and without the full stop."""
    return shortened(text.rstrip(ENDS + " ") or text, most)
