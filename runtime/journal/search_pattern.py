"""What somebody who searches the journal means by a pattern. Pure.

Rule 1: a pattern with a metacharacter is a regular expression; case is ignored, and a dot is any
character. One that does not compile is looked for as it stands.
Rule 2: any other pattern is a phrase: its words, adjacent and in order. Words are what lies between
characters that are no letter and no digit, so ``rate_limit`` is two. Scripts that put no blanks
between words, such as Chinese and Thai, have a word in each character, so any part of a
sentence is found.
Rule 3: a phrase without a word, such as an arrow, is looked for as it stands.
"""

from __future__ import annotations

import re
import warnings
from typing import Protocol

METACHARACTERS = frozenset(".*+?[](){}|^$\\")
_FLAGS = re.IGNORECASE | re.DOTALL
_BLANKS = {code: " " for code in range(128) if not chr(code).isalnum()}
_NO_WORD = re.compile(r"[\W_]+")
_ALONE = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3040-\u312f\u31f0-\u31ff\uff66-\uff9f"  # Kana and Bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7a3\U00020000-\U0003ffff]"  # Han, Hangul
)
_FAULTS = (re.error, ValueError, OverflowError, RecursionError, MemoryError)
_BEFORE, _AROUND = 60, 200  # characters of a snippet: before the match, and in all

Span = tuple[int, int]


class Wanted(Protocol):
    """Something to look for."""

    def find(self, text: str) -> Span | None:
        """Return where a text has it, from and to; None where it has not."""


def is_expression(pattern: str) -> bool:
    """Whether a pattern is a regular expression, or was meant to be one."""
    return not METACHARACTERS.isdisjoint(pattern)


def wanted(pattern: str) -> Wanted:
    """Return what a pattern stands for. An evil expression may take for ever, to compile even."""
    if is_expression(pattern):
        return Expression(pattern)
    phrase = words_of(pattern)
    return Phrase(phrase) if phrase else Literal(pattern)


def words_of(text: str) -> str:
    """Return the words of a text with one blank between them; empty when there are none."""
    text = text.casefold()
    if not text.isascii():
        return _NO_WORD.sub(" ", _ALONE.sub(r" \g<0> ", text)).strip()
    text = text.translate(_BLANKS)  # the same, twenty times as fast: most of a journal is ASCII
    while "  " in text:
        text = text.replace("  ", " ")
    return text.strip(" ")


class Phrase:
    """Words, adjacent and in order."""

    def __init__(self, words: str) -> None:
        self._words = f" {words} "
        self._place = re.compile(_place(words.split(" ")), _FLAGS)

    def find(self, text: str) -> Span | None:
        """Return where a text has it; the beginning where only its folded letters have."""
        if self._words not in f" {words_of(text)} ":
            return None
        match = self._place.search(text)
        return (0, 0) if match is None else match.span()


def _place(words: list[str]) -> str:
    """Return an expression that shows where a phrase is in a text that has it."""
    sides = [
        ("", "") if _ALONE.fullmatch(word) else (r"(?<![^\W_])", r"(?![^\W_])") for word in words
    ]
    return r"[\W_]*".join(
        f"{before}{re.escape(word)}{behind}"
        for word, (before, behind) in zip(words, sides, strict=True)
    )


class Expression:
    """A regular expression, or the text of one that does not compile."""

    def __init__(self, pattern: str) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "possible nested set", say: nobody reads it here
                self._compiled = re.compile(pattern, _FLAGS)
        except _FAULTS:
            self._compiled = re.compile(re.escape(pattern), _FLAGS)

    def find(self, text: str) -> Span | None:
        """Return where a text has it."""
        match = self._compiled.search(text)
        return None if match is None else match.span()


class Literal:
    """A text as it stands."""

    def __init__(self, text: str) -> None:
        self._text = text.casefold()

    def find(self, text: str) -> Span | None:
        """Return where a text has it."""
        at = text.casefold().find(self._text)
        return None if at < 0 else (at, at + len(self._text))


def snippet(text: str, span: Span) -> str:
    """Return the text around a match, on one line."""
    begin = max(0, span[0] - _BEFORE)
    end = begin + _AROUND
    shown = " ".join(text[begin:end].split())
    return f"{'...' if begin else ''}{shown}{'...' if end < len(text) else ''}"
