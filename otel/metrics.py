"""Metrics as the runtime sees them. Nothing of OpenTelemetry is imported until somebody reads them.

``Metrics`` here measures nothing. ``metering`` puts a MeterProvider behind the same three verbs,
``metric_delivery`` builds that provider from the ``OTEL_*`` variables. Whoever measures asks
``metrics.on`` first, so that a system without metrics pays for one attribute and nothing else.
"""

from __future__ import annotations

import os
import sys
import uuid
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from otel.metric_settings import metric_settings
from otel.resource import resource_attributes
from otel.settings import is_disabled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.metrics import MeterProvider

DEFAULT_SHUTDOWN_S: Final = 2.0  # the last minute of measurements is worth no more


class Reading(NamedTuple):
    """One value of a gauge.

    Attributes:
        value: the value.
        attributes: what tells it from the gauge's other values; few of them, so no run's id.
    """

    value: float
    attributes: Mapping[str, str] | None = None


Read: TypeAlias = "Callable[[], Iterable[Reading]]"


class Metrics:
    """Where measurements go. This one goes nowhere.

    Attributes:
        on: whether anybody reads them; ask before you measure.
    """

    on: bool = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.destination}>"

    @property
    def destination(self) -> str:
        """Where the metrics go, for people to read."""
        return "nowhere"

    def add(self, name: str, amount: float, attributes: Mapping[str, str]) -> None:
        """Add to a counter of ``instruments``."""

    def record(self, name: str, value: float, attributes: Mapping[str, str]) -> None:
        """Count a value in a histogram of ``instruments``."""

    def observe(self, name: str, read: Read) -> None:
        """Read a gauge or an observed counter of ``instruments`` like this from now on.

        Args:
            name: which; an earlier way to read it is forgotten.
            read: returns its values. It is called in a thread, whenever somebody collects.
        """

    async def shutdown(self, timeout_s: float = DEFAULT_SHUTDOWN_S) -> bool:
        """Send what is known, then stop. Never raises, never takes longer than it may.

        Returns:
            Whether it came to its end in time.
        """
        del timeout_s
        return True


NO_METRICS: Final = Metrics()


def configure_metrics(environ: Mapping[str, str] | None = None) -> Metrics:
    """Build the metrics that the ``OTEL_*`` variables ask for.

    A MeterProvider that a person has set for the whole process comes first: then instruments are
    made there. An author's module may set it, so import agents before calling this. Else see
    ``metric_settings``. Else, or with ``OTEL_SDK_DISABLED=true``, nothing is measured, and no part
    of OpenTelemetry is imported.

    Args:
        environ: the variables; None for those of the process.

    Raises:
        TelemetryMisconfigured: a variable cannot be understood, the page's port is taken, or its
            packages are not installed.
    """
    environ = os.environ if environ is None else environ
    if is_disabled(environ):
        return NO_METRICS
    if (provider := _provider_of_the_process()) is not None:
        from otel.metering import MeteredMetrics  # noqa: PLC0415 - imports OpenTelemetry

        return MeteredMetrics(provider)
    settings = metric_settings(environ)
    if not settings:
        return NO_METRICS
    from otel.metric_delivery import deliver_metrics  # noqa: PLC0415 - imports the SDK, 0.2 s

    return deliver_metrics(settings, resource_attributes(environ, instance_id=str(uuid.uuid4())))


def _provider_of_the_process() -> MeterProvider | None:
    if "opentelemetry.metrics" not in sys.modules:
        return None  # nobody can have set one, and importing it to look costs 50 ms
    from otel.metering import provider_of_the_process  # noqa: PLC0415 - as above

    return provider_of_the_process()
