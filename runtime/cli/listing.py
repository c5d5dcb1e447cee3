"""``list``: what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runtime.cli.options import catalog_option, debug_option, json_option

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("agents", "skills", "workflows", "providers")


@debug_option
@click.command(name="list")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@catalog_option
@json_option
def listing(kind: str | None, catalog: Path | None, *, as_json: bool) -> None:
    """List agents, skills, workflows and providers, or only those of one KIND.

    --json prints an object with a list for each kind: agents (name, role, description, model,
    skills, agents; null for any), skills (name, description), workflows (name, agent,
    description), providers (name, dialect, description, models, any_model, ready, needs).
    """
    from runtime.cli.contents import list_contents  # noqa: PLC0415  # 0.2 s, not for --help

    list_contents(catalog, (kind,) if kind else KINDS, as_json=as_json)


def _command(kind: str) -> click.Command:
    """Return a command that lists one kind."""

    @debug_option
    @click.command(name="list", help=f"List {kind}; see python -m runtime list.")
    @catalog_option
    @json_option
    def listed(catalog: Path | None, *, as_json: bool) -> None:
        from runtime.cli.contents import list_contents  # noqa: PLC0415  # as above

        list_contents(catalog, (kind,), as_json=as_json)

    command: click.Command = listed
    return command


list_agents = _command("agents")
list_workflows = _command("workflows")
