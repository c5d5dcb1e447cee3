"""Where an agent's or skill's Python is: ``path.py:attribute``, inside the workspace."""

from __future__ import annotations

from pathlib import Path, PurePath


def split_entrypoint(entrypoint: str) -> tuple[str, str]:
    """Return the relative path and the attribute of ``path.py:attribute``."""
    path, _, attribute = entrypoint.rpartition(":")
    return path, attribute


def entrypoint_problem(entrypoint: str, workspace: Path) -> tuple[str, str] | None:
    """Return what is wrong with an entry point's file, and what to do; None if it is there.

    Args:
        entrypoint: ``path.py:attribute``.
        workspace: the folder that the path is relative to and must not leave, by links neither.
    """
    path, _ = split_entrypoint(entrypoint)
    if PurePath(path).is_absolute() or not _inside(workspace, path):
        return f"{path!r} is not inside the workspace", "write a path relative to it, without '..'"
    if not _is_file(workspace / path):
        return f"there is no file {path!r} in the workspace", "write the file, or correct the path"
    return None


def _inside(workspace: Path, path: str) -> bool:
    try:
        return (workspace / path).resolve().is_relative_to(workspace.resolve())
    except (OSError, RuntimeError):  # a loop of links
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is longer than names can be
        return False
