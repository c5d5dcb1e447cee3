"""From PyYAML's nodes to plain data, with the place of every value.

PyYAML's own constructor would drop the places, let the last of two equal keys win and follow an
alias that contains itself. Here every visit of a node, through an alias too, is paid from one
allowance, so a file of a few lines cannot become a billion values.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

from runtime.catalog.document import START, Lines, Path, Position, Spot
from runtime.catalog.faults import Fault, shown

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_DEPTH = 64  # lists and mappings inside one another
MOST_VALUES = 50_000  # values of one file; an alias counts each time
_LONGEST_NUMBER = 100  # characters; PyYAML reads 1:00:00:… in time that grows with its square

_PREFIX = "tag:yaml.org,2002:"
_MERGE = f"{_PREFIX}merge"
_SURROGATE = re.compile("[\ud800-\udfff]")
# No entry wants a date, and JSON has none: what looks like one is the text that it looks like.
_TEXT = frozenset(_PREFIX + name for name in ("str", "timestamp", "value", "merge"))
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
_SCALARS: dict[str, tuple[str, Callable[[yaml.ScalarNode], Any]]] = {
    f"{_PREFIX}null": ("empty value", _CONSTRUCTOR.construct_yaml_null),
    f"{_PREFIX}bool": ("boolean", _CONSTRUCTOR.construct_yaml_bool),
    f"{_PREFIX}int": ("whole number", _CONSTRUCTOR.construct_yaml_int),
    f"{_PREFIX}float": ("number", _CONSTRUCTOR.construct_yaml_float),
}
_CYCLE = ("this contains itself through an alias", "write the value out instead of the alias")
_DEPTH = (f"nested more than {LARGEST_DEPTH} levels deep", "make it flatter")

Pairs: TypeAlias = list[tuple[yaml.Node, yaml.Node]]


class _Broken:
    """Stands for a value that could not be read; no type accepts it."""

    def __repr__(self) -> str:
        return "<unreadable>"


BROKEN = _Broken()


class Misread(Exception):
    """The file gives no data at all, for one reason at one place."""

    def __init__(self, what: str, todo: str, position: Position = START) -> None:
        super().__init__(what)
        self.what = what
        self.todo = todo
        self.position = position


class Tree:
    """Reads the nodes of one file.

    Attributes:
        spots: the place of every value read so far.
        faults: what was wrong so far; reading goes on after each.
    """

    def __init__(self, file: str, lines: Lines) -> None:
        self.spots: dict[Path, Spot] = {}
        self.faults: list[Fault] = []
        self._file = file
        self._lines = lines
        self._allowance = MOST_VALUES
        self._open: set[int] = set()  # the containers that are being walked, by identity

    def value(self, node: yaml.Node, path: Path = (), key: Position | None = None) -> Any:
        """Return a node's data; ``BROKEN`` with a fault where it has none.

        Raises:
            Misread: the file has more than ``MOST_VALUES`` values.
        """
        position = self._position(node)
        raw = node.value if isinstance(node, yaml.ScalarNode) else None
        self.spots[path] = Spot(key or position, position, raw)
        if isinstance(node, yaml.ScalarNode):
            self._spend(node)
            return self._scalar(node)
        if not self._enter(node):
            return BROKEN
        value = self._container(node, path)
        self._leave(node)
        return value

    def _container(self, node: yaml.Node, path: Path) -> Any:
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_PREFIX}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_PREFIX}seq":
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._unknown_tag(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        """Return a mapping; its own keys win over merged ones, the first merge over the next."""
        read: dict[str, Any] = {}
        own, merged = _split(node)
        for key_node, value_node in own:
            key = _key(key_node)
            if key in read:
                first = self.spots[(*path, key)].key
                what = f"key {shown(key)} is already at line {first.line}"
                self._report(key_node, what, "keep one of the two")
            else:
                self._entry(read, path, key_node, value_node)
        for key_node, value_node in self._merged(merged):
            if _key(key_node) not in read:
                self._entry(read, path, key_node, value_node)
        return read

    def _entry(
        self, read: dict[str, Any], path: Path, key_node: yaml.Node, value_node: yaml.Node
    ) -> None:
        """Read one value; under a key that is no text there is none, only a fault."""
        key, position = _key(key_node), self._position(key_node)
        if _is_text(key_node) and not _SURROGATE.search(key):
            read[key] = self.value(value_node, (*path, key), position)
            return
        read[key] = BROKEN
        self.spots[(*path, key)] = Spot(position, position, None)
        what = f"a key must be text, and YAML does not read {shown(key)} as text"
        self._report(key_node, what, "put the key in quotes")

    def _merged(self, values: list[yaml.Node]) -> Pairs:
        """Return the pairs that ``<<`` brings, in the order in which they win."""
        pairs: Pairs = []
        for value in values:
            sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for source in sources:
                pairs += self._pairs(source)
        return pairs

    def _pairs(self, source: yaml.Node) -> Pairs:
        """Return the pairs of one mapping behind ``<<``, merged ones included."""
        if not isinstance(source, yaml.MappingNode):
            self._report(source, "'<<' takes a mapping", "give it an alias of a mapping")
            return []
        if not self._enter(source):
            return []
        own, merged = _split(source)
        for key_node, _ in own:
            self._spend(key_node)
        pairs = own + self._merged(merged)
        self._leave(source)
        return pairs

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if _is_text(node):
            return self._text(node)
        if node.tag not in _SCALARS:
            return self._unknown_tag(node)
        kind, construct = _SCALARS[node.tag]
        try:
            value = construct(node) if len(node.value) <= _LONGEST_NUMBER else math.nan
        except (ValueError, KeyError, IndexError, OverflowError):
            value = math.nan
        if isinstance(value, float) and not math.isfinite(value):
            what = f"{shown(node.value)} is no {kind} that can be used"
            return self._report(node, what, "correct it, or put it in quotes if it is a text")
        return value

    def _text(self, node: yaml.ScalarNode) -> str | _Broken:
        if _SURROGATE.search(node.value):
            what = "half a character: an escape of a lone surrogate"
            return self._report(node, what, "write the character itself")
        return str(node.value)

    def _unknown_tag(self, node: yaml.Node) -> _Broken:
        tag = node.tag.replace(_PREFIX, "!!")
        return self._report(node, f"unknown tag {shown(tag)}", "remove it, and write plain YAML")

    def _enter(self, node: yaml.Node) -> bool:
        """Whether a container may be walked; a fault says why it may not."""
        self._spend(node)
        cycle = id(node) in self._open
        if cycle or len(self._open) >= LARGEST_DEPTH:
            self._report(node, *(_CYCLE if cycle else _DEPTH))
            return False
        self._open.add(id(node))
        return True

    def _leave(self, node: yaml.Node) -> None:
        self._open.discard(id(node))

    def _spend(self, node: yaml.Node) -> None:
        self._allowance -= 1
        if self._allowance < 0:
            what = f"more than {MOST_VALUES:,} values, each alias counted as what it stands for"
            raise Misread(what, "use fewer aliases, or split the file", self._position(node))

    def _position(self, node: yaml.Node) -> Position:
        return self._lines.position(node.start_mark.index)

    def _report(self, node: yaml.Node, what: str, todo: str) -> _Broken:
        self.faults.append(Fault(self._file, *self._position(node), what, todo))
        return BROKEN


def _is_text(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag in _TEXT


def _key(node: yaml.Node) -> str:
    """Return a key as it is written, whatever YAML reads it as."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"


def _split(node: yaml.MappingNode) -> tuple[Pairs, list[yaml.Node]]:
    """Return a mapping's own pairs, and the values of its ``<<`` keys."""
    own = [pair for pair in node.value if pair[0].tag != _MERGE]
    return own, [value for key, value in node.value if key.tag == _MERGE]
