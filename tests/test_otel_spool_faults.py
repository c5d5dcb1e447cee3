"""What once lost spans, or held up the work, in the spool: each has its test."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel.spool.encoding import frame, scope
from otel.spool.spool import Spool
from tests.test_otel_segment import a_span

if TYPE_CHECKING:
    from collections.abc import Callable

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
