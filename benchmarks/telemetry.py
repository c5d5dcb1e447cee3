"""What processes and a receiver of their own need to be started, told and asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cores import serve_from_last

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 600


class ReceiverProcess:
    """A receiver in a process of its own, which can be killed and started again at its port.

    Attributes:
        port: where it is.
    """

    def __init__(self) -> None:
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; a second time with nothing in it."""
        command = [sys.executable, "-m", "benchmarks.otlp_receiver", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own module
        serve_from_last(self._process.pid)
        stdout = self._process.stdout
        self.port = json.loads(stdout.readline() if stdout else "")["port"]

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def is_to(self, **faults: Any) -> None:
        """Tell it how to fail."""
        body = json.dumps(faults).encode()
        with urllib.request.urlopen(f"{self.url}/faults", data=body, timeout=30):  # noqa: S310  # loopback
            pass

    def seen(self) -> dict[str, int]:
        """Return what it has."""
        with urllib.request.urlopen(f"{self.url}/seen", timeout=30) as reply:  # noqa: S310  # loopback
            found: dict[str, int] = json.loads(reply.read())
        return found


@contextmanager
def receiver() -> Iterator[ReceiverProcess]:
    """Run a receiver."""
    process = ReceiverProcess()
    process.start()
    try:
        yield process
    finally:
        process.kill()


@contextmanager
def spool() -> Iterator[Path]:
    """Make a folder for a spool."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder, "spool")


def source(
    wanted: dict[str, Any], endpoint: str | None, spool: Path, **environ: str
) -> subprocess.Popen[str]:
    """Start a process that makes spans.

    Args:
        wanted: what it shall do, see ``span_source``.
        endpoint: where its spans go; None for nowhere.
        spool: where they wait.
        environ: more variables.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    clean |= {"MAGSAG_SPOOL": str(spool), "OTEL_METRICS_EXPORTER": "none", **environ}
    if endpoint is not None:
        clean["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    command = [sys.executable, "-m", "benchmarks.span_source", json.dumps(wanted)]
    return subprocess.Popen(  # noqa: S603  # our own module
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean
    )


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a process that makes spans, and return what it says at its end."""
    out, _ = process.communicate(timeout=PATIENCE_S)
    if process.returncode:
        raise RuntimeError(f"a source of spans ended with {process.returncode}")
    said: dict[str, Any] = json.loads(out.splitlines()[-1])
    return said


def until(process: subprocess.Popen[str], word: str) -> None:
    """Wait until a process that makes spans says that it has come so far."""
    said = process.stdout.readline().strip() if process.stdout else ""
    if said != word:
        raise RuntimeError(f"a source of spans says {said!r} instead of {word!r}")
