"""What travels between nodes comes out as it went in, its deadline by the clock of who reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.engines.cluster.envelope import (
    Asked,
    Now,
    Outcome,
    decode,
    decode_outcome,
    encode,
    encode_outcome,
)
from runtime.engines.cluster.subjects import Subjects, token
from runtime.messages import Delegation

PLENTY = 1 << 20
HERE, THERE = Now(wall=1_000.0, loop=10.0), Now(wall=1_000.0, loop=77.0)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=8,
)


def asked(**fields: Any) -> Asked:
    usual = {"run_id": "run", "op": "a:1/b:2", "parent": "a-1", "ancestors": ("a",)}
    delegation = Delegation("b-1", "b", **{"input": None, "context": {}} | usual | fields)
    return Asked(delegation, {"tenant": "t"}, 2, "node/7", "magsag.reply.node.7")


@given(JSON, st.dictionaries(st.text(st.characters(codec="utf-8")), JSON))
def test_any_input_comes_out_as_it_went_in(value: Any, context: Any) -> None:
    sent = asked(input=value, context=context)
    assert decode(encode(sent, HERE, 1 << 30), THERE) == sent


def test_a_deadline_is_by_the_clock_of_who_reads_it() -> None:
    data = encode(asked(deadline=HERE.loop + 5), HERE, PLENTY)
    assert decode(data, THERE).delegation.deadline == THERE.loop + 5


@pytest.mark.parametrize(("wall", "left"), [(1_003.0, 2.0), (1_030.0, -25.0), (900.0, 5.0)])
def test_a_wait_shortens_a_deadline_and_a_wrong_clock_never_lengthens_it(
    wall: float, left: float
) -> None:
    data = encode(asked(deadline=HERE.loop + 5), HERE, PLENTY)
    read = decode(data, THERE._replace(wall=wall)).delegation.deadline
    assert read == THERE.loop + left


def test_what_is_too_large_stays_behind() -> None:
    sent = asked(input="x" * 2_000, context={"why": "y"})
    read = decode(encode(sent, HERE, 1_000), THERE)
    assert not read.is_whole
    assert (read.delegation.input, read.delegation.context) == (None, {})
    assert read.delegation.op == sent.delegation.op
    outcome = Outcome("delegation_completed", {"output": "x" * 2_000})
    assert decode_outcome(encode_outcome(outcome, 1_000)) is None
    assert decode_outcome(encode_outcome(outcome, PLENTY)) == outcome


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"\xff", json.dumps({"delegation": 1}).encode()]
)
def test_what_is_no_delegation_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(ValueError, match="no Delegation"):
        decode(data, HERE)


@given(st.text(min_size=1), st.text(min_size=1))
def test_every_name_has_one_part_of_a_subject_of_its_own(one: str, other: str) -> None:
    assert len(Subjects("c").work(one).split(".")) == 3
    assert (token(one) == token(other)) == (one == other)
