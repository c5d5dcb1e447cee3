"""Instructions of Python's virtual machine that an operation takes: a cost without a clock.

A tracer counts every bytecode that the event loop's thread executes. The number is the same on a
busy machine and on an idle one, and grows with every call, branch and task that somebody puts on
the hot path. What it does not see is time spent inside C functions, and other threads.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType, FrameType

    from benchmarks.worker import Work

WARM_UP = 50
FEW, MANY = 25, 100
AT_ONCE = 25
ROOT = Path(__file__).resolve().parent.parent


class Tracer:
    """Counts the instructions of this thread while it is entered.

    Attributes:
        counts: instructions by the code that has them.
    """

    def __init__(self) -> None:
        self.counts: Counter[CodeType] = Counter()
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)  # a measurement of coverage, say, goes on

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        del event, argument
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._traced

    def _traced(self, frame: FrameType, event: str, argument: Any) -> Any:
        del argument
        if event == "opcode":
            self.counts[frame.f_code] += 1
        return self._traced


def per_operation(place: str, options: Mapping[str, Any]) -> Counter[CodeType]:
    """Return how many instructions one operation of a contender takes, by the code that has them.

    What a turn takes however long it is has no part in it.

    Args:
        place: ``module:function`` below ``benchmarks.contenders``.
        options: of the function.
    """
    module, _, name = place.partition(":")
    opened = getattr(import_module(f"benchmarks.contenders.{module}"), name)

    async def main() -> Counter[CodeType]:
        async with opened(**options) as work:
            await work(WARM_UP, AT_ONCE)
            few, many = await _counted(work, FEW), await _counted(work, MANY)
            many.subtract(few)
            return Counter({code: count / (MANY - FEW) for code, count in many.items()})

    return asyncio.run(main())


async def _counted(work: Work, operations: int) -> Counter[CodeType]:
    with Tracer() as tracer:
        await work(operations, AT_ONCE)
    return tracer.counts


def by_layer(counts: Mapping[CodeType, float]) -> list[tuple[str, float]]:
    """Return the instructions of each of our packages and of each library, most first."""
    return _summed(counts, lambda code: _layer(code.co_filename))


def by_function(counts: Mapping[CodeType, float]) -> list[tuple[str, float]]:
    """Return the instructions of each function, most first."""
    return _summed(counts, lambda code: f"{_short(code.co_filename)} {code.co_qualname}")


def _summed(
    counts: Mapping[CodeType, float], name_of: Callable[[CodeType], str]
) -> list[tuple[str, float]]:
    sums: Counter[str] = Counter()
    for code, count in counts.items():
        sums[name_of(code)] += count  # type: ignore[assignment]  # shares of one
    return [(name, float(count)) for name, count in sums.most_common()]


def _layer(file: str) -> str:
    parts = _short(file).split("/")
    return "/".join(parts[:2]) if parts[0] in {"runtime", "providers", "otel"} else parts[0]


def _short(file: str) -> str:
    """Return a file's path from the root of ours, or from where the library's packages are."""
    path = Path(file)
    if path.is_relative_to(ROOT) and "site-packages" not in path.parts:
        return str(path.relative_to(ROOT))
    parts = path.parts
    for home in ("site-packages", f"python{sys.version_info.major}.{sys.version_info.minor}"):
        if home in parts:
            return "/".join(parts[parts.index(home) + 1 :])
    return file
