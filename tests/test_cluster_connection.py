"""The way into a cluster, at real servers: one clear error at first, and for ever back later."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from runtime.engines.cluster.connection import connect
from runtime.engines.cluster.settings import cluster_settings
from runtime.errors import ConfigurationError
from tests.loopback import CERTIFICATES
from tests.nats_server import NatsServer, free_port, nats_cluster, nats_server, shared_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from nats.aio.client import Client

pytestmark = pytest.mark.real_time
USERS = 'authorization { user: anna, password: "p@ss" }'
TLS = f'tls {{ cert_file: "{CERTIFICATES}/server.pem", key_file: "{CERTIFICATES}/server.pem" }}'
AUTHORITY = {"MAGSAG_NATS_CA": str(CERTIFICATES / "authority.pem")}


def with_login(url: str, login: str) -> str:
    return url.replace("//", f"//{login}@")


@asynccontextmanager
async def connected(
    url: str, environ: Mapping[str, str] = os.environ, seen: list[bool] | None = None
) -> AsyncIterator[Client]:
    changed = [] if seen is None else seen
    client = await connect(cluster_settings(url, environ), label="test", changed=changed.append)
    try:
        yield client
    finally:
        await client.close()


async def refused(url: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return what a person is told who cannot get in."""
    with pytest.raises(ConfigurationError) as caught:
        await connect(cluster_settings(url, environ), label="test")
    return str(caught.value)


async def works(client: Client) -> None:
    """Return when a request has come back."""
    await client.jetstream().account_info()


async def until(seen: list[bool], wanted: list[bool]) -> None:
    with anyio.fail_after(30):
        while seen != wanted:  # noqa: ASYNC110  # another process decides when
            await anyio.sleep(0.01)


async def test_a_server_with_jetstream_lets_one_in() -> None:
    async with connected(shared_server().url) as client:
        await works(client)


async def test_a_server_that_is_not_there_is_told_at_once() -> None:
    told = await refused(f"nats://127.0.0.1:{free_port()}")
    assert "no NATS answers there" in told
    assert "nats-server -js" in told


async def test_a_server_without_jetstream_is_told_with_what_to_do() -> None:
    with nats_server(jetstream=False) as server:
        told = await refused(server.url)
    assert "no JetStream" in told
    assert "nats-server -js" in told


async def test_a_login_that_is_missing_or_wrong_is_told_without_it() -> None:
    with nats_server(USERS) as server:
        assert "does not accept the login" in await refused(server.url)
        told = await refused(with_login(server.url, "anna:s3cret"))
        assert "does not accept the login" in told
        assert "s3cret" not in told
        async with connected(with_login(server.url, "anna:p%40ss")) as client:
            await works(client)


async def test_a_token_lets_one_in() -> None:
    with nats_server("authorization { token: s3cret }") as server:
        async with connected(with_login(server.url, "s3cret")) as client:
            await works(client)


async def test_tls_is_spoken_where_the_server_wants_it() -> None:
    with nats_server(TLS, USERS) as server:
        async with connected(with_login(server.url, "anna:p%40ss"), AUTHORITY) as client:
            await works(client)


async def test_a_certificate_of_somebody_unknown_is_refused() -> None:
    with nats_server(TLS) as server:
        told = await refused(server.url, {})
    assert "certificate is not trusted" in told
    assert "MAGSAG_NATS_CA" in told


async def test_nothing_is_said_in_the_clear_where_tls_was_asked_for() -> None:
    with nats_server(USERS) as server:
        private = with_login(server.url, "anna:p%40ss").replace("nats:", "tls:")
        assert "does not speak TLS" in await refused(private, {})
        assert "does not speak TLS" in await refused(server.url, AUTHORITY)


@pytest.mark.parametrize("variable", ["MAGSAG_NATS_CA", "MAGSAG_NATS_CERT", "MAGSAG_NATS_CREDS"])
async def test_a_file_that_is_not_there_or_something_else_is_named(
    variable: str, tmp_path: Path
) -> None:
    missing, other = tmp_path / "missing", tmp_path / "other"
    other.write_text("something else")
    assert f"{variable}={missing}" in await refused("host", {variable: str(missing)})
    assert f"{variable}={other}" in await refused("host", {variable: str(other)})


async def test_a_connection_comes_back_when_its_server_does() -> None:
    seen: list[bool] = []
    with nats_server() as server:
        async with connected(server.url, seen=seen) as client:
            server.kill()
            await until(seen, [False])
            server.start()
            await until(seen, [False, True])
            await works(client)


async def test_a_server_that_falls_silent_is_noticed() -> None:
    seen: list[bool] = []
    with nats_server() as server:
        async with connected(server.url, seen=seen) as client:
            server.suspend()
            await until(seen, [False])
            server.wake()
            await until(seen, [False, True])
            await works(client)


async def test_a_login_that_is_changed_for_a_while_does_not_end_a_connection_for_good() -> None:
    seen: list[bool] = []
    with nats_server(USERS) as server:
        async with connected(with_login(server.url, "anna:p%40ss"), seen=seen) as client:
            server.configure('authorization { user: other, password: "other" }')
            server.reload()
            await until(seen, [False])
            server.configure(USERS)
            server.reload()
            await until(seen, [False, True])
            await works(client)


async def test_a_connection_to_three_servers_outlives_the_one_it_is_to() -> None:
    seen: list[bool] = []
    with nats_cluster() as cluster:
        async with connected(cluster.url, seen=seen) as client:
            where = client.connected_url
            assert where is not None
            used = next(server for server in cluster.servers if server.port == where.port)
            used.kill()
            await until(seen, [False, True])
            with anyio.fail_after(30):
                await eventually_works(client)


async def eventually_works(client: Client) -> None:
    """Wait until the servers that are left have elected a leader."""
    from nats.errors import Error  # noqa: PLC0415  # an extra

    while True:
        try:
            return await works(client)
        except Error:
            await anyio.sleep(0.1)


async def test_closing_a_connection_is_no_loss() -> None:
    seen: list[bool] = []
    async with connected(shared_server().url, seen=seen):
        pass
    assert seen == []


def test_a_server_of_the_tests_listens_on_loopback_alone() -> None:
    server: NatsServer = shared_server()
    assert server.monitored("varz")["host"] == "127.0.0.1"
