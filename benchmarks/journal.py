"""The journal: what it costs a delegation, how fast it writes, and whether long runs stay cheap.

Four tables: delegations beside none that is journalled; records a second beside the event loop that
makes them; the same while others read; and runs of more and more steps, killed and gone on with.
"""

from __future__ import annotations

from typing import Any

from benchmarks import journal_delegations, journal_pace, journal_readers, long_runs

PARTS = {
    "delegations": journal_delegations,
    "pace": journal_pace,
    "readers": journal_readers,
    "steps": long_runs,
}


def run(rounds: int, scale: float) -> dict[str, list[dict[str, Any]]]:
    """Print the four tables and return them.

    Args:
        rounds: how often each contender has its turn; 1 or more.
        scale: the operations, as a share of the usual number.
    """
    return {name: part.run(rounds, scale) for name, part in PARTS.items()}
