"""Whether a run has kept what was promised: a table, for a terminal, as Markdown and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.promises import PROMISES, Missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.promises import Promise, Rows


class Verdict(NamedTuple):
    """What came of a promise.

    Attributes:
        says: what it was.
        bar: in words.
        measured: in words, or why there is no figure.
        met: whether it was kept; None where there is no figure.
    """

    says: str
    bar: str
    measured: str
    met: bool | None

    @property
    def word(self) -> str:
        """Say in a word or two what came of it."""
        return {True: "met", False: "not met", None: "not measured"}[self.met]


def judge(rows: Rows, promises: Sequence[Promise] = PROMISES) -> list[Verdict]:
    """Compare a run with what was promised.

    Args:
        rows: those of each bench, by its name.
        promises: in the order in which they are told.
    """
    return [_verdict(promise, rows) for promise in promises]


def _verdict(promise: Promise, rows: Rows) -> Verdict:
    word = "at least" if promise.is_least else "at most"
    bar = f"{word} {promise.bar:,g} {promise.unit}"
    try:
        measured = promise.measured(rows)
    except Missing as why:
        return Verdict(promise.says, bar, str(why), None)
    met = measured >= promise.bar if promise.is_least else measured <= promise.bar
    return Verdict(promise.says, bar, f"{_number(measured)} {promise.unit}", met)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004  # three digits


def lines(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield the lines of a table for a terminal."""
    for each in verdicts:
        yield f"  {each.word:12} {each.says:72} {each.bar:26} {each.measured}"


def markdown(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield "| promise | bar | measured | |"
    yield "|---|---|---|---|"
    for each in verdicts:
        word = each.word if each.met else f"**{each.word}**"
        yield f"| {each.says} | {each.bar} | {each.measured.replace('|', '/')} | {word} |"


def as_json(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Return verdicts as JSON data; ``met`` is null where there is no figure."""
    return [each._asdict() for each in verdicts]
