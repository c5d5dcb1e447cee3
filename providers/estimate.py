"""What was learned about the tokens of one model's calls, for its rate limits.

The estimate of the prompt is corrected by a factor that follows what the server counts. The
estimate of the answer is what nine of ten recent answers stayed below. A wrong guess costs a little
patience here; money is reserved by the allowance.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.messages import ModelRequest, Usage

LEAST_FACTOR, MOST_FACTOR = 0.5, 2.5
FACTOR_MEMORY = 0.2  # the part that the newest answer has in the factor
LEAST_OUTPUT = 256
RECENT = 64
MOST_CLASSES = 256


class Estimates:
    """What was learned about the calls of one model."""

    def __init__(self) -> None:
        self._factor = 1.0
        self._outputs: OrderedDict[str, deque[int]] = OrderedDict()

    @property
    def factor(self) -> float:
        """How many prompt tokens the server counts for each that is estimated."""
        return self._factor

    def input(self, estimated: float) -> int:
        """Return about how many prompt tokens the server counts for so many estimated ones."""
        return math.ceil(estimated * self._factor)

    def output(self, request: ModelRequest) -> int:
        """Return how many tokens nine of ten recent answers of its class stayed below, 256 or more.

        A class are the calls of one agent; its name is in their task's.
        """
        recent = self._outputs.get(_class_of(request))
        if not recent:
            return LEAST_OUTPUT
        return max(LEAST_OUTPUT, sorted(recent)[math.ceil(0.9 * len(recent)) - 1])

    def learn(self, request: ModelRequest, estimated: float, usage: Usage) -> None:
        """Take in what a call used in the end.

        Args:
            request: the call.
            estimated: the tokens that its prompt was estimated at.
            usage: what it used.
        """
        if usage.input_tokens > 0:
            ratio = usage.input_tokens / math.ceil(estimated)
            factor = self._factor + FACTOR_MEMORY * (ratio - self._factor)
            self._factor = min(max(factor, LEAST_FACTOR), MOST_FACTOR)
        name = _class_of(request)
        self._outputs.setdefault(name, deque(maxlen=RECENT)).append(usage.output_tokens)
        self._outputs.move_to_end(name)
        if len(self._outputs) > MOST_CLASSES:
            self._outputs.popitem(last=False)


def _class_of(request: ModelRequest) -> str:
    """Return the agent of a task ``agent-7``; all tasks without a number are one class."""
    return request.task_id.rpartition("-")[0]
