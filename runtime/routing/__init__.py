"""Which models are asked, in which order, and why. Pure: data in, a plan out.

In reading order:

- ``wish``: what is wished, and by whom; the levels of priority
- ``choice``: from wishes to one model of one provider; aliases of other vendors
- ``match``: the route of a type of task
- ``needs``: what a question needs, and what a model is known not to be able to do
- ``learned``: how fast and how dear each target has been
- ``order``: a route's targets by weight, cost or latency
- ``plan``: all of it together, the main path
"""

from __future__ import annotations

from runtime.catalog import fallbacks
from runtime.routing.choice import choose, offers
from runtime.routing.learned import Learned
from runtime.routing.match import route_for
from runtime.routing.needs import Needs, lack_of
from runtime.routing.plan import PassedOver, Plan, Task, World, plan
from runtime.routing.wish import LEVELS, Level, Wish

__all__ = [
    "LEVELS",
    "Learned",
    "Level",
    "Needs",
    "PassedOver",
    "Plan",
    "Task",
    "Wish",
    "World",
    "choose",
    "fallbacks",
    "lack_of",
    "offers",
    "plan",
    "route_for",
]
