"""The authority's side of one account: its books, the replies that it owes, and its record."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Any

from providers.cluster.book import Book
from providers.cluster.messages import Reply
from providers.cluster.record import GroupRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from providers.cluster.messages import Report
    from runtime.messages import Limits

SPACING_S = 0.005  # between two reports of a node
SPACING_A_NODE_S = 0.0002  # and more where there are many: so much is what a report may take
MOST_GROUPS = 1_024
FORGET_S = 60.0  # after the last report of a node, which was answered long ago


@dataclass(slots=True)
class _Node:
    """What was said by a node: the number of its report that the next reply answers, and when."""

    report: int = 0
    received_at: float = -inf
    owed: tuple[str, ...] = ()


class Authority:
    """Grants parts of an account's limits to nodes.

    Args:
        epoch: its number; higher than that of any before it.
        limits_of: the limits of a model's group.
        longest_s: how long a call may last.

    Attributes:
        epoch: its number.
        is_over: whether a node has heard of a later one.
    """

    def __init__(self, epoch: int, limits_of: Callable[[str], Limits], longest_s: float) -> None:
        self.epoch = epoch
        self.is_over = False
        self._limits_of = limits_of
        self._longest_s = longest_s
        self._books: dict[str, Book] = {}
        self._nodes: dict[str, _Node] = {}
        self._numbers = count(1)  # of replies
        self._full_at = -inf
        self._ways: dict[str, float] = {}

    def __repr__(self) -> str:
        books = ", ".join(f"{name}: {book!r}" for name, book in self._books.items())
        return f"<Authority of epoch {self.epoch} [{books}]>"

    @property
    def short(self) -> bool:
        """Whether its record has to be written before it can grant what it could."""
        return any(book.cover.short for book in self._books.values())

    @property
    def spacing_s(self) -> float:
        """How far apart the reports of one node shall be."""
        return max(SPACING_S, SPACING_A_NODE_S * len(self._nodes))

    def hear(self, report: Report, now: float) -> None:
        """Take a report; one that is not newer than the last of its node is nothing."""
        if report.epoch > self.epoch:
            self.is_over = True
            return
        if report.node not in self._nodes:
            self._sweep(now)
        node = self._nodes.setdefault(report.node, _Node())
        if report.number <= node.report:
            return
        node.report, node.received_at = report.number, now
        heard = None
        if report.epoch == self.epoch:
            heard = inf if report.is_last else report.heard
        node.owed = tuple(report.wishes)
        self._ways[report.node] = report.way_s
        for group, wish in report.wishes.items():
            book = self._book(group, wish.model)
            if book is not None:
                book.hear(report.node, wish, heard, now)

    def pause(self, group: str, seconds: float, now: float) -> None:
        """Grant nothing of a group for a while: the server asked a node to wait."""
        if group in self._books:
            self._books[group].pause(seconds, now)

    def replies(self, now: float) -> list[tuple[str, Reply]]:
        """Grant what may be granted now, and return what to tell to whom."""
        told: dict[str, set[str]] = {
            name: set(node.owed) for name, node in self._nodes.items() if node.owed
        }
        for group, book in self._books.items():
            for name in book.serve(now, self.spacing_s, self._ways):
                told.setdefault(name, set()).add(group)
        return [(name, self._reply(name, groups, now)) for name, groups in told.items()]

    def next_at(self, now: float) -> float:
        """Return when there may be more to tell if nothing is heard; infinity for never."""
        return min((book.next_at(now) for book in self._books.values()), default=inf)

    def _sweep(self, now: float) -> None:
        """Forget nodes that are silent: many come for a minute only, and some of them die.

        Replies are counted over all nodes, so one that comes back hears a number that is new to it.
        """
        over = now - FORGET_S
        for name, node in list(self._nodes.items()):
            if node.received_at < over:
                del self._nodes[name], self._ways[name]

    # --- the record ------------------------------------------------------------------------------

    def record(self, now: float) -> dict[str, Any]:
        """Return what to write, as JSON can hold it; nothing else may be granted before it is."""
        return {name: book.record(now).as_data() for name, book in self._books.items()}

    def written(self) -> None:
        """Grant what the last record covers: it is written."""
        for book in self._books.values():
            book.cover.written()

    def restore(self, record: Mapping[str, Any], now: float) -> None:
        """Begin with what the one before may have granted."""
        for name, data in record.items():
            group = GroupRecord.from_data(data)
            book = self._book(name, group.model)
            if book is not None:
                book.restore(group, now)

    def begin_full(self, now: float) -> None:
        """Begin as if all limits of a minute were used up at this instant, as nobody knows more."""
        self._full_at = now

    def _book(self, group: str, model: str) -> Book | None:
        book = self._books.get(group)
        if book is None and len(self._books) < MOST_GROUPS:
            book = self._books[group] = Book(model, self._limits_of(model), self._longest_s)
            if self._full_at > -inf:
                book.fill(self._full_at)
        return book

    def _reply(self, name: str, groups: set[str], now: float) -> Reply:
        node, number = self._nodes[name], next(self._numbers)
        node.owed = ()
        grants = {
            group: self._books[group].tell(name, number, now)
            for group in sorted(groups & self._books.keys())
        }
        held_s = now - node.received_at
        return Reply(self.epoch, number, node.report, held_s, self.spacing_s, grants)
