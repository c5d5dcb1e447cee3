"""The traces of one run: how many spans each has, and which one a delegation's spans go to.

A browser shows about 5,000 spans of a trace well. When a trace is full, further delegations go to a
sub-trace: their ``invoke_agent`` spans have no parent there but a link to the span that delegated.
A sub-trace takes delegations until it is full, too; then the next one is begun. So a fan-out of any
width has few traces of about the same size, and an event at the span that delegated for each.

Room is kept when a delegation is sent, for as many spans as most have, because thousands may be
sent before the first of them begins. Pure, and the same for the same order of events.
"""

from __future__ import annotations

from runtime.identity import trace_id_of

EXPECTED = 4  # spans of a delegation that has not ended: agent, a chat, a tool, one more


class Traces:
    """Counts the spans of one run.

    Args:
        run_id: the run.
        most: about how many spans a trace may have.
    """

    __slots__ = ("_latest", "_most", "_number", "_run_id", "_sizes")

    def __init__(self, run_id: str, most: int) -> None:
        self._run_id = run_id
        self._most = most
        self._number = 0
        self._latest = 0
        self._sizes: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<Traces of {self._run_id} [{self._number} sub-traces, {self._sizes}]>"

    def began(self, trace_id: int, spans: int = 1) -> None:
        """Count spans that began in a trace."""
        self._sizes[trace_id] = self._sizes.get(trace_id, 0) + spans

    def place(self, callers: int) -> int:
        """Return the trace of a delegation, and keep room in it; its caller's while that has some.

        Args:
            callers: the trace of the span that delegates.
        """
        trace_id = callers if self._has_room(callers) else self._sub_trace()
        self.began(trace_id, EXPECTED)
        return trace_id

    def ended(self, trace_id: int) -> None:
        """Give back the room that was kept for a delegation: now it is known what it took."""
        self.began(trace_id, -EXPECTED)

    def _sub_trace(self) -> int:
        if not self._number or not self._has_room(self._latest):
            self._number += 1
            self._latest = trace_id_of(f"{self._run_id}/trace-{self._number}")
        return self._latest

    def _has_room(self, trace_id: int) -> bool:
        return self._sizes.get(trace_id, 0) + EXPECTED <= self._most
