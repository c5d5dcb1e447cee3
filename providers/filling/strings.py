"""Texts of a wanted format, pattern or length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.filling.formats import FORMATS
from providers.filling.pattern import LONGEST, matching
from providers.filling.references import Unfillable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from providers.filling.demands import Demands
    from providers.filling.dice import Dice

PHRASE = 4  # words of an invented text where the schema does not bound it
STRETCHES = (2, 0, 1, 3, 5, 8)
DRAWS = 3
PROSE_DRAWS = 6
NO_WORDS = ("echo",)


def string_candidates(
    demands: Demands, dice: Dice, place: str, words: Sequence[str]
) -> Iterator[str]:
    """Return texts that ought to satisfy ``demands``, the likeliest first; the caller checks.

    Raises:
        Unfillable: the shortest allowed text is too long, or a pattern is not understood and
            nothing else was good enough.
    """
    least = max(demands.all("minLength"), default=0)
    most = min(demands.all("maxLength"), default=LONGEST)
    if least > LONGEST:
        raise Unfillable(f"minLength {least} is above {LONGEST}, the longest text that is invented")
    for name in demands.all("format"):
        if name in FORMATS:
            yield from (FORMATS[name].make(dice.number(f"{place}~{draw}")) for draw in range(DRAWS))
    patterns = demands.all("pattern")
    for pattern in patterns:
        yield from _matching(pattern, dice, place, int(least))
    if patterns:
        return
    for draw in range(PROSE_DRAWS):
        bits = dice.number(f"{place}~{draw}")
        yield _prose(words or NO_WORDS, bits, int(least), int(most))
        # Where a text must differ from others, words may not be enough.
        yield _prose([str(bits)], bits, int(least), int(most))


def _matching(pattern: str, dice: Dice, place: str, least: int) -> Iterator[str]:
    for stretch in (*STRETCHES, least):
        for draw in range(DRAWS):
            text = matching(pattern, dice, f"{place}~{draw}", stretch)
            yield text
            if len(text) < least:
                yield text + "a" * (least - len(text))


def _prose(words: Sequence[str], bits: int, least: int, most: int) -> str:
    first = bits % len(words)
    phrase = " ".join(dict.fromkeys(words[(first + step) % len(words)] for step in range(PHRASE)))
    while len(phrase) < least:
        phrase = f"{phrase} {phrase}"
    return phrase if len(phrase) <= most else _cut(phrase, least, most)


def _cut(text: str, least: int, most: int) -> str:
    """Return the beginning of ``text``, up to a word's end where that is long enough."""
    whole = text[: most + 1].rpartition(" ")[0]
    return whole if len(whole) >= max(least, 1) else text[:most]
