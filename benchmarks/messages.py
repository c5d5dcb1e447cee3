"""Messages: an ask is one message and one answer, a tell is one message and none."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.contender import Case, Contender

AT_ONCE = (1, 100, 10_000)

ASK = Case(
    "ask",
    (
        Contender("bare deque and future", "plain:asks", "baseline", options={"kind": "deque"}),
        Contender("actor", "kernel:asks", "ours", options={"supervised": False}),
        Contender("actor, supervised", "kernel:asks", "ours", options={"supervised": True}),
        Contender("asyncio.Queue and future", "plain:asks", options={"kind": "queue"}),
        Contender("anyio streams", "plain:anyio_asks"),
        Contender("autogen-core", "autogen:asks", environment="autogen"),
        Contender("xoscar", "xoscar:messages", environment="xoscar", options={"kind": "ask"}),
        Contender("pykka", "pykka:messages", environment="pykka", options={"kind": "ask"}),
        Contender("Ray", "ray:asks", environment="ray", pinned=False),
    ),
    AT_ONCE,
)

TELL = Case(
    "tell",
    (
        Contender("bare deque", "plain:tells", "baseline", options={"kind": "deque"}),
        Contender("actor", "kernel:tells", "ours"),
        Contender("asyncio.Queue", "plain:tells", options={"kind": "queue"}),
        Contender("anyio stream", "plain:anyio_tells"),
        Contender("xoscar", "xoscar:messages", environment="xoscar", options={"kind": "tell"}),
        Contender("pykka", "pykka:messages", environment="pykka", options={"kind": "tell"}),
    ),
    AT_ONCE,
)

BENCH = Bench("messages to one actor", (ASK, TELL))
