"""From ``OTEL_*`` variables to settings: pure, and nothing that is set is silently ignored.

The names and meanings are those of the OpenTelemetry specification. A variable for traces
(``OTEL_EXPORTER_OTLP_TRACES_X``) comes before the one for all signals (``OTEL_EXPORTER_OTLP_X``),
and an empty variable is an unset one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

Protocol: TypeAlias = Literal["http/protobuf", "grpc"]
Compression: TypeAlias = Literal["none", "gzip", "deflate"]

_PREFIX = "OTEL_EXPORTER_OTLP_"
_EXPORTERS = ("otlp", "none")
_PROTOCOLS: Mapping[str, Protocol] = {"http/protobuf": "http/protobuf", "grpc": "grpc"}
_COMPRESSIONS: Mapping[Protocol, Mapping[str, Compression]] = {
    "http/protobuf": {"none": "none", "gzip": "gzip", "deflate": "deflate"},
    "grpc": {"none": "none", "gzip": "gzip"},
}
_DEFAULT_TIMEOUT_S = 10.0


class TelemetryMisconfigured(ValueError):
    """An ``OTEL_*`` variable cannot be understood."""


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """Where spans go, and how.

    Attributes:
        endpoint: the URL that batches are posted to, or the target of a gRPC channel.
        protocol: what is spoken there.
        headers: sent with each batch; they may carry a credential.
        timeout_s: seconds that one batch may take, its retries included.
        compression: of the batches.
        insecure: whether a gRPC channel goes without TLS.
        certificate: the file with the certificates to trust; None for the usual ones.
        client_key: the file with our own key, for mutual TLS.
        client_certificate: the file with our own certificate, for mutual TLS.
    """

    endpoint: str
    protocol: Protocol = "http/protobuf"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = _DEFAULT_TIMEOUT_S
    compression: Compression = "none"
    insecure: bool = True
    certificate: str | None = None
    client_key: str | None = None
    client_certificate: str | None = None

    @property
    def shown_endpoint(self) -> str:
        """The endpoint without a password or a query, for logs."""
        scheme, separator, rest = self.endpoint.rpartition("://")
        authority, slash, path = rest.partition("/")
        return scheme + separator + authority.rpartition("@")[2] + slash + path.partition("?")[0]


def is_disabled(environ: Mapping[str, str]) -> bool:
    """Return whether ``OTEL_SDK_DISABLED`` turns telemetry off altogether."""
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def export_settings(environ: Mapping[str, str]) -> ExportSettings | None:
    """Return where spans shall go; None when no endpoint is named or the exporter is ``none``.

    Raises:
        TelemetryMisconfigured: a variable cannot be understood; the message names it.
    """
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    _one_of("OTEL_TRACES_EXPORTER", exporter, _EXPORTERS)
    variable, endpoint = _setting(environ, "ENDPOINT")
    if exporter == "none" or not endpoint:
        return None
    protocol = _protocol(environ)
    return ExportSettings(
        endpoint=_endpoint(variable, endpoint, protocol),
        protocol=protocol,
        headers=_headers(environ),
        timeout_s=_timeout(environ),
        compression=_compression(environ, protocol),
        insecure=_insecure(environ, endpoint),
        certificate=_setting(environ, "CERTIFICATE")[1] or None,
        client_key=_setting(environ, "CLIENT_KEY")[1] or None,
        client_certificate=_setting(environ, "CLIENT_CERTIFICATE")[1] or None,
    )


def _setting(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """Return the variable that decides, and its value; an empty value when none is set."""
    for variable in (f"{_PREFIX}TRACES_{name}", f"{_PREFIX}{name}"):
        if value := environ.get(variable, "").strip():
            return variable, value
    return f"{_PREFIX}{name}", ""


def _one_of(variable: str, value: str, known: Mapping[str, object] | tuple[str, ...]) -> None:
    if value not in known:
        expected = ", ".join(known)
        raise TelemetryMisconfigured(f"{variable}={value!r} is not known; it is one of: {expected}")


def _protocol(environ: Mapping[str, str]) -> Protocol:
    variable, value = _setting(environ, "PROTOCOL")
    protocol = value or "http/protobuf"
    _one_of(variable, protocol, _PROTOCOLS)
    return _PROTOCOLS[protocol]


def _compression(environ: Mapping[str, str], protocol: Protocol) -> Compression:
    variable, value = _setting(environ, "COMPRESSION")
    compression = value.lower() or "none"
    _one_of(variable, compression, _COMPRESSIONS[protocol])
    return _COMPRESSIONS[protocol][compression]


def _endpoint(variable: str, value: str, protocol: Protocol) -> str:
    """Check the endpoint; one for all signals over HTTP gets the path of traces."""
    if not _is_url(value) and (protocol == "http/protobuf" or "/" in value or ":" not in value):
        raise TelemetryMisconfigured(
            f"{variable} is no address to send to: {protocol} needs http://host:port or "
            "https://host:port" + (" or host:port" if protocol == "grpc" else "")
        )
    if protocol == "grpc" or variable == f"{_PREFIX}TRACES_ENDPOINT":
        return value
    return f"{value.rstrip('/')}/v1/traces"


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port  # a port that is no number raises only when it is looked at
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _insecure(environ: Mapping[str, str], endpoint: str) -> bool:
    if "://" in endpoint:
        return endpoint.startswith("http://")
    return _setting(environ, "INSECURE")[1].lower() == "true"


def _timeout(environ: Mapping[str, str]) -> float:
    variable, value = _setting(environ, "TIMEOUT")
    try:
        seconds = float(value or _DEFAULT_TIMEOUT_S)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise TelemetryMisconfigured(f"{variable}={value!r} is no number of seconds above 0")
    return seconds


def _headers(environ: Mapping[str, str]) -> dict[str, str]:
    variable, value = _setting(environ, "HEADERS")
    return {name.lower(): text for name, text in pairs(variable, value).items()}


def pairs(variable: str, value: str) -> dict[str, str]:
    """Parse ``a=1,b=2`` with percent-encoded values.

    Raises:
        TelemetryMisconfigured: it is no such list; the message never shows a value.
    """
    parsed = {}
    for item in filter(None, map(str.strip, value.split(","))):
        name, equals, text = item.partition("=")
        if not equals or not name.strip():
            raise TelemetryMisconfigured(f"{variable} is no list like name=value,name=value")
        parsed[name.strip()] = unquote(text.strip())
    return parsed
