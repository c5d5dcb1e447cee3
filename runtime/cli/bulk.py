"""Many lines: read, ask and write them, and say how far it is."""

from __future__ import annotations

import sys
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, BinaryIO, cast

import anyio
from anyio.to_thread import run_sync as in_thread

from runtime.bulk.pipeline import Pipeline
from runtime.bulk.resume import AnswerFile, unopened
from runtime.bulk.sinks import StreamSink
from runtime.bulk.source import lines_of, survey, unreadable
from runtime.bulk.tally import Tally
from runtime.cli.asking import asking
from runtime.cli.failures import CANCELLED, FAILED
from runtime.cli.interrupts import Interrupts
from runtime.cli.logs import log_to
from runtime.cli.streams import prints_to_stderr, say
from runtime.cli.text import duration, money, plural
from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from runtime.cli.asking import Asking, Wishes
    from runtime.cli.bulk_screen import BulkScreen

STANDARD_INPUT = "-"
STANDARD_INPUT_NAME, STANDARD_OUTPUT = "stdin", "standard output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """The lines to ask.

    Attributes:
        stream: their bytes.
        name: what to call it in faults.
        file: the file, if it can be read twice; None for a stream.
    """

    stream: BinaryIO
    name: str
    file: Path | None


def ask_lines(source: str, output: Path | None, wishes: Wishes) -> int:
    """Ask every line, write every answer, and return the exit code.

    Args:
        source: the file of lines; ``-`` for standard input.
        output: the file of answers; None for standard output.
        wishes: what else was typed.

    Raises:
        ConfigurationError: a file cannot be opened, or two lines have the same id.
        RuntimeFault: the answers could not be written.
    """
    started = monotonic()
    with _opened(source) as given:
        _check_apart(given.file, output)
        command = Command(given, output, wishes)
        with prints_to_stderr():
            anyio.run(command.carry_out)
    if not wishes.quiet:
        say("\n".join([summary(command.tally, monotonic() - started), *command.advice()]))
    return command.exit_code


class Command:
    """One call of ``invoke`` with lines.

    Args:
        given: the lines.
        output: the file of answers; None for standard output.
        wishes: what else was typed.

    Attributes:
        tally: how far it is.
    """

    def __init__(self, given: Input, output: Path | None, wishes: Wishes) -> None:
        self.tally = Tally()
        self._given = given
        self._output = output
        self._wishes = wishes
        # Later on it is standard error: what others print must not come between the answers.
        self._stdout = sys.stdout
        self._interrupted = False

    @property
    def exit_code(self) -> int:
        """What the process ends with."""
        if self._interrupted:
            return CANCELLED
        return FAILED if self.tally.failed else 0

    def advice(self) -> Iterator[str]:
        """Yield what a person should do next."""
        if self._output is None or not _is_kept(self._output):
            return
        if self._interrupted:
            yield f"{self._output} has every answer so far; the same command goes on from there"
        elif self.tally.failed and not self._wishes.keep_failed:
            yield f"the same command asks the lines of {self._output} again that failed"

    async def carry_out(self) -> None:
        """Do everything; what was answered is written however it ends."""
        wishes, interrupts = self._wishes, Interrupts()
        screen = self._screen()
        log = None if screen is None else screen.log
        log_to(log, wishes.session, verbose=wishes.verbose, quiet=wishes.quiet)
        async with interrupts.watched(), asking(wishes, interrupts, routed=False) as ready:
            with interrupts.scope:
                async with nullcontext() if screen is None else screen.shown():
                    await self._work(ready)
            self._interrupted = interrupts.scope.cancelled_caught

    async def _work(self, ready: Asking) -> None:
        given = self._given
        if given.file is not None:
            self.tally.total = await in_thread(survey, given.file, abandon_on_cancel=True)
        pipeline = Pipeline(
            lines_of(given.stream, given.name),
            name=given.name,
            defaults=ready.defaults,
            call=ready.caller.call,
            concurrency=self._wishes.concurrency,
            tally=self.tally,
            distinct=given.file is not None,
        )
        if self._output is not None and _is_kept(self._output):
            await self._to_file(pipeline, self._output)
        else:
            with self._stream() as stream:
                await pipeline.to_stream(StreamSink(stream, str(self._output or STANDARD_OUTPUT)))

    async def _to_file(self, pipeline: Pipeline, output: Path) -> None:
        keep_failed = self._wishes.keep_failed
        opened = partial(AnswerFile, output, keep_failed=keep_failed)
        with closing(await in_thread(opened, abandon_on_cancel=True)) as answers:
            await pipeline.to_file(answers)

    def _stream(self) -> AbstractContextManager[BinaryIO]:
        if self._output is None:
            return nullcontext(self._stdout.buffer)
        try:
            # Without a buffer: what cannot be written must not be tried again at the end.
            return cast("BinaryIO", self._output.open("wb", buffering=0))
        except OSError as error:
            raise unopened(self._output, error) from error

    def _screen(self) -> BulkScreen | None:
        """Return the progress bar, if there is a terminal for it that no answers go to."""
        free = self._output is not None or not self._stdout.isatty()
        if self._wishes.quiet or not free or not sys.stderr.isatty():
            return None
        from runtime.cli.bulk_screen import BulkScreen  # noqa: PLC0415  # rich: only for terminals

        return BulkScreen(self.tally)


def summary(tally: Tally, seconds: float) -> str:
    """Return one line with what came of the lines and what they took."""
    facts = [
        f"{tally.ok:,} ok",
        f"{tally.failed:,} failed",
        *([f"{tally.kept:,} of them settled before"] if tally.kept else []),
        f"{tally.tokens:,} tokens",
        money(tally.cost, tally.unpriced),
        duration(seconds),
    ]
    return f"{plural(tally.done, 'line')}: {', '.join(facts)}"


@contextmanager
def _opened(source: str) -> Iterator[Input]:
    if source == STANDARD_INPUT:
        if sys.stdin is None:
            raise ConfigurationError("standard input is closed; name a file with --jsonl")
        yield Input(stream=cast("BinaryIO", sys.stdin.buffer), name=STANDARD_INPUT_NAME, file=None)
        return
    path = Path(source)
    try:
        stream = path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise unreadable(source, error) from error
    with stream:
        yield Input(stream=stream, name=source, file=path if path.is_file() else None)


def _check_apart(given: Path | None, output: Path | None) -> None:
    """Refuse to write answers over the lines.

    Raises:
        ConfigurationError: both are the same file.
    """
    if given is not None and output is not None and output.exists() and output.samefile(given):
        raise ConfigurationError(
            f"{output} is the file of the lines; name another one for the answers with --output"
        )


def _is_kept(output: Path) -> bool:
    """Whether answers stay where they are written: not in a pipe, not in a device."""
    return output.is_file() or not output.exists()
