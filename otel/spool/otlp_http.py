"""One batch over OTLP/HTTP, and what the collector says to it.

Which answers mean *later* and which mean *never*:
<https://opentelemetry.io/docs/specs/otlp/#failures>.
"""

from __future__ import annotations

import gzip
import math
import os
import threading
import time
import zlib
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from otel.certificates import tls_context
from otel.spool.wire import BYTES, VARINT, Torn, fields

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    import httpx

    from otel.settings import Compression, ExportSettings

_importing: Final = threading.Lock()  # a child that is forked meanwhile never has more than half

_SUCCESS: Final = 2  # hundred
_LATER: Final = frozenset({429, 502, 503, 504})
_NANO: Final = 10**9
_LONGEST_HINT_S: Final = 300.0
_LONGEST_REASON: Final = 200
_LONGEST_ANSWER: Final = 65_536
_NO_COLLECTOR: Final = "it answers with a page, so it is no OTLP endpoint; is that on port 4318?"
_PARTIAL_SUCCESS: Final = 1
_REJECTED_SPANS: Final = 1
_ERROR_MESSAGE: Final = 2


class Taken:
    """The collector has the batch, but for so many spans.

    Attributes:
        rejected: how many spans it does not want.
        reason: why, in its words.
    """

    def __init__(self, rejected: int = 0, reason: str = "") -> None:
        self.rejected = rejected
        self.reason = reason


class Refused:
    """It will never take the batch.

    Attributes:
        reason: why.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason


class Later:
    """It may take the batch another time.

    Attributes:
        reason: why not now.
        after_s: the seconds after which it says it will; None if it does not say.
        is_there: whether that is an answer, and not the lack of one.
    """

    def __init__(
        self, reason: str, after_s: float | None = None, *, is_there: bool = False
    ) -> None:
        self.reason = reason
        self.after_s = after_s
        self.is_there = is_there


Verdict: TypeAlias = Taken | Refused | Later


class Post(Protocol):
    """Sends one batch."""

    def __call__(self, body: bytes, timeout_s: float) -> Verdict:
        """Send it, and wait for so many seconds for the answer."""

    def close(self) -> None:
        """Give up the connection."""


class HttpPost:
    """Sends batches to one endpoint over a connection that is kept.

    Args:
        settings: where to, and how.

    Raises:
        TelemetryMisconfigured: a certificate or key is not there, or is none.
    """

    def __init__(self, settings: ExportSettings) -> None:
        self._url = settings.endpoint
        self._compress = _COMPRESSED[settings.compression]
        self._headers = _headers(settings)
        self._tls: ssl.SSLContext | bool = tls_context(settings)
        self._client: httpx.Client | None = None

    def __call__(self, body: bytes, timeout_s: float) -> Verdict:
        """Send one batch; nothing is raised."""
        with _importing:
            import httpx  # noqa: PLC0415  # 0.1 s, in the sender's thread

        try:
            if self._client is None:
                self._client = httpx.Client(verify=self._tls, follow_redirects=False)
            content = self._compress(body)
            ends_at = time.monotonic() + timeout_s
            with self._client.stream(
                "POST", self._url, content=content, headers=self._headers, timeout=timeout_s
            ) as answer:
                return _verdict(answer.status_code, answer.headers, _read(answer, ends_at))
        except (httpx.HTTPError, OSError) as error:
            return Later(_said(error))

    def close(self) -> None:
        """Give up the connection."""
        if self._client is not None:
            self._client.close()


def _read(answer: httpx.Response, ends_at: float) -> bytes:
    """Return the body of an answer, at most so much of it.

    Raises:
        TimeoutError: it comes too slowly; the client only bounds the time between two pieces.
    """
    body = b""
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > _LONGEST_ANSWER:
            return body[:_LONGEST_ANSWER]
        if time.monotonic() > ends_at:
            raise TimeoutError("the answer does not end")
    return body


def _verdict(status: int, headers: Mapping[str, str], content: bytes) -> Verdict:
    if status // 100 == _SUCCESS:
        return Later(_NO_COLLECTOR) if _is_a_page(headers, content) else _partial(content)
    reason = f"HTTP {status}"
    if status in _LATER:
        return Later(reason, _hint(headers.get("retry-after", "")), is_there=True)
    said = content[:_LONGEST_REASON].decode("utf-8", "replace").strip()
    printable = "".join(sign if sign.isprintable() else " " for sign in said)
    return Refused(f"{reason}: {printable}" if printable else reason)


def _is_a_page(headers: Mapping[str, str], content: bytes) -> bool:
    """Whether that is for people to read: Jaeger's UI says 200 to whatever it is sent."""
    return "text/html" in headers.get("content-type", "").lower() or content.startswith(b"<")


def _partial(content: bytes) -> Taken:
    """Return what an ``ExportTraceServiceResponse`` says."""
    rejected, reason = 0, ""
    try:
        for outer in fields(content):
            if (outer.number, outer.kind) != (_PARTIAL_SUCCESS, BYTES):
                continue
            for inner in fields(content, outer.start, outer.end):
                if (inner.number, inner.kind) == (_REJECTED_SPANS, VARINT):
                    rejected = inner.number_value
                elif (inner.number, inner.kind) == (_ERROR_MESSAGE, BYTES):
                    reason = content[inner.start : inner.end].decode("utf-8", "replace")
    except Torn:
        return Taken()  # some servers answer in their own words, and have it all the same
    return Taken(rejected, reason[:_LONGEST_REASON])


def _hint(said: str) -> float | None:
    """Return the seconds that a ``Retry-After`` asks for."""
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - time.time_ns() / _NANO
        except ValueError:
            return None
    return min(max(seconds, 0.0), _LONGEST_HINT_S) if math.isfinite(seconds) else None


def _headers(settings: ExportSettings) -> dict[str, str]:
    headers = {"content-type": "application/x-protobuf", "user-agent": "magsag-runtime"}
    if settings.compression != "none":
        headers["content-encoding"] = settings.compression
    return headers | dict(settings.headers)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST_REASON].rstrip(": ")


def _as_it_is(body: bytes) -> bytes:
    return body


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_importing.acquire,
        after_in_parent=_importing.release,
        after_in_child=_importing.release,
    )

_COMPRESSED: Mapping[Compression, Callable[[bytes], bytes]] = {
    "none": _as_it_is,
    "gzip": _gzip,
    "deflate": zlib.compress,
}
