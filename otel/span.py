"""A place in a trace: three numbers, a W3C header, and nothing recorded."""

from __future__ import annotations

import contextlib
import random
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from otel.attributes import AttributeValue

SpanKind: TypeAlias = Literal["internal", "client", "server", "producer", "consumer"]

_SAMPLED = 0x01
_KNOWN_FLAGS = 0x03
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.{0,400})?"
)
_NOT_CURRENT: AbstractContextManager[None] = contextlib.nullcontext()


class Span:
    """A place in a trace. This one records nothing; ``recording`` has the one that does.

    Attributes:
        trace_id: the 128-bit id of the trace.
        span_id: the 64-bit id of this span.
        flags: the W3C trace flags; 1 is *sampled*.
    """

    __slots__ = ("_header", "flags", "span_id", "trace_id")

    def __init__(self, trace_id: int, span_id: int, flags: int = _SAMPLED) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        # Sampled, also when nothing is recorded here: nobody has decided against it, and a run
        # that begins untraced may be resumed, or go on at another node, where it is.
        self.flags = flags
        self._header = ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.traceparent}>"

    @property
    def traceparent(self) -> str:
        """The W3C trace context that a child on the other side of a message needs."""
        if not self._header:  # written once for a fan-out of thousands
            self._header = f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.flags:02x}"
        return self._header

    @property
    def is_recording(self) -> bool:
        """Whether anybody will see what is said of it, so that it is worth finding out."""
        return False

    def set(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Add attributes; after the end it does nothing."""

    def rename(self, name: str) -> None:
        """Call it otherwise; after the end it does nothing."""

    def event(
        self,
        name: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        *,
        time_ns: int | None = None,
    ) -> None:
        """Note that something happened; after the end it does nothing.

        Args:
            name: what.
            attributes: more about it.
            time_ns: nanoseconds since the Unix epoch; None for now.
        """

    def end(
        self,
        *,
        error_type: str | None = None,
        message: str | None = None,
        end_time_ns: int | None = None,
    ) -> None:
        """Close the span; only the first call counts.

        Args:
            error_type: the class of the error it ended with, a word of a small set; None when all
                went well.
            message: one sentence about that error; secrets in it are redacted.
            end_time_ns: nanoseconds since the Unix epoch; None for now.
        """

    def attached(self) -> AbstractContextManager[None]:
        """Make it the current OpenTelemetry span inside a ``with``, for other instrumentation."""
        return _NOT_CURRENT


@dataclass(frozen=True, slots=True)
class Link:
    """That a span has to do with another, which is not its parent.

    Attributes:
        to: the other.
        attributes: what it has to do with it.
    """

    to: Span
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


@lru_cache(maxsize=1_024)  # all of a fan-out have one parent
def span_from(traceparent: str) -> Span | None:
    """Return the remote span that a W3C ``traceparent`` names; None when it is not valid."""
    match = _TRACEPARENT.fullmatch(traceparent.strip(" \t"))
    if match is None or (match["version"] == "00" and match["more"]):
        return None
    trace_id, span_id = int(match["trace"], 16), int(match["span"], 16)
    if not trace_id or not span_id:
        return None
    return Span(trace_id, span_id, int(match["flags"], 16) & _KNOWN_FLAGS)


def random_id(bits: int) -> int:
    """Return a random id that is not zero."""
    return random.getrandbits(bits) or 1
