"""When may a call go out? The decisions only: no clock, no I/O, no waiting.

``LimitGroup`` holds what one account may do with one group of models. Its caller says what happens
(``enqueue``, ``succeeded``, ``rejected`` ...) and at which instant, asks ``start`` which calls go
out, and ``next_start`` when to ask again; ``start_at_once`` spares the queue a call that nobody
waits before. All of it is synchronous, so nothing can come between a test and the change that
relies on it.

In reading order:

1. ``group``: the whole;  ``statistics``: what it shows;  ``ticket``: one call, from its queue to
   its settlement.
2. ``fair_queue``: who is next; runs take turns by tokens.
3. ``reservations``: what calls hold of the known limits.  ``window``: one limit;  ``sliding_log``:
   what was used of it;  ``headers``, ``foreign``: what the server says of it, and what others use;
   ``pacer``: requests at even distances.
4. ``adaptation``: what losses teach.  ``epoch``: the calls between two losses;  ``pause``: when the
   server wants none at all;  ``concurrency``: how many at once;  ``learned_pace``,
   ``learned_rate``: at what distance, when only rejections tell.
"""

from __future__ import annotations

from providers.admission.group import LimitGroup
from providers.admission.headers import Allowance, RateHeaders
from providers.admission.pause import Kind
from providers.admission.statistics import GroupStatistics
from providers.admission.ticket import Ticket

__all__ = ["Allowance", "GroupStatistics", "Kind", "LimitGroup", "RateHeaders", "Ticket"]
