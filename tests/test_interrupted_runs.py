"""Many runs, interrupted at random again and again; in full it is a bench, ``interrupted``."""

from __future__ import annotations

import pytest

from benchmarks.interrupted import STEPS, interrupted

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(300)]


def test_runs_that_are_interrupted_at_random_all_come_to_their_end() -> None:
    told = interrupted(runs=60, kills=3, seed=1)
    assert (told.runs, told.completed, told.steps) == (60, 60, 60 * STEPS)
    assert told.kills >= 2
    assert told.lost > 60
    assert told.unexplained == 0
