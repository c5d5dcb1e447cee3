"""Which cluster is meant, and that no login ever shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.engines.cluster.login import Login, servers_of
from runtime.engines.cluster.settings import cluster_settings
from runtime.errors import ConfigurationError


@pytest.mark.parametrize(
    ("given", "addresses"),
    [
        ("nats://localhost:4222", ("nats://localhost:4222",)),
        ("nats://one,tls://two:5222/", ("nats://one:4222", "tls://two:5222")),
        ("host:5000", ("nats://host:5000",)),
        ("host", ("nats://host:4222",)),
        (" nats://[::1] , nats://b ", ("nats://[::1]:4222", "nats://b:4222")),
    ],
)
def test_addresses_are_understood(given: str, addresses: tuple[str, ...]) -> None:
    assert servers_of(given).addresses == addresses


@pytest.mark.parametrize(
    "given",
    [
        "",
        ",",
        "user:pass@host",
        "http://host",
        "ws://host",
        "nats://",
        "nats://host:port",
        "nats://host/path",
    ],
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(ConfigurationError, match=r"nats://user:password@host:4222"):
        servers_of(given)


def test_an_address_that_is_refused_does_not_show_its_password() -> None:
    with pytest.raises(ConfigurationError) as caught:
        servers_of("nats://user:s3cret@host:port")
    assert "s3cret" not in str(caught.value)


def test_a_login_is_taken_out_of_the_addresses_and_never_shows() -> None:
    settings = cluster_settings("nats://anna:p%40ss@one,nats://two", {})
    assert settings.servers.login == Login("anna", "p@ss")
    assert str(settings) == "cluster magsag at nats://one:4222,nats://two:4222"
    assert "p@ss" not in repr(settings)
    assert "p%40ss" not in repr(settings)


def test_a_name_alone_before_the_host_is_a_token() -> None:
    login = servers_of("nats://s3cret@host").login
    assert (login.user, login.token) == (None, "s3cret")
    assert "s3cret" not in repr(login)


def test_servers_with_several_logins_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="one login"):
        servers_of("nats://a:x@one,nats://b:y@two")


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a*", "x" * 33])
def test_a_name_that_could_be_no_part_of_a_subject_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="no name of a cluster"):
        cluster_settings("host", {}, name)


def test_files_come_from_the_environment() -> None:
    environ = {
        "MAGSAG_NATS_CREDS": "creds",
        "MAGSAG_NATS_CA": "ca",
        "MAGSAG_NATS_CERT": "cert",
        "MAGSAG_NATS_KEY": "key",
    }
    settings = cluster_settings("host", environ)
    assert settings.credentials == Path("creds")
    assert (settings.authority, settings.certificate, settings.key) == (
        Path("ca"),
        Path("cert"),
        Path("key"),
    )


def test_a_key_without_its_certificate_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="MAGSAG_NATS_CERT"):
        cluster_settings("host", {"MAGSAG_NATS_KEY": "key"})


@pytest.mark.parametrize(
    ("servers", "environ", "private"),
    [
        ("nats://host", {}, False),
        ("nats://host", {"MAGSAG_NATS_CREDS": "file"}, False),
        ("tls://host", {}, True),
        ("nats://host", {"MAGSAG_NATS_CA": "file"}, True),
        ("nats://host", {"MAGSAG_NATS_CERT": "file"}, True),
    ],
)
def test_tls_is_asked_for_by_address_or_certificate(
    servers: str, environ: dict[str, str], private: bool
) -> None:
    assert cluster_settings(servers, environ).must_be_private is private
