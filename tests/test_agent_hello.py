from __future__ import annotations

import pytest

from agents.hello import hello
from runtime import running
from tests.shipped import shipped


async def test_hello_greets_the_one_who_is_named() -> None:
    async with shipped() as system:
        outcome = await system.run("hello", {"name": "Ada"})
    assert (outcome.status, outcome.output) == ("completed", "Hello, Ada!")


async def test_hello_greets_the_world_by_default_and_asks_no_model() -> None:
    async with shipped() as system:
        outcome = await system.run("hello")
    assert outcome.output == "Hello, world!"
    assert outcome.usage["calls"] == 0


@pytest.mark.real_time
async def test_hello_adds_what_a_model_answers_to_a_question() -> None:
    async with shipped() as system:
        outcome = await system.run("hello", {"name": "Ada", "question": "What is an actor?"})
    assert outcome.output == "Hello, Ada! What is an actor?"  # what the offline model has to say
    assert outcome.usage["calls"] == 1


async def test_a_blank_question_is_none() -> None:
    async with shipped() as system:
        outcome = await system.run("hello", {"question": " \n"})
    assert (outcome.output, outcome.usage["calls"]) == ("Hello, world!", 0)


@pytest.mark.parametrize("field", ["nmae", "name"])
async def test_hello_refuses_an_input_that_it_does_not_declare(field: str) -> None:
    async with shipped() as system:
        outcome = await system.run("hello", {field: ["Ada"]})
    assert (outcome.status, outcome.reason, outcome.exit_code) == ("failed", "invalid_input", 1)
    assert f"{field}: " in (outcome.error or "")


async def test_hello_runs_without_any_catalog() -> None:
    async with running(environ={}) as system:
        outcome = await system.run(hello, {"name": "Grace"})
    assert outcome.value == "Hello, Grace!"
