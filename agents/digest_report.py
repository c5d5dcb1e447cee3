"""From sections to one Markdown report. Pure, and bounded however many documents there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agents.documents import Failure

MOST_SECTIONS = 100  # documents that are shown with their summaries
MOST_FAILURES = 100
LONGEST_TITLE = 120  # characters
LONGEST_SUMMARY = 1_000
LONGEST_POINT = 300
MOST_POINTS = 5


class Section(BaseModel):
    """What a digest says of one document."""

    path: str
    title: str
    summary: str
    key_points: list[str]
    notes: list[str] = []


def section(
    path: str, *, title: str, summary: str, key_points: Sequence[str], notes: Sequence[str]
) -> Section:
    """Return a section: what a model said, cut to what a report can bear, nothing said twice."""
    gist = _line(summary, LONGEST_SUMMARY)
    points = dict.fromkeys(_line(point, LONGEST_POINT) for point in key_points[:MOST_POINTS])
    return Section(
        path=path,
        title=_line(title, LONGEST_TITLE) or path,
        summary=gist,
        key_points=[point for point in points if point and point.rstrip("…") not in gist],
        notes=list(notes),
    )


def markdown(
    path: str, sections: Sequence[Section], failed: Sequence[Failure], left_out: int
) -> str:
    """Return the report.

    Args:
        path: what was digested.
        sections: one for each document, in order.
        failed: the documents that could not be used.
        left_out: how many documents nobody looked at, as there were too many.
    """
    blocks = [f"# Digest of {_code(path)}", _totals(len(sections), len(failed), left_out)]
    blocks += [_section_block(one) for one in sections[:MOST_SECTIONS]]
    blocks += _more(len(sections) - MOST_SECTIONS, "documents were summarised; see `sources`")
    if failed:
        shown = failed[:MOST_FAILURES]
        lines = [f"- {_code(one.path)}: {_line(one.reason, LONGEST_POINT)}" for one in shown]
        blocks += ["## Could not be read", "\n".join(lines)]
    blocks += _more(len(failed) - MOST_FAILURES, "could not be read; see `failed`")
    return "\n\n".join(blocks) + "\n"


def _totals(summarised: int, failed: int, left_out: int) -> str:
    documents = "document" if summarised == 1 else "documents"
    parts = [f"{summarised:,} {documents} summarised"]
    if failed:
        parts.append(f"{failed:,} could not be read")
    if left_out:
        parts.append(f"{left_out:,} left out by the limit")
    return ", ".join(parts) + "."


def _section_block(one: Section) -> str:
    notes = "".join(f"; {note}" for note in one.notes)
    return "\n\n".join(_paragraphs(one, notes))


def _paragraphs(one: Section, notes: str) -> Iterator[str]:
    yield f"## {one.title}"
    yield f"Source: {_code(one.path)}{notes}"
    if one.summary:
        yield one.summary
    if one.key_points:
        yield "\n".join(f"- {point}" for point in one.key_points)


def _more(count: int, what: str) -> list[str]:
    return [f"{count:,} more {what}."] if count > 0 else []


def _line(text: str, longest: int) -> str:
    """Return a text as one line, cut where it is too long."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _code(path: str) -> str:
    return f"`{_line(path, 1_000).replace('`', chr(39))}`"
