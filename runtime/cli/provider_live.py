"""What the accounts of a living system are doing, a line each. Pure.

The journal knows past runs only; limits, queues, pauses and circuits are known to the provider
actors alone, so they can be told only by the process that has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.cli.text import duration, one_line, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MOST_NAMED = 3  # groups or models of one account; the others are counted


def live_lines(accounts: Mapping[str, Any], now: float) -> Iterator[str]:
    """Yield one line for each account.

    Args:
        accounts: the statistics of each account by its name, as ``Accounts.statistics`` has them.
        now: the seconds of the event loop's clock at which they were taken.
    """
    for name, account in accounts.items():
        yield one_line(f"{name}: {', '.join(_facts(account, now))}")


def _facts(account: Any, now: float) -> Iterator[str]:
    groups, shut = account.groups, account.breaker.state != "closed"
    breakers = {"account": account.breaker} if shut else account.breakers
    yield f"{plural(account.calls, 'call')} ({account.errors:,} failed)"
    yield plural(account.attempts, "attempt")
    yield f"{account.in_flight:,} in flight of {_most(groups):,}"
    yield f"{account.queued:,} queued"
    yield f"{account.retry_tokens:g} retry tokens"
    yield from _some("limits", [_limits(name, group) for name, group in groups.items()])
    yield from _some("paused", [_paused(name, group, now) for name, group in groups.items()])
    yield from _some("circuit", [_circuit(name, each, now) for name, each in breakers.items()])
    yield from _some("limits granted by", [_authority(account.cluster)])


def _most(groups: Mapping[str, Any]) -> int:
    return sum(group.concurrency for group in groups.values())


def _some(title: str, told: Sequence[str]) -> Iterator[str]:
    """Yield the first of what there is to tell, if there is any."""
    told = [each for each in told if each]
    if told:
        more = len(told) - MOST_NAMED
        rest = f" and {more:,} more" if more > 0 else ""
        yield f"{title} {'; '.join(told[:MOST_NAMED])}{rest}"


def _authority(cluster: Any) -> str:
    if cluster is None:
        return ""
    if cluster.away_s > 0 or not cluster.epoch:
        who = f"nobody for {duration(cluster.away_s)}" if cluster.away_s > 0 else "nobody yet"
    else:
        who = f"{'this' if cluster.is_here else 'another'} node (epoch {cluster.epoch})"
    return f"{who}, {plural(cluster.held, 'request')} in stock"


def _limits(name: str, group: Any) -> str:
    limits = " ".join(f"{limit} {value:,.6g}" for limit, value in group.limits.items())
    return f"{name}: {limits}" if limits else ""


def _paused(name: str, group: Any, now: float) -> str:
    left = max(group.paused_until, group.unavailable_until) - now
    return f"{name}: {duration(left)} more" if left > 0 else ""


def _circuit(name: str, breaker: Any, now: float) -> str:
    if breaker.state == "closed":
        return ""
    waits = "" if breaker.until is None else f" {duration(breaker.until - now)} more"
    why = f" ({breaker.reason})" if breaker.reason else ""
    return f"{name}: {breaker.state.replace('_', ' ')}{waits}{why}"
