"""Run ids and trace ids."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from runtime.identity import new_run_id, trace_id_of


@given(st.integers(0, (1 << 48) - 1))
def test_a_run_id_is_a_uuid_of_version_7_that_begins_with_its_time(now_ms: int) -> None:
    run_id = uuid.UUID(new_run_id(now_ms))
    assert run_id.version == 7
    assert run_id.variant == uuid.RFC_4122
    assert run_id.int >> 80 == now_ms


def test_run_ids_of_one_millisecond_differ_and_later_ones_sort_later() -> None:
    assert len({new_run_id(1) for _ in range(1_000)}) == 1_000
    assert new_run_id(1) < new_run_id(2) < new_run_id(1_000_000)


def test_a_runs_trace_id_is_the_same_128_bits() -> None:
    run_id = new_run_id(1_700_000_000_000)
    assert trace_id_of(run_id) == uuid.UUID(run_id).int


@given(st.text(min_size=1))
def test_a_name_of_ones_own_gets_a_trace_id_that_is_always_the_same_and_never_zero(
    name: str,
) -> None:
    assert 0 < trace_id_of(name) < 1 << 128
    assert trace_id_of(name) == trace_id_of(name)
