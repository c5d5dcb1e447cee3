"""Answers that are given again: the journal is the cache.

An equal question is one with the same digest, to the same model. While one is under way, those
that are equal wait for it. Only whole answers are given again, and only where the journal keeps
what was answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from otel.chat_attributes import chat_end
from runtime.chat_spans import start_chat_span
from runtime.described import fingerprint, reply_digest, request_digest
from runtime.messages import ModelReply, ToolCall, Usage, parsed_arguments

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from otel import Tracing
    from runtime.invocation import Asker, Case
    from runtime.messages import ModelRequest

WHOLE = ("stop", "tool_calls")


class Replies:
    """Finds answers to equal questions.

    Args:
        tracing: where spans come from.
    """

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._under_way: dict[str, anyio.Event] = {}

    async def reply(
        self,
        asker: Asker,
        request: ModelRequest,
        case: Case,
        ttl_s: float,
        ask: Callable[[], Awaitable[ModelReply]],
    ) -> ModelReply:
        """Return the answer to an equal question, or ask.

        Args:
            asker: who asks.
            request: the question, to the first target.
            case: on which terms that is asked.
            ttl_s: how old an answer may be, in seconds.
            ask: asks.

        Raises:
            JournalFailed: the journal cannot be read or written.
            RuntimeFault: what ``ask`` raises.
        """
        digest = request_digest(request, fingerprint(request))
        while (other := self._under_way.get(digest)) is not None:
            await other.wait()
        event = self._under_way[digest] = anyio.Event()
        try:
            found = await self._find(asker, digest, ttl_s)
            if found is None:
                return await ask()
            return self._again(asker, request, case, digest, found)
        finally:
            del self._under_way[digest]
            event.set()

    async def _find(self, asker: Asker, digest: str, ttl_s: float) -> Mapping[str, Any] | None:
        journal = asker.run.journal
        await journal.flush()  # what was answered a moment ago counts, too
        row = await journal.answer(digest, asker.run.now - ttl_s)
        if row is None or "text" not in row.body or row.body.get("cut_off"):
            return None
        if row.body.get("tool_calls") and row.body.get("has_state"):
            return None  # its model wants to see its own thoughts again, and nobody has kept them
        return row.body if row.body.get("finish_reason") in WHOLE else None

    def _again(
        self,
        asker: Asker,
        request: ModelRequest,
        case: Case,
        digest: str,
        body: Mapping[str, Any],
    ) -> ModelReply:
        reply = ModelReply(
            text=body["text"],
            usage=Usage(),
            model=str(body.get("model") or request.model),
            tool_calls=tuple(
                ToolCall(id_, name, parsed_arguments(raw), raw)
                for id_, name, raw in body.get("tool_calls") or ()
            ),
            finish_reason=body["finish_reason"],
            provider=request.provider,
            attempts=0,
            warnings=("this answer was given before, to an equal question",),
        )
        note = {
            "provider": request.provider,
            "model": request.model,
            "task": asker.task_id,
            "agent": asker.agent,
            "path": "/".join(asker.path),
            "tenant": asker.run.tenant,
            "level": case.level,
            "route": case.route,
            "data_classes": ",".join(sorted(case.data_classes)),
            "region": case.region,
            "contents": case.terms.contents.word,
            "request_sha256": digest,
            "reply_sha256": reply_digest(reply),
        }
        op = asker.run.step(asker.op, "cached", digest)
        asker.run.record("invocation_cached", op, note)
        span = start_chat_span(self._tracing, asker.span, request, in_process=True)
        span.set(chat_end(response_model=reply.model, cost_nano_usd=0, cache_hit=True))
        span.end()
        return reply
