"""What a run has done before, asked directly."""

from __future__ import annotations

from runtime.journal import EventRow
from runtime.recorded import Recorded

LEAF = "chief:a:1/leaf:b:1"
STEPS = (
    EventRow(1, 0.0, "delegation_sent", LEAF, {"agent": "leaf"}, 0),
    EventRow(2, 0.0, "skill_started", f"{LEAF}/measure:c:1", {}, 0),
    EventRow(3, 0.0, "skill_completed", f"{LEAF}/measure:c:1", {"output": 8}, 0),
)


def test_a_recorded_step_that_the_code_does_not_come_to_is_an_orphan() -> None:
    assert [event.seq for event in Recorded(STEPS).orphans()] == [3]


def test_steps_of_a_delegation_that_another_process_has_answered_are_no_orphans() -> None:
    recorded = Recorded(STEPS)
    recorded.answered("delegation_completed", LEAF)
    assert recorded.orphans() == []
    assert recorded.is_noted("delegation_completed", LEAF)
