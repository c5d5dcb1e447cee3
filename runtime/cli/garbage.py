"""Garbage while a process starts: next to nothing of what it makes is any, so nobody looks for it.

Python looks after every 700 new objects, at the same ones again and again. A start makes 100,000
that stay: that took a fifth of the time until the first agent ran. A process that goes on to work
looks as usual, but not at what it started with.
"""

from __future__ import annotations

import gc

_USUAL = gc.get_threshold()
_NEW_OBJECTS = 50_000  # from one look to the next while the process starts


def put_off() -> None:
    """Look seldom, until ``as_usual``."""
    gc.set_threshold(_NEW_OBJECTS)


def as_usual() -> None:
    """Look as often as before ``put_off``; where that was not called, do nothing."""
    if gc.get_threshold()[0] == _NEW_OBJECTS:
        gc.freeze()
        gc.set_threshold(*_USUAL)
