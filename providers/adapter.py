"""What a wire dialect has to do, without any I/O: bytes out, bytes in.

An adapter knows no socket, no clock and no retry: a recorded exchange is all that its tests need.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.errors import ProviderError
    from runtime.messages import ModelReply, ModelRequest


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request to the account's server. Its repr shows neither credential nor prompt.

    Attributes:
        method: ``POST`` or ``GET``.
        path: what follows the account's base URL, query included; begins with ``/``.
        headers: the header fields; one of them carries the credential.
        body: the bytes to send.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One complete answer.

    Attributes:
        status: the HTTP status.
        headers: the header fields, names in lower case.
        body: the bytes, decompressed.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Adapter(Protocol):
    """One wire dialect."""

    def to_request(self, request: ModelRequest, api_key: str) -> HttpRequest:
        """Write a request in this dialect; an empty key sends no credential."""

    def parse_reply(self, response: HttpResponse, request: ModelRequest) -> ModelReply:
        """Read the answer to ``request``.

        Raises:
            ProviderError: it holds an error in spite of its status.
            MalformedResponse: it is not what the dialect promises.
        """

    def parse_error(self, response: HttpResponse, request: ModelRequest) -> ProviderError:
        """Say what went wrong, as one of our own classes; never raises."""
