"""What ``flow gate`` does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from runtime.catalog import Gate, load_catalog, read_gate
from runtime.cli.places import catalog_folder
from runtime.cli.streams import emit, say
from runtime.cli.text import one_line, plural
from runtime.errors import ConfigurationError
from runtime.governance.gate import unchecked, violations
from runtime.governance.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Mapping

VIOLATED = 2
STANDARD_INPUT = "-"
MOST_BYTES = 256 * 1024 * 1024
HOW = "write one with python -m runtime flow summarize --output FILE"


def check_summary(summary: Path, policy: Path | None, catalog: Path | None) -> int:
    """Print what violates a policy, a line each, and return the exit code.

    Args:
        summary: its file; ``-`` for standard input.
        policy: the policy's file; None for all policies of a catalog.
        catalog: what ``--catalog`` says.

    Raises:
        CatalogFaults: the policy is wrong; it carries every fault.
        ConfigurationError: the summary cannot be read, or is none.
    """
    gate = read_gate(policy) if policy is not None else _of_catalog(catalog)
    read = read_summary(summary)
    found = violations(read, gate)
    for name in unchecked(gate.policies):
        say(f"note: policy {name} is about what a summary does not tell; it holds before each call")
    calls = sum(each.calls for each in read.models)
    say(f"{plural(read.runs, 'run')} and {plural(calls, 'model call')} were checked")
    if not found:
        emit("GOVERNANCE GATE PASSED")
        return 0
    emit("\n".join(one_line(str(each)) for each in found))
    say(f"GOVERNANCE GATE FAILED: {plural(len(found), 'violation')}")
    return VIOLATED


def read_summary(path: Path) -> Summary:
    """Read a summary.

    Raises:
        ConfigurationError: it cannot be read, or is none; the message says where.
    """
    try:
        return Summary.model_validate_json(_bytes_of(path))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}; {HOW}") from error
    except ValidationError as error:
        lines = [_fault(path, details) for details in error.errors(include_url=False)]
        raise ConfigurationError("\n".join(lines)) from error


def _bytes_of(path: Path) -> bytes:
    if str(path) == STANDARD_INPUT:
        return sys.stdin.buffer.read(MOST_BYTES)
    with path.open("rb") as file:
        return file.read(MOST_BYTES)


def _fault(path: Path, details: Mapping[str, Any]) -> str:
    where = ".".join(map(str, details["loc"]))
    place = f"{path}: {where}" if where else str(path)
    return one_line(f"{place}: {details['msg']}; {HOW}")


def _of_catalog(given: Path | None) -> Gate:
    return Gate(None, None, load_catalog(catalog_folder(given, Path.cwd())).policies)
