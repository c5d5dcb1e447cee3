"""Filling a JSON Schema with a value that satisfies it, always the same for the same prompt.

In reading order:

- ``shape``: whether it is a schema at all;  ``json_types``: types and equality
- ``dice``: choices that look random and are a hash;  ``references``: what a ``$ref`` points to
- ``conformance``: whether a value satisfies a schema;  ``nesting``: how deep one must go at least
- ``demands``: everything that one value must satisfy, and the alternatives that a schema leaves
- ``pattern``, ``strings``, ``numbers``: candidates for the scalars
- ``source``: where better values than invented ones come from, such as JSON in the prompt
- ``filler``, ``objects``, ``arrays``: the walk; every value is checked before it is taken

Most schemas are filled at the first try. ``not``, ``oneOf`` and their like cannot be satisfied by
construction, so there candidates are tried until one conforms, up to a bound, and then the error
says where it gave up.
"""

from providers.filling.conformance import conforms
from providers.filling.filler import Filled, fill
from providers.filling.references import Unfillable
from providers.filling.source import Field, NoSource, Source

__all__ = ["Field", "Filled", "NoSource", "Source", "Unfillable", "conforms", "fill"]
