"""From ``OTEL_*`` variables to settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from otel import TelemetryMisconfigured, configure_tracing
from otel.resource import resource_attributes
from otel.settings import export_settings
from otel.span import Link, Span
from otel.spool.span_limits import span_limits

ROOT = Path(__file__).parents[1]

BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
HOME = "http://localhost:4318"


def test_no_endpoint_means_no_export() -> None:
    assert export_settings({}) is None
    assert export_settings({BASE: "  "}) is None


def test_an_endpoint_for_all_signals_gets_the_path_of_traces() -> None:
    for endpoint in (HOME, HOME + "/"):
        settings = export_settings({BASE: endpoint})
        assert settings is not None
        assert settings.endpoint == f"{HOME}/v1/traces"
        assert settings.protocol == "http/protobuf"


def test_an_endpoint_for_traces_is_taken_as_it_is_and_comes_first() -> None:
    settings = export_settings({BASE: HOME, TRACES: "http://collector:9/otlp"})
    assert settings is not None
    assert settings.endpoint == "http://collector:9/otlp"


def test_grpc_takes_its_endpoint_as_it_is() -> None:
    for endpoint, insecure in (
        ("http://localhost:4317", True),
        ("https://localhost:4317", False),
        ("localhost:4317", False),
    ):
        settings = export_settings({BASE: endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
        assert settings is not None
        assert (settings.endpoint, settings.insecure) == (endpoint, insecure)


def test_a_grpc_target_without_a_scheme_says_by_a_variable_that_it_has_no_tls() -> None:
    environ = {BASE: "localhost:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    settings = export_settings(environ | {"OTEL_EXPORTER_OTLP_INSECURE": "TRUE"})
    assert settings is not None
    assert settings.insecure


def test_the_variable_for_traces_comes_before_the_one_for_all_signals() -> None:
    settings = export_settings(
        {
            BASE: HOME,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_HEADERS": "who=all",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "Authorization=Bearer%20x, who=traces",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "3",
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "2.5",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem",
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/key.pem",
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "/cert.pem",
        }
    )
    assert settings is not None
    assert settings.protocol == "http/protobuf"
    assert settings.headers == {"authorization": "Bearer x", "who": "traces"}
    assert settings.timeout_s == 2.5
    assert settings.compression == "gzip"
    assert settings.certificate == "/ca.pem"
    assert settings.client_key == "/key.pem"
    assert settings.client_certificate == "/cert.pem"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "carrier-pigeon"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "nan"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "no-equals-sign"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a name=value"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "name=a%0Ab"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "name=a%0d%0aother: b"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "name=%C3%BC"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "yes"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "localhost:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://localhost"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:port"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://"),
        ("OTEL_TRACES_EXPORTER", "console"),
        ("MAGSAG_SPOOL_WHEN_FULL", "perhaps"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team"),
    ],
)
def test_a_setting_that_cannot_be_understood_is_refused_by_the_name_of_its_variable(
    variable: str, value: str
) -> None:
    with pytest.raises(TelemetryMisconfigured, match=f"^{variable}"):
        configure_tracing({BASE: HOME, variable: value})


def test_grpc_cannot_deflate() -> None:
    environ = {BASE: HOME, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    with pytest.raises(TelemetryMisconfigured, match="gzip"):
        export_settings(environ | {"OTEL_EXPORTER_OTLP_COMPRESSION": "deflate"})


@pytest.mark.parametrize("endpoint", ["localhost", "unix/socket", "http://"])
def test_grpc_needs_a_host_and_a_port(endpoint: str) -> None:
    environ = {BASE: endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    with pytest.raises(TelemetryMisconfigured, match=BASE):
        export_settings(environ)


@pytest.mark.parametrize("export", ["spool", "batch"])
@pytest.mark.parametrize(
    "variable",
    [
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    ],
)
def test_a_certificate_that_is_not_there_is_refused_at_the_start(
    tmp_path: Path, variable: str, export: str
) -> None:
    environ = {BASE: "https://localhost:4318", variable: "/nowhere.pem"}
    with pytest.raises(TelemetryMisconfigured, match=rf"^{variable} .*/nowhere\.pem"):
        configure_tracing(environ | {"MAGSAG_TRACE_EXPORT": export, "MAGSAG_SPOOL": str(tmp_path)})


@pytest.mark.parametrize(
    "variable", ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"]
)
def test_a_file_that_is_no_certificate_is_refused_by_its_variable(
    tmp_path: Path, variable: str
) -> None:
    path = tmp_path / "a.pem"
    path.write_text("nothing")
    environ = {BASE: "https://localhost:4318", variable: str(path), "MAGSAG_SPOOL": str(tmp_path)}
    with pytest.raises(TelemetryMisconfigured, match=f"^{variable} "):
        configure_tracing(environ)


@pytest.mark.parametrize("export", ["spool", "batch"])
@pytest.mark.parametrize(
    "variable",
    [
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    ],
)
def test_a_limit_that_is_no_number_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, export: str, tmp_path: Path, variable: str
) -> None:
    monkeypatch.setenv(variable, "many")  # the SDK reads it itself
    environ = {
        BASE: HOME,
        "MAGSAG_TRACE_EXPORT": export,
        "MAGSAG_SPOOL": str(tmp_path),
        variable: "many",
    }
    with pytest.raises(TelemetryMisconfigured, match=variable):
        configure_tracing(environ)


@pytest.mark.real_time
@pytest.mark.parametrize("more", [{}, {"MAGSAG_TRACE_EXPORT": "batch"}])
def test_a_run_with_a_limit_that_is_no_number_is_one_clear_error(
    tmp_path: Path, more: dict[str, str]
) -> None:
    variable = "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"
    places = {"MAGSAG_SPOOL": str(tmp_path), "MAGSAG_DB": ":memory:", variable: "abc", BASE: HOME}
    done = subprocess.run(
        [sys.executable, "-m", "runtime", "run", "hello-mag", "--input", '{"name": "x"}'],
        capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, **places, **more},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"error: {variable}='abc' is no whole number\n"


def test_what_is_said_of_events_and_links_has_limits_of_its_own() -> None:
    many = {str(number): number for number in range(200)}
    limits = span_limits(
        {"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "3", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "0"}
    )
    assert len(limits.cut(many)) == 128
    assert list(limits.cut_event(many)) == ["0", "1", "2"]
    to = Span(1, 2)
    (link,) = limits.cut_links([Link(to, many)])
    assert (link.to, dict(link.attributes)) == (to, {})
    general = span_limits({"OTEL_ATTRIBUTE_COUNT_LIMIT": "5"})
    (link,) = general.cut_links([Link(Span(1, 2), many)])
    assert len(general.cut(many)) == len(general.cut_event(many)) == len(link.attributes) == 5


def test_credentials_never_show_in_errors_reprs_or_endpoints() -> None:
    environ = {
        BASE: "https://user:hunter2@collector:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=hunter2",
    }
    settings = export_settings(environ)
    assert settings is not None
    assert settings.shown_endpoint == "https://collector:4318/v1/traces"
    assert settings.headers["authorization"] == "hunter2"
    with pytest.raises(TelemetryMisconfigured) as refused:
        export_settings(environ | {"OTEL_EXPORTER_OTLP_HEADERS": "hunter2"})
    assert "hunter2" not in str(refused.value)
    for broken in ("//user:hunter2@collector", "https://user:hunter2@collector:x"):
        with pytest.raises(TelemetryMisconfigured) as refused:
            export_settings({BASE: broken})
        assert "hunter2" not in str(refused.value)


def test_a_process_is_named_by_us_unless_somebody_names_it() -> None:
    ours = resource_attributes({}, instance_id="i-1")
    assert ours["service.name"] == "magsag-runtime"
    assert ours["service.instance.id"] == "i-1"
    assert ours["service.version"]


def test_resource_attributes_are_decoded_and_the_name_of_the_service_comes_first() -> None:
    environ = {
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=a,deployment.environment.name=pre%20prod,",
        "OTEL_SERVICE_NAME": "digest",
    }
    said = resource_attributes(environ, instance_id="i-1")
    assert said["service.name"] == "digest"
    assert said["deployment.environment.name"] == "pre prod"
    del environ["OTEL_SERVICE_NAME"]
    assert resource_attributes(environ, instance_id="i-1")["service.name"] == "a"
