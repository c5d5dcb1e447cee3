"""Files of the spool: what is in them after every kind of end."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel.span import Span
from otel.spool import segment
from otel.spool.attribute_fields import attribute_fields
from otel.spool.encoding import frame, head
from otel.spool.open_spans import NO_SLOT, OpenSpans, left_open
from otel.spool.segment import Mark, NotASegment, Origin, Segment

ROOT = Path(__file__).parents[1]
ORIGIN = Origin(b"resource", b"scope")
SIZE = 1 << 16


def a_span(number: int, text: str = "") -> bytes:
    return head(Span(7, number), None, "x", "internal", number) + attribute_fields({"t": text})


def filled(path: Path, spans: list[bytes]) -> Segment:
    made = segment.create(path, ORIGIN, SIZE)
    for span in spans:
        assert made.append(frame(span))
    return made


def number_of(span: bytes) -> int:
    return int.from_bytes(span[20:28], "big")


SPANS = [a_span(number, "y" * (number * 37 % 300)) for number in range(1, 6)]


def test_what_was_appended_is_read_and_the_cursor_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.spans"
    made = filled(path, SPANS)
    marks = list(made.marks(0))
    assert [mark.spans for mark in marks] == [1, 2, 3, 4, 5]
    made.acknowledge(marks[1])
    assert [number_of(span) for span in segment.view(path).spans()] == [3, 4, 5]
    assert segment.adopt(path) is None  # its process lives
    made.close()
    found = segment.adopt(path)
    assert found is not None
    assert (found.origin, found.pending, found.acknowledged) == (ORIGIN, 3, marks[1])
    assert b"".join(map(frame, SPANS[2:])) == found.frames(found.acknowledged, found.committed)
    found.acknowledge(found.committed)
    found.close()
    assert not path.exists()


def test_a_range_ends_where_a_span_does(tmp_path: Path) -> None:
    made = filled(tmp_path / "a.spans", SPANS)
    whole = made.frames(made.acknowledged, made.committed)
    for apart in (1, 100, 200, 400, 10_000):
        at, parts = made.acknowledged, []
        for mark in made.marks(apart):
            parts.append(made.frames(at, mark))
            at = mark
        assert b"".join(parts) == whole
        assert at == made.committed
        longest = max(len(frame(span)) for span in SPANS)
        assert all(len(part) <= max(apart, longest) for part in parts)
    made.close()


def test_what_does_not_fit_is_refused_and_nothing_is_torn(tmp_path: Path) -> None:
    made = segment.create(tmp_path / "a.spans", ORIGIN, 300)
    assert made.append(frame(SPANS[0]))
    assert not made.append(frame(a_span(9, "z" * 300)))
    assert made.committed.spans == 1
    made.close()


@given(st.data())
def test_of_a_file_that_was_cut_anywhere_all_whole_spans_are_read(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.spans"
        made = filled(path, SPANS)
        ends = [mark.at for mark in made.marks(0)]
        made.close()
        cut = data.draw(st.integers(0, ends[-1]))
        os.truncate(path, cut)
        start = ends[0] - len(frame(SPANS[0]))
        if cut < start:
            with pytest.raises(NotASegment):
                segment.adopt(path)
            return
        found = segment.adopt(path)
        assert found is not None
        whole = sum(end <= cut for end in ends)
        assert [number_of(span) for span in found.spans()] == list(range(1, whole + 1))
        found.close()


@given(st.binary(max_size=200))
def test_a_file_of_anything_is_no_segment_or_has_whole_spans(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.spans"
        path.write_bytes(data)
        with pytest.raises(NotASegment):
            segment.adopt(path)


@given(st.binary(max_size=400))
def test_bytes_after_the_last_span_are_not_taken_for_one(rest: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.spans"
        filled(path, SPANS).close()
        with path.open("ab") as file:
            file.write(b"\0" + rest)
        found = segment.adopt(path)
        assert found is not None
        assert found.pending == len(SPANS)
        found.close()


def test_one_in_memory_is_like_any_other() -> None:
    made = segment.in_memory(ORIGIN, SIZE)
    assert made.append(frame(SPANS[0]))
    assert (made.pending, made.is_on_disk) == (1, False)
    made.acknowledge(Mark(made.committed.at, 1))
    assert made.pending == 0
    made.close()


def test_a_disk_that_is_full_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    program = f"""
        import resource, signal, sys
        from pathlib import Path
        from otel.spool import segment
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            segment.create(Path({str(tmp_path)!r}) / "a.spans", segment.Origin(b"", b""), 1 << 20)
        except OSError as error:
            print(type(error).__name__)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert ended.stdout == "OSError\n"
    assert list(tmp_path.iterdir()) == []


# --- open spans ----------------------------------------------------------------------------------


def test_the_open_spans_are_those_that_began_and_did_not_end(tmp_path: Path) -> None:
    path = tmp_path / "a.open"
    spans = OpenSpans(path, ORIGIN, slots=3)
    slots = [spans.opened(span, span) for span in SPANS]
    assert slots[3:] == [NO_SLOT, NO_SLOT]
    spans.closed(slots[1])
    spans.closed(NO_SLOT)
    spans.lives(99)
    left = left_open(path)
    assert (left.origin, left.last_ns) == (ORIGIN, 99)
    assert sorted(map(number_of, left.spans)) == [1, 3]
    again = spans.opened(SPANS[4], SPANS[4])
    assert again == slots[1]
    assert sorted(map(number_of, left_open(path).spans)) == [1, 3, 5]
    spans.close()
    assert not path.exists()


def test_further_files_take_what_the_first_has_no_slot_for(tmp_path: Path) -> None:
    spans = OpenSpans(tmp_path / "a.open", ORIGIN, slots=1, files=3)
    known = [a_span(number) for number in range(1, 24)]
    slots = [spans.opened(each, each) for each in known]
    assert slots[21:] == [NO_SLOT] * 2, "1 + 4 + 16 slots"
    assert len(set(slots[:21])) == 21
    spans.closed(slots[0])
    spans.closed(slots[20])
    spans.lives(7)
    left = [left_open(path) for path in sorted(tmp_path.glob("*.open"))]
    assert len(left) == 3
    assert {each.last_ns for each in left} == {7}
    numbers = [number_of(span) for each in left for span in each.spans]
    assert sorted(numbers) == list(range(2, 21))
    spans.close()
    assert list(tmp_path.iterdir()) == []


def test_a_further_file_that_there_is_no_room_for_costs_only_slots(tmp_path: Path) -> None:
    taken: list[int] = []

    def check(size: int) -> None:
        if taken:
            raise OSError("full")
        taken.append(size)

    spans = OpenSpans(tmp_path / "a.open", ORIGIN, slots=1, files=3, check=check)
    slot = spans.opened(SPANS[0], SPANS[0])
    assert spans.opened(SPANS[1], SPANS[1]) == NO_SLOT
    spans.closed(slot)
    assert spans.opened(SPANS[1], SPANS[1]) == slot
    spans.close()


def test_of_a_span_that_says_much_the_head_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.open"
    spans = OpenSpans(path, ORIGIN)
    known = head(Span(7, 1), None, "x", "internal", 1)
    spans.opened(known + attribute_fields({"long": "x" * 5_000}), known)
    assert left_open(path).spans == (known,)
    assert spans.opened(b"x" * 5_000, b"x" * 5_000) == NO_SLOT
    spans.close()


@given(st.binary(max_size=2_000))
def test_a_file_of_anything_has_no_open_spans_or_some(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.open"
        path.write_bytes(data)
        with pytest.raises(NotASegment):
            left_open(path)
