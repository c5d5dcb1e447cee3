"""A NATS of one's own, for whoever has none: on loopback, with JetStream, as long as we live.

It is started by a shell that holds the other end of a pipe of ours: it ends with us, also where we
are killed.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from runtime.engines.cluster.login import PORT
from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HOST = "127.0.0.1"
PROGRAM = "nats-server"
LOG = "nats-server.log"
START_S = 10.0
LOOK_S = 0.05
END_S = 10.0
_UNTIL_WE_END = '"$@" & server=$!; read -r _; kill "$server"; wait "$server"'
_ALSO_HERE = "/usr/sbin:/usr/local/sbin"  # where Debian puts it, which is in no user's PATH


def is_answered(port: int = PORT) -> bool:
    """Whether something listens on a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def program() -> str | None:
    """Return the program of the server; None where it is not installed."""
    return shutil.which(PROGRAM) or shutil.which(PROGRAM, path=_ALSO_HERE)


@asynccontextmanager
async def local_server(folder: Path, port: int = PORT) -> AsyncIterator[str]:
    """Start a server, and yield its address; it ends with the block.

    Args:
        folder: where it keeps what it has; it is made where it is not there.
        port: where it listens, on loopback alone.

    Raises:
        ConfigurationError: its program is not installed, or it does not start.
    """
    found = program()
    if found is None:
        raise ConfigurationError(
            f"no NATS is named, none is on {HOST}:{port}, and {PROGRAM} is not installed; name one"
            f" with --nats, or install it, e.g. apt-get install {PROGRAM}"
        )
    server = _start(found, folder, port)
    try:
        await _answered(port, folder)
        yield f"nats://{HOST}:{port}"
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_end, server)


def _start(program: str, folder: Path, port: int) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    command = [program, "-a", HOST, "-p", str(port), "-js", "-sd", str(folder)]
    return subprocess.Popen(  # noqa: S603  # a command of our own
        ["/bin/sh", "-c", _UNTIL_WE_END, "sh", *command, "-l", str(folder / LOG)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us
    )


async def _answered(port: int, folder: Path) -> None:
    with anyio.move_on_after(START_S):
        while not is_answered(port):  # noqa: ASYNC110  # another process begins to listen
            await anyio.sleep(LOOK_S)
        return
    raise ConfigurationError(
        f"{PROGRAM} does not start; {folder / LOG} says why, or name a NATS with --nats"
    )


def _end(server: subprocess.Popen[bytes]) -> None:
    try:
        server.communicate(timeout=END_S)
    except subprocess.TimeoutExpired:
        server.kill()
