"""Patterns of names, in which ``*`` stands for any characters and ``?`` for one."""

from __future__ import annotations

from fnmatch import fnmatchcase

_ANY = "\0"  # in no name, so only '*' and '?' match it
_LONG = _ANY * 64


def is_pattern(text: str) -> bool:
    """Whether a text stands for more than itself."""
    return "*" in text or "?" in text


def fits(pattern: str, name: str) -> bool:
    """Whether a name is among those that a pattern, or the name itself, stands for."""
    return fnmatchcase(name, pattern.replace("[", "[[]"))


def covers(earlier: str, later: str) -> bool:
    """Whether every name that ``later`` stands for is one that ``earlier`` stands for, too."""
    samples = (later.replace("?", _ANY).replace("*", filling) for filling in ("", _LONG))
    return all(fits(earlier, sample) for sample in samples)
