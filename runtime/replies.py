"""Answers that are given again: the journal is the cache.

An equal question is one with the same digest, to the same model, for the same tenant. While one is
under way, those that are equal wait for it: when it fails, the next one asks; when its answer
cannot be given again, they all do.
Only whole answers are given again, and only where the journal keeps what was answered.
"""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from otel.chat_attributes import chat_end
from runtime.catalog import Target
from runtime.chat_contents import input_of, output_of
from runtime.chat_spans import start_chat_span
from runtime.described import fingerprint, reply_digest, request_digest
from runtime.invocations.notes import asked_note
from runtime.invocations.recall import reply_of
from runtime.messages import ModelReply, Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from otel import Tracing
    from runtime.invocations.case import Asker, Case
    from runtime.journal import EventRow
    from runtime.messages import ModelRequest

WHOLE = ("stop", "tool_calls")
WORDS = ("text", "tool_calls", "model", "finish_reason", "state")  # the other run may be deleted


class _UnderWay:
    """A question that is being asked.

    Attributes:
        over: set when that is over.
        is_reusable: whether its answer can be given again; None where there is none.
    """

    def __init__(self) -> None:
        self.over = anyio.Event()
        self.is_reusable: bool | None = None


class Wanted(NamedTuple):
    """A question to which an earlier answer will do.

    Attributes:
        asker: who asks.
        request: the question, to the first target.
        case: on which terms that is asked.
        ttl_s: how old an answer may be, in seconds.
    """

    asker: Asker
    request: ModelRequest
    case: Case
    ttl_s: float

    @property
    def digest(self) -> str:
        """What equal questions have in common."""
        return request_digest(self.request, fingerprint(self.request))


class Replies:
    """Finds answers to equal questions.

    Args:
        tracing: where spans come from.
    """

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._under_way: dict[tuple[str, str], _UnderWay] = {}

    async def reply(self, wanted: Wanted, ask: Callable[[], Awaitable[ModelReply]]) -> ModelReply:
        """Return the answer to an equal question, or ask.

        Args:
            wanted: the question.
            ask: asks.

        Raises:
            JournalFailed: the journal cannot be read or written.
            RuntimeFault: what ``ask`` raises.
        """
        if not wanted.case.terms.contents.in_journal:
            return await ask()
        digest = wanted.digest
        before = _noted_before(wanted, digest)
        if before is not None and before.kind != "invocation_cached":
            return await ask()
        if before is not None:
            return await _recalled(wanted, digest, before)
        key = (wanted.asker.run.tenant, digest)
        while (other := self._under_way.get(key)) is not None:
            await other.over.wait()
            if other.is_reusable is False:
                return await ask()
        under_way = self._under_way[key] = _UnderWay()
        try:
            found = await self._find(wanted, digest)
            reply = await ask() if found is None else self._again(wanted, digest, found)
            under_way.is_reusable = reply.finish_reason in WHOLE
            return reply
        finally:
            del self._under_way[key]
            under_way.over.set()

    async def _find(self, wanted: Wanted, digest: str) -> dict[str, Any] | None:
        run = wanted.asker.run
        await run.journal.flush()  # what was answered a moment ago counts, too
        row = await run.journal.answer(digest, run.tenant, run.now - wanted.ttl_s)
        if row is None or "text" not in row.body or row.body.get("cut_off"):
            return None
        thoughts_are_lost = row.body.get("has_state") and "state" not in row.body
        if thoughts_are_lost and row.body.get("tool_calls"):
            return None  # its model wants to see its own thoughts again
        return row.body if row.body.get("finish_reason") in WHOLE else None

    def _again(self, wanted: Wanted, digest: str, body: dict[str, Any]) -> ModelReply:
        """Note that an answer is given again, and return it."""
        asker, request, case, _ = wanted
        reply = _reply_of(body, request)
        note = asked_note(asker, Target(request.provider, request.model), case)
        note |= {"request_sha256": digest, "reply_sha256": reply_digest(reply)}
        note["answer"] = {name: body[name] for name in WORDS if name in body}
        op = asker.run.step(asker.op, "cached", digest)
        asker.run.record("invocation_cached", op, note)
        span = start_chat_span(
            self._tracing, asker.span, request, in_process=True, dialogue=asker.dialogue
        )
        span.set(chat_end(response_model=reply.model, cost_nano_usd=0, cache_hit=True))
        contents = self._tracing.options.contents
        if contents is not None and span.is_recording:  # the journal has the words, so may a span
            span.set(input_of(contents, request) | output_of(contents, reply))
        span.end()
        return reply


def _noted_before(wanted: Wanted, digest: str) -> EventRow | None:
    """Return how this question of this run was answered before the run was interrupted."""
    run, parent = wanted.asker.run, wanted.asker.op
    if run.recorded is None:
        return None
    steps = (run.next_step(parent, kind, digest) for kind in ("chat", "cached"))
    found = [event for step in steps if (event := run.recorded.found(step)) is not None]
    return min(found, key=attrgetter("seq"), default=None)


async def _recalled(wanted: Wanted, digest: str, event: EventRow) -> ModelReply:
    """Return what was given again before the run was interrupted."""
    run = wanted.asker.run
    run.step(wanted.asker.op, "cached", digest)
    if run.recorded is not None:
        run.recorded.outcome(event.op)
        await run.recorded.turn(event)
    return _reply_of(event.body["answer"], wanted.request)


def _reply_of(body: dict[str, Any], request: ModelRequest) -> ModelReply:
    """Return an answer as the journal has it: it has cost nothing this time."""
    said = reply_of(body, request)
    warnings = ("this answer was given before, to an equal question",)
    return replace(said, usage=Usage(), attempts=0, request_id=None, warnings=warnings)
