"""One YAML file, read from the disk; nothing in it can crash the reader, hang it or exhaust memory.

Bytes become text, text becomes PyYAML's nodes (``tree.py`` makes data of those). The file's size,
its depth and the number of its values are limited, and whatever is wrong becomes a ``Fault``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from runtime.catalog.document import START, Document, Lines, Position
from runtime.catalog.faults import Fault
from runtime.catalog.tree import LARGEST_DEPTH, MOST_VALUES, Misread, Tree

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_FILE = 1024 * 1024  # bytes
_Quickest: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # PyYAML may be without libyaml
_DIFFERENT = re.compile("[\t\ufeff!?]|[|>][-+0-9]*#")  # what libyaml may read otherwise
_LONGEST_PROBLEM = 200  # characters; PyYAML repeats a name of any length
_QUOTE = "correct the YAML here, or put the text in quotes"
_ADVICE = (  # what PyYAML says begins with or contains -> what to do
    ("found character '\\t'", "indent and separate with spaces instead of the tab"),
    ("another document", "move it to a file of its own; a catalog file holds one document"),
    ("mapping values are not allowed", "indent it like its neighbours, or quote a text with ': '"),
    ("undefined alias", "define the anchor (&name) above it, or quote a text that begins with '*'"),
    ("duplicate anchor", "give each anchor a name of its own"),
    ("'<stream end>'", "close the bracket"),
    ("unexpected end of stream", "close the quotation mark"),
    ("could not find expected ':'", "add the ':' and a space after the key"),
    ("nested", "make it flatter"),
    ("more than", "split it into smaller files"),
    ("unacceptable character", "remove the character, or escape it in double quotes"),
)


def shown_path(path: Path) -> str:
    """Return a path as faults show it: relative if below the current directory, on one line."""
    absolute, here = path.absolute(), path.cwd()
    text = str(absolute.relative_to(here) if absolute.is_relative_to(here) else path)
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def read_document(path: Path) -> tuple[Document | None, tuple[Fault, ...]]:
    """Read one file. Never raises.

    Returns:
        The document and its faults. There is no document when the file gives no mapping at all;
        one that has faults holds what could be read, so that the rest of it is checked as well.
    """
    file = shown_path(path)
    try:
        text = _decode(_bytes_of(path))
        return _document(file, text)
    except Misread as misread:
        return None, (Fault(file, *misread.position, misread.what, misread.todo),)


def _document(file: str, text: str) -> tuple[Document | None, tuple[Fault, ...]]:
    lines = Lines(text)
    node = _compose(text, lines)
    tree = Tree(file, lines)
    data = tree.value(node)
    if isinstance(data, dict):
        return Document(file, data, tree.spots), tuple(tree.faults)
    if tree.faults:
        return None, tuple(tree.faults)
    what = "the file must be a mapping at its top level"
    raise Misread(what, "write 'key: value' lines", tree.spots[()].value)


def _bytes_of(path: Path) -> bytes:
    """Return the bytes of a regular file; a pipe or device could block for ever."""
    try:
        if path.exists() and not path.is_file():
            raise Misread("not a regular file", "put a YAML file here, or remove it")
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as error:
        what = f"the file cannot be read: {error.strerror or 'unknown reason'}"
        raise Misread(what, "make it readable, or remove it") from error
    if len(raw) > LARGEST_FILE:
        raise Misread("the file is larger than 1 MiB", "split it into smaller files")
    return raw


def _decode(raw: bytes) -> str:
    """Return the text without a byte order mark."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        what = f"byte 0x{error.object[error.start]:02x} is not UTF-8"
        position = Lines(before).position(len(before))
        raise Misread(what, "save the file as UTF-8", position) from error


class _Bounds(yaml.composer.Composer):
    """Stops composing where recursion or memory would have no bound."""

    _depth = 0
    _nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node, counted.

        Raises:
            ComposerError: there are too many, or too many inside one another.
        """
        self._depth += 1
        self._nodes += 1
        if self._depth > LARGEST_DEPTH:
            self._stop(f"nested more than {LARGEST_DEPTH} levels deep")
        if self._nodes > MOST_VALUES:
            self._stop(f"more than {MOST_VALUES:,} values")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _stop(self, problem: str) -> None:
        raise yaml.composer.ComposerError(problem=problem)


class _Loader(_Bounds, yaml.SafeLoader):
    """PyYAML's own, whose errors say what is wrong and where."""

    def __init__(self, text: str) -> None:
        yaml.SafeLoader.__init__(self, text)

    def _stop(self, problem: str) -> None:
        raise yaml.composer.ComposerError(problem=problem, problem_mark=self.get_mark())


class _QuickLoader(_Bounds, _Quickest):  # type: ignore[misc]  # which it is shows at run time
    """The same in a sixth of the time: libyaml parses, and PyYAML composes."""

    def __init__(self, text: str) -> None:
        _Quickest.__init__(self, text)
        _Bounds.__init__(self)


def _compose(text: str, lines: Lines) -> yaml.Node:
    """Return the root node of a text that is one YAML document."""
    return _composed_quickly(text) or _composed(text, lines)


def _composed_quickly(text: str) -> yaml.Node | None:
    """Return the root node; None where PyYAML's own loader has to look.

    That is where something is wrong, and where libyaml may take what PyYAML does not: a catalog
    is the same on every machine.
    """
    if _DIFFERENT.search(text):
        return None
    try:
        return _QuickLoader(text).get_single_node()
    except (yaml.YAMLError, ValueError, OverflowError):
        return None


def _composed(text: str, lines: Lines) -> yaml.Node:
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        problem = f"unacceptable character #x{error.character:04x}"
        raise _misread(problem, lines.position(error.position)) from error
    except yaml.MarkedYAMLError as error:
        raise _misread(_problem(error, lines), _place(error, lines)) from error
    except (ValueError, OverflowError) as error:  # an escape or a version beyond all bounds
        position = lines.position(loader.index) if loader else START
        raise _misread("a number beyond all bounds", position) from error
    if node is None:
        raise Misread("the file is empty", "describe an entry in it, or remove it")
    return node


def _place(error: yaml.MarkedYAMLError, lines: Lines) -> Position:
    mark = error.problem_mark or error.context_mark
    return lines.position(mark.index) if mark else START


def _problem(error: yaml.MarkedYAMLError, lines: Lines) -> str:
    """Return what PyYAML says; where it began counts for a bracket that is never closed."""
    problem = error.problem or error.context or "unreadable"
    if error.context is None or error.context_mark is None:
        return problem
    return f"{problem} ({error.context} at line {lines.position(error.context_mark.index).line})"


def _misread(problem: str, position: Position) -> Misread:
    advice = next((todo for part, todo in _ADVICE if part in problem), _QUOTE)
    return Misread(f"not readable as YAML: {problem[:_LONGEST_PROBLEM]}", advice, position)
