"""Nodes of a cluster as people read them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.cli.text import duration, plural, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.engines.cluster.members import Grant, Load, Member, Sighted

HEAD = (  # what matters most first: a narrow terminal cuts the rest off
    *("node", "state", "runs", "running", "waiting", "delegations", "calls"),
    *("busy with", "grants", "seen", "version", "code"),
)
MOST_NAMED = 3  # agents or accounts of one node; the others are counted
SHORT = 8  # characters of a digest


def page_of(nodes: Sequence[Sighted]) -> str:
    """Return nodes as a table, with a line below it where something is not as it should be."""
    lines = [table(HEAD, [_cells(node) for node in nodes]), *_doubts(nodes)]
    return "\n".join(lines)


def line_of(member: Member) -> str:
    """Return on one line what a node does."""
    return (
        f"{member.id}: {member.duty}, {busy(member)}, {member.waiting:,} waiting,"
        f" {member.delegations_per_s:.1f} Delegations/s, {member.calls_per_s:.1f} model calls/s"
    )


def busy(member: Member) -> str:
    """Return how much of a node's is under way."""
    return f"{plural(member.runs, 'run')} at home, {member.running:,} running"


def _cells(node: Sighted) -> tuple[str, ...]:
    member = node.member
    return (
        member.id,
        node.standing,
        f"{member.runs:,}",
        f"{member.running:,}",
        f"{member.waiting:,}",
        f"{member.delegations:,} ({member.delegations_per_s:.1f}/s)",
        f"{member.calls:,} ({member.calls_per_s:.1f}/s)",
        _some([*_loads(member)]),
        _some([_grant(account, grant) for account, grant in sorted(member.grants.items())]),
        f"{duration(node.age_s)} ago",
        member.version,
        member.code[:SHORT],
    )


def _grant(account: str, grant: Grant) -> str:
    """Return what is in stock, and whether the node is the one that grants it to all."""
    return f"{account} {grant.held:,}{', authority' if grant.is_authority else ''}"


def _loads(member: Member) -> Iterator[str]:
    """Yield the agents that have something to do, the busiest first."""
    loads = sorted(member.agents.items(), key=_busiest)
    for name, load in loads:
        if load.running or load.waiting:
            waiting = f" (+{load.waiting:,})" if load.waiting else ""
            yield f"{name} {load.running:,}/{load.capacity:,}{waiting}"


def _busiest(named: tuple[str, Load]) -> tuple[int, str]:
    name, load = named
    return -(load.running + load.waiting), name


def _some(told: Sequence[str]) -> str:
    more = len(told) - MOST_NAMED
    rest = f" and {more:,} more" if more > 0 else ""
    return ", ".join(told[:MOST_NAMED]) + rest if told else "-"


def _doubts(nodes: Sequence[Sighted]) -> Iterator[str]:
    """Yield what is wrong with the nodes taken together."""
    there = [node for node in nodes if node.standing != "down"]
    if len({node.member.code for node in there}) > 1:
        yield (
            "the code of the nodes differs: runs that move from one to another go on by the policy"
            " of --on-code-change"
        )
