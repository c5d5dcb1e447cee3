"""How often a process looks for garbage: seldom while it starts, and not very often at work.

Python looks after every 700 new objects, at the same ones again and again. A start makes 100,000
that stay: that took a fifth of the time until the first agent ran. At work each call makes hundreds
that go by themselves, and looking took a tenth of it. What does not go by itself, as of a call that
failed, is little between two looks: the memory for a thousand such calls at once is the same.
"""

from __future__ import annotations

import gc

_STARTING, _AT_WORK = 50_000, 10_000  # new objects from one look to the next


def put_off() -> None:
    """Look seldom, until ``at_work``."""
    gc.set_threshold(_STARTING)


def at_work() -> None:
    """Look as often as work needs, but not at what the start has made.

    A process in which ``put_off`` was not called is somebody else's, and stays as it is.
    """
    if gc.get_threshold()[0] == _STARTING:
        gc.freeze()
        gc.set_threshold(_AT_WORK)
