"""A cluster whose servers speak TLS alone, and what of it listens where."""

from __future__ import annotations

import os
import shutil
import socket
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import trustme

from runtime.engines.cluster.local_server import local_server
from tests import postgres
from tests.cli_workspace import run_process
from tests.cluster_cli import make_cluster_workspace, model, result_of, started, up
from tests.nats_server import NatsServer, free_port, nats_server, new_name, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(120)]
PASSWORD = "s3cret"  # noqa: S105  # of servers that live as long as a test
LISTENS = "0A"  # a state, as /proc/net/tcp has it


class Trust(NamedTuple):
    """Certificates of one authority, in files."""

    authority: Path
    server: Path
    client: Path

    @property
    def nats_settings(self) -> tuple[str, ...]:
        """The configuration of a NATS that wants both sides to show a certificate."""
        files = (
            f'cert_file: "{self.server}", key_file: "{self.server}", ca_file: "{self.authority}"'
        )
        return (
            f"tls {{ {files}, verify: true }}",
            f'authorization {{ user: magsag, password: "{PASSWORD}" }}',
        )


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    authority = trustme.CA()
    files = Trust(*(tmp_path / f"{name}.pem" for name in Trust._fields))
    authority.cert_pem.write_to_path(files.authority)
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        files.server
    )
    authority.issue_cert("node.example").private_key_and_cert_chain_pem.write_to_path(files.client)
    return files


@contextmanager
def postgres_with_tls(trust: Trust) -> Iterator[postgres.Server]:
    """Start a PostgreSQL that takes nobody without TLS and a password."""
    server = postgres.new_server()
    try:
        server.sql(f"ALTER ROLE {postgres.USER} PASSWORD '{PASSWORD}'")
        server.stop()
        certificate = server.folder / "server.pem"
        shutil.copy(trust.server, certificate)
        if (owner := server.folder.owner()) != "root":
            shutil.chown(certificate, owner)
        certificate.chmod(0o600)
        data = server.folder / "data"
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"ssl_{each}_file = '{certificate}'\n" for each in ("cert", "key"))
            file.write("ssl = on\n")
        rules = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
        (data / "pg_hba.conf").write_text(rules)
        server.start()
        yield server
    finally:
        server.remove()


def environment_of(trust: Trust, nats: NatsServer, database: str) -> dict[str, str]:
    return {
        "MAGSAG_ENGINE": "nats",
        "MAGSAG_NATS": f"tls://magsag:{PASSWORD}@localhost:{nats.port}",
        "MAGSAG_NATS_CA": str(trust.authority),
        "MAGSAG_NATS_CERT": str(trust.client),
        "MAGSAG_DB": database,
        "PGPASSWORD": PASSWORD,
    }


def test_nodes_and_clients_speak_tls_with_both_servers(tmp_path: Path, trust: Trust) -> None:
    with (
        model() as asked,
        nats_server(*trust.nats_settings) as nats,
        postgres_with_tls(trust) as store,
        store.database() as name,
    ):
        private = f"?sslmode=verify-full&sslrootcert={trust.authority}"
        database = f"postgresql://{postgres.USER}@localhost:{store.port}/{name}{private}"
        environ = environment_of(trust, nats, database)
        workspace = make_cluster_workspace(tmp_path, asked.url)
        with up(workspace, **environ) as node:
            run = started(
                workspace, "run", "chief", "--input", '{"name": "a"}', "--json", **environ
            )
            assert result_of(run)["output"] == 9
            connections = nats.monitored("connz")["connections"]
            assert [each["name"] for each in connections] == [node.id]
            assert all(each["tls_version"] for each in connections)
            sessions = store.sql(
                "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                " WHERE application_name = 'magsag'"
            )
            assert {*sessions} == {(True,)}
            listed = run_process(workspace, "nodes", **environ)
            assert node.id in listed.stdout
        assert PASSWORD not in node.said() + listed.stderr
        shown = run_process(workspace, "show", "last", "--json", **environ)
        assert PASSWORD not in shown.stdout


def test_who_shows_no_certificate_is_told_that_it_needs_one(tmp_path: Path, trust: Trust) -> None:
    with model() as asked, nats_server(*trust.nats_settings) as nats:
        workspace = make_cluster_workspace(tmp_path, asked.url)
        environ = environment_of(trust, nats, str(tmp_path / "journal.db"))
        told = run_process(workspace, "up", **(environ | {"MAGSAG_NATS_CERT": ""}))
    assert told.returncode == 1
    assert "MAGSAG_NATS_CERT" in told.stderr
    assert PASSWORD not in told.stderr


# --- what listens --------------------------------------------------------------------------------


def processes_below(pid: int) -> Iterator[int]:
    """Yield a process and all that it has started."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from processes_below(int(child))


def sockets_of(pid: int) -> set[str]:
    """Return the inodes of the sockets of a process."""
    found = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile, e.g. the one that lists them
            kind, _, inode = str(each.readlink()).partition(":")
            found |= {inode.strip("[]")} if kind == "socket" else set()
    return found


def listening(pid: int) -> set[str]:
    """Return the addresses on which a process listens, or one that it has started."""
    ours = set().union(*map(sockets_of, processes_below(pid)))
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENS and fields[9] in ours:
                words = bytes.fromhex(fields[1].partition(":")[0])
                turned = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
                found.add(socket.inet_ntop(family, turned))
    return found


def test_a_node_listens_nowhere(tmp_path: Path) -> None:
    environ = {"MAGSAG_NATS": shared_server().url, "MAGSAG_DB": str(tmp_path / "journal.db")}
    with model() as asked:
        workspace = make_cluster_workspace(tmp_path, asked.url)
        with up(workspace, "--cluster", new_name(), **environ) as node:
            assert listening(node.process.pid) == set()


async def test_a_server_of_one_s_own_listens_on_loopback_alone(tmp_path: Path) -> None:
    before = listening(os.getpid())
    async with local_server(tmp_path, free_port()):
        assert listening(os.getpid()) - before == {"127.0.0.1"} - before
