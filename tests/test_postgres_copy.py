"""Rows that go to a server by COPY are the rows that went there one by one."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.journal.location import Address
from tests import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.journal.postgres.driver import ServerConnection

pytestmark = pytest.mark.real_time

TABLE = "CREATE TEMPORARY TABLE {} (number BIGINT, at DOUBLE PRECISION, op TEXT, body TEXT)"
SEPARATORS = r"\t\n\r\b\N\. " + "\t\n\r\v\f\0\\\x7f\x85\u2028\ud800\U0001f98a"
texts = st.text(st.sampled_from(SEPARATORS)) | st.text(st.characters(exclude_categories=()))
numbers = st.integers(-(2**63), 2**63 - 1)
times = st.floats(allow_nan=False, allow_infinity=False)
rows = st.lists(st.tuples(times, texts, texts), min_size=1, max_size=20)


@pytest.fixture(scope="module")
def connection() -> Iterator[ServerConnection]:
    with postgres.address() as address:
        from runtime.journal.postgres.driver import (  # noqa: PLC0415  # an extra, which may be missing
            ServerConnection,
        )

        with closing(ServerConnection(Address(address), {})) as opened:
            for name in ("copied", "inserted"):
                opened.execute_translated(TABLE.format(name).encode())
            yield opened


@contextmanager
def rolled_back(connection: ServerConnection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def rows_of(connection: ServerConnection, table: str) -> list[Any]:
    return connection.execute(f"SELECT * FROM {table} ORDER BY number").fetchall()  # noqa: S608  # ours


def copy(connection: ServerConnection, table_rows: list[tuple[Any, ...]]) -> list[Any]:
    connection.copy("COPY copied (number, at, op, body) FROM STDIN", table_rows)
    return rows_of(connection, "copied")


@given(rows)
def test_a_text_is_the_same_by_either_way(
    connection: ServerConnection, given_rows: list[tuple[float, str, str]]
) -> None:
    numbered = [(number, *row) for number, row in enumerate(given_rows)]
    with rolled_back(connection):
        connection.executemany("INSERT INTO inserted VALUES (?, ?, ?, ?)", numbered)
        assert copy(connection, numbered) == rows_of(connection, "inserted")


@given(numbers, times)
def test_a_number_is_the_same_on_its_way_back(
    connection: ServerConnection, number: int, at: float
) -> None:
    with rolled_back(connection):
        assert copy(connection, [(number, at, "", "")]) == [(number, at, "", "")]


def test_many_rows_arrive_in_their_order(connection: ServerConnection) -> None:
    many = [
        (number, 0.5, f"op\t{number}" if number == 777 else "op", "{}") for number in range(2_345)
    ]
    with rolled_back(connection):
        assert copy(connection, many) == many
