"""JSON as it is typed after an option, in a file, or on standard input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from runtime.errors import ConfigurationError

MOST_BYTES = 64 * 1024 * 1024


def read_payload(given: str | None, option: str = "--input") -> Any:
    """Return what an option means; None when it is not given.

    Args:
        given: JSON, ``@FILE`` or ``-`` for standard input.
        option: its name.

    Raises:
        ConfigurationError: it cannot be read, or is not JSON; the message says where.
    """
    if given is None:
        return None
    if given == "-":
        text = _decode(_read(sys.stdin.buffer, "standard input"), "standard input")
        return _parse(text, "-", option)
    if given.startswith("@"):
        file = given[1:]
        return _parse(_decode(_read_file(file, option), file), file, option)
    return _parse(given, option, option)


def _read_file(name: str, option: str) -> bytes:
    try:
        with Path(name).open("rb") as stream:
            return _read(stream, name)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"{option} @{name}: {why}; name a file with JSON in it, or - for standard input"
        ) from error


def _read(stream: BinaryIO, source: str) -> bytes:
    data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ConfigurationError(
            f"the input in {source} is longer than {MOST_BYTES >> 20} MiB; pass a file's name"
            " to the agent instead"
        )
    return data


def _decode(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"the input in {source} is not UTF-8 at byte {error.start + 1}; save it as UTF-8"
        ) from error


def _parse(text: str, source: str, option: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"the input in {source} is not JSON: {error.msg} at line {error.lineno},"
            f""" column {error.colno}; write JSON such as {option} '{{"text": "hello"}}'"""
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"the input in {source} is not JSON: {error}") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
