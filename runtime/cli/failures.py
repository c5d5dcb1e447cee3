"""An exception becomes lines for people and an exit code.

0 ok, 1 usage or configuration, 2 run failed, 3 budget, 4 denied, 130 cancelled; a run that is
parked ends with 5 (it waits for a decision) or 6 (it is paused).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from runtime.cli.text import one_line
from runtime.errors import RuntimeFault

if TYPE_CHECKING:
    from collections.abc import Iterator

USAGE = 1
FAILED = 2
CANCELLED = 130
PROGRAM = "python -m runtime"


class Failure(NamedTuple):
    """What a person is told, and what the process ends with.

    Attributes:
        lines: one for each thing that is wrong.
        code: the exit code.
    """

    lines: tuple[str, ...]
    code: int


def explain(error: BaseException) -> Failure:
    """Return what to say about an exception that ended a command. Never raises."""
    failures = [_explain(leaf) for leaf in _leaves(error)]
    lines = tuple(line for failure in failures for line in failure.lines)
    return Failure(lines, max(failure.code for failure in failures))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _explain(error: BaseException) -> Failure:
    from otel.settings import TelemetryMisconfigured  # noqa: PLC0415  # not for --help

    match error:
        case click.UsageError():
            return Failure((f"error: {_usage(error)}",), USAGE)
        case click.ClickException():
            return Failure((f"error: {one_line(error.format_message())}",), USAGE)
        case KeyboardInterrupt() | click.Abort():
            return Failure(("cancelled",), CANCELLED)
        case RuntimeFault():
            lines = tuple(f"error: {one_line(line)}" for line in str(error).splitlines() if line)
            return Failure(lines, error.exit_code)
        case TelemetryMisconfigured():
            return Failure((f"error: {one_line(str(error))}",), USAGE)
    what = one_line(f"{type(error).__name__}: {error}".removesuffix(": "))
    line = f"internal error: {what}; run again with --debug to see where"
    return Failure((line,), FAILED)


def _usage(error: click.UsageError) -> str:
    command = error.ctx.command_path if error.ctx is not None else PROGRAM
    return f"{one_line(error.format_message()).rstrip('.')}; see {command} --help"
