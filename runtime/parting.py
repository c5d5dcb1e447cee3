"""Where two runs part: their steps, aligned by the tree that their ids make. Pure.

Steps are equal that are about the same content below equal steps; the first delegations are equal,
whatever their agents. An answer that was given again stands for the question that it answers. A
run of n steps is compared in time and memory of n.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runtime.steps import Step, Steps

ANSWERED = frozenset(("completed", "cached"))


class Pair(NamedTuple):
    """The same question in both runs, with different answers."""

    a: Step
    b: Step


class Totals(NamedTuple):
    """What the model calls of a run came to, those that it inherited not counted.

    Attributes:
        steps: its steps.
        calls: model calls with an outcome.
        input_tokens: of their prompts.
        output_tokens: of their answers.
        cost: nano-USD of those with a price.
        unpriced: calls whose price nobody knows.
    """

    steps: int
    calls: int
    input_tokens: int
    output_tokens: int
    cost: int
    unpriced: int


class Parting(NamedTuple):
    """Where two runs part.

    Attributes:
        first: the first step at which they part, in the one and in the other; None where that run
            has no step there.
        only_a: steps that only the one has, in its order, without those below such a one.
        only_b: the same of the other.
        different: the same questions with different answers, in the order of the one.
        same: how many steps are the same in both.
        below_a: how many further steps are below those of ``only_a``.
        below_b: the same of the other.
    """

    first: tuple[Step | None, Step | None]
    only_a: list[Step]
    only_b: list[Step]
    different: list[Pair]
    same: int
    below_a: int
    below_b: int

    @property
    def is_equal(self) -> bool:
        """Whether all steps are the same, and their answers."""
        return not (self.only_a or self.only_b or self.different)


def part(a: Steps, b: Steps) -> Parting:
    """Return where two runs part."""
    ours, theirs = _keys(a), _keys(b)
    pairs = [Pair(step, theirs[key]) for key, step in ours.items() if key in theirs]
    different = [pair for pair in pairs if not _is_same(*pair)]
    same = [pair for pair in pairs if _is_same(*pair)]
    only_a, below_a = _tops(ours, theirs)
    only_b, below_b = _tops(theirs, ours)
    return Parting(
        first=_with_other(
            _first(only_a, only_b, different, same), (ours, only_a), (theirs, only_b)
        ),
        only_a=only_a,
        only_b=only_b,
        different=different,
        same=len(same),
        below_a=below_a,
        below_b=below_b,
    )


def totals_of(steps: Iterable[Step]) -> Totals:
    """Return what the model calls of a run came to."""
    every = list(steps)
    paid = [
        step
        for step in every
        if step.kind == "model" and step.ended_seq is not None and not step.inherited
    ]
    return Totals(
        steps=len(every),
        calls=len(paid),
        input_tokens=sum(step.input_tokens for step in paid),
        output_tokens=sum(step.output_tokens for step in paid),
        cost=sum(step.cost or 0 for step in paid),
        unpriced=sum(step.cost is None for step in paid),
    )


def _keys(steps: Steps) -> dict[str, Step]:
    """Return the steps of a run by what they have in common with those of another run."""
    keys: dict[str, str] = {}
    counts: Counter[str] = Counter()
    found: dict[str, Step] = {}
    for step in steps:
        name = step.op.rpartition("/")[2].rpartition(":")[0]
        name = name.replace("cached:", "chat:", 1) if step.kind == "cached" else name
        above = keys.get(step.parent, "") if step.parent else ""
        content = f"{above}/{name}" if step.parent else "root"
        counts[content] += 1
        key = keys[step.op] = f"{content}:{counts[content]}"
        found[key] = step
    return found


def _is_same(a: Step, b: Step) -> bool:
    """Whether two equal questions were answered the same."""
    ends = {"answered" if step.status in ANSWERED else step.status for step in (a, b)}
    if len(ends) > 1 or a.name != b.name:
        return False
    return a.digest == b.digest and json.dumps(a.answer) == json.dumps(b.answer)


def _tops(ours: Mapping[str, Step], theirs: Mapping[str, Step]) -> tuple[list[Step], int]:
    """Return the steps that only we have and that are below none such, and how many are below."""
    only = [step for key, step in ours.items() if key not in theirs]
    ops = {step.op for step in only}
    tops = [step for step in only if step.parent not in ops]
    return tops, len(only) - len(tops)


def _first(
    only_a: Sequence[Step], only_b: Sequence[Step], different: Sequence[Pair], same: Sequence[Pair]
) -> tuple[Step | None, Step | None]:
    """Return the first step at which two runs part: before it the fewest steps were the same.

    Whoever waits for a step that is different ends later, so it is no consequence of another.
    """
    pair = min(different, key=lambda each: _end(each.a), default=None)
    ours, theirs = next(iter(only_a), None), next(iter(only_b), None)
    if pair is not None and ours is not None and _end(pair.a) < ours.seq:
        ours = None
    if pair is not None and theirs is not None and _end(pair.b) < theirs.seq:
        theirs = None
    if pair is not None and ours is None and theirs is None:
        return pair
    if ours is None or theirs is None:
        return ours, theirs
    rank_a = sum(_end(each.a) < ours.seq for each in same)
    rank_b = sum(_end(each.b) < theirs.seq for each in same)
    return (ours if rank_a <= rank_b else None), (theirs if rank_b <= rank_a else None)


def _with_other(
    first: tuple[Step | None, Step | None], *sides: tuple[Mapping[str, Step], list[Step]]
) -> tuple[Step | None, Step | None]:
    """Return the first step with what the other run did there instead, if it did anything."""
    a, b = first
    if (a is None) == (b is None):
        return first
    (ours, only_a), (theirs, only_b) = sides
    if a is not None:
        return a, _beside(a, ours, theirs, only_b)
    return (None if b is None else _beside(b, theirs, ours, only_a)), b


def _beside(
    step: Step, ours: Mapping[str, Step], theirs: Mapping[str, Step], only: list[Step]
) -> Step | None:
    """Return the first step that only the other run has below the same step."""
    key = next(key for key, each in ours.items() if each is step)
    above = theirs.get(key.rpartition("/")[0])
    return next((one for one in only if above is not None and one.parent == above.op), None)


def _end(step: Step) -> int:
    return step.ended_seq or step.seq
