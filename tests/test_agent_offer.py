from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.compensation import Advice, AdviceRequest, advise
from agents.offer import offer
from agents.pay import CandidateProfile, offer_for
from runtime import Context, RunOptions, running, sag
from tests.shipped import of_kind, shipped

GOLDEN = {
    "role": "Engineer",
    "level": "Senior",
    "location": "San Francisco",
    "experience_years": 8,
}


async def outcome_of(payload: Any, **options: Any) -> Any:
    async with shipped() as system:
        return await system.run("offer", payload, RunOptions(**options))


# --- one candidate -------------------------------------------------------------------------------


async def test_a_senior_in_san_francisco_with_eight_years_gets_the_golden_offer() -> None:
    outcome = await outcome_of(GOLDEN)
    assert outcome.output["offer"] == {
        "role": "Engineer",
        "level": "Senior",
        "experience_years": 8,
        "location": "San Francisco",
        "base_salary": {"currency": "USD", "amount": 194_000},
        "band": {"currency": "USD", "min": 174_600, "max": 213_400},
        "sign_on_bonus": {"currency": "USD", "amount": 20_000},
        "notes": "Offer for Engineer (Senior).",
    }
    assert outcome.output["aggregates"] == {"numbers_total": 208, "tasks_processed": 1}
    (result,) = outcome.output["results"]
    assert (result["task_id"], result["status"]) == ("task-0", "success")
    assert result["output"]["analysis"]["transform"] == {
        "upper_text": "ENGINEER",
        "value_squared": 64,
        "numbers_doubled": [16, 388, 12],
        "numbers_total": 208,
        "source": "skill",
    }


async def test_the_package_says_how_it_came_to_be() -> None:
    outcome = await outcome_of(GOLDEN)
    metadata = outcome.output["metadata"]
    assert outcome.output["mag"] == metadata["generated_by"] == "offer-orchestrator-mag"
    assert metadata["run_id"] == outcome.run_id
    assert (metadata["task_count"], metadata["successful_tasks"]) == (1, 1)
    assert datetime.fromisoformat(metadata["timestamp"]).utcoffset() == timedelta(0)


@pytest.mark.parametrize("payload", [{"bogus": 1}, {}, {"role": " "}, {"role": None, "tasks": []}])
async def test_an_input_without_a_role_is_refused_before_any_agent_code_runs(payload: Any) -> None:
    records: list[Any] = []
    outcome = await outcome_of(payload, listener=records.append)
    assert (outcome.status, outcome.reason, outcome.exit_code) == ("failed", "invalid_input", 1)
    assert "role" in outcome.error
    assert of_kind(records, "delegation_started") == []


async def test_an_input_that_is_no_object_is_refused() -> None:
    assert (await outcome_of(["Engineer"])).reason == "invalid_input"


@pytest.mark.parametrize("years", [-1, "many", 1e9])
async def test_years_that_nobody_can_have_are_refused_by_name(years: Any) -> None:
    outcome = await outcome_of({"role": "Engineer", "experience_years": years})
    assert outcome.reason == "invalid_input"
    assert "experience_years" in outcome.error


async def test_the_same_figures_come_without_the_skill() -> None:
    async with running(environ={}, agents=(offer, advise)) as system:
        outcome = await system.run(offer, GOLDEN)
    transform = outcome.output["results"][0]["output"]["analysis"]["transform"]
    assert transform["source"] == "fallback"
    assert transform["numbers_total"] == outcome.output["aggregates"]["numbers_total"] == 208


async def test_the_advisor_takes_a_profile_alone_too() -> None:
    async with shipped() as system:
        alone = await system.run("compensation-advisor-sag", GOLDEN)
        wrapped = await system.run("compensation-advisor-sag", {"candidate_profile": GOLDEN})
    assert alone.output["offer"] == wrapped.output["offer"]


# --- the rules -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "base", "sign_on"),
    [
        ({"level": "Junior", "location": "Berlin"}, 90_000, 5_000),
        ({"level": "Mid"}, 115_000, 10_000),  # remote unless said otherwise
        ({"level": "  "}, 115_000, 10_000),  # Mid unless said otherwise
        ({"level": "STAFF", "location": "new york, NY"}, 205_000, 30_000),
        ({"level": "principal", "location": "Austin"}, 227_000, 50_000),
        ({"level": "Wizard", "location": "Berlin"}, 110_000, 10_000),
        ({"level": "Senior", "location": "Remote (San Francisco)"}, 170_000, 20_000),
        ({"level": "Mid", "location": "Berlin", "experience_years": 2.9}, 126_000, 10_000),
    ],
)
def test_level_location_and_years_make_the_base(
    profile: dict[str, Any], base: int, sign_on: int
) -> None:
    made = offer_for(CandidateProfile.model_validate({"role": "Engineer", **profile}))
    assert (made.base_salary.amount, made.sign_on_bonus.amount) == (base, sign_on)


@given(
    level=st.sampled_from(["Junior", "Mid", "Senior", "Staff", "Principal", "Other"]),
    location=st.sampled_from(["San Francisco", "New York", "Austin", "Remote", "Oslo"]),
    years=st.integers(0, 100),
)
def test_the_band_is_a_tenth_to_either_side_in_whole_dollars(
    level: str, location: str, years: int
) -> None:
    profile = CandidateProfile(
        role="Engineer", level=level, location=location, experience_years=years
    )
    made = offer_for(profile)
    base, band = made.base_salary.amount, made.band
    assert 0 <= base * 9 - band.min * 10 < 10
    assert 0 <= base * 11 - band.max * 10 < 10
    more = profile.model_copy(update={"experience_years": years + 1})
    assert offer_for(more).base_salary.amount == base + 3_000


# --- many tasks ----------------------------------------------------------------------------------


async def test_a_task_is_about_its_own_profile_wherever_that_stands() -> None:
    tasks = [
        {"task_id": "wrapped", "input": {"candidate_profile": {"role": "A"}}},
        {"task_id": "beside", "candidate_profile": {"role": "B"}},
        {"task_id": "flat", "role": "C", "level": "Staff"},
        {"task_id": "inside", "input": {"role": "D"}},
    ]
    outcome = await outcome_of({"role": "Nobody", "tasks": tasks})
    made = {r["task_id"]: r["output"]["offer"]["role"] for r in outcome.output["results"]}
    assert made == {"wrapped": "A", "beside": "B", "flat": "C", "inside": "D"}
    assert outcome.output["offer"]["role"] == "A"


async def test_a_task_without_a_profile_is_about_the_one_of_the_request() -> None:
    outcome = await outcome_of({**GOLDEN, "tasks": [{}, {"input": {"note": "x"}}]})
    made = [result["output"]["offer"] for result in outcome.output["results"]]
    assert [one["base_salary"]["amount"] for one in made] == [194_000, 194_000]
    assert outcome.output["aggregates"] == {"numbers_total": 416, "tasks_processed": 2}


async def test_tasks_that_fail_do_not_stop_the_others() -> None:
    tasks = [
        {"task_id": "no-role", "level": "Mid"},
        {"task_id": "no-agent", "sag_id": "nobody-sag", "role": "X"},
        {"task_id": "forbidden", "sag_id": "hello-mag", "role": "X"},
        {"task_id": "good", "role": "Engineer"},
    ]
    outcome = await outcome_of({"tasks": tasks})
    results = outcome.output["results"]
    assert [r["task_id"] for r in results] == ["no-role", "no-agent", "forbidden", "good"]
    assert [r["status"] for r in results] == ["failure", "failure", "failure", "success"]
    assert all(r["output"] == {} and r["error"] for r in results[:3])
    assert "role" in results[0]["error"]
    assert outcome.output["metadata"]["successful_tasks"] == 1
    assert outcome.output["offer"]["role"] == "Engineer"


async def test_the_run_fails_when_all_tasks_fail() -> None:
    outcome = await outcome_of({"tasks": [{"level": "Mid"}, {"sag_id": "nobody-sag"}]})
    assert (outcome.status, outcome.reason, outcome.exit_code) == ("failed", "delegation", 2)
    assert "all of 2 tasks" in outcome.error
    assert "role" in outcome.error


async def test_all_tasks_are_under_way_at_the_same_time() -> None:
    arrived, everybody = [], anyio.Event()

    @sag(name="compensation-advisor-sag")
    async def patient(ctx: Context, request: AdviceRequest) -> Advice:
        arrived.append(ctx.task_id)
        if len(arrived) == 50:
            everybody.set()
        await everybody.wait()
        made: Advice = await advise(ctx, request)
        return made

    async with running(environ={}, agents=(offer, patient)) as system:
        outcome = await system.run(offer, {**GOLDEN, "tasks": [{}] * 50})
    assert outcome.output["metadata"]["successful_tasks"] == 50
    names = [result["task_id"] for result in outcome.output["results"]]
    assert names == [f"task-{number}" for number in range(50)]


@pytest.mark.parametrize("first", ["a", "task-1"])
async def test_two_tasks_of_one_name_are_refused(first: str) -> None:
    second = {"task_id": first} if first == "a" else {}
    outcome = await outcome_of({**GOLDEN, "tasks": [{"task_id": first}, second]})
    assert outcome.reason == "invalid_input"
    assert repr(first) in outcome.error
