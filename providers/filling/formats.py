"""The string formats: how a value of each looks, and whether a text is one."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_DAY = date(2020, 1, 1)
DAYS = 3_650
SECONDS = 86_400
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
HOSTNAME = re.compile(r"(?=.{1,253}\Z)(?:(?!-)[A-Za-z0-9-]{1,63}(?<!-)\.?)+")
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+")
REFERENCE = re.compile(r"[^\s<>\"{}|\\^`]*")
DURATION = re.compile(r"P(?!\Z)(?:\d+[YMWD])*(?:T(?:\d+[HMS])+)?")
POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
TIME = re.compile(r"[0-2]\d:[0-5]\d:[0-6]\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.IGNORECASE)
WORDS = ("alder", "birch", "cedar", "elder", "hazel", "larch", "maple", "rowan")


class Format(NamedTuple):
    """One format.

    Attributes:
        make: turns 64 bits into a text of this format.
        fits: whether a text is of this format.
    """

    make: Callable[[int], str]
    fits: Callable[[str], bool]


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return fits


def _matched(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


def _day(bits: int) -> str:
    return (FIRST_DAY + timedelta(days=bits % DAYS)).isoformat()


def _moment(bits: int) -> str:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    return (start + timedelta(days=bits % DAYS, seconds=(bits >> 16) % SECONDS)).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )


def _is_day(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\d", text) is not None and _parses(date.fromisoformat)(text)


def _is_moment(text: str) -> bool:
    day, separator, time = text[:10], text[10:11], text[11:]
    return _is_day(day) and separator in ("T", "t", " ") and TIME.fullmatch(time) is not None


def _word(bits: int) -> str:
    return WORDS[bits % len(WORDS)]


def _host(bits: int) -> str:
    return f"{_word(bits)}.example.com"


def _compiles(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


FORMATS: dict[str, Format] = {
    "date": Format(_day, _is_day),
    "date-time": Format(_moment, _is_moment),
    "time": Format(lambda bits: _moment(bits)[11:], _matched(TIME)),
    "duration": Format(lambda bits: f"PT{bits % 90 + 1}M", _matched(DURATION)),
    "uuid": Format(lambda bits: str(UUID(int=bits << 64 | bits, version=4)), _parses(UUID)),
    "email": Format(lambda bits: f"{_word(bits)}@example.com", _matched(EMAIL)),
    "idn-email": Format(lambda bits: f"{_word(bits)}@example.com", _matched(EMAIL)),
    "hostname": Format(_host, _matched(HOSTNAME)),
    "idn-hostname": Format(_host, _matched(REFERENCE)),
    "ipv4": Format(lambda bits: f"192.0.2.{bits % 254 + 1}", _parses(IPv4Address)),
    "ipv6": Format(lambda bits: f"2001:db8::{bits % 0xFFFF + 1:x}", _parses(IPv6Address)),
    "uri": Format(lambda bits: f"https://{_host(bits)}/{bits % 1000}", _matched(URI)),
    "iri": Format(lambda bits: f"https://{_host(bits)}/{bits % 1000}", _matched(URI)),
    "uri-reference": Format(lambda bits: f"/{_word(bits)}/{bits % 1000}", _matched(REFERENCE)),
    "iri-reference": Format(lambda bits: f"/{_word(bits)}/{bits % 1000}", _matched(REFERENCE)),
    "json-pointer": Format(lambda bits: f"/{_word(bits)}", _matched(POINTER)),
    "regex": Format(lambda bits: f"^{_word(bits)}$", _compiles),
}
