"""What several commands take, and the types of what is typed."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_RUN_ID = 128
MOST = Decimal(10**9)  # of dollars or seconds: more is a slip of the hand
LEAST = Decimal(1).scaleb(-9)  # a nano-dollar or a nanosecond: less is nothing


@dataclass(slots=True)
class Session:
    """One call of the command line.

    Attributes:
        argv: the arguments, as typed.
        debug: whether tracebacks are wanted.
    """

    argv: tuple[str, ...] = ()
    debug: bool = False


class Positive(click.ParamType[Decimal]):
    """A finite decimal number above zero, kept exactly as it was typed."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        """Return the number.

        Raises:
            BadParameter: it is no number, not finite, not above zero or absurdly large.
        """
        try:
            number = Decimal(value)
        except InvalidOperation:
            self.fail(f"{value!r} is no number", param, ctx)
        if not (number.is_finite() and LEAST <= number <= MOST):
            self.fail(f"{value!r} is not above 0 and at most {MOST:,}", param, ctx)
        return number


class DataClass(click.ParamType[str]):
    """The name of a kind of data, as policies speak of it."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name.

        Raises:
            BadParameter: it is none.
        """
        text = str(value)
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", text):
            self.fail(f"{text!r} is no name: letters, digits, '.', '-' and '_'", param, ctx)
        return text


class RunId(click.ParamType[str]):
    """A run's name: printable characters without a blank."""

    name = "ID"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name.

        Raises:
            BadParameter: it is empty, too long, or has blanks or control characters.
        """
        text = str(value)
        if not 0 < len(text) <= LONGEST_RUN_ID:
            self.fail(f"a run id has 1 to {LONGEST_RUN_ID} characters, not {len(text)}", param, ctx)
        if not text.isprintable() or any(character.isspace() for character in text):
            self.fail(f"{text!r} has blanks or control characters in it", param, ctx)
        return text


def _set_debug(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    session = ctx.find_object(Session)
    if session is not None:
        session.debug = session.debug or value


def debug_option(command: Any) -> Any:
    """Add ``--debug``, which every command takes, before its name and after it."""
    option = click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_set_debug,
        help="Show tracebacks.",
    )
    command.params.append(option)
    return command


def db_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--db``."""
    return click.option(
        "--db",
        "--journal",
        "db",
        metavar="PATH|URL",
        envvar="MAGSAG_DB",
        help="The journal: a file, or postgresql://user@host/dbname; :memory: keeps nothing."
        " [env: MAGSAG_DB; default: .magsag/journal.db where there is a .magsag, else"
        " $XDG_STATE_HOME/magsag/journal.db]",
    )(function)


def tenant_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--tenant``."""
    return click.option(
        "--tenant",
        metavar="NAME",
        envvar="MAGSAG_TENANT",
        help="For whom it is: limits per tenant count it there. [env: MAGSAG_TENANT]",
    )(function)


def catalog_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--catalog``."""
    return click.option(
        "--catalog",
        metavar="DIR",
        envvar="MAGSAG_CATALOG",
        type=click.Path(path_type=Path),
        help="The catalog. [env: MAGSAG_CATALOG; default: ./catalog, else the one beside runtime]",
    )(function)


def loudness_options(
    quiet: str = "Nothing but the result and errors.", verbose: str = "Log what goes well, too."
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what adds ``--quiet`` and ``--verbose``, of which one at most may be given.

    Args:
        quiet: what the one does.
        verbose: what the other does.
    """

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def checked(*arguments: Any, quiet: bool, verbose: bool, **options: Any) -> Any:
            if quiet and verbose:
                raise click.UsageError("--quiet and --verbose exclude each other")
            return function(*arguments, quiet=quiet, verbose=verbose, **options)

        with_verbose = click.option("--verbose", "-v", is_flag=True, help=verbose)(checked)
        return click.option("--quiet", "-q", is_flag=True, help=quiet)(with_verbose)

    return add


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)
