"""The side of a client: it has runs carried out by whichever node becomes their home."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import random
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson
from nats.errors import Error

from runtime.backoff import Backoff
from runtime.engines.cluster.runs import Order, Refusal
from runtime.engines.cluster.streams import MESSAGE_ID, ensure_stream
from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nats.aio.msg import Msg

    from runtime.engines.cluster.node import Node

PUBLISH = Backoff(first=0.1, longest=2.0)
logger = logging.getLogger("runtime.cluster")


class Placed:
    """An order that waits, or is being carried out.

    Attributes:
        number: which one it is of all of this client's.
        told: set when a node has said something about it.
        refusal: why no node has it; None where none has said so.
    """

    def __init__(self, number: str) -> None:
        self.number = number
        self.told = asyncio.Event()
        self.refusal: Refusal | None = None
        self.sequence: int | None = None

    def __repr__(self) -> str:
        return f"<Placed {self.number} [{self.refusal}]>"


class Orders:
    """The runs that this process has asked for.

    Args:
        node: this process in the cluster.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._numbers = itertools.count(1)
        self._placed: dict[str, Placed] = {}

    def __repr__(self) -> str:
        return f"<Orders [{len(self._placed)} placed]>"

    async def open(self) -> None:
        """Hear from now on what becomes of orders."""
        await self._node.hear(self._node.subjects.told(self._node.name, "*"), self._hear)

    async def place(
        self,
        run_id: str,
        agent: str,
        *,
        start: Mapping[str, Any] | None = None,
        resume: Mapping[str, Any] | None = None,
        expires_at: float | None = None,
        epoch: int = 0,
    ) -> Placed:
        """Put a run where nodes look for what they may be the home of, however long that takes.

        See ``Order`` for the arguments. ``forget`` has to be called when it is over.

        Raises:
            ConfigurationError: it is more than NATS takes.
        """
        number = str(next(self._numbers))
        reply_to = self._node.subjects.told(self._node.name, number)
        order = Order(run_id, agent, start, resume, expires_at, reply_to, epoch)
        data = json.dumps(asdict(order)).encode()
        if len(data) > self._node.most_bytes:
            raise ConfigurationError(
                f"run {run_id} has {len(data)} bytes of input, and NATS takes"
                f" {self._node.most_bytes} at once: raise max_payload of its servers, or give the"
                " run the name of a file that all nodes can read"
            )
        placed = self._placed[number] = Placed(number)
        subject, headers = self._node.subjects.run(agent), {MESSAGE_ID: reply_to}
        for attempt in itertools.count():
            try:
                told = await self._node.jetstream.publish(subject, data, headers=headers)
            except (Error, TimeoutError) as error:
                logger.warning("%s cannot be published yet: %r", run_id, error)
                await asyncio.sleep(PUBLISH.delay(attempt, random.random()))  # noqa: S311  # no secret
                await self._ensure_stream()
            else:
                placed.sequence = told.seq
                break
        return placed

    async def _ensure_stream(self) -> None:
        try:
            await ensure_stream(self._node)
        except (Error, TimeoutError) as error:
            logger.debug("the stream cannot be made yet: %r", error)

    async def withdraw(self, placed: Placed) -> None:
        """Take an order back that no node has; does nothing where one has it."""
        if placed.sequence is None:
            return
        try:
            stream = self._node.subjects.stream
            await self._node.jetstream.delete_msg(stream, placed.sequence)
        except (Error, TimeoutError) as error:
            logger.debug("order %s cannot be taken back: %r", placed.number, error)

    def forget(self, placed: Placed) -> None:
        """Hear nothing more of an order."""
        self._placed.pop(placed.number, None)

    def _hear(self, message: Msg) -> None:
        placed = self._placed.get(message.subject.rpartition(".")[2])
        if placed is None:
            return
        told = orjson.loads(message.data)
        placed.refusal = None if told is None else Refusal(*told)
        placed.told.set()
