"""Reading HTTP/1.1 off bytes, beside h11: the same answer however the bytes are split."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.http.wire import LARGEST_HEAD, Answer, NotHttp

HEAD = b"HTTP/1.1 200 OK\r\n"

Read = tuple[int, dict[str, str], bytes, bool]


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    """Return ``data`` cut at some places."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(places)]


def read(parts: list[bytes], *, closed: bool = False) -> Read | None:
    """Return status, fields, body and whether it is complete; None when it is no HTTP."""
    answer, body = Answer(), b""
    try:
        for part in parts:
            if answer.complete:
                break
            pieces = answer.feed(part)
            assert all(pieces)  # no bytes would be taken for the end
            body += b"".join(pieces)
        if closed:
            answer.finish()
    except NotHttp:
        return None
    if answer.head is None:
        return None
    return answer.head.status, answer.head.headers, body, answer.complete


def read_by_h11(data: bytes, *, closed: bool = False) -> Read | None:
    """Return the same as h11 sees it."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    if closed:
        connection.receive_data(b"")
    status, headers, body = 0, {}, b""
    try:
        while True:
            event: Any = connection.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
                for name, value in event.headers:
                    key, text = name.decode(), value.decode("latin-1")
                    headers[key] = f"{headers[key]}, {text}" if key in headers else text
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return status, headers, body, True
            elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return (status, headers, body, False) if status else None
    except h11.RemoteProtocolError:
        return None


names = st.sampled_from(["x-a", "X-B", "server", "x-a", "Set-Cookie"])
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
fields = st.lists(st.tuples(names, values), max_size=6)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Answers as servers send them."""
    status = draw(st.sampled_from([200, 201, 204, 304, 400, 429, 500, 529]))
    body = draw(st.binary(max_size=60))
    framing = draw(st.sampled_from(["length", "chunks", "close"]))
    lines = [f"HTTP/1.{draw(st.sampled_from('11110'))} {status} Some reason".encode()]
    lines += [f"{name}: {value}".encode() for name, value in draw(fields)]
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
    elif framing == "chunks":
        lines.append(b"Transfer-Encoding: chunked")
        cut = draw(st.lists(st.integers(0, 60), max_size=4))
        extension = draw(st.sampled_from([b"", b";a=b"]))
        chunks = [b"%x%s\r\n%s\r\n" % (len(p), extension, p) for p in split(body, cut) if p]
        trailer = draw(st.sampled_from([b"", b"x-trailer: 1\r\n"]))
        body = b"".join(chunks) + b"0\r\n" + trailer + b"\r\n"
    informational = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    return informational + b"\r\n".join([*lines, b"", b""]) + body


@given(answers(), st.lists(st.integers(0, 400), max_size=8), st.booleans())
def test_an_answer_is_read_as_h11_reads_it_however_it_is_split(
    data: bytes, cuts: list[int], closed: bool
) -> None:
    assert read(split(data, cuts), closed=closed) == read_by_h11(data, closed=closed)


@given(answers(), st.integers(0, 400), st.integers(0, 255), st.lists(st.integers(0, 400)))
def test_a_broken_answer_is_refused_or_read_the_same_however_it_is_split(
    data: bytes, place: int, byte: int, cuts: list[int]
) -> None:
    place %= len(data)
    broken = data[:place] + bytes([byte]) + data[place + 1 :]
    assert read(split(broken, cuts), closed=True) == read([broken], closed=True)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300)))
def test_whatever_comes_is_http_or_is_not(data: bytes, cuts: list[int]) -> None:
    for start in (b"", HEAD, HEAD + b"transfer-encoding: chunked\r\n\r\n"):
        read(split(start + data, cuts), closed=True)


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"HTTP/2 200 OK\r\n\r\n", "does not begin"),
        (b"HTTP/1.1 99 Low\r\n\r\n", "does not begin"),
        (HEAD + b"no colon\r\n\r\n", "a header field is none"),
        (HEAD + b"space : x\r\n\r\n", "a header field is none"),
        (HEAD + b"nul: a\0b\r\n\r\n", "a header field is none"),
        (HEAD + b"split: a\rx-b: 1\r\n\r\n", "a header field is none"),
        (HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\n", "content-length is none"),
        (HEAD + b"content-length: -1\r\n\r\n", "content-length is none"),
        (HEAD + b"content-length: 99999999999999999999\r\n\r\n", "content-length is none"),
        (HEAD + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", "how long its body"),
        (HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n", "how long its body"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nabc\r\n", "longer than its size"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n-2\r\n", "without its size"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"0" * 9_999, "line between chunks"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\n" + b"x: 1\r\n" * 99_999, "trailer"),
        (HEAD + b"x" * (LARGEST_HEAD + 1), "head is too large"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "another protocol"),
    ],
)
def test_what_http_does_not_allow_is_said(head: bytes, why: str) -> None:
    with pytest.raises(NotHttp, match=why):
        Answer().feed(head)


@pytest.mark.parametrize(
    ("data", "reusable"),
    [
        (HEAD + b"content-length: 0\r\n\r\n", True),
        (HEAD + b"content-length: 0\r\nconnection: close\r\n\r\n", False),
        (HEAD + b"content-length: 0\r\nconnection: x, Close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n", True),
        (b"HTTP/1.1 204 None\r\n\r\n", True),
        (HEAD + b"\r\n", False),
        (HEAD + b"content-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n", False),
    ],
)
def test_a_connection_is_used_again_when_the_answer_allows_it(data: bytes, reusable: bool) -> None:
    answer = Answer()
    answer.feed(data)
    assert answer.reusable == reusable


def test_the_answer_to_a_tunnel_has_no_body_and_what_follows_is_not_its_own() -> None:
    answer = Answer(tunnel=True)
    assert answer.feed(HEAD + b"content-length: 5\r\n\r\n") == []
    assert answer.complete


def test_a_value_that_is_mostly_blanks_is_read_at_once() -> None:
    value = b"a" + b" \t" * (LARGEST_HEAD // 4) + b"b"  # where every end were tried: minutes
    head, fields = HEAD + b"X-Long: \t" + value + b" \t \r\n", b"content-length: 0\r\n\r\n"
    read_of_it = read([head + fields])
    assert read_of_it is not None
    assert read_of_it[1] == {"x-long": value.decode(), "content-length": "0"}
