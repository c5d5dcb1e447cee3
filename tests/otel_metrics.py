"""What a receiver got of metrics, and how tests read it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.metrics.v1.metrics_pb2 import (
        HistogramDataPoint,
        Metric,
        NumberDataPoint,
    )


class Measured:
    """The metrics that a receiver got.

    Attributes:
        requests: all of them.
        headers: what came with each.
        posts: how often it was asked, refused ones included.
        asked: set once it was.
    """

    def __init__(self) -> None:
        self.requests: list[ExportMetricsServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.posts = 0
        self.asked = threading.Event()

    def add(self, request: ExportMetricsServiceRequest, headers: dict[str, str]) -> None:
        self.requests.append(request)
        self.headers.append(headers)

    @property
    def last(self) -> dict[str, Metric]:
        """The metrics of the last request, by name: sums are cumulative."""
        return _by_name(self.requests[-1])

    def of_all_processes(self, name: str) -> float:
        """Return the sum of a counter over all processes, by the last request of each."""
        last = {_process(request): _by_name(request) for request in self.requests}
        metrics = [metrics[name] for metrics in last.values() if name in metrics]
        return sum(_number(point) for metric in metrics for _, point in _points(metric, "sum"))

    def numbers(self, name: str) -> dict[frozenset[tuple[str, str]], float]:
        """Return the values of a counter or a gauge, by their dimensions."""
        metric = self.last[name]
        return {key: _number(point) for key, point in _points(metric, "sum", "gauge")}

    def total(self, name: str, /, **wanted: str) -> float:
        """Return the sum over those values whose dimensions end in ``wanted``."""
        if name not in self.last:
            return 0
        return sum(value for key, value in self.numbers(name).items() if _fits(key, wanted))

    def histograms(self, name: str) -> dict[frozenset[tuple[str, str]], HistogramDataPoint]:
        """Return the points of a histogram, by their dimensions."""
        return dict(_points(self.last[name], "histogram"))


def _by_name(request: ExportMetricsServiceRequest) -> dict[str, Metric]:
    return {
        metric.name: metric
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def _process(request: ExportMetricsServiceRequest) -> str:
    (resource,) = request.resource_metrics
    said = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    return said["service.instance.id"]


def _points(metric: Metric, *kinds: str) -> Iterator[tuple[frozenset[tuple[str, str]], object]]:
    kind = metric.WhichOneof("data")
    assert kind in kinds, f"{metric.name} is a {kind}"
    for point in getattr(metric, kind).data_points:
        yield _key(point.attributes), point


def _key(attributes: list[KeyValue]) -> frozenset[tuple[str, str]]:
    return frozenset((pair.key, pair.value.string_value) for pair in attributes)


def _number(point: NumberDataPoint) -> float:
    return getattr(point, point.WhichOneof("value"))


def _fits(key: frozenset[tuple[str, str]], wanted: Mapping[str, str]) -> bool:
    """Whether the dimensions fit; ``type="x"`` stands for any that ends in ``.type``."""
    return all(
        any(name.rpartition(".")[2] == short and value == want for name, value in key)
        for short, want in wanted.items()
    )
