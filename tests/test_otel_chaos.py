"""Everything that loses spans elsewhere, in small; in full it is ``python -m benchmarks chaos``."""

from __future__ import annotations

import pytest

from benchmarks.chaos import SCENARIOS, Account, account_of

SCALE = 0.02

pytestmark = pytest.mark.real_time


@pytest.mark.parametrize("what", SCENARIOS)
def test_every_span_has_arrived_or_waits(what: str) -> None:
    account = account_of(what, SCENARIOS[what], SCALE)
    assert account.lost == 0, account
    assert account.started > 1
    if "400" not in what:
        assert account.refused == 0
    assert account.waiting == 0
    assert account.received + account.refused == account.started


def test_a_span_that_is_nowhere_is_a_wrong_account() -> None:
    account = Account("x", started=10, received=6, waiting=2, refused=1, again=3)
    assert account.lost == 1
