"""Which traces are recorded: the share that a ratio says, of trace ids as runs have them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel import configure_tracing
from otel.settings import TelemetryMisconfigured
from otel.span import Span
from otel.spool.sampling import sampler
from runtime.identity import new_run_id, trace_id_of
from tests.otel_receivers import PATIENCE_S, running_collector

NOW_MS = 1_785_000_000_000
MANY = 4_000
RANDOM = 1 << 56


def by_ratio(ratio: float, name: str = "traceidratio") -> dict[str, str]:
    return {"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": str(ratio)}


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
def test_of_the_traces_of_runs_a_ratio_takes_its_share(ratio: float) -> None:
    chosen = sampler(by_ratio(ratio))
    traces = [trace_id_of(new_run_id(NOW_MS)) for _ in range(MANY)]
    share = sum(chosen.takes(trace, None) for trace in traces) / MANY
    assert abs(share - ratio) < 0.06, "more than seven standard deviations of the widest"


@given(st.integers(0, (1 << 128) - 1), st.floats(0, 1), st.floats(0, 1))
def test_what_a_ratio_takes_a_larger_one_takes_too(trace: int, one: float, other: float) -> None:
    smaller, larger = sorted((one, other))
    if sampler(by_ratio(smaller)).takes(trace, None):
        assert sampler(by_ratio(larger)).takes(trace, None)


@given(st.integers(0, RANDOM - 1), st.integers(0, (1 << 72) - 1), st.sampled_from([0.01, 0.5, 0.9]))
def test_only_the_random_bits_decide(random: int, rest: int, ratio: float) -> None:
    chosen = sampler(by_ratio(ratio))
    assert chosen.takes(rest * RANDOM + random, None) is chosen.takes(random, None)


def test_a_child_is_recorded_as_its_parent_is_if_that_is_asked_for() -> None:
    parent = Span(1, 1)
    assert sampler(by_ratio(0, "parentbased_traceidratio")).takes(1, parent)
    assert not sampler(by_ratio(0)).takes(1, parent)


@pytest.mark.real_time
@pytest.mark.parametrize("export", ["spool", "batch"])
async def test_a_ratio_is_the_same_whichever_way_spans_leave(export: str) -> None:
    taken, left_out = 1 << 80 | RANDOM - 1, 1 << 80 | RANDOM
    with running_collector(export) as collector:
        tracing = configure_tracing(collector.environ | by_ratio(0.25, "parentbased_traceidratio"))
        for trace in (taken, left_out):
            root = tracing.start("root", trace_id=trace)
            tracing.start("child", parent=root).end()
            root.end()
        assert await tracing.shutdown(PATIENCE_S)
    sent = {int.from_bytes(span.trace_id, "big") for span in collector.collected.spans}
    assert (sent, len(collector.collected.spans)) == ({taken}, 2)


@pytest.mark.parametrize("said", ["-0.1", "1.1", "nan", "half"])
def test_what_is_no_share_is_refused(said: str) -> None:
    with pytest.raises(TelemetryMisconfigured, match="OTEL_TRACES_SAMPLER_ARG"):
        sampler({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": said})
