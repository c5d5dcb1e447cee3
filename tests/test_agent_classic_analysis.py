from __future__ import annotations

from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.classic_analysis import Numbers, describe_numbers
from runtime import RunOptions
from tests.shipped import of_kind, shipped

pytestmark = pytest.mark.real_time  # plain functions run in threads


async def outcome_of(payload: Any, **options: Any) -> Any:
    async with shipped() as system:
        return await system.run("analysis", payload, RunOptions(**options))


async def test_a_classic_agent_uses_a_skill_and_delegates_to_a_prompt_only_agent() -> None:
    records: list[Any] = []
    outcome = await outcome_of(None, listener=records.append)
    assert outcome.status == "completed"
    assert outcome.output["figures"]["median"] == 131
    assert outcome.output["figures"]["count"] == 6
    assert "Orders a month" in outcome.output["analysis"]["summary"]
    assert outcome.output["analysis"]["key_points"]
    assert outcome.output["error"] is None
    (skill,) = of_kind(records, "skill_completed")
    assert skill.body["output"] == outcome.output["figures"]
    assert "analyze-1" in [r.body["task"] for r in of_kind(records, "delegation_completed")]
    assert [r.body["event"] for r in of_kind(records, "log")] == ["described"]


async def test_the_model_of_the_payload_is_the_one_that_is_asked() -> None:
    records: list[Any] = []
    await outcome_of({"numbers": [1, 2], "model": "echo-1"}, listener=records.append)
    assert [r.body["model"] for r in of_kind(records, "invocation_started")] == ["echo-1"]


async def test_the_figures_are_given_even_when_nobody_can_put_them_into_words() -> None:
    outcome = await outcome_of({"numbers": [1, 2], "model": "no-such-model"})
    assert outcome.status == "completed"
    assert outcome.output["figures"]["mean"] == 1.5
    assert outcome.output["analysis"] == {}
    assert "no-such-model" in outcome.output["error"]


@pytest.mark.parametrize("payload", [{}, {"numbers": []}, {"numbers": ["many"]}])
async def test_numbers_that_are_none_are_refused_by_name(payload: Any) -> None:
    outcome = await outcome_of(payload)
    assert (outcome.status, outcome.reason) == ("failed", "invalid_input")
    assert "numbers" in outcome.error


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=50))
def test_the_description_lies_between_the_limits(numbers: list[int]) -> None:
    figures = describe_numbers(Numbers.model_validate({"numbers": numbers}))
    assert figures["count"] == len(numbers)
    assert figures["mean"] == pytest.approx(fmean(numbers))
    assert min(numbers) == figures["smallest"] <= figures["median"] <= figures["largest"]
    assert figures["standard_deviation"] >= 0
