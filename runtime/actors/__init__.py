"""The kernel: actors, their addresses and their supervisors.

In reading order:

- ``exits``: why an actor ended;  ``errors``: what a caller can be told
- ``mailbox``: a bounded queue of two lanes;  ``dead_letters``: what reached nobody
- ``actor``: the class one writes;  ``ref``: its address, and behind it ``life`` (how it is started
  and fed), ``death`` (how it ends), ``force`` (how it is killed), ``jobs`` (what it handed off)
- ``spec``, ``restart``: what a supervisor is told, and when it restarts or gives up (pure)
- ``supervisor``: when children are started and ended;  ``parent``, ``child``: how;
  ``supervisor_ref``, ``administration``, ``report``: what one may ask it, and what it says
- ``system``, ``watchdog``: what holds all of it, and who blocks the event loop
- ``visit``: how a thread looks at what only the event loop may touch
- ``callbacks``: the clock, and how what runs in no task may ask anyio;  ``time_limit``

It knows no model, no YAML, no HTTP. Its futures and tasks are asyncio's: those cost a seventh of
anyio's streams, these a quarter of a task group's.

Promises (each named after its test in ``tests/test_actors.py``):
messages from one sender to one actor are handled in order; an actor handles one message at a time;
stop does not interrupt the message being handled, kill does; a message that crashed an actor is
never handled again; every waiting asker is answered; a watcher gets exactly one ``Down``.
"""

from runtime.actors.actor import Actor, Errand, HandedOff
from runtime.actors.callbacks import EventLoop, current_time, event_loop
from runtime.actors.child import ChildInfo, Counts, SupervisorStatistics
from runtime.actors.dead_letters import DeadLetter, DeadLetters
from runtime.actors.errors import (
    ActorError,
    ActorGone,
    AlreadyPresent,
    AlreadyStarted,
    ChildError,
    Ignore,
    MailboxFull,
    NotFound,
    OutcomeUnknown,
    Restarting,
    Running,
    SpecError,
    StartError,
    TooManyChildren,
    Unhandled,
)
from runtime.actors.exits import KILLED, NORMAL, SHUTDOWN, Down, Exit
from runtime.actors.mailbox import Mailbox
from runtime.actors.ref import ActorRef, ActorStatistics, Reply
from runtime.actors.report import SupervisorReport
from runtime.actors.restart import RestartIntensity
from runtime.actors.spec import ChildSpec
from runtime.actors.supervisor import Supervisor
from runtime.actors.supervisor_ref import SupervisorRef
from runtime.actors.system import ActorSystem, SystemStatistics, actor_system
from runtime.actors.time_limit import TimeLimit
from runtime.actors.visit import LoopGone, Visits
from runtime.actors.watchdog import Watchdog

__all__ = [
    "KILLED",
    "NORMAL",
    "SHUTDOWN",
    "Actor",
    "ActorError",
    "ActorGone",
    "ActorRef",
    "ActorStatistics",
    "ActorSystem",
    "AlreadyPresent",
    "AlreadyStarted",
    "ChildError",
    "ChildInfo",
    "ChildSpec",
    "Counts",
    "DeadLetter",
    "DeadLetters",
    "Down",
    "Errand",
    "EventLoop",
    "Exit",
    "HandedOff",
    "Ignore",
    "LoopGone",
    "Mailbox",
    "MailboxFull",
    "NotFound",
    "OutcomeUnknown",
    "Reply",
    "RestartIntensity",
    "Restarting",
    "Running",
    "SpecError",
    "StartError",
    "Supervisor",
    "SupervisorRef",
    "SupervisorReport",
    "SupervisorStatistics",
    "SystemStatistics",
    "TimeLimit",
    "TooManyChildren",
    "Unhandled",
    "Visits",
    "Watchdog",
    "actor_system",
    "current_time",
    "event_loop",
]
