"""What of a request could not be sent is kept for as long as the request is under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.left_out import LeftOut
from tests.openai_chats import a_request

if TYPE_CHECKING:
    from runtime.messages import ModelRequest


def test_what_was_noted_is_not_looked_for_again() -> None:
    asked: list[ModelRequest] = []

    def find(request: ModelRequest) -> tuple[str, ...]:
        asked.append(request)
        return ("found",)

    left_out = LeftOut(find)
    noted, other = a_request(), a_request()
    left_out.note(noted, ("noted",))
    assert left_out.of(noted) == ("noted",)
    assert left_out.of(other) == ("found",), "an equal request is another one"
    assert asked == [other]


def test_nothing_is_kept_of_a_request_that_is_gone() -> None:
    left_out = LeftOut(lambda _: ())
    kept = a_request()
    left_out.note(kept, ())
    for _ in range(100):
        left_out.note(a_request(), ("gone",))
    assert len(left_out) == 1
    del kept
    assert len(left_out) == 0


def test_a_request_that_is_written_again_has_the_newer_warnings() -> None:
    left_out = LeftOut(lambda _: ())
    request = a_request()
    left_out.note(request, ("first",))
    left_out.note(request, ("second",))
    assert left_out.of(request) == ("second",)
