"""From ``OTEL_*`` variables to settings: pure, and nothing that is set is silently ignored.

The names and meanings are those of the OpenTelemetry specification. A variable for one signal
(``OTEL_EXPORTER_OTLP_TRACES_X``) comes before the one for all signals (``OTEL_EXPORTER_OTLP_X``),
and an empty variable is an unset one.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

Protocol: TypeAlias = Literal["http/protobuf", "grpc"]
Compression: TypeAlias = Literal["none", "gzip", "deflate"]
Signal: TypeAlias = Literal["traces", "metrics"]

_PREFIX = "OTEL_EXPORTER_OTLP_"
_EXPORTERS = ("otlp", "none")
_PROTOCOLS: Mapping[str, Protocol] = {"http/protobuf": "http/protobuf", "grpc": "grpc"}
_COMPRESSIONS: Mapping[Protocol, Mapping[str, Compression]] = {
    "http/protobuf": {"none": "none", "gzip": "gzip", "deflate": "deflate"},
    "grpc": {"none": "none", "gzip": "gzip"},
}
_FILES = ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")
_TRUTHS = ("true", "false")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t -~]*")
_DEFAULT_TIMEOUT_S = 10.0


class TelemetryMisconfigured(ValueError):
    """An ``OTEL_*`` variable cannot be understood."""


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """Where spans or metrics go, and how.

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
        files: the paths of these three, those that are set, by their variables.
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
    files: Mapping[str, str] = field(default_factory=dict)

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
    one_of("OTEL_TRACES_EXPORTER", exporter, _EXPORTERS)
    return None if exporter == "none" else otlp_settings(environ, "traces")


def otlp_settings(environ: Mapping[str, str], signal: Signal) -> ExportSettings | None:
    """Return where a signal shall go by OTLP; None when no endpoint is named.

    Raises:
        TelemetryMisconfigured: a variable cannot be understood; the message names it.
    """
    said = _Said(environ, signal)
    variable, endpoint = said("ENDPOINT")
    if not endpoint:
        return None
    protocol = _protocol(said)
    return ExportSettings(
        endpoint=_endpoint(said, variable, endpoint, protocol),
        protocol=protocol,
        headers=_headers(said),
        timeout_s=_timeout(said),
        compression=_compression(said, protocol),
        insecure=_insecure(said, endpoint),
        certificate=said("CERTIFICATE")[1] or None,
        client_key=said("CLIENT_KEY")[1] or None,
        client_certificate=said("CLIENT_CERTIFICATE")[1] or None,
        files={variable: path for variable, path in map(said, _FILES) if path},
    )


class _Said:
    """What the variables say of one signal."""

    def __init__(self, environ: Mapping[str, str], signal: Signal) -> None:
        self._environ = environ
        self.signal = signal

    def __call__(self, name: str) -> tuple[str, str]:
        """Return the variable that decides, and its value; an empty value when none is set."""
        for variable in (self.own(name), f"{_PREFIX}{name}"):
            if value := self._environ.get(variable, "").strip():
                return variable, value
        return f"{_PREFIX}{name}", ""

    def own(self, name: str) -> str:
        """Return the variable that is for this signal alone."""
        return f"{_PREFIX}{self.signal.upper()}_{name}"


def one_of(variable: str, value: str, known: Mapping[str, object] | tuple[str, ...]) -> None:
    """Refuse a value that is not known.

    Raises:
        TelemetryMisconfigured: it is not.
    """
    if value not in known:
        expected = ", ".join(known)
        raise TelemetryMisconfigured(f"{variable}={value!r} is not known; it is one of: {expected}")


def _protocol(said: _Said) -> Protocol:
    variable, value = said("PROTOCOL")
    protocol = value or "http/protobuf"
    one_of(variable, protocol, _PROTOCOLS)
    return _PROTOCOLS[protocol]


def _compression(said: _Said, protocol: Protocol) -> Compression:
    variable, value = said("COMPRESSION")
    compression = value.lower() or "none"
    one_of(variable, compression, _COMPRESSIONS[protocol])
    return _COMPRESSIONS[protocol][compression]


def _endpoint(said: _Said, variable: str, value: str, protocol: Protocol) -> str:
    """Check the endpoint; one for all signals over HTTP gets the path of this one."""
    if not _is_url(value) and (protocol == "http/protobuf" or "/" in value or ":" not in value):
        raise TelemetryMisconfigured(
            f"{variable} is no address to send to: {protocol} needs http://host:port or "
            "https://host:port" + (" or host:port" if protocol == "grpc" else "")
        )
    if protocol == "grpc" or variable == said.own("ENDPOINT"):
        return value
    return f"{value.rstrip('/')}/v1/{said.signal}"


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port  # a port that is no number raises only when it is looked at
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _insecure(said: _Said, endpoint: str) -> bool:
    variable, value = said("INSECURE")
    if value:
        one_of(variable, value.lower(), _TRUTHS)
    if "://" in endpoint:
        return endpoint.startswith("http://")
    return value.lower() == "true"


def _timeout(said: _Said) -> float:
    variable, value = said("TIMEOUT")
    return above_zero(variable, value, _DEFAULT_TIMEOUT_S, "seconds")


def above_zero(variable: str, value: str, default: float, unit: str) -> float:
    """Return a number above 0, or a default for an empty value.

    Raises:
        TelemetryMisconfigured: it is no such number.
    """
    try:
        number = float(value or default)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise TelemetryMisconfigured(f"{variable}={value!r} is no number of {unit} above 0")
    return number


def _headers(said: _Said) -> dict[str, str]:
    """Return the headers; what cannot be sent is refused, and a value is never shown."""
    variable, value = said("HEADERS")
    headers = {name.lower(): text.strip(" \t") for name, text in pairs(variable, value).items()}
    for name, text in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise TelemetryMisconfigured(f"{variable} has a header that may not be called {name!r}")
        if not _HEADER_VALUE.fullmatch(text):
            raise TelemetryMisconfigured(
                f"{variable}: the value of {name} has a line break or a sign that is not ASCII"
            )
    return headers


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
