"""No span is lost: what the spool promises, against a real collector and real ends of processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from otel import configure_tracing
from otel.settings import export_settings
from otel.span import Link, Span
from otel.spool.encoding import frame, scope
from otel.spool.recovery import recover
from otel.spool.sampling import Sampler
from otel.spool.span_limits import SpanLimits
from otel.spool.spool import Spool
from otel.spool.tracing import SpooledTracing
from runtime import Context, RunOptions, mag, running
from tests.otel_receivers import (
    PATIENCE_S,
    RUN,
    Collector,
    Lines,
    heard_lines,
    one_span,
    running_collector,
    told,
)
from tests.test_otel_segment import a_span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel import Tracing

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.real_time


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


@pytest.fixture
def lines() -> Iterator[Lines]:
    with heard_lines() as lines:
        yield lines


def ended(program: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True, text=True, check=False, env=environ, cwd=ROOT, timeout=PATIENCE_S,
    )  # fmt: skip


def files_of(collector: Collector) -> list[str]:
    return sorted(path.suffix for path in collector.spool.rglob("*") if path.is_file())


async def swept(collector: Collector) -> None:
    """Let a new process find and send what others left."""
    tracing = configure_tracing(collector.environ)
    assert await tracing.shutdown(PATIENCE_S) is True


async def all_sent(tracing: Tracing) -> None:
    while tracing.statistics().pending:  # noqa: ASYNC110  # another thread sends
        await anyio.sleep(0.01)


# --- a collector that does not take them ---------------------------------------------------------


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_busy_collector_gets_every_span_in_the_end(
    collector: Collector, lines: Lines, status: int
) -> None:
    collector.statuses = [status] * 4
    tracing = configure_tracing(collector.environ)
    for number in range(50):
        one_span(tracing, f"span {number}")
    await all_sent(tracing)
    assert await tracing.shutdown(PATIENCE_S) is True
    assert len({span.span_id for span in collector.collected.spans}) == 50
    assert len(collector.collected.spans) == 50
    told_ = [line for line in lines.from_package("otel") if "reach" in line]
    assert len(told_) == 2, told_
    assert files_of(collector) == []


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500])
async def test_what_a_collector_refuses_is_put_aside(
    collector: Collector, lines: Lines, status: int
) -> None:
    collector.statuses = [status]
    tracing = configure_tracing(collector.environ)
    one_span(tracing)
    assert await tracing.shutdown(PATIENCE_S) is True
    counted = tracing.statistics()
    assert (counted.rejected, counted.pending, counted.lost, counted.delivered) == (1, 0, 0, 0)
    (line,) = [line for line in lines.from_package("otel") if "refused" in line]
    assert f"1 spans were refused: HTTP {status}; they are kept in " in line
    assert [path.parent.name for path in collector.spool.rglob("*.spans")] == ["rejected"]


@pytest.mark.parametrize(
    ("kind", "text"), [("text/html; charset=utf-8", b""), ("text/plain", b"<!doctype html>")]
)
async def test_a_page_for_people_takes_no_spans_and_that_is_told_once(
    collector: Collector, lines: Lines, kind: str, text: bytes
) -> None:
    collector.page = kind, text
    tracing = configure_tracing(collector.environ)
    for _ in range(10):
        one_span(tracing)
    assert await told(lines.said)
    assert await tracing.shutdown(PATIENCE_S) is True
    assert tracing.statistics().delivered == 0
    (line,) = [line for line in lines.from_package("otel") if "reach" in line]
    assert "no OTLP endpoint" in line
    assert "4318" in line
    collector.page = None
    await swept(collector)
    assert len(collector.collected.spans) == 10


async def test_spans_that_a_collector_does_not_want_are_counted(
    collector: Collector, lines: Lines
) -> None:
    collector.partial.partial_success.rejected_spans = 2
    collector.partial.partial_success.error_message = "too old"
    tracing = configure_tracing(collector.environ)
    for _ in range(5):
        one_span(tracing)
    await all_sent(tracing)
    assert await tracing.shutdown(PATIENCE_S) is True
    counted = tracing.statistics()
    assert counted.rejected % 2 == 0
    assert counted.rejected + counted.delivered == 5
    assert any("2 spans were refused: too old" in line for line in lines.from_package("otel"))


async def test_an_end_waits_no_longer_than_it_may_and_the_next_process_sends_the_rest(
    collector: Collector,
) -> None:
    collector.answering.clear()
    tracing = configure_tracing(collector.environ)
    one_span(tracing, "first")
    assert await tracing.shutdown(0.2) is True
    assert tracing.statistics().delivered == 0
    collector.answering.set()
    # The sender of the first still lives in this process; a process of its own has no such doubt.
    assert ended(ONE_MORE, collector.environ).returncode == 0
    assert {span.name for span in collector.collected.spans} == {"first", "second"}


ONE_MORE = """
    import anyio
    from otel import configure_tracing

    async def main():
        tracing = configure_tracing()
        tracing.start("second").end()
        assert await tracing.shutdown(30.0)

    anyio.run(main)
"""


async def test_without_an_endpoint_spans_are_kept_for_later(collector: Collector) -> None:
    environ = {
        "MAGSAG_TRACE_EXPORT": "spool",
        "MAGSAG_SPOOL": str(collector.spool),
    }
    tracing = configure_tracing(environ)
    assert tracing.destination == str(collector.spool)
    one_span(tracing)
    assert await tracing.shutdown(PATIENCE_S) is True
    assert tracing.statistics().pending == 0  # given up by this process, not lost
    assert files_of(collector) == [".spans"]
    await swept(collector)
    assert collector.collected.named("invoke_workflow digest").trace_id == RUN.to_bytes(16, "big")
    assert files_of(collector) == []


async def test_what_ends_after_the_end_is_kept_too(collector: Collector) -> None:
    tracing = configure_tracing(collector.environ)
    late = tracing.start("late")
    assert await tracing.shutdown(PATIENCE_S) is True
    late.end()
    assert collector.collected.spans == []
    assert files_of(collector) == [".spans"]


# --- ends of processes ---------------------------------------------------------------------------

BUSY = """
    import os, signal, sys, time
    from otel import configure_tracing

    tracing = configure_tracing()
    root = tracing.start("root", trace_id=7, attributes={"magsag.run.id": "r"})
    with root.attached():
        for number in range(700):
            tracing.start("child", parent=root, attributes={"number": number}).end()
    open_ = tracing.start("open", parent=root)
    print("ready", flush=True)
    {end}
"""


def busy(end: str) -> str:
    """Return a program that makes spans and ends somehow."""
    return BUSY.replace("{end}", end)


ENDS = {
    "return": "",
    "exit": "sys.exit(3)",
    "exception": "raise ValueError('a bug')",
    "_exit": "os._exit(0)",
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)",
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL); time.sleep(60)",
    "SIGINT": "os.kill(os.getpid(), signal.SIGINT); time.sleep(60)",
}


@pytest.mark.parametrize("end", ENDS)
async def test_however_a_process_ends_all_its_spans_arrive(collector: Collector, end: str) -> None:
    done = ended(busy(ENDS[end]), collector.environ)
    assert done.stdout == "ready\n", done.stderr
    await swept(collector)
    spans = collector.collected.spans
    numbers = {each.attributes[0].value.int_value for each in spans if each.name == "child"}
    assert numbers == set(range(700))
    assert len({span.span_id for span in spans}) == len(spans)
    crashed = {span.name: span for span in spans if span.name in {"root", "open"}}
    if end in {"_exit", "SIGTERM", "SIGKILL"}:
        assert set(crashed) == {"root", "open"}
        for span in crashed.values():
            assert span.status.code == Status.STATUS_CODE_ERROR
            said = {each.key: each.value.string_value for each in span.attributes}
            assert said["error.type"] == "process_crashed"
            assert span.end_time_unix_nano >= span.start_time_unix_nano
        assert crashed["open"].parent_span_id == crashed["root"].span_id
    assert files_of(collector) == []


async def test_an_exit_without_a_collector_is_quick_and_loses_nothing(
    collector: Collector,
) -> None:
    nobody = {**collector.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    done = ended(busy(""), nobody)
    assert done.returncode == 0, done.stderr
    await swept(collector)
    assert len([span for span in collector.collected.spans if span.name == "child"]) == 700


async def test_a_child_process_has_files_of_its_own(collector: Collector) -> None:
    program = """
        import os, sys
        import anyio
        from otel import configure_tracing

        tracing = configure_tracing()
        tracing.start("before").end()
        child = os.fork()
        tracing.start("child" if child == 0 else "parent").end()
        if child == 0:
            anyio.run(tracing.shutdown)
            os._exit(0)
        os.waitpid(child, 0)
        anyio.run(tracing.shutdown)
    """
    done = ended(program, collector.environ)
    assert (done.returncode, done.stderr) == (0, "")
    await swept(collector)
    names = sorted(span.name for span in collector.collected.spans)
    assert names == ["before", "child", "parent"]
    assert files_of(collector) == []


async def test_a_living_process_keeps_its_files(collector: Collector) -> None:
    program = "import sys\n" + BUSY.replace("{end}", "sys.stdin.read()").replace("    ", "")
    program = textwrap.dedent(busy("sys.stdin.read()"))
    nobody = {**collector.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with subprocess.Popen(  # noqa: ASYNC220  # it only starts
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=nobody, cwd=ROOT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        await swept(collector)
        assert collector.collected.spans == []
        process.send_signal(signal.SIGKILL)
    await swept(collector)
    assert len(collector.collected.spans) == 702


async def test_a_file_that_is_being_made_is_left_alone_and_one_that_never_was_is_removed(
    collector: Collector,
) -> None:
    making, made_never = collector.spool / ".1.spans", collector.spool / ".2.open"
    making.touch()
    made_never.touch()
    os.utime(made_never, (0, 0))
    await swept(collector)
    assert [path.name for path in collector.spool.iterdir()] == [".1.spans"]


async def test_a_file_that_nobody_understands_is_put_aside(
    collector: Collector, lines: Lines
) -> None:
    (collector.spool / "1.spans").write_bytes(b"what is this")
    (collector.spool / "2.open").write_bytes(b"and this")
    await swept(collector)
    names = sorted(path.name for path in collector.spool.iterdir())
    assert names == ["1.spans.unknown", "2.open.unknown"]
    assert len([line for line in lines.from_package("otel") if "put aside" in line]) == 2


# --- no room -------------------------------------------------------------------------------------


def a_spool(folder: Path, *, most: int, piece: int = 4_096) -> Spool:
    return Spool(folder, b"", most_bytes=most, segment_bytes=piece)


def test_a_spool_takes_no_more_disk_than_it_may_and_then_memory(
    tmp_path: Path, lines: Lines
) -> None:
    spool = a_spool(tmp_path, most=3 * 4_096)
    lane = spool.lane(scope("s", ""))
    for number in range(1, 401):
        lane.append(frame(a_span(number, "x" * 200)))
        taken = sum(path.stat().st_size for path in tmp_path.iterdir())
        assert taken <= 3 * 4_096
    counted = spool.statistics()
    assert counted.written == 400
    assert counted.pending + counted.lost == 400
    assert counted.lost > 0
    assert spool.holds_up
    said = lines.from_package("otel")
    assert sum("cannot be kept in" in line for line in said) == 1
    assert any("spans are lost" in line for line in said)


def test_room_that_is_made_ends_the_alarm(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otel.spool.spool._LOOKS_AGAIN_S", 0.0)
    spool = a_spool(tmp_path, most=2 * 4_096)
    lane = spool.lane(scope("s", ""))
    while not spool.holds_up:
        lane.append(frame(a_span(1, "x" * 200)))
    for waiting in spool.waiting:
        spool.acknowledge(waiting, waiting.committed)
    for _ in range(30):
        lane.append(frame(a_span(1, "x" * 200)))
    assert not spool.holds_up
    assert spool.statistics().lost == 0
    assert any("there is room" in line for line in lines.from_package("otel"))


def test_what_waits_in_memory_is_saved_at_the_end_if_there_is_room_by_then(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.write_text("not a folder")
    spool = a_spool(folder, most=1 << 20)
    lane = spool.lane(scope("s", ""))
    for number in range(1, 21):
        lane.append(frame(a_span(number)))
    assert spool.statistics().pending == 20
    folder.unlink()
    folder.mkdir()
    spool.close()
    assert spool.statistics().lost == 0
    again = a_spool(folder, most=1 << 20)
    recover(again)
    assert again.statistics().recovered == 20


async def test_on_a_full_disk_spans_still_reach_the_collector(
    collector: Collector, lines: Lines
) -> None:
    collector.spool.rmdir()
    collector.spool.write_text("not a folder")
    tracing = configure_tracing(collector.environ)
    for _ in range(100):
        one_span(tracing)
    await all_sent(tracing)
    await tracing.room()
    assert await tracing.shutdown(PATIENCE_S) is True
    assert len(collector.collected.spans) == 100
    assert any("cannot be kept in" in line for line in lines.from_package("otel"))
    collector.spool.unlink()
    collector.spool.mkdir()


async def test_whoever_begins_something_waits_while_there_is_no_room(
    collector: Collector,
) -> None:
    environ = {**collector.environ, "MAGSAG_SPOOL_MAX_MB": "16"}
    collector.answering.clear()
    tracing = configure_tracing(environ)
    while not tracing.holds_up:
        tracing.start("x", attributes={"text": "x" * 8_000}).end()
    async with anyio.create_task_group() as tasks:
        waits = anyio.Event()

        async def begin() -> None:
            waits.set()
            await tracing.room()

        tasks.start_soon(begin)
        await waits.wait()
        assert tracing.holds_up
        collector.answering.set()
    assert not tracing.holds_up
    assert await tracing.shutdown(PATIENCE_S) is True
    assert tracing.statistics().lost == 0


async def test_work_that_waits_for_room_says_so_now_and_then_and_when_it_goes_on(
    collector: Collector, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otel.spool.held_up._TOLD_EVERY_S", 0.2)
    collector.answering.clear()
    tracing = configure_tracing({**collector.environ, "MAGSAG_SPOOL_MAX_MB": "16"})
    while not tracing.holds_up:
        tracing.start("x", attributes={"text": "x" * 8_000}).end()
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(tracing.room)
        while not any("still waits" in line for line in lines.from_package("otel")):  # noqa: ASYNC110  # the clock does it
            await anyio.sleep(0.01)
        collector.answering.set()
    said = [line for line in lines.from_package("otel") if "wait" in line and "work" in line]
    assert "MAGSAG_SPOOL_MAX_MB" in said[0]
    assert "MAGSAG_SPOOL_WHEN_FULL=lose" in said[0]
    assert sum("new work waits" in line for line in said) == 1
    assert "5 at a time" in said[1]
    assert "any more" in said[-1]
    assert sum("any more" in line for line in said) == 1
    assert await tracing.shutdown(PATIENCE_S) is True


async def test_who_would_rather_lose_spans_never_waits(collector: Collector) -> None:
    folder = collector.spool / "no-folder"
    folder.write_text("")
    collector.answering.clear()
    environ = {"MAGSAG_SPOOL": str(folder), "MAGSAG_SPOOL_WHEN_FULL": "lose"}
    tracing = configure_tracing({**collector.environ, **environ})
    while not tracing.statistics().lost:
        tracing.start("x", attributes={"text": "x" * 8_000}).end()
    assert not tracing.holds_up
    await tracing.room()
    collector.answering.set()
    assert await tracing.shutdown(PATIENCE_S) is False
    counted = tracing.statistics()
    assert counted.delivered + counted.lost == counted.ended


async def test_a_process_with_little_to_say_takes_little_room(collector: Collector) -> None:
    collector.answering.clear()
    tracing = configure_tracing(collector.environ)
    one_span(tracing)
    assert sum(path.stat().st_size for path in collector.spool.iterdir()) < 700_000
    while len(list(collector.spool.glob("*.spans"))) < 4:
        tracing.start("x", attributes={"text": "x" * 8_000}).end()
    sizes = [path.stat().st_size for path in sorted(collector.spool.glob("*.spans"))]
    assert sizes == [256 << 10, 1 << 20, 4 << 20, 4 << 20]
    collector.answering.set()
    assert await tracing.shutdown(PATIENCE_S) is True


async def test_thousands_that_were_open_are_closed_after_a_crash(collector: Collector) -> None:
    program = """
        import os
        from otel import configure_tracing
        from tests.otel_receivers import RUN
        tracing = configure_tracing(os.environ)
        spans = [tracing.start("x", trace_id=RUN) for _ in range(3_000)]
        os._exit(1)
    """
    ended(program, {**os.environ, **collector.environ})
    await swept(collector)
    assert len({span.span_id for span in collector.collected.spans}) == 3_000


# --- many at once --------------------------------------------------------------------------------


async def test_spans_of_many_threads_all_arrive_once(collector: Collector) -> None:
    tracing = configure_tracing(collector.environ)

    def work(thread: int) -> None:
        for number in range(500):
            tracing.start(f"{thread}", attributes={"number": number}).end()

    threads = [threading.Thread(target=work, args=(each,)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await anyio.to_thread.run_sync(thread.join)
    assert await tracing.shutdown(PATIENCE_S) is True
    counted = tracing.statistics()
    assert (counted.started, counted.ended, counted.delivered) == (4_000, 4_000, 4_000)
    spans = collector.collected.spans
    assert len({span.span_id for span in spans}) == len(spans) == 4_000


async def test_several_files_go_in_order_and_are_removed(collector: Collector) -> None:
    spool = Spool(collector.spool, b"", segment_bytes=8_192)
    tracing = SpooledTracing(
        spool,
        export_settings(collector.environ),
        sampled=Sampler(),
        limits=SpanLimits(),
        redact=str,
    )
    for number in range(1_000):
        tracing.start("x", attributes={"number": number, "text": "x" * 100}).end()
    assert await tracing.shutdown(PATIENCE_S) is True
    numbers = [span.attributes[0].value.int_value for span in collector.collected.spans]
    assert numbers == list(range(1_000))
    assert files_of(collector) == []


async def test_other_peoples_spans_go_the_same_way(collector: Collector) -> None:
    program = """
        import anyio
        from opentelemetry import trace
        from otel import configure_tracing

        async def main():
            tracing = configure_tracing()
            tracer = trace.get_tracer("some.library", "2.0")
            run = tracing.start("run", trace_id=7)
            with run.attached():
                with tracer.start_as_current_span("query", kind=trace.SpanKind.CLIENT) as span:
                    span.set_attribute("rows", 3)
                    span.add_event("slow", {"ms": 5})
                    tracer.start_span("inner", links=[trace.Link(span.get_span_context())]).end()
                try:
                    with tracer.start_as_current_span("fails"):
                        raise ValueError("no")
                except ValueError:
                    pass
                trace.get_current_span().set_attribute("mine", True)
                trace.get_current_span().end()
            run.end()
            assert await tracing.shutdown(30.0)

        anyio.run(main)
    """
    done = ended(program, collector.environ)
    assert done.returncode == 0, done.stderr
    collected = collector.collected
    run, query = collected.named("run"), collected.named("query")
    inner, fails = collected.named("inner"), collected.named("fails")
    assert query.parent_span_id == fails.parent_span_id == run.span_id
    assert inner.parent_span_id == inner.links[0].span_id == query.span_id
    assert query.events[0].name == "slow"
    assert fails.status.code == Status.STATUS_CODE_ERROR
    assert fails.status.message == "ValueError: no"
    assert fails.events[0].name == "exception"
    assert [each.key for each in run.attributes] == ["mine"]
    scopes = {
        each.scope.name: each.scope.version
        for request in collected.requests
        for of in request.resource_spans
        for each in of.scope_spans
    }
    assert scopes.keys() == {"magsag.runtime", "some.library"}
    assert scopes["some.library"] == "2.0"


async def test_the_outage_of_a_collector_is_told_once(collector: Collector, lines: Lines) -> None:
    environ = {**collector.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    tracing = configure_tracing(environ)
    one_span(tracing)
    assert await told(lines.said)
    await anyio.sleep(1.0)
    assert await tracing.shutdown(1.0) is True
    assert len([line for line in lines.from_package("otel") if "do not reach" in line]) == 1
    assert files_of(collector) == [".spans"]


async def test_a_run_is_held_up_while_there_is_no_room_for_its_spans(collector: Collector) -> None:
    environ = {**collector.environ, "MAGSAG_SPOOL_MAX_MB": "16"}
    collector.answering.clear()
    tracing = configure_tracing(environ)
    while not tracing.holds_up:
        tracing.start("x", attributes={"text": "x" * 8_000}).end()
    async with running(agents=(asks,), environ={}, tracing=tracing) as system:
        outcome = await system.run(asks, "hello", RunOptions(deadline_s=0.5))
        assert (outcome.reason, outcome.usage["calls"]) == ("deadline", 0)
        collector.answering.set()
        outcome = await system.run(asks, "hello")
        assert (outcome.error, outcome.usage["calls"]) == (None, 1)
    assert tracing.statistics().lost == 0


@mag
async def asks(ctx: Context, text: str) -> str:
    return await ctx.ask(text)


@pytest.mark.parametrize("ratio", ["0", "1"])
async def test_a_sub_trace_is_recorded_as_the_span_is_that_it_links_to(
    collector: Collector, ratio: str
) -> None:
    sampled = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": ratio}
    tracing = configure_tracing(collector.environ | sampled)
    other = Span(1, 1, flags=1 - int(ratio))
    tracing.start("sub", trace_id=RUN, links=[Link(other)]).end()
    assert await tracing.shutdown(PATIENCE_S) is True
    assert len(collector.collected.spans) == other.flags
