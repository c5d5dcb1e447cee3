"""What a supervisor says of its children, to the log and to whoever listens."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.kernel import Crash, World, reported, settle, supervised, the

if TYPE_CHECKING:
    from runtime.actors import SupervisorReport


async def test_format_log_1(caplog: pytest.LogCaptureFixture) -> None:
    """What is logged of a failing child says who, what, why and how often, as fields."""
    caplog.set_level(logging.INFO, "runtime.actors")
    world = World()
    async with supervised([world.spec("one")], intensity=1) as (system, sup):
        seen: list[SupervisorReport] = []
        system.on_report = seen.append
        world.fail("one")
        the(sup.child("one")).tell("crash")
        await settle()
    lines = [(r.levelname, r.getMessage(), r.child, r.restarts) for r in caplog.records]  # type: ignore[attr-defined]  # extra fields
    assert lines == [
        ("WARNING", "supervisor: child terminated", "one", 0),
        ("INFO", "supervisor: restart", "one", 1),
        ("ERROR", "supervisor: start error", "one", 1),
        ("ERROR", "supervisor: shutdown", "one", 1),
    ]
    assert {record.supervisor for record in caplog.records} == {"sup"}  # type: ignore[attr-defined]  # extra field
    assert [record.exc_info is not None for record in caplog.records] == [True, False, True, False]
    assert "Crash" in caplog.records[0].reason  # type: ignore[attr-defined]  # extra field
    assert isinstance(seen[0].reason.error, Crash)
    assert [report.context for report in seen] == [context for context, _ in reported(system)]


async def test_format_log_2() -> None:
    """Reports carry supervisor, context, child, reason, count and time; the system keeps them."""
    world = World()
    async with supervised([world.spec("one", shutdown=1.0)]) as (system, sup):
        await anyio.sleep(10.0)
        the(sup.child("one")).tell("crash")
        await settle()
        the(sup.child("one")).tell("hang")
        await settle()
        await sup.terminate_child("one")
    reports = list(system.reports)
    assert [(r.supervisor, r.context, r.child, str(r.reason), r.restarts) for r in reports] == [
        ("sup", "child_terminated", "one", "crashed: Crash('one')", 0),
        ("sup", "restart", "one", "crashed: Crash('one')", 1),
        ("sup", "shutdown_error", "one", "killed", 1),
    ]
    assert [report.at for report in reports] == pytest.approx([10.0, 10.0, 11.0], abs=1e-3)


async def test_a_report_that_its_reader_cannot_bear_hurts_nobody() -> None:
    """An exception in ``on_report`` is logged; the supervisor goes on."""
    world = World()

    def unbearable(_report: object) -> None:
        raise Crash("reader")

    async with supervised([world.spec("one")]) as (system, sup):
        system.on_report = unbearable
        the(sup.child("one")).tell("crash")
        await settle()
        assert the(sup.child("one")).alive
        assert sup.statistics().crashed == 0
