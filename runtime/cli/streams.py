"""Writing to streams whose reader may have left, and leaving a process whose threads still run."""

from __future__ import annotations

import gc
import json
import os
import select
import sys
import threading
from contextlib import contextmanager, redirect_stdout, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, NoReturn

from runtime.errors import RuntimeFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO


PATIENCE_S = 2.0  # for a reader of standard error


class ResultUnwritten(RuntimeFault):
    """The result could not be written to standard output."""

    reason = "output"


class _ReaderLeft(Exception):
    """Nobody reads the result any more, so nobody need make the rest of it."""


def prepare() -> None:
    """Make the standard streams such that no character and no closed stream is an error."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started the process
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  # lives as long as the process
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def emit(text: str) -> None:
    """Write a result to standard output. That its reader has left is no error.

    Raises:
        ResultUnwritten: it cannot be written, e.g. because the disk is full.
    """
    try:
        _write(sys.stdout, text)
    except OSError as error:
        silence(sys.stdout)
        raise ResultUnwritten(
            f"the result cannot be written: {error.strerror or error};"
            " what a run came to stays in the journal: python -m runtime show RUN_ID"
        ) from error


@contextmanager
def emitting() -> Iterator[Callable[[str], None]]:
    """Hand out a function that writes a long result to standard output, piece by piece.

    When its reader has left, the block ends at the next piece, and that is no error.

    Raises:
        ResultUnwritten: it cannot be written, e.g. because the disk is full.
    """
    try:
        yield _emit_piece
        _emit_piece("", flush=True)
    except _ReaderLeft:
        silence(sys.stdout)


def _emit_piece(text: str, *, flush: bool = False) -> None:
    try:
        sys.stdout.write(text)
        if flush:
            sys.stdout.flush()
    except BrokenPipeError as error:
        raise _ReaderLeft from error
    except OSError as error:
        silence(sys.stdout)
        raise ResultUnwritten(
            f"the result cannot be written: {error.strerror or error}; make room there, or write"
            " it somewhere else"
        ) from error


def emit_json(data: Any) -> None:
    """Write JSON data to standard output, indented; what its encoding lacks is escaped."""
    emit(json.dumps(data, indent=2, ensure_ascii=not takes_unicode()))


def takes_unicode() -> bool:
    """Return whether standard output can hold every character."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return encoding.lower().replace("-", "") == "utf8"


def say(text: str) -> None:
    """Write a line to standard error, behind what was logged, if anybody still reads it."""
    flush_logs()
    with suppress(OSError):
        if not _is_read(sys.stderr):
            silence(sys.stderr)  # neither this nor anything after it is to wait for ever
        _write(sys.stderr, text)


def flush_logs() -> None:
    """Wait until what was logged is written; two seconds at most."""
    logs = sys.modules.get("otel.logs")  # not imported: nothing was logged
    if logs is not None:
        logs.flush_handlers()


def _is_read(stream: TextIO) -> bool:
    """Return whether a stream takes something soon; a full pipe that nobody reads never does."""
    try:
        ready = select.select((), (stream.fileno(),), (), PATIENCE_S)
    except (OSError, ValueError):  # memory, a closed one, or one that select does not know
        return True
    return bool(ready[1])


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text if text.endswith("\n") else f"{text}\n")
        stream.flush()
    except BrokenPipeError:
        silence(stream)


def silence(stream: TextIO) -> None:
    """Lead a stream nowhere, so that the interpreter's last flush of it cannot fail."""
    with suppress(OSError, ValueError):  # a stream of a test has no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def prints_to_stderr() -> Iterator[None]:
    """Keep what an author's code prints out of the result."""
    with redirect_stdout(sys.stderr):
        yield


def leave(code: int) -> NoReturn:
    """End the process with ``code``, even where a thread of a blocking agent never ends.

    The interpreter waits for such threads, for ever if need be. All that must be written is
    written when this is called, so it need not.
    """
    flush_logs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            silence(stream)
    if any(not thread.daemon and thread.is_alive() for thread in _others()):
        os._exit(code)
    gc.freeze()  # what ends with the process need not be looked through for garbage before
    sys.exit(code)


def _others() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
