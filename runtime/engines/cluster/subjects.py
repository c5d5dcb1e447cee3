"""What everything of one cluster is called in NATS. Pure.

NAME.run.<agent>      a whole run, for whoever becomes its home        (in the stream)
NAME.work.<agent>     one Delegation, for whoever has room for it      (in the stream)
NAME.home.<run>       what only the home of a run can do
NAME.reply.<node>.<n> what became of something, for who has asked
NAME.told.<node>.<n>  that a run may be over, for its client
NAME.report.<account> what a node has and wants of an account's limits
NAME.grant.<account>.<node>  what it may use of them
NAME.notice.<account> what all nodes have to know of an account
NAME.cancel           what nobody waits for any more, for all
NAME.drain.<node>     that a node shall leave, for that node
NAME_nodes            who is there                                     (a bucket)
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Subjects:
    """The names of one cluster.

    Attributes:
        cluster: its own name, by which it shares a server with others.
    """

    cluster: str

    @property
    def stream(self) -> str:
        """The stream of what waits to be done."""
        return f"{self.cluster}_queue"

    @property
    def queued(self) -> tuple[str, ...]:
        """What is in that stream."""
        return f"{self.cluster}.run.*", f"{self.cluster}.work.*"

    @property
    def cancel(self) -> str:
        """Where it is told what nobody waits for any more."""
        return f"{self.cluster}.cancel"

    @property
    def nodes(self) -> str:
        """The bucket in which nodes say that they are there."""
        return f"{self.cluster}_nodes"

    def drain(self, node: str) -> str:
        """Return where a node is asked to leave."""
        return f"{self.cluster}.drain.{node}"

    def run(self, agent: str) -> str:
        """Return where runs wait that begin with an agent."""
        return f"{self.cluster}.run.{token(agent)}"

    def work(self, agent: str) -> str:
        """Return where Delegations to an agent wait."""
        return f"{self.cluster}.work.{token(agent)}"

    def home(self, run_id: str, what: str) -> str:
        """Return where the home of a run is spoken to about ``work`` or ``money``."""
        return f"{self.cluster}.home.{token(run_id)}.{what}"

    def reply(self, node: str, number: str) -> str:
        """Return where a node hears what became of something; ``*`` for all of it."""
        return f"{self.cluster}.reply.{node}.{number}"

    def kept(self, node: str, number: str) -> str:
        """Return where a node hears that something is in the stream; ``*`` for all of it."""
        return f"{self.cluster}.kept.{node}.{number}"

    def told(self, node: str, number: str) -> str:
        """Return where a node hears that a run may be over; ``*`` for all of them."""
        return f"{self.cluster}.told.{node}.{number}"

    @property
    def authorities(self) -> str:
        """The bucket of who grants the limits of accounts, and what was granted."""
        return f"{self.cluster}_authorities"

    def report(self, account: str) -> str:
        """Return where nodes say what they have and want of an account's limits."""
        return f"{self.cluster}.report.{token(account)}"

    def grant(self, account: str, node: str) -> str:
        """Return where a node hears what it may use of an account's limits."""
        return f"{self.cluster}.grant.{token(account)}.{node}"

    def notice(self, account: str) -> str:
        """Return where all nodes hear what one was told of an account."""
        return f"{self.cluster}.notice.{token(account)}"

    def consumer(self, kind: str, agent: str) -> str:
        """Return the name of the consumer that all nodes share for one subject of the stream."""
        return f"{kind}-{token(agent)}"


def token(name: str) -> str:
    """Return a name as one part of a subject: itself, or a digest where it is no such part."""
    if _TOKEN.fullmatch(name):
        return name
    return f"_{hashlib.sha256(name.encode()).hexdigest()[:32]}"
