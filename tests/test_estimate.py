"""Estimates of tokens: near enough, bounded, and as quick for ten megabytes as for ten bytes."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.estimate import Estimates
from runtime.estimate import estimate_input, utf8_size
from runtime.messages import Image, Message, ModelRequest, ProviderState, Tool, ToolCall, Usage

MEGABYTES = 10_000_000


def request_of(*messages: Message | str, **fields: object) -> ModelRequest:
    turns = tuple(Message("user", one) if isinstance(one, str) else one for one in messages)
    return ModelRequest(provider="p", model="m", messages=turns, **fields)  # type: ignore[arg-type]  # a test's own fields


def added(*messages: Message | str, **fields: object) -> int:
    return estimate_input(request_of(*messages, **fields)) - estimate_input(request_of(""))


def test_english_is_a_token_for_each_three_and_a_half_bytes() -> None:
    assert added("x" * 35_000) == pytest.approx(10_000, abs=1)


def test_other_scripts_count_by_their_bytes() -> None:
    assert added("語" * 7_000) == pytest.approx(6_000, abs=1)
    assert added("é" * 7_000) == pytest.approx(4_000, abs=1)


def test_every_part_of_a_request_counts() -> None:
    text = "x" * 3_500
    thousand = pytest.approx(1_000, abs=30)
    assert added("", system=text) == thousand
    assert added("", schema={"type": "object", "description": text}) == thousand
    assert added("", extra_body={"guidance": [text]}) == thousand
    assert added("", tools=(Tool("t", description=text),)) == thousand
    assert added("", tools=(Tool("t", parameters={"properties": {text: {}}}),)) == thousand
    call = ToolCall("id", "t", {"a": text}, f'{{"a": "{text}"}}')
    assert added(Message("assistant", tool_calls=(call,))) == thousand
    parsed = ToolCall("id", "t", {"a": text})
    assert added(Message("assistant", tool_calls=(parsed,))) == thousand
    state = ProviderState("p", "d", {"parts": [{"text": text}, 7, None, True]})
    assert added(Message("assistant", text, state=state)) == thousand, "and nothing counts twice"


def test_an_image_has_a_price_of_its_own_whatever_its_bytes() -> None:
    url = "data:image/png;base64," + "A" * 1_000_000
    assert added(Message("user", ("", Image(url)))) == 1_100
    assert added(Message("user", (Image(url, "low"), Image(url, "high")))) == 1_700


@given(st.text(max_size=300))
def test_a_short_text_is_counted_exactly(text: str) -> None:
    assert utf8_size(text) == len(text.encode("utf-8", "replace"))


def test_half_a_character_is_no_obstacle() -> None:
    assert utf8_size("\ud800" * 10) > 0
    assert utf8_size("\ud800" * MEGABYTES) > 0


@pytest.mark.parametrize("pattern", ["語", "é", "ab😀", "x" * 99 + "語"])
def test_a_long_text_is_counted_within_a_few_percent(pattern: str) -> None:
    text = pattern * (2_000_000 // len(pattern))
    assert utf8_size(text) == pytest.approx(len(text.encode()), rel=0.03)


@pytest.mark.parametrize("letter", ["x", "é", "語", "😀"])
def test_a23_ten_megabytes_are_never_read_as_a_whole(letter: str) -> None:
    """Encoding them or counting tokens would allocate megabytes; a sample takes kilobytes."""
    request = request_of(letter * MEGABYTES)
    tracemalloc.start()
    try:
        estimate_input(request)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1_000_000


def test_a_huge_json_value_is_looked_at_only_in_part() -> None:
    small = added("", schema={"enum": list(range(10_000))})
    huge = added("", schema={"enum": list(range(1_000_000))})
    assert huge < 2 * small


def test_the_factor_follows_what_the_server_counts_within_bounds() -> None:
    request = request_of("x" * 3_500)
    estimated = estimate_input(request)
    for truth, expected in ((1.6, 1.6), (10.0, 2.5), (0.01, 0.5)):
        estimates = Estimates()
        for _ in range(50):
            estimates.learn(request, estimated, Usage(input_tokens=int(truth * estimated)))
        assert estimates.factor == pytest.approx(expected, rel=0.01)
        assert estimates.input(estimated) == pytest.approx(expected * estimated, rel=0.01)


def test_one_odd_answer_does_not_spoil_the_factor() -> None:
    estimates = Estimates()
    request = request_of("x" * 3_500)
    estimates.learn(request, 1_000.0, Usage(input_tokens=1_000_000))
    assert estimates.factor <= 2.5
    estimates = Estimates()
    estimates.learn(request, 1_000.0, Usage(input_tokens=0))
    assert estimates.factor == 1.0, "a server that counts nothing teaches nothing"


def test_the_answer_is_what_nine_of_ten_recent_ones_stayed_below() -> None:
    estimates = Estimates()
    assert estimates.output(request_of("x")) == 256
    for tokens in (*range(1_000, 1_010), *range(300, 354)):
        estimates.learn(request_of("x"), 5.0, Usage(input_tokens=5, output_tokens=tokens))
    assert estimates.output(request_of("x")) == 1_003
    for _ in range(64):
        estimates.learn(request_of("x"), 5.0, Usage(input_tokens=5, output_tokens=3))
    assert estimates.output(request_of("x")) == 256, (
        "the old ones are forgotten; never below the floor"
    )


def test_each_agent_has_its_own_answers_and_few_are_remembered() -> None:
    estimates = Estimates()
    for number in range(1_000):
        usage = Usage(input_tokens=5, output_tokens=1_000 + number)
        estimates.learn(request_of("x", task_id=f"agent-{number}-1"), 5.0, usage)
    assert estimates.output(request_of("x", task_id="agent-999-7")) == 1_999
    assert estimates.output(request_of("x", task_id="agent-0-1")) == 256
    assert estimates.output(request_of("x", task_id="agent-999")) == 256
    assert len(estimates._outputs) == 256
