"""Many machines: what the engine over NATS JetStream is made of.

In reading order: ``login`` (servers, and who one is there; pure), ``settings`` (which cluster, and
how one gets in; pure), ``trust`` (certificates and credentials), ``lasting`` (a client that comes
back for ever), ``connection`` (the way in) and ``refusals`` (why there is none; pure). Then what
all of it is called (``subjects``, pure) and what travels (``envelope``, pure); a ``node``, its
``streams`` and what it has in ``hands``; Delegations (``far_work``): ``asking`` has them done,
``pulling`` brings them to where there is ``room``, ``worker`` does them, and a ``homestead`` does
what only the home of their run can; whole runs: ``orders`` of a client, and ``runs`` at their home.
What all that asks of the runtime above it is in ``pipeline``. ``accounts`` carries the limits of
provider accounts from node to node. Who is there: ``members`` (pure), a node's own ``membership``
with its ``entry``, and the ``roster`` of all; and a ``local_server`` for whoever has no NATS.

Truth is in the journal. What is in NATS are hints, which may be lost: the journal alone can go on
with every run. Nothing here is imported unless ``--engine nats`` was asked for, and nothing else
imports ``nats``.
"""

from importlib.util import find_spec

from runtime.errors import ConfigurationError

EXTRA = ("nats", "nkeys")

if any(find_spec(name) is None for name in EXTRA):
    raise ConfigurationError(
        "a cluster needs nats-py and psycopg: pip install 'magsag-runtime[cluster]'"
    )
