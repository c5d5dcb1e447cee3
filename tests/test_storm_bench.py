"""The storm of the benchmarks, a small one: it counts what the server saw."""

from __future__ import annotations

import pytest

from benchmarks import storm
from benchmarks.contender import Settings

pytestmark = pytest.mark.real_time


def test_the_storm_tells_what_each_client_completed_and_what_the_server_refused() -> None:
    """One call more than the burst: nobody who knows the limit is refused."""
    settings = Settings(rounds=1, scale=0.0, peers=False)
    rows = storm.storm(settings, lambda _: None)
    told = {row.contender: {name: v.median for name, v in row.values.items()} for row in rows}
    configured = told.pop("runtime, limit configured")
    assert (configured["completed"], configured["rejected"], configured["sent"]) == (21, 0, 21)
    assert len(told) == 2
    for each in told.values():
        assert each["sent"] == each["completed"] + each["rejected"]
        assert each["over_ideal"] == each["seconds"] / (1 / storm.RATE)
