"""The header fields that go out: checked here, so that no library complains with the key in it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from runtime.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELD_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
FIELD_VALUE = re.compile(r"[\t\x20-\x7e]*")
THE_CONNECTION_S_OWN = frozenset({
    "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive",
    "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
USER_AGENT = "magsag-runtime"
MOST_KEPT = 256


def fields_to_send(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the header fields, names in lower case, with those that every request has.

    The requests of an account mostly have the same ones.

    Raises:
        InvalidRequest: HTTP does not allow one of them, or it would change how the message is
            framed; its value is not shown.
    """
    return _checked(tuple(headers.items()))


@lru_cache(MOST_KEPT)
def _checked(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    fields = {"user-agent": USER_AGENT, "accept": "*/*"}
    for given, value in headers:
        name = given.lower()
        if not FIELD_NAME.fullmatch(name) or not FIELD_VALUE.fullmatch(value):
            raise InvalidRequest(f"the header field {given!r} is none that HTTP can carry")
        if name in THE_CONNECTION_S_OWN:
            raise InvalidRequest(f"the header field {given!r} is the connection's own")
        fields[name] = value.strip(" \t")
    return tuple(fields.items())
