"""Which core has what: contenders the first, servers the last, so that they do not share one.

Where the system does not say which cores there are, or has one, nothing is pinned.
"""

from __future__ import annotations

import os

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def of_contenders() -> list[int]:
    """Return the cores of a contender's process; none for any."""
    return CORES[:1] if len(CORES) > 1 else []


def serve_from_last(process: int) -> None:
    """Keep a server's process, by its id, on the last core."""
    if len(CORES) > 1:
        os.sched_setaffinity(process, CORES[-1:])
