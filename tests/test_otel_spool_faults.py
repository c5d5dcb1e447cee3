"""What once lost spans, or held up the work, in the spool: each has its test."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest
from opentelemetry import context

from otel.settings import export_settings
from otel.spool.encoding import frame, scope
from otel.spool.mapped_file import is_held
from otel.spool.open_spans import NO_SLOT, OpenSpans, left_open
from otel.spool.otlp_http import HttpPost, Later, Taken
from otel.spool.recovery import MOST_AT_ONCE, recover
from otel.spool.segment import Origin
from otel.spool.sender import Sender
from otel.spool.spool import Spool
from tests.test_otel_segment import a_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from otel.spool.open_spans import LeftOpen
    from otel.spool.otlp_http import Verdict

PIECE = 4_096


def a_spool(folder: Path, most: int = 1 << 30, piece: int = PIECE) -> Spool:
    return Spool(folder, b"", most_bytes=most, segment_bytes=piece)


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    ends_at = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends_at:
        time.sleep(0.01)  # noqa: TID251  # threads of their own do it
    return condition()


# --- no room -------------------------------------------------------------------------------------


def test_lanes_that_wait_for_nothing_in_memory_hold_up_nobody(tmp_path: Path) -> None:
    spool = a_spool(tmp_path, most=0)
    for name in ("ours", "httpx", "theirs"):
        spool.lane(scope(name, "")).append(frame(a_span(1)))
    assert not spool.holds_up, "a span each is not much"
    lane = spool.lane(scope("ours", ""))
    while not spool.holds_up:
        lane.append(frame(a_span(1, "x" * 200)))
    for waiting in spool.waiting:
        spool.acknowledge(waiting, waiting.committed)
    assert spool.statistics().pending == 0
    assert not spool.holds_up


def test_room_on_the_disk_lets_go_of_who_is_held_up_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otel.spool.spool._LOOKS_AGAIN_S", 0.0)
    folder = tmp_path / "spool"
    folder.write_text("not a folder")
    spool = a_spool(folder)
    lane = spool.lane(scope("s", ""))
    while not spool.holds_up:
        lane.append(frame(a_span(1, "x" * 200)))
    folder.unlink()
    assert not spool.holds_up
    assert list(folder.iterdir()) == [], "what it looked with is gone"


def test_a_span_of_any_size_is_kept(tmp_path: Path) -> None:
    spool = a_spool(tmp_path)
    lane = spool.lane(scope("s", ""))
    for size in (10, PIECE // 2, PIECE, 10 * PIECE, 10):
        lane.append(frame(a_span(1, "x" * size)))
    counted = spool.statistics()
    assert (counted.pending, counted.lost) == (5, 0)


def test_what_is_refused_and_cannot_be_kept_is_lost_and_counted(tmp_path: Path) -> None:
    spool = a_spool(tmp_path, most=0)
    spool.lane(scope("s", "")).append(frame(a_span(1)))
    (waiting,) = spool.waiting
    spool.reject(waiting, waiting.committed, "HTTP 400")
    counted = spool.statistics()
    assert (counted.rejected, counted.lost, counted.pending) == (0, 1, 0)


# --- what dead processes left --------------------------------------------------------------------


class Collector:
    """Answers as it is told to.

    Attributes:
        answer: what it says.
        asked: how many batches it got.
    """

    def __init__(self, answer: Verdict) -> None:
        self.answer = answer
        self.asked = 0

    def __call__(self, body: bytes, timeout_s: float) -> Verdict:
        """Say it."""
        del body, timeout_s
        self.asked += 1
        return self.answer

    def close(self) -> None:
        """Do nothing."""


def a_sender(spool: Spool, collector: Collector) -> Sender:
    sender = Sender(spool, collector, "a collector", 5.0)
    sender.start()
    return sender


def left_open_in(folder: Path, *spans: bytes) -> None:
    opened = OpenSpans(folder / "1.open", Origin(b"", scope("s", "")))
    for span in spans:
        opened.opened(span, b"")
    opened.leave()  # as by the end of its process


def test_an_open_span_that_a_loss_of_power_has_torn_keeps_no_other_waiting(tmp_path: Path) -> None:
    left_open_in(tmp_path, b"\x0a\x7f torn", a_span(1))
    spool = a_spool(tmp_path)
    sender = a_sender(spool, Collector(Taken()))
    spool.lane(scope("s", "")).append(frame(a_span(2)))
    assert until(lambda: spool.statistics().delivered == 2)
    sender.stop(5.0)
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_open_spans_that_cannot_be_read_keeps_no_other_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Path) -> LeftOpen:
        raise OSError("too many open files")

    monkeypatch.setattr("otel.spool.recovery.left_open", broken)
    left_open_in(tmp_path, a_span(1))
    spool = a_spool(tmp_path)
    sender = a_sender(spool, Collector(Taken()))
    spool.lane(scope("s", "")).append(frame(a_span(2)))
    assert until(lambda: spool.statistics().delivered == 1)
    sender.stop(5.0)


def test_no_more_files_are_taken_over_at_once_than_leave_descriptors_for_the_work(
    tmp_path: Path,
) -> None:
    for number in range(3 * MOST_AT_ONCE):
        dead = a_spool(tmp_path)
        dead.lane(scope("s", "")).append(frame(a_span(number)))
        dead.close()
    spool, collector = a_spool(tmp_path), Collector(Later("away"))
    sender = a_sender(spool, collector)
    assert until(lambda: collector.asked > 1)
    assert len(spool.waiting) == MOST_AT_ONCE
    collector.answer = Taken()
    assert until(lambda: spool.statistics().delivered == 3 * MOST_AT_ONCE)
    sender.stop(5.0)


def test_what_is_taken_over_takes_no_more_room_than_it_needs(tmp_path: Path) -> None:
    left_open_in(tmp_path, a_span(1))
    dead = a_spool(tmp_path, piece=1 << 20)
    dead.lane(scope("s", "")).append(frame(a_span(2)))
    for waiting in dead.waiting:
        waiting._file.abandon()  # type: ignore[union-attr]  # as by its end
    spool = a_spool(tmp_path, piece=1 << 20)
    assert recover(spool)
    assert spool.statistics().pending == 2
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 1_024


def test_who_is_to_be_asked_again_at_once_is_asked_after_a_while(tmp_path: Path) -> None:
    spool, collector = a_spool(tmp_path), Collector(Later("busy", 0.0, is_there=True))
    spool.lane(scope("s", "")).append(frame(a_span(1)))
    sender = a_sender(spool, collector)
    assert until(lambda: collector.asked > 2)
    assert collector.asked < 10
    sender.stop(0.1)


# --- threads, forks and imports ------------------------------------------------------------------


def test_the_spool_does_without_the_sdk() -> None:
    program = "import otel.spool.tracing, sys; print('opentelemetry.sdk' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "False\n"


def test_a_span_that_ends_in_a_child_process_stays_open_in_the_parents_file(tmp_path: Path) -> None:
    opened = OpenSpans(tmp_path / "1.open", Origin(b"", b""))
    slot = opened.opened(a_span(1), b"")
    opened.leave()  # as in a child
    opened.closed(slot)
    opened.lives(1)
    assert opened.opened(a_span(2), b"") == NO_SLOT
    assert len(left_open(tmp_path / "1.open").spans) == 1
    assert not is_held(tmp_path / "1.open"), "the child does not keep its parent's lock"


def test_many_threads_use_few_slots_while_the_file_is_closed(tmp_path: Path) -> None:
    opened = OpenSpans(tmp_path / "1.open", Origin(b"", b""), slots=2)
    errors: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(5_000):
                opened.closed(opened.opened(a_span(1), b""))
        except Exception as error:  # noqa: BLE001  # it is what must not be
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    opened.close()
    for thread in threads:
        thread.join()
    assert errors == []


def test_nobody_traces_the_sender(tmp_path: Path) -> None:
    class Instrumented(Collector):
        def __call__(self, body: bytes, timeout_s: float) -> Verdict:
            seen.append(context.get_value(context._SUPPRESS_INSTRUMENTATION_KEY))
            return super().__call__(body, timeout_s)

    seen: list[object] = []
    spool = a_spool(tmp_path)
    spool.lane(scope("s", "")).append(frame(a_span(1)))
    sender = a_sender(spool, Instrumented(Taken()))
    assert until(lambda: spool.statistics().delivered == 1)
    sender.stop(5.0)
    assert seen == [True]


def test_a_handler_of_logs_may_make_spans_of_what_the_spool_logs(tmp_path: Path) -> None:
    class Tracing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            """Write a span for each line, as an instrumented client does that posts them."""
            lane.append(frame(a_span(len(record.msg))))

    spool = a_spool(tmp_path, most=0)
    lane = spool.lane(scope("s", ""))
    handler = Tracing()
    logging.getLogger("otel.spool").addHandler(handler)
    try:
        thread = threading.Thread(target=lane.append, args=(frame(a_span(1)),), daemon=True)
        thread.start()
        thread.join(10.0)
        assert not thread.is_alive(), "it waits for itself"
    finally:
        logging.getLogger("otel.spool").removeHandler(handler)
    assert spool.statistics().pending == 2


@pytest.mark.real_time
async def test_an_answer_that_never_ends_is_given_up_in_time(tmp_path: Path) -> None:
    settings = export_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
    assert settings is not None
    with dripping() as url:
        post = HttpPost(replace(settings, endpoint=url))
        verdict = await anyio.to_thread.run_sync(post, b"", 0.3)
        post.close()
    assert isinstance(verdict, Later)
    assert "does not end" in verdict.reason


@contextmanager
def dripping() -> Iterator[str]:
    """Serve one answer that comes a byte at a time, for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                while not ended.wait(0.02):
                    connection.sendall(b"1\r\nx\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces"
        finally:
            ended.set()
            thread.join()
