"""The same ``Metrics``, measured by an OpenTelemetry MeterProvider: any provider.

Only the OpenTelemetry API is imported here, so a person's own provider works, SDK or not. A
provider never forgets an instrument. So each gets ours once, however many systems come and go in a
process, and what a system lets them read is taken away when it stops.
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from opentelemetry import metrics as api

from otel import conventions as names
from otel.flushing import finished
from otel.instruments import INSTRUMENTS
from otel.metrics import DEFAULT_SHUTDOWN_S, Metrics
from otel.resource import runtime_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel.instruments import Instrument
    from otel.metrics import Read

_log = logging.getLogger("otel.metering")


class Meters:
    """The instruments of one MeterProvider.

    Attributes:
        counters: by name.
        histograms: by name.
        reads: by name and by whose they are, how gauges and observed counters are read.
    """

    def __init__(self, provider: api.MeterProvider) -> None:
        self.counters: dict[str, api.Counter] = {}
        self.histograms: dict[str, api.Histogram] = {}
        self.reads: dict[str, dict[object, Read]] = {}
        self._broken: set[str] = set()
        meter = provider.get_meter(names.SCOPE, runtime_version())
        for instrument in INSTRUMENTS:
            self._make(meter, instrument)

    def _make(self, meter: api.Meter, instrument: Instrument) -> None:
        name, kind, unit, description, buckets = instrument
        if kind == "counter":
            self.counters[name] = meter.create_counter(name, unit, description)
        elif kind == "histogram":
            self.histograms[name] = meter.create_histogram(
                name, unit, description, explicit_bucket_boundaries_advisory=buckets
            )
        else:
            self.reads[name] = {}
            observed = kind == "observed counter"
            create = meter.create_observable_counter if observed else meter.create_observable_gauge
            create(name, [partial(self._observations, name)], unit, description)

    def _observations(self, name: str, _: api.CallbackOptions) -> Iterator[api.Observation]:
        for read in tuple(self.reads[name].values()):
            try:
                readings = tuple(read())
            except Exception:  # noqa: BLE001 - a gauge that fails must not cost the others
                if name not in self._broken:  # once: it is read again and again
                    self._broken.add(name)
                    _log.exception("a metric cannot be read", extra={"metric": name})
                continue
            for value, attributes in readings:
                yield api.Observation(value, attributes)


_meters: WeakKeyDictionary[api.MeterProvider, Meters] = WeakKeyDictionary()
_making = threading.Lock()


class MeteredMetrics(Metrics):
    """Metrics of a person's own MeterProvider, which stays theirs to shut down."""

    on = True

    def __init__(self, provider: api.MeterProvider) -> None:
        self._provider = provider
        with _making:
            meters = _meters.get(provider)
            if meters is None:
                meters = _meters[provider] = Meters(provider)
        self._counters = meters.counters
        self._histograms = meters.histograms
        self._reads = meters.reads

    @property
    def destination(self) -> str:  # noqa: D102 - as in Metrics
        return f"{type(self._provider).__module__}.{type(self._provider).__qualname__}"

    def add(  # noqa: D102 - as in Metrics
        self, name: str, amount: float, attributes: Mapping[str, str]
    ) -> None:
        self._counters[name].add(amount, attributes)

    def record(  # noqa: D102 - as in Metrics
        self, name: str, value: float, attributes: Mapping[str, str]
    ) -> None:
        self._histograms[name].record(value, attributes)

    def observe(self, name: str, read: Read) -> None:  # noqa: D102 - as in Metrics
        self._reads[name][self] = read

    async def shutdown(self, timeout_s: float = DEFAULT_SHUTDOWN_S) -> bool:
        """Flush the person's provider, and leave it running."""
        try:
            flush = getattr(self._provider, "force_flush", None)
            return flush is None or await finished(flush, timeout_s)
        finally:
            self._forget()

    def _forget(self) -> None:
        for reads in self._reads.values():
            reads.pop(self, None)


class OwnMeterProvider:
    """Marks a MeterProvider as one that this package has built, not a person."""


def provider_of_the_process() -> api.MeterProvider | None:
    """Return the MeterProvider that a person has set; None when there is none but our own."""
    provider = api.get_meter_provider()
    ours = isinstance(provider, OwnMeterProvider) or type(provider).__name__ == _PROXY
    return None if ours else provider


_PROXY = "_ProxyMeterProvider"  # what stands in while nobody has set one; the API hides its class
