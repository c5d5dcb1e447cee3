"""Every line says whose work it is: run, agent, task and span, and never those of others."""

from __future__ import annotations

import io
import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import structlog

from otel import configure_logging
from otel.log_scope import NOBODY, Scope, bind, current_scope, handling, scoped, within
from otel.logs import remove_handlers
from otel.span import Span
from providers.echo import EchoBackend
from runtime import BlockingContext, Context, mag, running, sag, skill
from tests.otel_receivers import running_collector

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS, TASKS = 5, 200
IDS = ("run_id", "agent", "task_id", "trace_id", "span_id")
log = logging.getLogger("an.author")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    level = logging.getLogger().level
    stream = io.StringIO()
    configure_logging(stream=stream, json=True)
    yield stream
    remove_handlers()
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> dict[str, dict[str, Any]]:
    return {line["event"]: line for line in map(json.loads, stream.getvalue().splitlines())}


@skill(inline=True)
def noted(text: str) -> str:
    """Log in a skill."""
    structlog.get_logger("skills").info(f"skill {text}")
    return text


@skill
def noted_in_thread(text: str) -> str:
    """Log in a skill's thread."""
    assert threading.current_thread() is not threading.main_thread()
    log.info("skill in a thread")
    return text


@sag
def blocking(ctx: BlockingContext) -> None:
    """Log in a body's thread."""
    del ctx
    assert threading.current_thread() is not threading.main_thread()
    log.info("body in a thread")


@sag
async def crashing(ctx: Context) -> None:
    """Crash."""
    del ctx
    raise ValueError("bang")


@mag
async def working(ctx: Context) -> None:
    log.info("body")
    await ctx.use(noted, "inline")
    await ctx.use(noted_in_thread, "x")
    await ctx.delegate(blocking)
    await ctx.ask("hello", model="echo-1")
    await ctx.delegate(crashing)
    structlog.get_logger("author").info("body again")


@pytest.fixture
def _speaking_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    invoke = EchoBackend.invoke

    async def speaking(self: EchoBackend, attempt: Any) -> Any:
        logging.getLogger("http.library").info("provider")
        return await invoke(self, attempt)

    monkeypatch.setattr(EchoBackend, "invoke", speaking)


@pytest.mark.real_time
@pytest.mark.usefixtures("_speaking_provider")
async def test_whoever_logs_the_line_says_whose_work_it_is_without_tracing(
    stream: io.StringIO,
) -> None:
    async with running(agents=(working,), environ={}) as system:
        outcome = await system.run(working, None)
    assert outcome.ok, outcome.error
    _check(lines(stream), outcome.run_id, outcome.trace_id)


@pytest.mark.real_time
@pytest.mark.usefixtures("_speaking_provider")
async def test_the_ids_are_those_of_the_spans_that_a_collector_gets(stream: io.StringIO) -> None:
    with running_collector() as collector:
        async with running(agents=(working,), environ=collector.environ) as system:
            outcome = await system.run(working, None)
    told = lines(stream)
    _check(told, outcome.run_id, outcome.trace_id)
    names = {span.span_id.hex(): span.name for span in collector.collected.spans}
    assert {event: names[told[event]["span_id"]] for event in SPANS} == SPANS


SPANS = {
    "body": "invoke_agent working",
    "skill inline": "execute_tool noted",
    "skill in a thread": "execute_tool noted-in-thread",
    "body in a thread": "invoke_agent blocking",
    "provider": "chat echo-1",
    "supervisor: child terminated": "invoke_agent crashing",
    "supervisor: restart": "invoke_agent crashing",
    "body again": "invoke_agent working",
}


def _check(told: dict[str, dict[str, Any]], run_id: str, trace_id: str) -> None:
    for event, span in SPANS.items():
        line = told[event]
        assert all(line.get(name) for name in IDS), line
        assert (line["run_id"], line["trace_id"]) == (run_id, trace_id)
        works = span.partition(" ")[2] if span.startswith("invoke_agent") else "working"
        assert line["agent"] == works
    assert told["body"]["span_id"] == told["body again"]["span_id"]
    spans = {told[event]["span_id"] for event in SPANS}
    assert len(spans) == len(set(SPANS.values())) + 1, "a crashed body and its next attempt"
    assert told["skill inline"]["skill"] == "noted"
    assert told["provider"]["actor"].startswith("provider#")
    assert told["body"]["actor"].startswith("working#")


@sag
async def small(ctx: Context, number: int) -> None:
    """Log around a wait."""
    structlog.contextvars.bind_contextvars(stale=ctx.task_id)
    log.info("before", extra={"wanted": [ctx.run_id, ctx.agent, ctx.task_id]})
    await anyio.sleep(number % 7)
    log.info("after", extra={"wanted": [ctx.run_id, ctx.agent, ctx.task_id]})
    if number % 10 == 0:
        raise ValueError(f"{ctx.run_id}")


@sag(per="process")
class Lasting:
    """Keeps its state, and its task, for all runs."""

    async def run(self, ctx: Context, number: int) -> None:
        """Log."""
        structlog.contextvars.bind_contextvars(run_id=f"stale {ctx.run_id}")
        log.info("kept", extra={"wanted": [ctx.run_id, ctx.agent, ctx.task_id]})
        await anyio.sleep(number % 3)
        log.info("kept still", extra={"wanted": [ctx.run_id, ctx.agent, ctx.task_id]})


@mag
async def spreading(ctx: Context) -> None:
    """Delegate much."""
    await ctx.fan_out(small, range(TASKS))
    await ctx.fan_out(Lasting, range(20))
    log.info("done", extra={"wanted": [ctx.run_id, ctx.agent, ctx.task_id]})


async def test_no_line_carries_the_ids_of_another_run_however_they_interleave(
    stream: io.StringIO,
) -> None:
    traces: dict[str, str] = {}
    async with running(agents=(spreading,), environ={}) as system:

        async def one() -> None:
            outcome = await system.run(spreading, None)
            traces[outcome.run_id] = outcome.trace_id

        async with anyio.create_task_group() as tasks:
            for _ in range(RUNS):
                tasks.start_soon(one)
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    ours = [line for line in told if "wanted" in line]
    assert len(ours) >= RUNS * (2 * TASKS + 40 + 1)
    assert [[line[name] for name in IDS[:3]] for line in ours] == [line["wanted"] for line in ours]
    assert all(line["trace_id"] == traces[line["run_id"]] for line in ours)
    by_task = {(line["task_id"], line["stale"]) for line in ours if "stale" in line}
    assert all(task == stale for task, stale in by_task)
    crashes = [line for line in told if line["event"] == "supervisor: child terminated"]
    assert len(crashes) >= RUNS * TASKS / 10
    assert all(line["run_id"] in line["reason"] for line in crashes)
    assert all(line["actor"] == line["child"] for line in crashes)


def test_a_message_keeps_nothing_of_what_was_before_it() -> None:
    with bind(tenant="a"), handling(Scope({"run_id": "r"}, Span(1, 2))):
        assert current_scope().fields == {"run_id": "r"}
    assert current_scope() is NOBODY


def test_a_part_of_the_work_has_its_own_span_and_the_fields_of_the_whole() -> None:
    span = Span(1, 3)
    with scoped(Scope({"run_id": "r"}, Span(1, 2))):
        with within(span, skill="s"):
            assert current_scope() == ({"run_id": "r", "skill": "s"}, span)
        assert current_scope().fields == {"run_id": "r"}


def test_a_crash_leaves_the_scope_to_the_last_hooks_and_a_cancellation_does_not() -> None:
    with scoped(NOBODY):
        with pytest.raises(KeyboardInterrupt), handling(Scope({"run_id": "r"}, Span(1, 2))):
            raise KeyboardInterrupt
        assert current_scope() is NOBODY
        with pytest.raises(ValueError, match="bang"), handling(Scope({"run_id": "r"}, Span(1, 2))):
            raise ValueError("bang")
        assert current_scope().fields == {"run_id": "r"}


def test_a_span_of_another_trace_is_not_that_of_the_line(stream: io.StringIO) -> None:
    from opentelemetry import trace  # noqa: PLC0415  # only here

    def foreign(trace_id: int) -> Any:
        place = trace.SpanContext(trace_id, 9, is_remote=False)
        return trace.use_span(trace.NonRecordingSpan(place))

    with scoped(Scope({}, Span(1, 2))):
        with foreign(1):
            log.info("an author's own span of this run")
        with foreign(7):
            log.info("of something else")
    own, other = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (int(own["trace_id"], 16), int(own["span_id"], 16)) == (1, 9)
    assert (int(other["trace_id"], 16), int(other["span_id"], 16)) == (1, 2)
