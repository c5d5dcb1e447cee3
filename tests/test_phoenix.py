"""What the runtime sends is what a real Phoenix gives back: a backend that is made for models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.phoenix import PROJECT, needs_phoenix, running_phoenix
from tests.simulated import simulator
from tests.traced_runs import (
    SCENARIO,
    journal_spans,
    journal_tree,
    make_traced_workspace,
    run_traced,
    trace_tree,
)

if TYPE_CHECKING:
    from pathlib import Path


@needs_phoenix
@pytest.mark.real_time
@pytest.mark.timeout(300)
def test_a_run_in_which_everything_happens_is_the_same_in_phoenix_and_in_the_journal(
    tmp_path: Path,
) -> None:
    (tmp_path / "phoenix").mkdir()
    with simulator(SCENARIO) as server, running_phoenix(tmp_path / "phoenix") as phoenix:
        make_traced_workspace(tmp_path, server.url)
        outcome = run_traced(tmp_path, phoenix.environ)
        expected = journal_tree(journal_spans(tmp_path, outcome["run_id"]))
        spans = phoenix.trace_when(outcome["trace_id"], lambda got: trace_tree(got) == expected)
        assert trace_tree(spans) == expected
        found = phoenix.ask(f"/v1/projects/{PROJECT}/traces")
        assert [each["trace_id"] for each in found["data"]] == [outcome["trace_id"]]
