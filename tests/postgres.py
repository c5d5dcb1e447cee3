"""A PostgreSQL of the tests' own: started when the first one needs it, a database for each.

It needs the programs of a server, which Debian's package ``postgresql`` has; where they are
missing these tests are skipped, with that as the reason.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "magsag"
PATIENCE_S = 60
_PLACES = "/usr/lib/postgresql"  # Debian keeps the programs of each version apart
_OWNERS = ("postgres", "nobody")  # the server refuses to run as root
_END_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_GUARD = 'read -r _; "$0" stop -D "$1" -w -s -m immediate; rm -rf "$2"'
_numbers = itertools.count(1)


def programs() -> Path | None:
    """Return the folder of the newest server's programs."""
    found = sorted(Path(_PLACES).glob("*/bin/initdb"), key=lambda file: float(file.parts[-3]))
    beside = shutil.which("initdb")
    if found:
        return found[-1].parent
    return None if beside is None else Path(beside).resolve().parent


class Server:
    """A server that is started, stopped and asked for databases."""

    def __init__(self, bin_folder: Path, *settings: str) -> None:
        self._bin = bin_folder
        self._user = _owner()
        self._free: list[str] = []
        self.folder = Path(tempfile.mkdtemp(prefix="magsag-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self._run("initdb", "-U", USER, "-A", "trust", "-E", "UTF8", "--no-instructions", "-N")
        usual = {
            "unix_socket_directories": self.folder,
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "fsync": "off",
            "max_connections": 60,
        }
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in usual.items())
            file.writelines(f"{setting}\n" for setting in settings)
        self.start()
        # It ends with us, also where we are killed: then nobody writes into its pipe any more.
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, self._bin / "pg_ctl", self._data, self.folder],
            user=self._user,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us
        )

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _run(self, program: str, *arguments: str) -> None:
        log = self.folder / "commands"
        with log.open("ab") as output:
            subprocess.run(
                [self._bin / program, "-D", self._data, *arguments],
                user=self._user,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=PATIENCE_S,
                check=True,
            )

    def start(self) -> None:
        self._run("pg_ctl", "start", "-w", "-s", "-l", str(self.folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        """End it; ``immediate`` is a crash."""
        self._run("pg_ctl", "stop", "-w", "-s", "-m", mode)

    def guard(self, role: str) -> None:
        """Let a role in with its password alone."""
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"host all {role} all scram-sha-256\n{rules.read_text()}")
        self.sql("SELECT pg_reload_conf()")

    def url(self, database: str, *, tcp: bool = False, **options: Any) -> str:
        host = {} if tcp else {"host": self.folder}
        place = f"127.0.0.1:{self.port}" if tcp else f":{self.port}"
        query = "&".join(f"{name}={value}" for name, value in {**host, **options}.items())
        return f"postgresql://{USER}@{place}/{database}{'?' if query else ''}{query}"

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Carry out statements beside the journal, and return the rows of the last one."""
        import psycopg  # noqa: PLC0415  # an extra, which may be missing

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def database(self) -> Iterator[str]:
        """Yield the name of an empty database; it is emptied for the next test, not dropped."""
        name = self._free.pop() if self._free else self._new()
        yield name
        self.sql(_END_OTHERS, name)
        self.sql("DROP SCHEMA IF EXISTS magsag CASCADE", name)
        self._free.append(name)

    def _new(self) -> str:
        name = f"test_{next(_numbers)}"
        self.sql(f"CREATE DATABASE {name}")
        return name

    def remove(self) -> None:
        self._guard.communicate(timeout=PATIENCE_S)


def _owner() -> str | None:
    if os.getuid():
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in _OWNERS if name in known), None)


def new_server(*settings: str) -> Server:
    """Start a server for one test; the test removes it."""
    pytest.importorskip("psycopg", reason="psycopg is missing: pip install '.[dev]'")
    bin_folder = programs()
    if bin_folder is None:
        pytest.skip("no PostgreSQL server here: no initdb in PATH or in /usr/lib/postgresql/*/bin")
    return Server(bin_folder, *settings)


@lru_cache(maxsize=1)
def server() -> Server:
    """Return the server that all tests share."""
    return new_server()


@contextmanager
def address() -> Iterator[str]:
    """Yield the address of a database of its own."""
    shared = server()
    with shared.database() as name:
        yield shared.url(name)


def sql_at(where: str, statement: str) -> list[tuple[Any, ...]]:
    """Carry out statements in the database of an address of the shared server."""
    return server().sql(statement, urlsplit(where).path[1:])


def remove_server() -> None:
    """End the shared server, if any test has needed it."""
    if server.cache_info().currsize:
        server().remove()
        server.cache_clear()
