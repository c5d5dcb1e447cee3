"""A real Jaeger for tests, with the configuration of ``make jaeger`` on ports of its own.

    with running_jaeger(tmp_path) as jaeger:
        ...  # run something with jaeger.environ
        spans = jaeger.trace(trace_id)

Its program is named by MAGSAG_JAEGER, or is called ``jaeger`` and on the PATH.
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
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PROGRAM = os.environ.get("MAGSAG_JAEGER") or shutil.which("jaeger")
CONFIGURATION = Path(__file__).resolve().parents[1] / "otel" / "jaeger.yaml"
PORTS = ("UI", "OTLP_HTTP", "OTLP_GRPC", "QUERY", "HEALTH")
PATIENCE_S = 30.0
NOT_FOUND = 404
ERROR = 2  # the code of a status, in OTLP

needs_jaeger = pytest.mark.skipif(
    PROGRAM is None, reason="no program jaeger on the PATH or in MAGSAG_JAEGER"
)


class Stored(NamedTuple):
    """A span as Jaeger gives it back.

    Attributes:
        id: 16 hex digits.
        parent: the same; empty for a root.
        name: its name.
        attributes: with integers as such.
        failed: whether its status is an error.
        started: when, as a text that sorts by time.
    """

    id: str
    parent: str
    name: str
    attributes: Mapping[str, Any]
    failed: bool
    started: str

    @property
    def operation(self) -> str | None:
        """What it is; None for spans that stand for no operation of the journal."""
        found = self.attributes.get("gen_ai.operation.name")
        return None if found is None else str(found)


class Jaeger:
    """A Jaeger on loopback.

    Attributes:
        ui: the address of its page and API.
        process: the process that it is.
    """

    def __init__(self, ports: Mapping[str, int], process: subprocess.Popen[str]) -> None:
        self.ui = f"http://127.0.0.1:{ports['UI']}"
        self.process = process
        self._ports = ports

    @property
    def environ(self) -> dict[str, str]:
        """Variables with which the runtime sends its spans here."""
        endpoint = f"http://127.0.0.1:{self._ports['OTLP_HTTP']}"
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "MAGSAG_TRACE_UI": self.ui}

    @property
    def grpc_environ(self) -> dict[str, str]:
        """The same over gRPC."""
        endpoint = f"http://127.0.0.1:{self._ports['OTLP_GRPC']}"
        grpc = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        return self.environ | grpc

    def trace(self, trace_id: str) -> list[Stored]:
        """Return what is stored of a trace; nothing where it is not there."""
        answer = self.ask(f"/api/v3/traces/{trace_id}")
        return [] if answer is None else stored(answer["result"]["resourceSpans"])

    def trace_when(
        self, trace_id: str, is_whole: Callable[[Sequence[Stored]], bool]
    ) -> list[Stored]:
        """Return a trace when it is whole, or what there is of it when patience is at its end."""
        until = time.monotonic() + PATIENCE_S
        while not is_whole(spans := self.trace(trace_id)) and time.monotonic() < until:
            time.sleep(0.1)  # noqa: TID251  # another process stores it, in real time
        return spans

    def ask(self, path: str) -> Any:
        """Return what the API answers; None for nothing found, or nobody there."""
        try:
            with urllib.request.urlopen(self.ui + path, timeout=PATIENCE_S) as answer:  # noqa: S310  # our own
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                if error.code != NOT_FOUND:
                    raise
            return None
        except OSError:
            return None


@contextmanager
def running_jaeger(folder: Path) -> Iterator[Jaeger]:
    """Run a Jaeger until the block is left; what it stores stays in ``folder``."""
    assert PROGRAM is not None
    ports = _free_ports()
    variables = {f"JAEGER_{name}_PORT": str(port) for name, port in ports.items()}
    environ = {**os.environ, **variables, "JAEGER_DATA": str(folder / "jaeger")}
    with (folder / "jaeger.log").open("a") as log:
        command = [PROGRAM, "--config", str(CONFIGURATION)]
        with subprocess.Popen(command, env=environ, stdout=log, stderr=log, text=True) as process:
            jaeger = Jaeger(ports, process)
            try:
                _wait_for(jaeger, folder / "jaeger.log")
                yield jaeger
            finally:
                process.terminate()


def _wait_for(jaeger: Jaeger, log: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while jaeger.ask("/api/v3/services") is None:
        is_there = jaeger.process.poll() is None and time.monotonic() < until
        assert is_there, log.read_text()[-2_000:]
        time.sleep(0.05)  # noqa: TID251  # as above


def _free_ports() -> dict[str, int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in PORTS]
        return {name: one.getsockname()[1] for name, one in zip(PORTS, sockets, strict=True)}


def stored(resources: Sequence[Mapping[str, Any]]) -> list[Stored]:
    """Return the spans of OTLP's JSON."""
    return [
        Stored(
            id=span["spanId"],
            parent=span.get("parentSpanId", ""),
            name=span["name"],
            attributes={pair["key"]: _value(pair["value"]) for pair in span.get("attributes", ())},
            failed=span.get("status", {}).get("code") == ERROR,
            started=span["startTimeUnixNano"],
        )
        for resource in resources
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def _value(value: Mapping[str, Any]) -> Any:
    ((kind, said),) = value.items()
    return int(said) if kind == "intValue" else said
