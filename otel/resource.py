"""What is said about this process on all of its spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel import conventions as names
from otel.settings import pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_SERVICE_NAME: Final = "magsag-runtime"

_VERSION_UNKNOWN = "0+unknown"


def resource_attributes(environ: Mapping[str, str], *, instance_id: str) -> dict[str, str]:
    """Return the attributes of the OpenTelemetry resource.

    Args:
        environ: ``OTEL_SERVICE_NAME`` comes before ``OTEL_RESOURCE_ATTRIBUTES``, and these before
            our own defaults and ``MAGSAG_ENVIRONMENT``, the environment that policies go by.
        instance_id: a name of this process that no other one has.

    Raises:
        TelemetryMisconfigured: ``OTEL_RESOURCE_ATTRIBUTES`` is no list of ``name=value``.
    """
    variable = "OTEL_RESOURCE_ATTRIBUTES"
    attributes = {
        names.SERVICE_NAME: DEFAULT_SERVICE_NAME,
        names.SERVICE_VERSION: runtime_version(),
        names.SERVICE_INSTANCE_ID: instance_id,
    }
    if environment := environ.get("MAGSAG_ENVIRONMENT", "").strip():
        attributes[names.DEPLOYMENT_ENVIRONMENT_NAME] = environment
    attributes |= pairs(variable, environ.get(variable, ""))
    if service := environ.get("OTEL_SERVICE_NAME", "").strip():
        attributes[names.SERVICE_NAME] = service
    return attributes


def runtime_version() -> str:
    """Return the version of the installed distribution, or one that says it is not known."""
    from importlib import metadata  # noqa: PLC0415 - 20 ms that only an export pays

    try:
        return metadata.version("magsag-runtime")
    except metadata.PackageNotFoundError:
        return _VERSION_UNKNOWN
