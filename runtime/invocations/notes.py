"""What the journal is told of model calls; the audit trail is folded from it. Pure."""

from __future__ import annotations

from dataclasses import asdict
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.described import calls_of, reply_digest, tokens_of
from runtime.failed_before import details_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runtime.catalog import Target
    from runtime.invocations.case import Asker, Case
    from runtime.invocations.fate import Fate
    from runtime.messages import ModelReply


class Cut(NamedTuple):
    """How an answer was cut into pieces.

    Attributes:
        pieces: a number for each piece of its text, its characters; ``[kind, text]`` for another.
        read: how many of them its reader has taken.
        is_early: whether there is no more of it because nobody wanted the rest.
        ended_by: what ended its reader, who did not; None where nothing did.
    """

    pieces: Sequence[Any] = ()
    read: int = 0
    is_early: bool = False
    ended_by: str | None = None

    def as_note(self) -> dict[str, Any]:
        """Return it as JSON data, without what is usual."""
        note: dict[str, Any] = {"pieces": self.pieces} if len(self.pieces) > 1 else {}
        if self.is_early:
            note |= {"read": self.read}
        return note | ({"ended_by": self.ended_by} if self.ended_by else {})


WHOLE = Cut()
_is_said = itemgetter(1)  # of a name and a value: what is empty is not


def asked_note(asker: Asker, target: Target, case: Case) -> dict[str, Any]:
    """Return who asks whom, and on which terms; what is empty is left out."""
    note = {
        **_who(asker, target, case.data_classes),
        "level": case.level,
        "route": case.route,
        "region": case.region,
        "contents": case.terms.contents.word,
        "price_source": "" if case.price is None else case.price.source,
    }
    return dict(filter(_is_said, note.items()))


def answered_note(
    asker: Asker, reply: ModelReply, case: Case, *, unpriced: bool, cut: Cut
) -> dict[str, Any]:
    """Return what an answer was, with its words only where the journal may have them.

    What nobody said is left out.
    """
    said: dict[str, Any] = {"text": reply.text, "tool_calls": calls_of(reply), **cut.as_note()}
    if reply.state is not None:
        said["state"] = asdict(reply.state)
    return {
        "task": asker.task_id,
        "model": reply.model,
        **(said if case.terms.contents.in_journal else {}),
        "reply_sha256": reply_digest(reply),
        "finish_reason": reply.finish_reason,
        "usage": tokens_of(reply.usage),
        "usage_source": reply.usage_source,
        **({} if reply.service_tier is None else {"service_tier": reply.service_tier}),
        "unpriced": unpriced,
        **({} if reply.request_id is None else {"request_id": reply.request_id}),
        "attempts": reply.attempts,
        "warnings": list(reply.warnings),
        **({"cut_off": True} if cut.is_early else {}),
        **({"has_state": True} if reply.state is not None else {}),
    }


def failed_note(asker: Asker, error: BaseException, fate: Fate, attempts: int) -> dict[str, Any]:
    """Return how a call failed after how many attempts, and what is known of its cost."""
    details = details_of(error)
    return {
        "task": asker.task_id,
        "error": str(error),
        "error_class": type(error).__name__,
        "reason": asker.reason_of(error),
        "billed": fate.billed,
        "attempts": attempts,
        "settled_nano_usd": fate.settled,
        **({"details": details} if details else {}),
        **({"unpriced": True} if fate.cost is None else {}),
        **({"usage": tokens_of(fate.usage)} if fate.usage is not None else {}),
    }


def denied_note(
    asker: Asker, target: Target, data_classes: Iterable[str], *, why: str, reason: str
) -> dict[str, Any]:
    """Return that a call is not made, and why."""
    note = _who(asker, target, data_classes)
    return note | {"policy": why, "error": why, "reason": reason}


def _who(asker: Asker, target: Target, data_classes: Iterable[str]) -> dict[str, str]:
    return {
        "provider": target.provider,
        "model": target.model,
        "task": asker.task_id,
        "agent": asker.agent,
        "path": "/".join(asker.path),
        "tenant": asker.run.tenant,
        "data_classes": ",".join(sorted(data_classes)),
    }
