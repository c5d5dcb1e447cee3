"""``init``: write a first agent, runnable at once."""

from __future__ import annotations

import keyword
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import click

from runtime.cli.options import debug_option
from runtime.cli.places import SHIPPED_CATALOG
from runtime.cli.streams import emit
from runtime.cli.templates import CODE, DESCRIPTIONS, ENTRY
from runtime.errors import ConfigurationError

SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 64
NEEDED = ("routing/default.yaml", "providers.yaml")
INPUT = """--input '{"text": "Actors send messages. Supervisors restart them."}'"""


class Draft(NamedTuple):
    """A file that is to be written."""

    path: Path
    text: str


@debug_option
@click.command()
@click.argument("name")
@click.option("--role", type=click.Choice(("mag", "sag")), default="sag", show_default=True)
@click.option(
    "--dir",
    "workspace",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The workspace.  [default: the current directory]",
)
def init(name: str, role: str, workspace: Path) -> None:
    """Write an agent called NAME: agents/NAME.py and catalog/agents/NAME.yaml.

    A mag orchestrates, a sag is a specialist. Nothing is overwritten. A workspace without a
    catalog gets a small one that needs no key and no network.
    """
    slug = _slug(name)
    drafts = _drafts(slug, role, workspace)
    _check(slug, drafts, workspace / "catalog")
    for draft in drafts:
        _write(draft)
        emit(f"wrote {draft.path}")
    emit(f"next: {_command(slug, workspace)}")


def _slug(name: str) -> str:
    slug = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).replace("_", "-").lower()
    if not SLUG.fullmatch(slug) or len(slug) > LONGEST:
        raise ConfigurationError(
            f"{name!r} is no name for an agent: take up to {LONGEST} of a-z, 0-9 and -, and a"
            " letter first, such as find-documents"
        )
    if keyword.iskeyword(slug) or slug in ("mag", "sag", "init"):
        raise ConfigurationError(f"{name!r} has a meaning in Python or here; take another name")
    return slug


def _drafts(slug: str, role: str, workspace: Path) -> list[Draft]:
    name, catalog = slug.replace("-", "_"), workspace / "catalog"
    filled = {"slug": slug, "name": name, "role": role, "description": DESCRIPTIONS[role]}
    drafts = [
        Draft(workspace / "agents" / f"{name}.py", CODE[role].format(**filled)),
        Draft(catalog / "agents" / f"{slug}.yaml", ENTRY.format(**filled)),
    ]
    if not any((catalog / file).exists() for file in NEEDED):
        drafts += [Draft(catalog / file, _shipped(file)) for file in NEEDED]
    return drafts


def _shipped(file: str) -> str:
    try:
        return (SHIPPED_CATALOG / file).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename}: {error.strerror}; run from a complete checkout of the workspace"
        ) from error


def _check(slug: str, drafts: list[Draft], catalog: Path) -> None:
    """Refuse what exists already: a file, or an agent or workflow of that name in another file."""
    there = [str(draft.path) for draft in drafts if draft.path.exists()]
    if there:
        raise ConfigurationError(
            f"{' and '.join(there)} exist{'s' if len(there) == 1 else ''} already and"
            " nothing is overwritten; take another name, or remove what is there"
        )
    if not (catalog / NEEDED[0]).exists():
        return
    from runtime.catalog import load_catalog  # noqa: PLC0415  # 0.2 s, not for --help

    loaded = load_catalog(catalog)
    for entry in (loaded.agents.get(slug), loaded.workflows.get(slug)):
        if entry is not None:
            place = loaded.position(entry, "name")
            raise ConfigurationError(f"{slug!r} is taken, at {place}; take another name")


def _write(draft: Draft) -> None:
    try:
        draft.path.parent.mkdir(parents=True, exist_ok=True)
        with draft.path.open("x", encoding="utf-8") as file:
            file.write(draft.text)
    except OSError as error:
        raise ConfigurationError(
            f"{draft.path} cannot be written: {error.strerror}; choose another folder with --dir"
        ) from error


def _command(slug: str, workspace: Path) -> str:
    catalog = "" if workspace == Path() else f" --catalog {shlex.quote(str(workspace / 'catalog'))}"
    return f"python -m runtime run {slug}{catalog} {INPUT}"
