"""From the catalog's entries to agents and skills: Python is imported, prompts become bodies.

A file is imported under its dotted name where that leads to the very same file, so that whoever
imports it by name gets the same objects; else under a name of its own.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import sys
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime.agent import Agent, Limits, Skill, classic_agent, kebab, make_agent, make_skill
from runtime.catalog import CatalogFaults, fields_to_model, split_entrypoint
from runtime.directory import Directory
from runtime.errors import ConfigurationError
from runtime.signature import to_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from runtime.catalog import AgentEntry, Catalog, Fault, SkillEntry
    from runtime.context import Context


def load_directory(catalog: Catalog) -> Directory:
    """Import everything that a catalog names.

    Raises:
        CatalogFaults: an entry point cannot be imported, or is not what its entry says; it carries
            the faults of all entries.
    """
    directory = Directory()
    faults: list[Fault] = []
    for skill in catalog.skills.values():
        _collect(faults, catalog, skill, partial(_add_skill, directory, catalog, skill))
    for agent in catalog.agents.values():
        _collect(faults, catalog, agent, partial(_add_agent, directory, catalog, agent))
    if faults:
        raise CatalogFaults(faults)
    return directory


def _collect(
    faults: list[Fault],
    catalog: Catalog,
    entry: AgentEntry | SkillEntry,
    add: Callable[[], None],
) -> None:
    try:
        add()
    except ConfigurationError as error:
        path = "entrypoint" if entry.entrypoint is not None else "prompt"
        fault = catalog.fault(entry, path, what=str(error), todo="correct the code or the entry")
        faults.append(fault)


def _add_skill(directory: Directory, catalog: Catalog, entry: SkillEntry) -> None:
    found = load_attribute(catalog.root, entry.entrypoint)
    skill = found if isinstance(found, Skill) else None
    if skill is None and callable(found) and not isinstance(found, Agent):
        skill = make_skill(found, name=entry.name)
    if skill is None:
        raise ConfigurationError(f"{entry.entrypoint} is no skill but {_kind(found)}")
    description = entry.description or skill.description
    named = dataclasses.replace(skill, name=entry.name, description=description)
    directory.add_skill(named, alias=skill)


def _add_agent(directory: Directory, catalog: Catalog, entry: AgentEntry) -> None:
    found = _prompt_agent(entry) if entry.prompt is not None else _python_agent(catalog, entry)
    if found.role != entry.role:
        raise ConfigurationError(f"its code says @{found.role}, its entry says role: {entry.role}")
    named = dataclasses.replace(
        found, name=entry.name, description=entry.description or found.description
    )
    directory.add_agent(named, limits_of(entry), alias=found)


def _python_agent(catalog: Catalog, entry: AgentEntry) -> Agent:
    found = load_attribute(catalog.root, entry.entrypoint or "")
    if isinstance(found, Agent):
        return found
    if callable(found) and not isinstance(found, Skill | type):
        return classic_agent(found, entry.role, entry.name)
    raise ConfigurationError(
        f"{entry.entrypoint} is {_kind(found)}; decorate a function or class with @{entry.role}"
    )


def _prompt_agent(entry: AgentEntry) -> Agent:
    """Return the agent that a prompt is: it fills the prompt, asks, and answers with fields."""
    takes = fields_to_model(f"{entry.name}_input", entry.input or {})
    gives = fields_to_model(f"{entry.name}_output", entry.output or {})
    prompt, system = entry.prompt or "", entry.system

    async def body(ctx: Context, fields: Any) -> Any:
        filled = prompt.format(**{name: in_prompt(value) for name, value in fields})
        return await ctx.ask(filled, returns=gives, system=system)

    body.__annotations__ = {"fields": takes, "return": gives}
    return make_agent(body, entry.role, name=entry.name)


def in_prompt(value: Any) -> Any:
    """Return a field as a prompt shows it: text and numbers as they are, all else as JSON."""
    data = to_json(value)
    if isinstance(data, str) or (isinstance(data, int | float) and not isinstance(data, bool)):
        return data
    return json.dumps(data, ensure_ascii=False)


def limits_of(entry: AgentEntry) -> Limits:
    """Return what an entry says of its agent."""
    return Limits(
        concurrency=entry.concurrency,
        mailbox=entry.mailbox,
        deadline_s=entry.deadline_s,
        max_restarts=entry.max_restarts,
        backoff=entry.backoff.schedule(),
        model=entry.model,
        max_output_tokens=entry.max_output_tokens,
        task_type=entry.task_type,
        data_class=entry.data_class,
        skills=None if entry.skills is None else frozenset(entry.skills),
        agents=None if entry.agents is None else frozenset(entry.agents),
    )


def load_attribute(workspace: Path, entrypoint: str) -> Any:
    """Import a file of the workspace and return one attribute of it.

    Raises:
        ConfigurationError: it cannot be imported, or has no such attribute.
    """
    path, attribute = split_entrypoint(entrypoint)
    try:
        module = _import(workspace, path)
    except ConfigurationError:
        raise
    except (Exception, SystemExit) as error:  # a script's exit is not this command's
        raise ConfigurationError(f"{path} cannot be imported: {_located(error)}") from error
    if not hasattr(module, attribute):
        raise ConfigurationError(f"{path} has no {attribute!r}")
    return getattr(module, attribute)


def _import(workspace: Path, path: str) -> ModuleType:
    file = (workspace / path).resolve()
    dotted = path.removesuffix(".py").replace("/", ".")
    if _leads_to(dotted, file):
        return importlib.import_module(dotted)
    name = f"{kebab(file.stem).replace('-', '_')}_{zlib.crc32(str(file).encode()):08x}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} is no Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _leads_to(dotted: str, file: Path) -> bool:
    try:
        spec = importlib.util.find_spec(dotted)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None and file.samefile(spec.origin)


def _located(error: BaseException) -> str:
    """Return an exception with the line of the deepest file that it passed through."""
    trace = error.__traceback__
    where = ""
    while trace is not None:
        where = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
        trace = trace.tb_next
    if isinstance(error, SyntaxError):
        where = f" ({error.filename}:{error.lineno})"
    return f"{type(error).__name__}: {error}{where}"


def _kind(found: object) -> str:
    return f"a {type(found).__name__.lower()}"
