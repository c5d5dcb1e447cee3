"""Where two runs part: steps aligned by what they are about, whatever their number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.journal import EventRow
from runtime.parting import part, totals_of
from runtime.steps import Steps

if TYPE_CHECKING:
    from runtime.parting import Parting

TEXT = "x" * 100


class Tape:
    """Writes the records of a run."""

    def __init__(self) -> None:
        self.events: list[EventRow] = []
        self.note("delegation_sent", "chief:0:1", agent="chief", input=None)

    def note(self, kind: str, op: str, cost: int = 0, **body: Any) -> Tape:
        self.events.append(EventRow(len(self.events) + 1, 0.0, kind, op, body, cost))
        return self

    def ask(self, what: str, answer: str, *, parent: str = "chief:0:1", number: int = 1) -> Tape:
        op = f"{parent}/chat:{what}:{number}"
        asked = {"provider": "p", "model": "m", "agent": "chief", "request": what}
        self.note("invocation_started", op, **asked)
        usage = {"input_tokens": 10, "output_tokens": 1}
        return self.note("invocation_completed", op, 7, text=answer, usage=usage)

    def cached(self, what: str, answer: str) -> Tape:
        op = f"chief:0:1/cached:{what}:1"
        answered = {"text": answer}
        return self.note("invocation_cached", op, provider="p", model="m", answer=answered)

    @property
    def steps(self) -> Steps:
        return Steps(self.events)


def names(parting: Parting) -> list[Any]:
    return [None if step is None else step.asked for step in parting.first]


def test_equal_runs_are_equal_whatever_the_order_of_their_branches() -> None:
    a = Tape().ask("one", "1").ask("two", "2").steps
    b = Tape().ask("two", "2").ask("one", "1").steps
    assert part(a, b).is_equal
    assert part(a, b).same == 3


def test_the_first_different_answer_is_where_they_part_not_what_comes_of_it() -> None:
    a = Tape().ask("one", "1").ask("two", "2").ask("two then", "3").steps
    b = Tape().ask("one", "1").ask("two", "II").ask("II then", "3").steps
    parting = part(a, b)
    assert names(parting) == ["two", "two"]
    assert [step.asked for step in parting.only_a] == ["two then"]
    assert [step.asked for step in parting.only_b] == ["II then"]
    assert [pair.a.asked for pair in parting.different] == ["two"]


def test_one_step_instead_of_another_is_shown_with_it_and_one_too_many_alone() -> None:
    a = Tape().ask("one", "1").ask("this", "2").steps
    b = Tape().ask("one", "1").ask("that", "2").steps
    assert names(part(a, b)) == ["this", "that"]
    more = Tape().ask("before", "0").ask("one", "1").ask("that", "2").steps
    assert names(part(a, more)) == ["this", "before"]
    less = Tape().ask("one", "1").steps
    assert names(part(less, more)) == [None, "before"]
    assert names(part(more, less)) == ["before", None]


def test_an_answer_that_was_given_again_stands_for_the_question() -> None:
    a = Tape().ask("one", "1").ask("one", "1", number=2).steps
    b = Tape().ask("one", "1").cached("one", "1").steps
    assert part(a, b).is_equal
    assert (totals_of(a).calls, totals_of(b).calls) == (2, 1)


def test_steps_below_one_that_only_one_run_has_are_counted_with_it() -> None:
    a = Tape()
    b = Tape().note("delegation_sent", "chief:0:1/worker:9:1", agent="worker", input=9)
    b.ask("inside", "1", parent="chief:0:1/worker:9:1")
    parting = part(a.steps, b.steps)
    assert [step.name for step in parting.only_b] == ["worker"]
    assert parting.below_b == 1


def test_what_took_nothing_is_nothing_and_the_rest_adds_up() -> None:
    totals = totals_of(Tape().ask("one", "1").ask("two", "2").steps)
    assert (totals.steps, totals.calls, totals.input_tokens, totals.cost) == (3, 2, 20, 14)


def test_ten_thousand_steps_are_compared_step_by_step() -> None:
    a, b = Tape(), Tape()
    for number in range(10_000):
        a.ask(f"q{number}", TEXT)
        b.ask(f"q{number}", TEXT if number != 9_000 else "other")
    parting = part(a.steps, b.steps)
    assert parting.same == 10_000
    assert names(parting) == ["q9000", "q9000"]
