"""One prompt: ask it, and print what is answered."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, TextIO

import anyio

from runtime.bulk.line import Line
from runtime.cli.asking import asking
from runtime.cli.failures import CANCELLED, FAILED
from runtime.cli.interrupts import Interrupts
from runtime.cli.logs import log_to
from runtime.cli.streams import ResultUnwritten, emit, emit_json, prints_to_stderr, say, silence
from runtime.cli.text import money, one_line
from runtime.governance.cost import NANO
from runtime.messages import Message, ModelEvent, ModelRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyio.streams.memory import MemoryObjectReceiveStream

    from runtime.bulk.call import Caller
    from runtime.bulk.line import Defaults
    from runtime.bulk.outcome import Outcome
    from runtime.cli.asking import Wishes

BUFFER = 64  # pieces that may wait for the terminal
SAID = ("text", "refusal")


def ask_once(prompt: str, wishes: Wishes) -> int:
    """Ask one prompt, print the answer, and return the exit code.

    Args:
        prompt: the words of the user.
        wishes: what else was typed.

    Raises:
        RuntimeFault: it could not be asked at all.
    """
    typist = Typist(sys.stdout) if wishes.stream and not wishes.as_json else None
    with prints_to_stderr():
        outcome = anyio.run(_ask, prompt, wishes, typist)
    if outcome is None:
        say("error: it was cancelled")
        return CANCELLED
    body = json.loads(outcome.record)
    if wishes.as_json:
        emit_json(body)
    else:
        text = _readable(body) or outcome.refusal
        _report(body, text, wishes, is_written=typist is not None and typist.has_written)
    return 0 if body["ok"] else FAILED


def _report(body: Mapping[str, Any], text: str, wishes: Wishes, *, is_written: bool) -> None:
    """Print an answer, unless that is done, and on standard error what else there is to say."""
    if (text or body["ok"]) and not is_written:
        emit(text)
    if not body["ok"]:
        say(f"error: {body['error']['class']}: {one_line(body['error']['message'])}")
    if not wishes.quiet:
        say(_summary(body))


class Typist:
    """Writes an answer as it comes. That its reader has left is no error.

    Args:
        stream: where to.

    Attributes:
        has_written: whether there was anything to write.
    """

    def __init__(self, stream: TextIO) -> None:
        self.has_written = False
        self._stream = stream
        self._last = ""

    def write(self, text: str) -> None:
        """Write a piece at once.

        Raises:
            ResultUnwritten: it cannot be written, e.g. because the disk is full.
        """
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:
            silence(self._stream)
        except OSError as error:
            silence(self._stream)
            raise ResultUnwritten(
                f"the answer cannot be written: {error.strerror or error}"
            ) from error
        self.has_written = self.has_written or bool(text)
        self._last = text or self._last

    def end(self) -> None:
        """End the last line."""
        if self.has_written and not self._last.endswith("\n"):
            self.write("\n")


async def _ask(prompt: str, wishes: Wishes, typist: Typist | None) -> Outcome | None:
    """Return what came of it; None when it was cancelled."""
    interrupts = Interrupts()
    log_to(None, wishes.session, verbose=wishes.verbose, quiet=wishes.quiet)
    outcome: Outcome | None = None
    async with interrupts.watched(), asking(wishes, interrupts, routed=True) as (caller, defaults):
        line = _line(prompt, defaults)
        with interrupts.scope:
            outcome = await (_typed(caller, line, typist) if typist else caller.call(line))
    if typist is not None:
        typist.end()
    return outcome


async def _typed(caller: Caller, line: Line, typist: Typist) -> Outcome:
    """Ask, and write the answer while it comes."""
    send, receive = anyio.create_memory_object_stream[ModelEvent](BUFFER)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_type, receive, typist)
        with send:
            outcome = await caller.call(line, send)
    return outcome


async def _type(pieces: MemoryObjectReceiveStream[ModelEvent], typist: Typist) -> None:
    with pieces:
        async for event in pieces:
            if event.kind in SAID:
                typist.write(event.text)


def _line(prompt: str, defaults: Defaults) -> Line:
    return Line(
        id=None,
        request=ModelRequest(
            provider=defaults.provider or "",
            model=defaults.model or "",
            messages=(Message("user", prompt),),
            max_output_tokens=None,
            stream=defaults.stream,
        ),
    )


def _readable(body: Mapping[str, Any]) -> str:
    """Return the text of an answer, or else the tools that it calls."""
    if body["text"] or not body["tool_calls"]:
        return str(body["text"])
    return json.dumps(body["tool_calls"], indent=2, ensure_ascii=False)


def _summary(body: Mapping[str, Any]) -> str:
    """Return one line with who answered and what it took; warnings before it."""
    usage = body["usage"] or {}
    used = sum(usage.get(name) or 0 for name in ("input_tokens", "output_tokens"))
    cost = body["cost_usd"]
    facts = [
        f"{used:,} tokens" if usage else "tokens unknown",
        money(None if cost is None else round(cost * NANO)),
    ]
    warned = [f"warning: {one_line(warning)}" for warning in body["warnings"]]
    who = one_line(f"{body['provider']}/{body['model']}")
    return "\n".join([*warned, f"{who}: {', '.join(facts)}"])
