"""The same rules as JSON Schema, for editors that check YAML while it is written.

A schema accepts what ``load_catalog`` accepts of one file by itself. What JSON Schema cannot say
is left to loading: that a float is no whole number even if it ends in ``.0``, that one number is
below another, what a prompt's placeholders name, and everything between two files.
"""

from __future__ import annotations

import inspect
import json
import re
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from runtime.catalog.kinds import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import core_schema

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NAMES = {  # kind -> what the schema's file is called
    "agents": "agent",
    "skills": "skill",
    "workflows": "workflow",
    "routing": "routing",
    "policies": "policies",
    "providers": "providers",
    "prices": "prices",
    "retirements": "retirements",
}


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, where it says more than the catalog accepts."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """A title would only repeat the key in capitals."""
        del schema
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Each key is described by its line in the class's docstring."""
        result = super().model_schema(schema)
        result["description"], attributes = _described(schema["cls"])
        for name, text in attributes.items():
            result["properties"][name]["description"] = text
        return result

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """A value may be left out, but a key without a value is refused."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """``default: null`` would offer what is refused."""
        result = super().default_schema(schema)
        if result.get("default", ...) is None:
            del result["default"]
        return result

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """``patternProperties`` alone would accept any other key with any value."""
        result = super().dict_schema(schema)
        patterns = result.pop("patternProperties", {})
        for pattern, values in patterns.items():
            result["additionalProperties"] = values
            result["propertyNames"] = {**result.get("propertyNames", {}), "pattern": pattern}
        return result


def _described(model: type[Any]) -> tuple[str, dict[str, str]]:
    """Return a docstring's first paragraph, and what it says of each attribute."""
    summary, _, attributes = inspect.cleandoc(model.__doc__ or "").partition("\n\nAttributes:\n")
    joined = re.sub(r"\n {8}", " ", attributes)
    pairs = (line.strip().partition(": ") for line in joined.splitlines())
    return summary.partition("\n\n")[0], {name: text for name, _, text in pairs}


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return a JSON Schema for each kind of catalog file, by the name of the schema's file."""
    return {
        f"{_NAMES[kind]}.schema.json": {
            "$schema": _DRAFT,
            **reading.model.model_json_schema(schema_generator=_Generator),
        }
        for kind, reading in KINDS.items()
    }


def write_schemas(folder: Path) -> tuple[Path, ...]:
    """Write all schemas into a folder, which is made if need be, and return their paths.

    Raises:
        OSError: the folder or a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, schema in json_schemas().items():
        path = folder / name
        path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        written.append(path)
    return tuple(written)
