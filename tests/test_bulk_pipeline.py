"""Reading, asking and writing side by side: every bound is kept, nothing answered is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from runtime.bulk import outbox as outbox_module
from runtime.bulk import pipeline as pipeline_module
from runtime.bulk.line import Defaults, Line
from runtime.bulk.order import InOrder, Record
from runtime.bulk.outbox import Outbox
from runtime.bulk.outcome import Outcome, record_of
from runtime.bulk.pipeline import Pipeline
from runtime.bulk.resume import AnswerFile
from runtime.bulk.sinks import OutputUnwritten, StreamSink
from runtime.bulk.source import RawLine
from runtime.bulk.tally import Tally

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

pytestmark = pytest.mark.real_time  # writing is done in threads


class Memory:
    """A sink."""

    def __init__(self, error: Exception | None = None) -> None:
        self.records: list[Record] = []
        self.finished: list[bool] = []
        self.error = error

    def write(self, records: Sequence[Record]) -> None:
        if self.error is not None:
            raise self.error
        self.records += records

    def finish(self, *, complete: bool) -> None:
        self.finished.append(complete)

    @property
    def ids(self) -> list[Any]:
        return [json.loads(record.data)["id"] for record in self.records]


class Server:
    """Answers lines when a test lets it."""

    def __init__(self) -> None:
        self.most = 0
        self.asked: list[Any] = []
        self._doors: dict[Any, anyio.Event] = {}
        self._in_flight = 0

    def hold(self, *ids: Any) -> None:
        self._doors |= {id_: anyio.Event() for id_ in ids}

    def let_go(self, id_: Any) -> None:
        self._doors[id_].set()

    async def call(self, line: Line) -> Outcome:
        self.asked.append(line.id)
        self._in_flight += 1
        self.most = max(self.most, self._in_flight)
        try:
            for _ in range(10):
                await checkpoint()
            if line.id in self._doors:
                await self._doors[line.id].wait()
        finally:
            self._in_flight -= 1
        return Outcome(record=record_of({"id": line.id, "ok": True}), ok=True, tokens=2)


async def lines(ids: Sequence[Any]) -> AsyncIterator[RawLine]:
    for number, id_ in enumerate(ids, 1):
        fields = {"id": id_, "messages": [{"role": "user", "content": "x"}]}
        yield RawLine(number, json.dumps(fields).encode() if id_ != "bad" else b"nope")


def a_pipeline(
    ids: Sequence[Any],
    call: Callable[[Line], Awaitable[Outcome]],
    *,
    concurrency: int = 4,
    tally: Tally | None = None,
    distinct: bool = True,
) -> Pipeline:
    return Pipeline(
        lines(ids),
        name="f",
        defaults=Defaults("echo", "echo-1"),
        call=call,
        concurrency=concurrency,
        tally=tally or Tally(),
        distinct=distinct,
    )


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110  # of a file's contents nobody tells
            await anyio.sleep(0.001)


async def test_answers_leave_in_order_and_no_more_are_in_flight_than_may_be() -> None:
    server, sink, tally = Server(), Memory(), Tally()
    ids = list(range(500))
    await a_pipeline(ids, server.call, tally=tally).to_stream(sink)
    assert sink.ids == ids
    assert sink.finished == [True]
    assert server.most == 4
    assert (tally.ok, tally.failed, tally.done, tally.tokens) == (500, 0, 500, 1_000)


async def test_bad_lines_have_their_place_among_the_others() -> None:
    server, sink, tally = Server(), Memory(), Tally()
    await a_pipeline(["a", "bad", "b", "bad"], server.call, tally=tally).to_stream(sink)
    assert sink.ids == ["a", None, "b", None]
    assert server.asked == ["a", "b"]
    assert (tally.ok, tally.failed) == (2, 2)
    message = json.loads(sink.records[3].data)["error"]["message"]
    assert message.startswith("f:4: is not JSON")


async def test_an_id_that_is_there_twice_in_a_stream_is_refused_the_second_time() -> None:
    server, sink = Server(), Memory()
    await a_pipeline(["a", "b", "a"], server.call, distinct=False).to_stream(sink)
    assert server.asked == ["a", "b"]
    told = json.loads(sink.records[2].data)
    assert (told["id"], told["ok"], told["error"]["class"]) == ("a", False, "InvalidRequest")
    assert told["error"]["message"] == "f:3: id 'a' is that of an earlier line already"


async def test_the_others_get_ahead_of_a_slow_line_and_no_further_than_there_are_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline_module, "LEAST_PLACES", 20)
    monkeypatch.setattr(pipeline_module, "PLACES_PER_CALL", 1)
    server, sink = Server(), Memory()
    server.hold(0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(a_pipeline(range(100), server.call).to_stream, sink)
        await until(lambda: len(server.asked) == 20)
        for _ in range(50):
            await checkpoint()
        assert len(server.asked) == 20
        assert sink.records == []
        server.let_go(0)
    assert sink.ids == list(range(100))


async def test_records_that_wait_are_bounded_by_their_bytes_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox_module, "MOST_BYTES", 100)
    box = Outbox(Memory(), InOrder(), 1_000, deserted=lambda: None)
    for _ in range(3):
        await box.admit()
    box.put(Record(1, b"x" * 99))
    await box.admit()
    box.put(Record(2, b"x"))
    assert repr(box) == "<Outbox [4/1000 lines, 100 bytes]>"
    with anyio.move_on_after(0.01) as scope:
        await box.admit()
    assert scope.cancelled_caught
    box.put(Record(0, b"x"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(box.run)
        await box.admit()
        box.close()
    assert box.lines == 2


async def test_after_a_cancellation_what_was_answered_is_written_in_order() -> None:
    server, sink, tally = Server(), Memory(), Tally()
    server.hold(0, 3)
    pipeline = a_pipeline(range(6), server.call, concurrency=6, tally=tally)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pipeline.to_stream, sink)
        await until(lambda: tally.ok == 4)
        tasks.cancel_scope.cancel()
    assert sink.ids == [1, 2, 4, 5]
    assert sink.finished == [False]


async def test_a_file_gets_every_answer_at_once_and_the_order_at_the_end(tmp_path: Path) -> None:
    path, server = tmp_path / "out.jsonl", Server()
    server.hold(0)
    answers = AnswerFile(path, keep_failed=False)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(a_pipeline(range(50), server.call).to_file, answers)
        await until(lambda: path.read_bytes().count(b"\n") == 49)
        server.let_go(0)
    answers.close()
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == list(range(50))


async def test_what_a_file_has_already_is_counted_and_not_asked(tmp_path: Path) -> None:
    path, server, tally = tmp_path / "out.jsonl", Server(), Tally()
    path.write_bytes(record_of({"id": 1, "ok": True}) + record_of({"id": 2, "ok": False}))
    answers = AnswerFile(path, keep_failed=True)
    await a_pipeline(range(4), server.call, tally=tally).to_file(answers)
    answers.close()
    assert server.asked == [0, 3]
    assert (tally.ok, tally.failed, tally.kept, tally.tokens) == (3, 1, 2, 4)


async def test_a_reader_that_leaves_ends_the_calls() -> None:
    server = Server()
    server.hold(5)
    sink = Memory(BrokenPipeError())
    with anyio.fail_after(20):
        await a_pipeline(range(100), server.call).to_stream(sink)
    assert sink.finished == []


async def test_an_output_that_cannot_be_written_ends_the_calls_and_is_said() -> None:
    server = Server()
    server.hold(5)
    sink = Memory(OutputUnwritten("full"))
    with anyio.fail_after(20), pytest.RaisesGroup(OutputUnwritten, flatten_subgroups=True):
        await a_pipeline(range(100), server.call).to_stream(sink)
    assert sink.finished == []


async def test_a_stream_sink_tells_what_the_system_says(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as stream:
        StreamSink(stream, "out").write([Record(0, b"a\n"), Record(1, b"b\n")])
        assert (tmp_path / "out").read_bytes() == b"a\nb\n"
    with (
        open("/dev/full", "wb", buffering=0) as full,  # noqa: PTH123, ASYNC230  # a device
        pytest.raises(OutputUnwritten, match="out: the answers cannot be written: No space left"),
    ):
        StreamSink(full, "out").write([Record(0, b"a\n")])
