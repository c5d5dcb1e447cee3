"""Names that cannot collide: run ids are UUIDv7, and a run's trace id is the same 128 bits.

A UUIDv7 (RFC 9562) begins with the time in milliseconds, so runs sort by their start. A run id
that a person chose (``mag-abc123``) is no UUID; its trace id is a hash of it, always the same. What
a step does is known by the digest of its content.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import secrets
import socket
import time
import uuid
from functools import lru_cache
from typing import Any

import orjson

_UUID_VERSION = 7


def new_run_id(now_ms: int) -> str:
    """Return a UUIDv7 for ``now_ms``, milliseconds since the Unix epoch."""
    value = (now_ms & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | _UUID_VERSION << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


@lru_cache(maxsize=1_024)  # asked again by whoever writes down the run
def trace_id_of(run_id: str) -> int:
    """Return the 128-bit trace id of a run, never zero."""
    try:
        parsed = uuid.UUID(run_id)
    except ValueError:
        parsed = None
    if parsed is not None and parsed.version == _UUID_VERSION:
        return parsed.int
    return int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:16], "big") | 1


def digest_of(content: Any) -> str:
    """Return the SHA-256 of JSON data, whatever the order of its keys, as 64 hex digits."""
    try:
        canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a number or a text that is JSON to Python alone
        text = json.dumps(content, sort_keys=True, default=str, separators=(",", ":"))
        canonical = text.encode(errors="backslashreplace")
    return hashlib.sha256(canonical).hexdigest()


def whoami() -> str:
    """Return who runs this process, and where, e.g. ``anna@laptop``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        user = str(os.getuid()) if hasattr(os, "getuid") else "somebody"
    return f"{user}@{socket.gethostname()}"


def wall_clock() -> float:
    """Return the seconds since the Unix epoch."""
    return time.time_ns() / 1e9
