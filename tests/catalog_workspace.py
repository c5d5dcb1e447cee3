"""A small workspace with a faultless catalog, which each test changes in one place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from runtime.catalog import Catalog, CatalogFaults, load_catalog

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ABOVE_THE_CATALOG = re.compile(r"^.*?/catalog/?", re.MULTILINE)
FILES = {
    "providers.yaml": """\
providers:
  echo:
    dialect: echo
    models: {echo-1: {}, extract-1: {}}
  openai:
    dialect: openai_chat
    base_url: https://api.openai.com/v1
    api_key_env: [OPENAI_API_KEY]
    models: {gpt-4o: {}}
""",
    "routing/default.yaml": """\
name: default
provider: echo
default: fast
tiers:
  fast: {echo: extract-1, openai: gpt-4o}
""",
    "agents/main/digest-mag.yaml": """\
name: digest-mag
role: mag
description: Digests documents.
entrypoint: agents/digest.py:digest
skills: [find-documents]
agents: [summarise]
""",
    "agents/sub/summarise.yaml": """\
name: summarise
role: sag
description: Summarises one document.
prompt: "Summarise in {sentences} sentences. {text}"
input: {text: str, sentences: {type: int, default: 3}}
output: {summary: str}
model: fast
""",
    "skills/documents.yaml": """\
name: find-documents
description: Lists documents.
entrypoint: agents/digest.py:find
""",
    "workflows/digest.yaml": """\
name: digest
description: The demonstration.
agent: digest-mag
budget_usd: 0.50
""",
    "policies/all.yaml": """\
policies:
  - name: run_limit
    thresholds: {max_cost_per_run_usd: 5.0}
""",
}


class Workspace:
    """A folder with ``catalog/`` and ``agents/digest.py`` in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.catalog = root / "catalog"
        (root / "agents").mkdir()
        (root / "agents" / "digest.py").write_text("")

    def load(self, changed: Mapping[str, str | None] | None = None) -> Catalog:
        """Write the catalog, with files changed, added or (None) left out, and load it."""
        for name, text in {**FILES, **(changed or {})}.items():
            if text is not None:
                path = self.catalog / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        return load_catalog(self.catalog)

    def faults(self, changed: Mapping[str, str | None]) -> list[str]:
        """Return the faults as a person reads them, without the folders above the catalog."""
        with pytest.raises(CatalogFaults) as raised:
            self.load(changed)
        return _ABOVE_THE_CATALOG.sub("", str(raised.value)).splitlines()


def agent(**lines: str) -> dict[str, str | None]:
    """Return an agent's file, its first four lines fixed, one keyword a line."""
    base = {"name": "a", "role": "sag", "description": "d", "entrypoint": "agents/digest.py:a"}
    return {
        "agents/a.yaml": "".join(f"{key}: {value}\n" for key, value in {**base, **lines}.items())
    }


def prompt_only(**lines: str | None) -> dict[str, str | None]:
    """Return a prompt-only agent's file, its first five lines fixed, None leaves one out."""
    base = {"name": "a", "role": "sag", "description": "d", "prompt": "x", "output": "{z: str}"}
    merged = {**base, **lines}.items()
    return {"agents/a.yaml": "".join(f"{key}: {value}\n" for key, value in merged if value)}
