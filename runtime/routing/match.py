"""The route of a type of task: by name before a pattern, any pattern before ``*``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.patterns import fits

if TYPE_CHECKING:
    from runtime.catalog import RouteEntry, RoutingFile


def route_for(task_type: str, routing: RoutingFile) -> RouteEntry | None:
    """Return the route of a type of task; None if the file has none.

    Of those that fit equally exactly it is the one with the highest priority, and of these the
    first in the file.
    """
    fitting = (route for route in routing.routes if fits(route.task_type, task_type))
    return min(fitting, key=lambda route: (route.rank, -route.priority), default=None)
