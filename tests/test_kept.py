"""What was worked out of a value is kept, for when that very value comes again."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.kept import MOST_KEPT, kept


def counting() -> tuple[list[Any], Any]:
    asked: list[Any] = []

    @kept
    def size(value: Any) -> int:
        asked.append(value)
        return len(value)

    return asked, size


def test_a_value_is_looked_at_once() -> None:
    asked, size = counting()
    value = {"a": 1}
    assert [size(value), size(value)] == [1, 1]
    assert asked == [value]


def test_an_equal_value_is_another_one() -> None:
    asked, size = counting()
    assert [size([1]), size([1])] == [1, 1]
    assert len(asked) == 2


def test_the_place_of_a_value_that_is_gone_is_not_taken_for_it() -> None:
    _, size = counting()
    assert [size(["x"] * length) for length in range(100)] == [*range(100)]


def test_a_failure_is_not_kept() -> None:
    asked, size = counting()
    for _ in range(2):
        with pytest.raises(TypeError):
            size(None)
    assert len(asked) == 2


def test_no_more_is_kept_than_there_is_room_for() -> None:
    asked, size = counting()
    values = [[number] for number in range(MOST_KEPT + 1)]
    for value in values:
        size(value)
    size(values[1])
    assert len(asked) == MOST_KEPT + 1, "the newest ones are there"
    size(values[0])
    assert len(asked) == MOST_KEPT + 2, "the oldest one had to go"
