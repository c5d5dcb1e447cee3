"""Where it runs: the packages beside ``runtime``, and the catalog with its workspace."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from runtime.catalog import Catalog, ModelEntry, ProviderEntry, RoutingFile, load_catalog
from runtime.errors import ConfigurationError

BESIDE = ("agents", "providers", "otel")


def open_catalog(catalog: Catalog | Path | str | None) -> Catalog:
    """Return a catalog, loaded; its workspace goes on the import path.

    Raises:
        CatalogFaults: something in it is wrong.
    """
    if catalog is None:
        return echo_catalog()
    loaded = catalog if isinstance(catalog, Catalog) else load_catalog(Path(catalog))
    # Ours first, so that a folder of the same name in somebody's workspace cannot hide them.
    for name in BESIDE[1:]:
        importlib.import_module(name)
    if str(loaded.root) not in sys.path:
        sys.path.insert(0, str(loaded.root))
    return loaded


def echo_catalog() -> Catalog:
    """Return a catalog without agents, with the models that are in this process."""
    models = {"echo-1": ModelEntry(), "extract-1": ModelEntry()}
    tiers = {
        "fast": {"echo": "extract-1"},
        "careful": {"echo": "extract-1"},
        "echo": {"echo": "echo-1"},
    }
    return Catalog(
        root=Path.cwd(),
        agents={},
        skills={},
        workflows={},
        routing=RoutingFile(name="default", provider="echo", tiers=tiers, default="echo"),
        routings={},
        providers={"echo": ProviderEntry(dialect="echo", models=models)},
        prices={},
        policies=(),
    )


def check_workspace() -> None:
    """Check that the packages beside ``runtime`` are ours and not somebody else's.

    Raises:
        ConfigurationError: one is missing, or another distribution's is found first.
    """
    home = Path(__file__).resolve().parent.parent
    for name in BESIDE:
        if not (home / name / "__init__.py").is_file():
            raise ConfigurationError(
                f"{home / name} is missing; run from a complete checkout of the workspace"
            )
    for name in BESIDE[1:]:
        found = importlib.import_module(name).__file__
        if found is None or Path(found).resolve().parent.parent != home:
            raise ConfigurationError(
                f"another distribution's {name!r} is found first, at {found};"
                " run `python -m runtime` from the workspace's root"
            )
