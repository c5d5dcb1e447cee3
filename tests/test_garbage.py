"""How often processes look for garbage."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from benchmarks.worker import NEW_OBJECTS_TO_COLLECTION
from runtime.cli import garbage

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_a_process_at_work_looks_more_often_than_one_that_starts_but_not_at_its_start() -> None:
    garbage.put_off()
    seldom, frozen = gc.get_threshold()[0], gc.get_freeze_count()
    garbage.at_work()
    assert gc.get_threshold()[0] < seldom
    assert gc.get_freeze_count() > frozen


def test_benches_look_as_often_as_what_they_measure_does_for_its_users() -> None:
    garbage.put_off()
    garbage.at_work()
    assert gc.get_threshold()[0] == NEW_OBJECTS_TO_COLLECTION


def test_a_process_of_somebody_else_s_looks_as_its_owner_says() -> None:
    gc.set_threshold(1_234)
    frozen = gc.get_freeze_count()
    garbage.at_work()
    assert (gc.get_threshold()[0], gc.get_freeze_count()) == (1_234, frozen)
