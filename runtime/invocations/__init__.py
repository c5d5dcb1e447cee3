"""Model calls, seen from the run: reserved, journalled, spanned, and each ends exactly once.

In reading order:

- ``case``: who makes a call, and what is known of it besides its request
- ``reservation``: waiting until its worst case fits
- ``bounds``: what nobody can say the worst case of
- ``notes``: what the journal is told; ``denials``: also of what is forbidden
- ``fate``: what a failed call has cost
- ``endings``, ``waits``, ``trail``: what it goes through, as spans
- ``recall``: what was answered before the run was interrupted
- ``invocation``: one call under way, to its end
- ``beginning``: ``begin``, how it comes to be
"""

from __future__ import annotations

from runtime.invocations.beginning import begin
from runtime.invocations.case import Asker, Case
from runtime.invocations.invocation import Doors, Invocation, Observed
from runtime.invocations.reservation import Reservations

__all__ = ["Asker", "Case", "Doors", "Invocation", "Observed", "Reservations", "begin"]
