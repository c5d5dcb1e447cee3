"""What secrets look like: their names, and their shapes in a text. Tables, hardly any behaviour.

A shape's hints are plain words, in lower case, one of which is in every text that it matches.
Looking for words costs a tenth of what the patterns cost, and most texts hold none. Every
repetition in a pattern is bounded or consumes what it scans, so that a hostile text costs no more
than its length.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

REDACTED: Final = "[redacted]"

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_ANYWHERE = (
    "accesskey",
    "apikey",
    "authorization",
    "credential",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "signingkey",
)
_AS_LAST_WORD = frozenset({"auth", "bearer", "cookie", "jwt", "pwd", "token"})
_LONGEST_NAME = 256


class Shape(NamedTuple):
    """One shape of secrets in a text.

    Attributes:
        hints: words of which every match has one, whatever its case.
        pattern: what to look for.
        replacement: what to put in its place.
    """

    hints: tuple[str, ...]
    pattern: str
    replacement: str = REDACTED


# A key may touch an escaped line break, as in the repr of a text, but no other letter before it.
_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))"

_VENDORS = (
    *("gsk", "xai", "hf", "pplx", "nvapi", "glpat"),
    *("ghp", "gho", "ghu", "ghs", "ghr", "github_pat"),
    *("xoxa", "xoxb", "xoxp", "xoxr", "xoxs"),
)

SHAPES: Final = (
    Shape(
        ("private key-----",),
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?"
        r"(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
    ),
    Shape(("sk-",), _START + r"sk-[A-Za-z0-9_-]{6,}"),
    Shape(("_live_", "_test_"), _START + r"(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{6,}"),
    Shape(("aiza",), _START + r"AIza[A-Za-z0-9_-]{20,}"),
    Shape(("akia", "asia"), _START + r"(?:AKIA|ASIA)[A-Z0-9]{16}"),
    Shape(_VENDORS, rf"{_START}(?:{'|'.join(_VENDORS)})[-_][A-Za-z0-9_-]{{10,}}"),
    Shape(("eyj",), _START + r"eyJ[A-Za-z0-9_-]{5,2000}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*"),
    Shape(
        ("bearer", "basic"),
        rf"(?ai){_START}(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{{6,}}",
        rf"\1\2{REDACTED}",
    ),
    Shape(
        ("key=", "sig=", "signature=", "credential=", "token="),
        r"(?ai)([?&](?:[a-z-]{0,32}(?:key|signature|credential|token)|sig)=)[^&\s\"'#<>]{4,2048}",
        rf"\1{REDACTED}",
    ),
    Shape(("://",), r"(?<=://)[^/\s:@]{0,256}:[^/\s@]{1,1024}(?=@)"),
)
"""Shapes that show a secret by themselves."""

NAMED: Final = Shape(
    (
        *("key", "passwd", "password", "passphrase", "secret", "authorization", "credential"),
        *("token", "cookie", "pwd", "auth", "jwt", "bearer"),
    ),
    r"""(?aix)
    (?: (?: api[-_ ]?key | passw(?:or)?d | passphrase | secret | authorization
          | private[-_]?key | access[-_]?key | signing[-_]?key | credential ) [\w-]{0,32}
      | (?: token | cookie | pwd | auth | jwt | bearer ) )
    (?: \\{0,8}["']? \s{0,3} [:=]{1,2} | \\{0,8}["'] \s{0,3} , ) \s{0,3}
    """,
)
"""The name of a secret and what leads to its value: ``api_key=``, ``"password": ``."""

NO_VALUE: Final = r"""(?aix)
    (?: none | null | true | false | "" | '' ) (?= [\s,;&)}\]] | $ )
    | (?: (?:bearer|basic) \s{1,3} )? \[redacted\]
"""
"""A value that hides nothing."""

# A text in a text in a text has as many backslashes before its quotes as it is deep, and one more
# inside. So a value ends at a quote that looks just like the one it began with.
VALUE: Final = r"""(?aisx)
    [bru]{0,2} (?P<slashes> \\{0,8} ) (?P<quote> ["'] )
        (?: .{0,4096}? (?<!\\) (?P=slashes) (?P=quote) | .{0,4096} )
    | (?: (?:bearer|basic|digest|token) \s{1,3} )? [^\s,;&"')}\]]{1,4096}
"""
"""The value itself, quoted or not."""

HINTS: Final = tuple({hint for shape in (*SHAPES, NAMED) for hint in shape.hints})


def is_secret_name(name: str) -> bool:
    """Return whether a value under this name is a secret: ``api_key``, ``X-Auth-Token``, ...

    Counts are not: ``input_tokens`` and ``max_tokens`` are plural, and stay.
    """
    return _is_secret(name[:_LONGEST_NAME])


@lru_cache(maxsize=1_024)
def _is_secret(name: str) -> bool:
    words = [word.lower() for word in _WORDS.findall(name)]
    joined = "".join(words)
    last = words[-1] if words else ""
    return last in _AS_LAST_WORD or any(secret in joined for secret in _ANYWHERE)


def secrets_in(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the values of all variables whose names say that they are secret."""
    return frozenset(value for name, value in environ.items() if is_secret_name(name))
