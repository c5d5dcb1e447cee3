"""The modules that code comes from: whose they are, and what is written in them."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_HOME = Path(__file__).resolve().parents[2]
_PATHS = ("stdlib", "platstdlib", "purelib", "platlib")
_FOREIGN = (
    *(f"{sysconfig.get_path(name)}/" for name in _PATHS),
    *(f"{_HOME / package}/" for package in ("runtime", "providers", "otel")),
    "<frozen",
)


def is_foreign(file: str) -> bool:
    """Whether a file is Python's own, of an installed package, or of this runtime."""
    return file.startswith(_FOREIGN)


def is_foreign_class(cls: type, module: ModuleType | None) -> bool:
    """Whether a class is defined in a module that is not read; one made by a function is not."""
    return is_foreign(file_of(module)) and getattr(module, cls.__name__, None) is cls


def file_of(module: ModuleType | None) -> str:
    """Return the file of a module that is loaded; of one without, what is foreign."""
    return getattr(module, "__file__", None) or "<frozen"


def as_written(module: str, name: str) -> tuple[str, str] | None:
    """Return where a name of a module gets its value, and by which expression; None if unknown."""
    for _ in range(10):  # through the modules that it is imported from
        loaded = sys.modules.get(module)
        said = None if loaded is None else _assigned(loaded).get(name)
        if not isinstance(said, tuple):
            return None if said is None else (module, said)
        module, name = said
    return None


@lru_cache(maxsize=1_000)
def text_of(name: str, package: str) -> str:
    """Return a module of the author's, without comments; empty where a name is that of none."""
    for full in dict.fromkeys((name, f"{package}.{name}")):
        file = _file_of_module(full)
        if file is not None and not is_foreign(str(file)):
            try:
                return ast.unparse(ast.parse(file.read_text(encoding="utf-8")))
            except (OSError, SyntaxError, ValueError):
                continue
    return ""


def _file_of_module(name: str) -> Path | None:
    """Return the file of a module that may not be loaded yet: for that, none is loaded."""
    top, *below = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    paths = [Path(spec.origin)] if spec.origin and not below else []
    for folder in spec.submodule_search_locations or () if below else ():
        path = Path(folder, *below)
        paths += [path.with_suffix(".py"), path / "__init__.py"]
    return next((path for path in paths if path.suffix == ".py" and path.is_file()), None)


@lru_cache(maxsize=1_000)
def _assigned(loaded: ModuleType) -> dict[str, str | tuple[str, str]]:
    """Return what a module says of its names: an expression, or where it is imported from."""
    if is_foreign(file_of(loaded)):
        return {}
    try:
        tree = ast.parse(inspect.getsource(loaded))
    except (OSError, SyntaxError, TypeError):
        return {}
    said: dict[str, str | tuple[str, str]] = {}
    for statement in tree.body:
        said.update(_said(statement, loaded.__package__ or ""))
    return said


def _said(statement: ast.stmt, package: str) -> Iterator[tuple[str, str | tuple[str, str]]]:
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            if isinstance(target, ast.Name):
                yield target.id, ast.unparse(statement.value)
    elif isinstance(statement, ast.ImportFrom):
        above = package.rsplit(".", statement.level - 1)[0] if statement.level else ""
        source = ".".join(filter(None, (above, statement.module)))
        for alias in statement.names:
            yield alias.asname or alias.name, (source, alias.name)
