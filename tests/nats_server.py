"""Real NATS servers of the tests' own, on loopback, with JetStream in a folder of their own.

They need the program ``nats-server``, which Debian has a package of; a machine without it cannot
tell whether the cluster works, so a test that needs it fails there.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 60
_PLACES = ("/usr/sbin", "/usr/local/bin")
_GUARD = 'read -r _; kill -9 $(cat "$0/pid"); rm -rf "$0"'
_names = itertools.count(1)


def program() -> str:
    """Return where the server's program is; a test without one fails."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *_PLACES))
    found = shutil.which("nats-server", path=path)
    if found is None:
        pytest.fail("nats-server is missing: apt-get install nats-server, or brew install it")
    return found


def free_port() -> int:
    """Return a port that nobody has right now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class NatsServer:
    """A server that is started, stopped, killed and started again where it was.

    Args:
        settings: lines of its configuration, beside those that every server of a test has.
        name: its name, which servers of one cluster need.
        jetstream: whether it has JetStream.

    Attributes:
        url: where it is.
        port: its port.
        folder: what it keeps.
    """

    def __init__(self, *settings: str, name: str = "alone", jetstream: bool = True) -> None:
        self.name = name
        self.port, self._monitor = free_port(), free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.folder = Path(tempfile.mkdtemp(prefix="magsag-nats-"))
        self._usual = [
            f"server_name: {name}",
            f"listen: 127.0.0.1:{self.port}",
            f"http: 127.0.0.1:{self._monitor}",
            f'pid_file: "{self.folder / "pid"}"',
            f'log_file: "{self.folder / "log"}"',
            *([f'jetstream {{ store_dir: "{self.folder / "store"}" }}'] if jetstream else []),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self.configure(*settings)
        # It ends with us, also where we are killed: then nobody writes into its pipe any more.
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, self.folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us
        )

    @property
    def _configuration(self) -> Path:
        return self.folder / "nats.conf"

    def configure(self, *settings: str) -> None:
        """Write its configuration; it reads that when it starts, or by ``reload``."""
        self._configuration.write_text("\n".join((*self._usual, *settings, "")))

    def launch(self) -> None:
        """Start it, and do not wait until it can be used."""
        self._process = subprocess.Popen(
            [program(), "-c", self._configuration],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def start(self) -> None:
        """Start it, and wait until it can be used."""
        self.launch()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until it takes connections, and its JetStream is up to date."""
        end = time.monotonic() + PATIENCE_S
        while not self.is_ready():
            if time.monotonic() > end or self._process is None or self._process.poll() is not None:
                pytest.fail(f"{self.name} did not start: {self.log()}")
            time.sleep(0.02)  # noqa: TID251  # another process starts, in real time

    def is_ready(self) -> bool:
        """Whether it says that it is well."""
        try:
            return bool(self.monitored("healthz").get("status") == "ok")
        except OSError:
            return False

    def monitored(self, page: str) -> Any:
        """Return a page of its monitoring, e.g. ``jsz`` or ``connz``."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._monitor}/{page}", timeout=5) as told:
            return json.load(told)

    def log(self) -> str:
        """Return what it has logged."""
        file = self.folder / "log"
        return file.read_text() if file.exists() else ""

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def reload(self) -> None:
        """Let it read its configuration again."""
        self._signal(signal.SIGHUP)

    def suspend(self) -> None:
        """Let it be silent without being gone, until ``wake``."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(signal.SIGKILL)

    def forget(self) -> None:
        """Delete what it has kept, while it is down."""
        shutil.rmtree(self.folder / "store")

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE_S)
            self._process = None

    def remove(self) -> None:
        """End it, and delete what it keeps."""
        with suppress(ProcessLookupError):
            self.kill()
        self._guard.communicate(timeout=PATIENCE_S)


class NatsCluster:
    """Servers that are one cluster.

    Args:
        size: how many.

    Attributes:
        servers: each of them.
        url: where they are, as ``--nats`` takes it.
    """

    def __init__(self, size: int) -> None:
        routes = [free_port() for _ in range(size)]
        others = ", ".join(f"nats://127.0.0.1:{port}" for port in routes)
        self.servers = [
            NatsServer(
                f"cluster {{ name: tests, listen: 127.0.0.1:{port}, routes: [{others}] }}",
                name=f"server-{number}",
            )
            for number, port in enumerate(routes, 1)
        ]
        self.url = ",".join(server.url for server in self.servers)

    def start(self) -> None:
        """Start all of them, and wait until they are one."""
        for server in self.servers:
            server.launch()
        for server in self.servers:
            server.wait_until_ready()

    def named(self, name: str) -> NatsServer:
        """Return the server of a name, e.g. of a stream's leader."""
        return next(server for server in self.servers if server.name == name)

    def leader(self) -> NatsServer:
        """Return the server that leads their JetStream."""
        asked = next(server for server in self.servers if server.is_ready())
        return self.named(asked.monitored("jsz")["meta_cluster"]["leader"])

    def remove(self) -> None:
        """End them all, and delete what they keep."""
        for server in self.servers:
            server.remove()


@contextmanager
def nats_server(*settings: str, jetstream: bool = True) -> Iterator[NatsServer]:
    """Start a server for one test."""
    server = NatsServer(*settings, jetstream=jetstream)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@contextmanager
def nats_cluster(size: int = 3) -> Iterator[NatsCluster]:
    """Start servers that are one cluster, for one test."""
    cluster = NatsCluster(size)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@lru_cache(maxsize=1)
def shared_server() -> NatsServer:
    """Return the server that tests share which do it no harm; each takes a name of its own."""
    server = NatsServer()
    server.start()
    return server


def new_name() -> str:
    """Return the name of a cluster of one test's own in the shared server."""
    return f"test-{next(_names)}"


def remove_shared_server() -> None:
    """End the shared server, if any test has needed it."""
    if shared_server.cache_info().currsize:
        shared_server().remove()
        shared_server.cache_clear()
