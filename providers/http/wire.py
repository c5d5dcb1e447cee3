"""Reading an HTTP/1.1 answer off bytes that may be split anywhere. No I/O.

    Answer.feed(bytes) -> pieces of the body, none of them empty; head, then body, then complete
    Answer.finish()    -> the server closed; that ends a body without a length, and only that

How a body ends is decided once, from the head, in ``_framing`` (RFC 9112, section 6.3); each way is
a class with ``feed``, which returns pieces and what is left over after the end.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

LARGEST_HEAD = 128 * 1024
LONGEST_SIZE_LINE = 4096
INFORMATIONAL = range(100, 200)
SWITCHING_PROTOCOLS = 101
WITHOUT_BODY = (204, 304)
END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
LONGEST_END = 4
STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: .*)?")
FIELD = re.compile(r"^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):(.*)$", re.MULTILINE)
BLANKS = " \t"
CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?\r?\n?")

Fed = tuple[list[bytes], bytes]


class NotHttp(Exception):
    """What the server sent is not what HTTP allows; the message says what."""


class Head(NamedTuple):
    """The head of an answer.

    Attributes:
        status: the status.
        headers: the fields, names in lower case; those that came twice joined with a comma.
        minor: 1 for HTTP/1.1, 0 for HTTP/1.0.
    """

    status: int
    headers: dict[str, str]
    minor: int

    def has_token(self, field: str, token: str) -> bool:
        """Return whether a field that is a list has a word in it."""
        return field in self.headers and token in [
            word.strip() for word in self.headers[field].lower().split(",")
        ]


class Body(Protocol):
    """One way for a body to end.

    Attributes:
        complete: whether it has ended.
        ends_by_close: whether the server ends it by closing the connection.
    """

    complete: bool
    ends_by_close: bool

    def feed(self, data: bytes) -> Fed:
        """Return the pieces in ``data``, and what is left of it after the end."""


class ByLength:
    """So many bytes."""

    ends_by_close = False

    def __init__(self, length: int) -> None:
        self._left = length
        self.complete = length == 0

    def feed(self, data: bytes) -> Fed:
        """Return the pieces in ``data``, and what is left of it after the end."""
        piece, rest = data[: self._left], data[self._left :]
        self._left -= len(piece)
        self.complete = self._left == 0
        return ([piece] if piece else []), rest


class ByClose:
    """Everything until the server closes."""

    ends_by_close = True
    complete = False

    def feed(self, data: bytes) -> Fed:
        """Return ``data``."""
        return ([data] if data else []), b""


class ByChunks:
    """Chunks, each after a line with its size; the one of size 0 is the last."""

    ends_by_close = False

    def __init__(self) -> None:
        self.complete = False
        self._left = 0  # of the chunk that is being read
        self._line = b""  # unfinished
        self._read_line = self._size_line
        self._trailer = 0

    def feed(self, data: bytes) -> Fed:
        """Return the pieces in ``data``, and what is left of it after the end."""
        pieces = []
        at = 0  # an index, as cutting the front off for each of many small chunks would be slow
        while at < len(data) and not self.complete:
            if self._left:
                pieces.append(data[at : at + self._left])
                at += len(pieces[-1])
                self._left -= len(pieces[-1])
            else:
                at = self._feed_line(data, at)
        return pieces, data[at:]

    def _feed_line(self, data: bytes, at: int) -> int:
        """Read on in a line; return where it ends."""
        end = data.find(b"\n", at) + 1
        self._line += data[at : end or len(data)]
        if len(self._line) > LONGEST_SIZE_LINE:
            raise NotHttp("a line between chunks is too long")
        if end:
            line, self._line = self._line, b""
            self._read_line(line)
        return end or len(data)

    def _size_line(self, line: bytes) -> None:
        found = CHUNK_SIZE.fullmatch(line)
        if found is None:
            raise NotHttp("a chunk without its size")
        self._left = int(found.group(1), 16)
        self._read_line = self._line_after_chunk if self._left else self._trailer_line

    def _line_after_chunk(self, line: bytes) -> None:
        if line.rstrip(b"\r\n"):
            raise NotHttp("a chunk is longer than its size")
        self._read_line = self._size_line

    def _trailer_line(self, line: bytes) -> None:
        self._trailer += len(line)
        if self._trailer > LARGEST_HEAD:
            raise NotHttp("the trailer is too long")
        self.complete = not line.rstrip(b"\r\n")


class Answer:
    """One answer as it comes.

    Attributes:
        head: its head; None until it is there.
        complete: whether all of it has come.
        reusable: whether the connection may carry another request after it.
    """

    def __init__(self, *, tunnel: bool = False) -> None:
        self.head: Head | None = None
        self.complete = False
        self.reusable = False
        self._tunnel = tunnel
        self._bytes = b""
        self._body: Body = ByLength(0)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the pieces of the body in ``data``.

        Raises:
            NotHttp: it is no HTTP, or too large.
        """
        if self.head is None:
            data = self._read_head(data)
            if self.head is None:
                return []
        pieces, rest = self._body.feed(data)
        self.complete = self._body.complete
        if rest:
            self.reusable = False  # more than was asked for
        return pieces

    def finish(self) -> None:
        """Take note that the server has closed the connection.

        Raises:
            NotHttp: the answer was not complete.
        """
        self.reusable = False
        if self.head is not None and self._body.ends_by_close:
            self.complete = True
        if not self.complete:
            raise NotHttp("the connection was closed before the message was complete")

    def _read_head(self, data: bytes) -> bytes:
        """Return what comes after the head; until it is complete, keep the bytes."""
        seen = max(0, len(self._bytes) - LONGEST_END)  # what was searched before
        data = self._bytes + data
        while (end := END_OF_HEAD.search(data, seen)) is not None:
            seen = 0
            head = _head_of(data[: end.start()])
            data = data[end.end() :]
            if head.status not in INFORMATIONAL or head.status == SWITCHING_PROTOCOLS:
                self._begin_body(head)
                return data
        if len(data) > LARGEST_HEAD:
            raise NotHttp("its head is too large")
        if data and not b"HTTP/1."[: len(data)] == data[:7]:
            raise NotHttp("it does not begin as an answer does")
        self._bytes = data
        return b""

    def _begin_body(self, head: Head) -> None:
        self._bytes = b""
        self._body = ByLength(0) if self._tunnel and head.status < 300 else _framing(head)  # noqa: PLR2004  # HTTP's successes
        self.head = head
        kept = head.has_token("connection", "keep-alive") if head.minor == 0 else True
        self.reusable = (
            kept and not self._body.ends_by_close and not head.has_token("connection", "close")
        )


def _framing(head: Head) -> Body:
    fields = head.headers
    if head.status == SWITCHING_PROTOCOLS:
        raise NotHttp("it switches to another protocol, which nobody asked for")
    if head.status in WITHOUT_BODY:
        return ByLength(0)
    if "transfer-encoding" in fields:
        if fields["transfer-encoding"].lower() != "chunked" or "content-length" in fields:
            raise NotHttp("it does not say clearly how long its body is")
        return ByChunks()
    if "content-length" not in fields:
        return ByClose()
    length = fields["content-length"]
    if "," in length:  # the same one twice is one
        length, *others = {length.strip() for length in length.split(",")}
        length = "" if others else length
    if not (length.isascii() and length.isdigit() and len(length) < 16):  # noqa: PLR2004  # 15 digits are a petabyte
        raise NotHttp("its content-length is none")
    return ByLength(int(length))


def _head_of(data: bytes) -> Head:
    first, newline, rest = data.decode("latin-1").replace("\r\n", "\n").partition("\n")
    status = STATUS_LINE.fullmatch(first)
    if status is None:
        raise NotHttp("it does not begin as an answer does")
    return Head(int(status.group(2)), _fields_of(rest) if newline else {}, int(status.group(1)))


def _fields_of(lines: str) -> dict[str, str]:
    fields = FIELD.findall(lines)
    if len(fields) <= lines.count("\n") or "\0" in lines or "\r" in lines:
        raise NotHttp("a header field is none")
    headers: dict[str, str] = {name.lower(): value.strip(BLANKS) for name, value in fields}
    if len(headers) < len(fields):
        headers = {}
        for given, padded in fields:
            name, value = given.lower(), padded.strip(BLANKS)
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
