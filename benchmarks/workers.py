"""The processes of contenders, from outside: started, told what to do, given up with a reason."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from benchmarks.cores import of_contenders
from benchmarks.environments import PEERS, absent, python_of

if TYPE_CHECKING:
    from types import TracebackType

    from benchmarks.contender import Contender

ROOT = Path(__file__).resolve().parent.parent
START_S = 120.0
END_S = 10.0
NOT_PASSED_ON = {"PYTHONPATH", "OTEL_EXPORTER_OTLP_ENDPOINT"}  # the first hides a peer's packages


def clean_environ() -> dict[str, str]:
    """Return the environment without what would be another one for a peer, or for us."""
    return {name: text for name, text in os.environ.items() if name not in NOT_PASSED_ON}


class GivenUp(Exception):
    """A contender cannot be measured; the text says why."""


class Worker:
    """One contender's process.

    Attributes:
        contender: whose it is.
        reason: why it does nothing more; None while it does.
        version: of the peer whose environment it is in; None in ours.
    """

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.reason: str | None = None
        self.version: str | None = None
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the worker
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        peer = self.contender.environment
        self.reason = None if peer is None else absent(peer)
        if self.reason is None:
            try:
                self._process = self._start()
                self.version = self._answer(START_S)["version"]
            except GivenUp as error:
                self.reason = str(error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.stdin.close()  # type: ignore[union-attr]  # it is a pipe
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()  # type: ignore[union-attr]  # likewise
        self._stderr.close()

    @property
    def process(self) -> int:
        """The id of its process; 0 where it has none, which is whoever asks."""
        return 0 if self._process is None else self._process.pid

    def turn(self, operations: int, at_once: int) -> dict[str, Any] | None:
        """Let it do so many operations; None, and a reason, when it cannot."""
        if self.reason is not None or self._process is None:
            return None
        line = json.dumps({"operations": operations, "at_once": at_once}).encode() + b"\n"
        try:
            os.write(self._process.stdin.fileno(), line)  # type: ignore[union-attr]  # a pipe
            return self._answer(self.contender.turn_s)
        except (GivenUp, BrokenPipeError) as error:
            self.reason = str(error) or "it has ended"
            return None

    def _start(self) -> subprocess.Popen[bytes]:
        one = self.contender
        peer = PEERS.get(one.environment or "")
        distribution = None if peer is None else peer.requirements[0].partition("[")[0]
        cores = of_contenders() if one.pinned else []
        told = [one.place, dict(one.options), distribution, cores]
        # A peer's environment goes first: openai-agents has a package ``agents``, as we have.
        place = "0" if one.environment is None else "len(sys.path)"
        code = f"import sys; sys.path.insert({place}, {str(ROOT)!r})"
        code += "; from benchmarks.worker import start; start()"
        python = sys.executable if one.environment is None else str(python_of(one.environment))
        command = [python, "-P", "-c", code, json.dumps(told)]
        pipe = subprocess.PIPE
        return subprocess.Popen(  # noqa: S603  # our own module
            command, stdin=pipe, stdout=pipe, stderr=self._stderr, env=clean_environ()
        )

    def _answer(self, within_s: float) -> dict[str, Any]:
        if self._process is None or self._process.stdout is None:
            raise GivenUp("it has not been started")
        if not select.select([self._process.stdout], [], [], within_s)[0]:
            self._process.kill()
            raise GivenUp(f"no answer within {within_s:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise GivenUp(f"it ended: {self._last_words()}")
        said: dict[str, Any] = json.loads(line)
        if "error" in said:
            raise GivenUp(said["error"])
        return said

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "without a word")[:300]
