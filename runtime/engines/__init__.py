"""Where Delegations are run: the seam between the pipeline and the machines.

In reading order: ``engine`` (what an engine must do), ``gate`` and ``place`` (how many bodies run
at once), ``senders`` (who waits to hand over), ``work`` (one Delegation on its way), ``deadlines``,
``actors`` (who carries it), ``local`` (this process), and ``nats`` with ``cluster`` (many machines;
an extra, imported only where it was asked for). Nothing above an engine may assume that a
Delegation's body runs in this process: what is handed over and answered is data.
"""

from runtime.actors import EventLoop, current_time, event_loop
from runtime.engines.engine import Capacity, Engine
from runtime.engines.gate import Gate
from runtime.engines.local import EngineStatistics, LocalEngine
from runtime.engines.place import Place
from runtime.engines.work import (
    Ending,
    Pending,
    Work,
    WorkFailed,
    any_done,
    first_leaf,
)

__all__ = [
    "Capacity",
    "Ending",
    "Engine",
    "EngineStatistics",
    "EventLoop",
    "Gate",
    "LocalEngine",
    "Pending",
    "Place",
    "Work",
    "WorkFailed",
    "any_done",
    "current_time",
    "event_loop",
    "first_leaf",
]
