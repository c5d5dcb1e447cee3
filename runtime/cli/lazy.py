"""A group of commands that are imported when they are called; ``--help`` imports none of them."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Mapping


class Lazy(NamedTuple):
    """Where a command is, and what it does in a few words.

    Attributes:
        home: ``module:attribute``.
        summary: its line in ``--help``.
    """

    home: str
    summary: str


class LazyGroup(click.Group):
    """A group whose commands stand in a table.

    Args:
        table: the commands by name, in the order of ``--help``.
        options: those of ``click.Group``.
    """

    def __init__(self, *, table: Mapping[str, Lazy], **options: Any) -> None:
        super().__init__(**options)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        del ctx
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of that name."""
        del ctx
        entry = self._table.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.home.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was asked for.

        Raises:
            UsageError: there is none of that name; the message has the nearest one.
        """
        name = args[0]
        if name not in self._table and not name.startswith("-"):
            near = difflib.get_close_matches(name, self._table, n=1)
            known = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(self._table)}"
            raise click.UsageError(f"No such command {name!r}. {known}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self._table.items()])
