"""Who is asked when a target fails: ``fallbacks``, from what a routing file says. Pure.

Theory of operation: each target belongs to at most one list of ``fallback``, that of its own name,
else of its tier, else of the first pattern that fits. The targets of that list are asked in order,
each followed by its own list, and nobody twice. A tier's or pattern's list may name targets that it
belongs to itself: those go on to the others of the list. Any other way back is a circle, which
loading refuses: whoever wrote it expected something that does not happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtime.catalog.routes import Target
from runtime.patterns import fits, is_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runtime.catalog.routes import RoutingFile


class Link(NamedTuple):
    """One step from a target to one that is asked when it fails.

    Attributes:
        key: the key of ``fallback`` whose list it is on.
        place: where on the list, from 0.
        target: who is asked.
    """

    key: str
    place: int
    target: Target


def fallbacks(target: Target, routing: RoutingFile) -> tuple[Target, ...]:
    """Return who is asked, in order: the target, then its fallbacks, depth first, each once."""
    order = {target: None}
    waiting = [iter(_listed(key_of(target, routing), routing))]
    while waiting:
        link = next(waiting[-1], None)
        if link is None:
            waiting.pop()
        elif link.target not in order:
            order[link.target] = None
            waiting.append(iter(_listed(key_of(link.target, routing), routing)))
    return tuple(order)


def circles(routing: RoutingFile) -> Iterator[tuple[Link, ...]]:
    """Yield the ways by which a target leads back to itself, one for each step that closes one."""
    done: set[Target] = set()
    for name in routing.fallback:
        for link in _listed(name, routing):
            yield from _circles(link, routing, done)


def _circles(start: Link, routing: RoutingFile, done: set[Target]) -> Iterator[tuple[Link, ...]]:
    """Walk on from one link, depth first without recursion: a list may be as long as a file."""
    if start.target in done:
        return
    way = {start.target: start}
    waiting = [iter(_onward(start.target, routing))]
    while waiting:
        link = next(waiting[-1], None)
        if link is None:
            waiting.pop()
            done.add(way.popitem()[0])
        elif link.target in way:
            steps = list(way)
            yield (*(way[step] for step in steps[steps.index(link.target) + 1 :]), link)
        elif link.target not in done:
            way[link.target] = link
            waiting.append(iter(_onward(link.target, routing)))


def _onward(target: Target, routing: RoutingFile) -> tuple[Link, ...]:
    """Return the links of a target, but none within a group's list that it is on itself."""
    key = key_of(target, routing)
    listed = _listed(key, routing)
    grouped = key != str(target) and any(link.target == target for link in listed)
    return () if grouped else listed


def _listed(key: str | None, routing: RoutingFile) -> tuple[Link, ...]:
    names = () if key is None else routing.fallback[key]
    return tuple(Link(key or "", place, Target.read(name)) for place, name in enumerate(names))


def key_of(target: Target, routing: RoutingFile) -> str | None:
    """Return the key of the one list of ``fallback`` that a target belongs to."""
    name = str(target)
    if name in routing.fallback:
        return name
    tiers: Mapping[str, Mapping[str, str]] = routing.tiers
    for key in routing.fallback:
        if key in tiers and tiers[key].get(target.provider) == target.model:
            return key
    return next((key for key in routing.fallback if is_pattern(key) and fits(key, name)), None)
