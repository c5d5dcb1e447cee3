"""Skills that find and read documents. A plain ``def`` runs in a worker thread, so it may block."""

from __future__ import annotations

import codecs
import os
import stat
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from runtime import skill
from runtime.errors import InvalidInput, RuntimeFault

if TYPE_CHECKING:
    from collections.abc import Iterator

SKIPPED = frozenset({"node_modules", "__pycache__", "venv"})  # besides everything hidden
BYTE_ORDER_MARKS = (  # the longer ones first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
REPLACEMENT = "\ufffd"
MOST_REPLACED = 0.1  # of all characters; a file with more is no text in this encoding


class UnreadableDocument(RuntimeFault):
    """The document cannot be read; trying again would not help."""

    reason = "unreadable"


class Failure(BaseModel):
    """A document that could not be used, and why."""

    path: str
    reason: str


class Found(BaseModel):
    """The documents below a folder.

    Attributes:
        root: the folder that the paths are relative to.
        paths: a folder's own documents before those of the folders in it, each by name.
        unreadable: what could not be listed.
        left_out: how many more there are, beyond the limit.
    """

    root: str
    paths: list[str] = []
    unreadable: list[Failure] = []
    left_out: int = 0


class Document(BaseModel):
    """The text of a document, and what a reader should know about it."""

    text: str
    notes: list[str] = []


@skill
def find_documents(path: str, glob: str = "*.md", limit: int = 5_000) -> Found:
    """Find the documents in a folder and in the folders below it.

    Args:
        path: the folder; or one file, which is then the only document.
        glob: which files, by the end of their path: ``*.md``, ``docs/*.md``, ``**/notes/*.txt``.
        limit: how many to return at most; the others are only counted.

    Raises:
        InvalidInput: there is nothing at ``path``.
    """
    try:
        start = Path(path).expanduser()
        is_file, is_folder = start.is_file(), start.is_dir()
    except (OSError, RuntimeError) as error:  # the latter: ~somebody without a home
        raise InvalidInput(f"{path!r} cannot be read: {error}") from error
    if is_file:
        return Found(root=str(start.parent), paths=[start.name])
    if not is_folder:
        raise InvalidInput(f"there is no file or folder {path!r}")
    found = Found(root=str(start))
    for name in _walk(start, found.unreadable):
        if _matches(name, glob):
            _add(found, name, limit)
    found.left_out += _cut(found.unreadable, limit)
    return found


@skill
def read_document(path: str, max_bytes: int = 65_536) -> Document:
    """Read the beginning of a text file.

    Args:
        path: the file.
        max_bytes: how much to read; the document's notes say when that is not all of it.

    Raises:
        UnreadableDocument: it is missing, empty, no regular file or no text.
    """
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for its other end
            raise UnreadableDocument("it is not a regular file")
        with Path(path).open("rb") as file:
            data = file.read(max_bytes)
    except OSError as error:
        raise UnreadableDocument(error.strerror or str(error)) from error
    text = _decode(data, whole=len(data) >= status.st_size)
    notes = []
    if len(data) < status.st_size:
        notes.append(f"only the first {len(data):,} of {status.st_size:,} bytes were read")
    if REPLACEMENT in text:
        notes.append(f"bytes that are no text are shown as {REPLACEMENT}")
    return Document(text=text, notes=notes)


def _walk(root: Path, unreadable: list[Failure]) -> Iterator[str]:
    def note(error: OSError) -> None:
        name = os.path.relpath(error.filename, root)
        unreadable.append(Failure(path=_printable(name), reason=error.strerror or str(error)))

    for base, folders, files in os.walk(root, onerror=note):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and name[0] != ".")
        inside = Path(base).relative_to(root)
        yield from ((inside / name).as_posix() for name in sorted(files) if name[0] != ".")


def _matches(path: str, glob: str) -> bool:
    """Match the end of a path; ``*`` also stands for folders, and ``**/`` for none."""
    pattern = "*/" + glob.removeprefix("./").lstrip("/")
    return any(fnmatchcase(f"/{path}", one) for one in (pattern, pattern.replace("/**/", "/")))


def _add(found: Found, path: str, limit: int) -> None:
    if len(found.paths) + len(found.unreadable) >= limit:
        found.left_out += 1
    elif (printable := _printable(path)) == path:
        found.paths.append(path)
    else:
        found.unreadable.append(Failure(path=printable, reason="its name is not UTF-8"))


def _cut(failures: list[Failure], limit: int) -> int:
    """Drop the failures beyond the limit, and return how many."""
    excess = max(0, len(failures) - limit)
    del failures[limit:]
    return excess


def _printable(name: str) -> str:
    """Return a name with the bytes that are no UTF-8 written out, as JSON cannot carry them."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _decode(data: bytes, *, whole: bool) -> str:
    codec = next((codec for mark, codec in BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    if codec == "utf-8" and b"\0" in data:
        raise UnreadableDocument("it is a binary file")
    # Without `final`, a character that the limit cut in two is dropped instead of replaced.
    text = codecs.getincrementaldecoder(codec)("replace").decode(data, final=whole)
    if not text.strip():
        raise UnreadableDocument("it is empty")
    if text.count(REPLACEMENT) > len(text) * MOST_REPLACED:
        raise UnreadableDocument("it is neither UTF-8 nor marked as another encoding")
    return text
