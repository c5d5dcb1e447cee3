"""Lines go to a slow stream in order, in bounded memory, and nobody waits for its reader."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from typing import TYPE_CHECKING, Any, TextIO

import pytest

from otel import bind, configure_logging
from otel.line_handler import LineHandler
from otel.line_writer import LineWriter
from otel.logs import flush_handlers, remove_handlers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

log = logging.getLogger("an.author")
LINE = f"{'x' * 99}\n"


class Pipe:
    """A pipe whose writing end is full, until somebody reads.

    Attributes:
        stream: the writing end, as text.
    """

    def __init__(self) -> None:
        self._reader, writer = os.pipe()
        self.stream: TextIO = os.fdopen(writer, "w", encoding="utf-8")
        os.set_blocking(writer, False)
        self._filled = 0
        try:
            while True:
                self._filled += os.write(writer, b"." * 4_096)
        except BlockingIOError:
            os.set_blocking(writer, True)

    def read(self) -> list[str]:
        """Close the writing end, and return the lines that came after the filling."""
        return self.reading()()

    def reading(self) -> Callable[[], list[str]]:
        """Begin to read; the function that this returns closes the writing end and waits."""
        taken = bytearray()

        def read() -> None:
            while data := os.read(self._reader, 65_536):
                taken.extend(data)

        thread = threading.Thread(target=read)
        thread.start()

        def end() -> list[str]:
            self.stream.close()
            thread.join()
            os.close(self._reader)
            return taken[self._filled :].decode().splitlines()

        return end

    def break_off(self) -> None:
        """Let the reader leave."""
        os.close(self._reader)


def told(lines: int) -> str:
    return f"{lines} lost\n"


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "log-lines"]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    remove_handlers()
    root.setLevel(level)
    for thread in threads():
        thread.join(10)
    assert threads() == []


def test_lines_come_in_the_order_in_which_they_were_put_from_many_threads() -> None:
    pipe = Pipe()
    writer = LineWriter(pipe.stream, told)

    def put(who: int) -> None:
        for number in range(500):
            writer.put(f"{who} {number}\n")

    putting = [threading.Thread(target=put, args=(who,)) for who in range(4)]
    for thread in putting:
        thread.start()
    for thread in putting:
        thread.join()
    end = pipe.reading()
    assert writer.close(60)
    lines = [tuple(map(int, line.split())) for line in end()]
    assert len(lines) == 2_000
    for who in range(4):
        assert [number for one, number in lines if one == who] == list(range(500))


def test_what_finds_no_room_is_counted_and_told_where_it_is_missing() -> None:
    pipe = Pipe()
    writer = LineWriter(pipe.stream, told, capacity=4_000)
    writer.put("first\n")
    for _ in range(1_000):
        writer.put(LINE)
    writer.put("urgent\n", urgent=True)
    lost = writer.dropped
    assert lost >= 1_000 - 60, "one piece is with the thread, and as many may wait"
    end = pipe.reading()
    assert writer.flush(60)
    writer.put("last\n")
    assert writer.close(60)
    lines = end()
    assert lines[0] == "first"
    assert lines[-3].endswith(" lost")
    assert lines[-2:] == ["urgent", "last"]
    gaps = [int(line.split()[0]) for line in lines if line.endswith(" lost")]
    assert sum(gaps) == lost
    assert len(gaps) <= 2, "one that the thread took at once, and one that grew since"
    assert lines.count(LINE.strip()) == 1_000 - lost


def test_warnings_and_errors_have_a_reserve() -> None:
    pipe = Pipe()
    handler = LineHandler(pipe.stream, logging.Formatter("%(message)s"), capacity=8_000)
    for level in (logging.INFO, logging.ERROR):
        for number in range(1_000):
            handler.handle(logging.makeLogRecord({"levelno": level, "msg": f"{level} {number}"}))
    assert handler.unwritten > 0
    end = pipe.reading()
    handler.flush()
    handler.close()
    lines = end()
    assert sum(line.startswith(f"{logging.ERROR} ") for line in lines) > 100
    assert 1 <= sum("dropped" in line for line in lines) <= 2


def test_a_flush_and_an_end_are_bounded_and_wait_in_vain_once_only() -> None:
    pipe = Pipe()
    writer = LineWriter(pipe.stream, told)
    writer.put(LINE)
    writer.put(LINE)
    assert not writer.flush(0.01)
    assert not writer.flush(3_600), "nobody has read anything since"
    assert not writer.close(3_600)
    writer.put(LINE)
    assert writer.dropped >= 1
    assert pipe.read() in ([LINE.strip()], [LINE.strip()] * 2), "what was under way may come"


def test_a_reader_who_has_left_is_no_error() -> None:
    pipe = Pipe()
    writer = LineWriter(pipe.stream, told)
    pipe.break_off()
    writer.put(LINE)
    assert writer.flush(60)
    writer.put(LINE)
    assert writer.close(60)
    assert writer.unwritten == 2
    pipe.stream.close()
    writer.put(LINE)
    assert writer.unwritten == 3


def test_a_stream_without_a_descriptor_is_written_at_once_and_needs_no_thread() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream, told)
    writer.put(LINE)
    assert stream.getvalue() == LINE
    assert threads() == []


def test_where_no_thread_can_be_had_lines_are_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with (tmp_path / "log").open("w+") as stream:
        LineWriter(stream, told).put(LINE)
        assert (tmp_path / "log").read_text() == LINE


def test_after_its_end_lines_are_still_written(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as stream:
        writer = LineWriter(stream, told)
        writer.put("before\n")
        assert writer.close(60)
        writer.put("after\n")
        assert (tmp_path / "log").read_text() == "before\nafter\n"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_process_writes_its_own_lines_and_none_of_its_parent(tmp_path: Path) -> None:
    pipe = Pipe()
    writer = LineWriter(pipe.stream, told)
    writer.put("the parent's\n")
    with (tmp_path / "log").open("w+") as stream:
        of_a_file = LineWriter(stream, told)
        of_a_file.put("parent\n")
        assert of_a_file.flush(60)
        child = os.fork()
        if not child:
            of_a_file.put("child\n")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        of_a_file.put("parent again\n")
        assert of_a_file.close(60)
    assert (tmp_path / "log").read_text() == "parent\nchild\nparent again\n"
    end = pipe.reading()
    assert writer.close(60)
    assert end() == ["the parent's"]


def test_a_line_that_is_logged_while_a_line_is_queued_does_not_wait_for_itself() -> None:
    """As by a finalizer, or by the handler of a signal, at any moment."""
    pipe = Pipe()
    writer = LineWriter(pipe.stream, told)

    class Logs(str):
        __slots__ = ()

        def __len__(self) -> int:
            writer.put("inner\n")
            return 6

    writer.put(Logs("outer\n"))
    end = pipe.reading()
    assert writer.close(60)
    assert sorted(set(end())) == ["inner", "outer"]


def test_a_line_is_made_where_it_is_logged_and_without_secrets() -> None:
    pipe = Pipe()
    configure_logging(stream=pipe.stream, json=True, secrets=["open sesame"])
    changing: list[Any] = ["said open sesame"]
    with bind(run_id="r"):
        log.info("%s", changing, extra={"api_key": "canary"})
    changing[0] = "something else"
    end = pipe.reading()
    remove_handlers()
    (line,) = map(json.loads, end())
    assert (line["event"], line["api_key"]) == ("['said [redacted]']", "[redacted]")
    assert line["run_id"] == "r"


def test_the_line_that_tells_of_lost_ones_is_json_like_the_others() -> None:
    pipe = Pipe()
    configure_logging(stream=pipe.stream, json=True)
    (handler,) = (h for h in logging.getLogger().handlers if isinstance(h, LineHandler))
    handler.writer._capacity = 2_000  # an author cannot choose it
    for _ in range(100):
        log.info("hello")
    end = pipe.reading()
    flush_handlers()
    lost = handler.unwritten
    remove_handlers()
    lines = [json.loads(line) for line in end()]
    gaps = [line for line in lines if "dropped" in line]
    assert {(gap["level"], gap["logger"]) for gap in gaps} == {("warning", "otel.line_handler")}
    assert sum(gap["dropped"] for gap in gaps) == lost
    assert len(lines) == 100 - lost + len(gaps)


def test_configuring_again_ends_the_thread_of_before(tmp_path: Path) -> None:
    for number in range(5):
        with (tmp_path / "log").open("a") as stream:
            configure_logging(stream=stream, json=True)
            log.info("number %d", number)
            configure_logging(stream=io.StringIO())
    for thread in threads():
        thread.join(10)
    assert threads() == []
    assert len((tmp_path / "log").read_text().splitlines()) == 5


def test_a_file_gets_the_same_lines_as_json_beside_what_people_see(tmp_path: Path) -> None:
    file, screen = tmp_path / "log.jsonl", io.StringIO()
    file.write_text('{"event": "of an earlier process"}\n')
    configure_logging(stream=screen, json=False, file=file)
    log.info("hello", extra={"password": "canary"})
    remove_handlers()
    earlier, line = map(json.loads, file.read_text().splitlines())
    assert (line["event"], line["password"]) == ("hello", "[redacted]")
    assert earlier["event"] == "of an earlier process"
    assert "hello" in screen.getvalue()
    assert not screen.getvalue().startswith("{")
