"""Whether code that runs again comes to the steps that it came to before, and to no other first.

A step is new if no record tells of it. It may begin when all recorded steps of the same body have
been come to: what is recorded had begun before it, so the code can come there without it. Where
branches run side by side they need not come in the order of the records, so a new step waits for
them, at most ``PATIENCE_S`` since the last one came; what then is missing is a difference. A body
that answers while recorded steps of it are left is one, too.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import anyio

from runtime.errors import CodeChanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PATIENCE_S = 5.0
ANSWER = "its answer"


class Difference(NamedTuple):
    """Where code that runs again parts from its records.

    Attributes:
        where: the delegation whose body it is.
        expected: the step that it had come to.
        found: the step that it has come to instead.
    """

    where: str
    expected: str
    found: str


class Strictness:
    """Holds steps back that are new before their time.

    Args:
        steps: the recorded steps, in their order.
        differs: called with the first difference; whoever came to it then waits to be ended.
    """

    def __init__(self, steps: Iterable[str], differs: Callable[[Difference], None]) -> None:
        self._known = dict.fromkeys(steps)
        self._left: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._waiting: dict[str, anyio.Event] = {}
        self._differs = differs
        for op in self._known:
            self._left[_above(op)][op] = None

    def __repr__(self) -> str:
        return f"<Strictness [{sum(map(len, self._left.values()))} steps left]>"

    def come_to(self, op: str) -> None:
        """Note that the code has come to a step."""
        above = _above(op)
        if op in self._left.get(above, ()):
            del self._left[above][op]
            if above in self._waiting:
                self._waiting.pop(above).set()

    async def may_begin(self, op: str) -> None:
        """Return when a step may begin; never, if the code is another one."""
        above = _above(op)
        while op not in self._known and self._left.get(above):
            moved = self._waiting.setdefault(above, anyio.Event())
            with anyio.move_on_after(PATIENCE_S) as patience:
                await moved.wait()
            if patience.cancelled_caught:
                await self._part(above, op.rpartition("/")[2])

    async def may_answer(self, op: str) -> None:
        """Return if the body of a delegation has come to all its steps; never, if it has not."""
        if self._left.get(op):
            await self._part(op, ANSWER)

    async def _part(self, where: str, found: str) -> None:
        expected = next(iter(self._left[where])).rpartition("/")[2]
        self._differs(Difference(where, expected, found))
        await anyio.sleep_forever()


def parted(run_id: str, difference: Difference) -> CodeChanged:
    """Return the error of code that comes to other steps than it had come to."""
    return CodeChanged(
        f"the code of run {run_id} is not what it was, or not the same each time: below"
        f" {difference.where} it had come to {difference.expected}, and now comes to"
        f" {difference.found} first; nothing new was done; bring the code back, or resume with"
        " --on-code-change continue"
    )


def _above(op: str) -> str:
    return op.rpartition("/")[0]
