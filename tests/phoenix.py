"""A real Arize Phoenix for tests, alone and offline: OTLP over HTTP in, its REST API out.

Its program is named by MAGSAG_PHOENIX, or is called ``phoenix`` and on the PATH. It needs an
environment of its own: ``python -m venv DIR && DIR/bin/pip install arize-phoenix==20.26.1``.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.jaeger import Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

PROGRAM = os.environ.get("MAGSAG_PHOENIX") or shutil.which("phoenix")
PATIENCE_S = 90.0  # it stores what it took by and by
PROJECT = "magsag"
ALONE = {
    "PHOENIX_HOST": "127.0.0.1",
    "PHOENIX_TELEMETRY_ENABLED": "false",
    "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
    "PHOENIX_AGENTS_DISABLE_BASH": "true",
}

needs_phoenix = pytest.mark.skipif(
    PROGRAM is None, reason="no program phoenix on the PATH or in MAGSAG_PHOENIX"
)


class Phoenix:
    """A Phoenix on loopback.

    Attributes:
        url: its address, for OTLP and for people.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def environ(self) -> dict[str, str]:
        """Variables with which the runtime sends its spans here."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
            "OTEL_RESOURCE_ATTRIBUTES": f"openinference.project.name={PROJECT}",
        }

    def trace(self, trace_id: str) -> list[Stored]:
        """Return what is stored of a trace."""
        found = self.ask(f"/v1/projects/{PROJECT}/spans?limit=1000")
        spans = [] if found is None else found["data"]
        return [_stored(span) for span in spans if span["context"]["trace_id"] == trace_id]

    def trace_when(
        self, trace_id: str, is_whole: Callable[[Sequence[Stored]], bool]
    ) -> list[Stored]:
        """Return a trace when it is whole, or what there is of it when patience is at its end."""
        until = time.monotonic() + PATIENCE_S
        while not is_whole(spans := self.trace(trace_id)) and time.monotonic() < until:
            time.sleep(0.5)  # noqa: TID251  # another process stores it, in real time
        return spans

    def ask(self, path: str) -> Any:
        """Return what the API answers; None for no success, or nobody there."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=PATIENCE_S) as answer:  # noqa: S310  # our own
                return json.load(answer)
        except OSError:
            return None


@contextmanager
def running_phoenix(folder: Path) -> Iterator[Phoenix]:
    """Run a Phoenix until the block is left; what it stores stays in ``folder``."""
    assert PROGRAM is not None
    with (
        socket.create_server(("127.0.0.1", 0)) as first,
        socket.create_server(("127.0.0.1", 0)) as second,
    ):
        port, grpc = (str(one.getsockname()[1]) for one in (first, second))
    own = {"PHOENIX_WORKING_DIR": str(folder), "PHOENIX_PORT": port, "PHOENIX_GRPC_PORT": grpc}
    phoenix = Phoenix(f"http://127.0.0.1:{port}")
    with (folder / "phoenix.log").open("w") as log:
        environ = {**_inherited(), **ALONE, **own}
        with subprocess.Popen(
            [PROGRAM, "serve"], env=environ, stdout=log, stderr=log, text=True
        ) as process:
            try:
                _wait_for(phoenix, process, folder / "phoenix.log")
                yield phoenix
            finally:
                process.terminate()


def _inherited() -> Mapping[str, str]:
    """Return this process's variables without those that are for our own Python."""
    return {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}


def _wait_for(phoenix: Phoenix, process: subprocess.Popen[str], log: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while phoenix.ask("/v1/projects") is None:
        is_there = process.poll() is None and time.monotonic() < until
        assert is_there, log.read_text()[-2_000:]
        time.sleep(0.2)  # noqa: TID251  # as above


def _stored(span: Mapping[str, Any]) -> Stored:
    return Stored(
        id=span["context"]["span_id"],
        parent=span["parent_id"] or "",
        name=span["name"],
        attributes=span["attributes"],
        failed=span["status_code"] == "ERROR",
        started=span["start_time"],
    )
