"""One account over several nodes: an authority grants each of them part of its limits, ahead.

The decisions only, as in ``admission``: no clock, no I/O. Each side is told what has come and when,
and says what to send; whoever carries the messages may lose, delay and repeat them.

*Node*: a ``LeasedGroup`` starts its calls from a ``Lease``, a stock of requests and tokens that is
good for a fraction of a second, so no call waits for a message while there is stock. Its ``Member``
reports to the authority of the account what waits, what is used and what it will soon need.

*Authority*: a ``Book`` for each limit group charges every grant to the same windows that a single
process would charge its calls to, in full, from the grant until its end; what a node reports as not
used is given back. Nodes take turns by the weight of the runs that wait on them.

What makes the limits hold at every instant, whatever is lost and whoever dies:

- A grant ends at the node before it ends at the authority, without any common clock: its time is
  counted from the instant at which the report was *sent* that it answers.
- The authority grants only what its ``Record`` covers, and that is written, under a revision that
  another one's write makes stale, before it grants. Who comes after charges all that the record
  covers, so that even two who both believe to be the authority together keep to the limits.
- A grant that got lost is known to be when a later reply was heard: nodes hear in order.
- A node that falls silent keeps what it may have in flight, until no call can last any longer. One
  that departs says so, and stays until that was heard; so it leaves nothing behind.

In reading order: ``party`` (the whole, of one account on one node); ``amount``, ``messages``;
``lease``, ``leased_group``, ``rate``, ``member`` (who asks); ``standing``, ``runs``, ``book``,
``cover``, ``record``, ``authority`` (who grants); ``seat`` (who that is).
"""

from __future__ import annotations

from providers.cluster.leased_group import LeasedGroup
from providers.cluster.party import ClusterStatistics, Party

__all__ = ["ClusterStatistics", "LeasedGroup", "Party"]
