"""One process in a cluster: its name there, its connection, and what it does in the background."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import random
import secrets
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from nats.errors import Error

from runtime.actors import current_time
from runtime.backoff import Backoff
from runtime.engines.cluster.envelope import Now
from runtime.engines.cluster.subjects import Subjects
from runtime.identity import wall_clock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription
    from nats.js import JetStreamContext

    from runtime.engines.cluster.settings import ClusterSettings

ANSWER_S = 5.0
HEADERS = 1_024  # bytes
ASK_AGAIN = Backoff(first=0.05, longest=2.0)
logger = logging.getLogger("runtime.cluster")


class Node:
    """One process in a cluster.

    Args:
        settings: the cluster.
        spawn: runs a coroutine in a task that lives at most as long as the system.

    Attributes:
        settings: the cluster.
        name: what others call it: its machine, its process, and a number nobody else has.
        client: its connection.
        subjects: what everything is called.
        jetstream: the streams.
        back: called when the connection has come back.
        leaving: called when it takes nothing new any more.
    """

    client: Client
    jetstream: JetStreamContext

    def __init__(self, settings: ClusterSettings, spawn: Callable[..., object]) -> None:
        self.settings = settings
        self.name = f"{socket.gethostname().partition('.')[0]}-{os.getpid()}-{secrets.token_hex(4)}"
        self.subjects = Subjects(settings.name)
        self.back: list[Callable[[], None]] = []
        self.leaving: list[Callable[[], None]] = []
        self._spawn = spawn

    def __repr__(self) -> str:
        return f"<Node {self.name} of {self.settings}>"

    def connected(self, client: Client) -> None:
        """Note the connection, before anything else."""
        self.client, self.jetstream = client, client.jetstream()

    def changed(self, is_there: bool) -> None:
        """Note that the connection has gone, or has come back."""
        if is_there:
            for hear in tuple(self.back):
                hear()

    def leave(self) -> None:
        """Take nothing new from now on."""
        for hear in tuple(self.leaving):
            hear()

    @property
    def now(self) -> Now:
        """The time, by both clocks."""
        return Now(wall_clock(), current_time())

    @property
    def most_bytes(self) -> int:
        """How many bytes a message may have, without its headers."""
        return self.client.max_payload - HEADERS

    def start(self, work: Coroutine[None, None, None], name: str) -> None:
        """Do something in the background, and log what goes wrong with it."""
        self._spawn(_logged(work, name), name=name)

    async def insist(self, subject: str, data: bytes, still: Callable[[], None]) -> bytes:
        """Ask whoever hears a subject until there is an answer, and return that.

        Whoever hears it may hear it twice.

        Args:
            subject: where.
            data: what.
            still: raises when the answer is of no use any more.
        """
        for attempt in itertools.count():
            still()
            try:
                return (await self.client.request(subject, data, timeout=ANSWER_S)).data
            except (Error, TimeoutError) as error:
                logger.debug("no answer on %s yet: %r", subject, error)
            await asyncio.sleep(ASK_AGAIN.delay(attempt, random.random()))  # noqa: S311  # no secret
        raise AssertionError

    async def hear(self, subject: str, take: Callable[[Msg], None]) -> Subscription:
        """Call a function with every message of a subject, until ``ended``."""

        async def took(message: Msg) -> None:
            take(message)

        return await self.client.subscribe(subject, cb=took)


async def ended(subscription: Subscription) -> None:
    """Hear nothing more."""
    with suppress(Error):  # the connection is closed, and the subscription with it
        await subscription.unsubscribe()


async def _logged(work: Awaitable[None], name: str) -> None:
    try:
        await work
    except Exception:
        logger.exception("%s has ended by an error", name)
