"""Texts that match a regular expression: a small parser whose parts write instead of read.

What it knows: literals, escapes, classes, groups, alternatives, anchors and quantifiers, which is
what schemas use. Look-around, back-references, flags and Unicode properties are refused by name.
Which characters an escape or a class stands for is asked of ``re`` itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from providers.filling.references import Unfillable

if TYPE_CHECKING:
    from providers.filling.dice import Dice

PLAIN = "".join(map(chr, (*range(97, 123), *range(48, 58), *range(65, 91), *range(32, 127))))
OTHER = "".join(map(chr, (*range(9, 14), *range(0xA1, 0xD800), *range(0xE000, 0xFFFE))))
PREFERRED = 36  # letters and digits come first in a wide class, for the reader's sake
LONGEST = 100_000
QUANTIFIER = re.compile(r"(?:([*+?])|\{(\d{1,7})(,?)(\d{0,7})\})[?+]?")
GROUP = re.compile(r"\((?!\?)|\(\?:|\(\?P?<[A-Za-z_]\w*>")
ESCAPE = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[^1-9])", re.DOTALL)
CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
ANCHORS = re.compile(r"[$^]|\\[bBAZz]")
BOUNDS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


def matching(pattern: str, dice: Dice, place: str, stretch: int) -> str:
    """Return a text that ``pattern`` matches; anchors and boundaries are the caller's to check.

    Args:
        pattern: a regular expression.
        dice: chooses characters and alternatives.
        place: where in the answer the text shall stand.
        stretch: how many repetitions more than the fewest a quantifier makes.

    Raises:
        Unfillable: the pattern uses something that is not known here, or the text gets too long.
    """
    return _parsed(pattern)(_Pen(dice, place, stretch))


class _Pen:
    """What the parts of a pattern write with: makes their choices and bounds the text."""

    def __init__(self, dice: Dice, place: str, stretch: int) -> None:
        self.stretch = stretch
        self._dice = dice
        self._place = place
        self._choices = 0

    def choose(self, sides: int) -> int:
        self._choices += 1
        if self._choices > LONGEST:
            raise Unfillable(f"the pattern asks for more than {LONGEST} characters")
        return self._dice.below(sides, f"{self._place}~{self._choices}")


Part = Callable[[_Pen], str]


@lru_cache(maxsize=256)
def _parsed(pattern: str) -> Part:
    return _Parser(pattern).whole()


class _Parser:
    """One walk along a pattern."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def whole(self) -> Part:
        part = self._alternatives()
        if self._at < len(self._pattern):
            raise self._refusal("unbalanced")
        return part

    def _alternatives(self) -> Part:
        branches = [self._sequence()]
        while self._skip("|"):
            branches.append(self._sequence())
        return lambda pen: branches[pen.choose(len(branches))](pen)

    def _sequence(self) -> Part:
        parts: list[Part] = []
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            parts.append(self._quantified())
        return lambda pen: "".join(part(pen) for part in parts)

    def _quantified(self) -> Part:
        part = self._atom()
        quantifier = self._take(QUANTIFIER)
        if quantifier is None:
            return part
        sign, least, comma, most = quantifier.groups()
        if sign:
            return _repeated(part, *BOUNDS[sign])
        return _repeated(part, int(least), int(most or least) if most or not comma else None)

    def _atom(self) -> Part:
        if self._take(ANCHORS):
            return lambda _pen: ""
        if self._take(GROUP):
            part = self._alternatives()
            if not self._skip(")"):
                raise self._refusal("unbalanced")
            return part
        symbol = self._take(CLASS) or self._take(ESCAPE)
        if symbol:
            return _any_of(_characters(symbol.group()))
        character = self._pattern[self._at]
        if character in "(\\[*+?":
            raise self._refusal("not understood")
        self._at += 1
        return _any_of(_characters(character)) if character == "." else lambda _pen: character

    def _take(self, token: re.Pattern[str]) -> re.Match[str] | None:
        match = token.match(self._pattern, self._at)
        if match is not None:
            self._at = match.end()
        return match

    def _skip(self, character: str) -> bool:
        found = self._pattern.startswith(character, self._at)
        self._at += found
        return found

    def _refusal(self, why: str) -> Unfillable:
        return Unfillable(
            f"the pattern {self._pattern!r} is {why} at {self._pattern[self._at :][:12]!r}"
        )


def _repeated(part: Part, least: int, most: int | None) -> Part:
    def write(pen: _Pen) -> str:
        more = pen.stretch if most is None else min(pen.stretch, most - least)
        return "".join(part(pen) for _ in range(least + more) if pen.choose(1) == 0)

    return write


def _any_of(characters: str) -> Part:
    return lambda pen: characters[pen.choose(len(characters))]


@lru_cache(maxsize=1024)
def _characters(symbol: str) -> str:
    """Return the characters that a class, an escape or a dot stands for, the plainest ones."""
    try:
        one = re.compile(symbol)
    except re.error as error:
        raise Unfillable(f"{symbol!r} in a pattern is not understood: {error}") from None
    for candidates in (PLAIN, OTHER):
        found = [character for character in candidates if one.fullmatch(character)]
        if found:
            return "".join(found[:PREFERRED])
    raise Unfillable(f"{symbol!r} in a pattern matches no character")
