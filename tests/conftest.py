"""Virtual time for every test that does not ask for the real clock.

The loop never waits: when nothing is ready its clock leaps to the next deadline, so an hour of
back-off takes microseconds, and a test that would hang for ever fails at once as a deadlock.
Tests with threads, sockets or processes carry the marker ``real_time``. No example of a property
has to be quick either: how long one takes depends on what else the machine does.
"""

from __future__ import annotations

import asyncio
import os
import selectors
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests import nats_server, postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True, scope="session")
def _nobody_s_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let no test write to the home of whoever runs it: journals and spools fall back on that."""
    home, kept = tmp_path_factory.mktemp("home"), os.environ.copy()
    os.environ["HOME"] = str(home)
    os.environ.pop("XDG_STATE_HOME", None)
    yield
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture(autouse=True, scope="session")
def _no_server_stays() -> Iterator[None]:
    yield
    postgres.remove_server()
    nats_server.remove_shared_server()


class Leap(selectors.DefaultSelector):
    """A selector that moves the loop's clock to the next deadline instead of waiting for it."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events and timeout is None:
            raise RuntimeError("deadlock: nothing is scheduled")
        if not events and timeout is not None and timeout > 0:
            self.now += timeout
        return events


class LeapingEventLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock is the selector's."""

    def __init__(self) -> None:
        self._leap = Leap()
        super().__init__(self._leap)

    def time(self) -> float:
        return self._leap.now


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    del config
    if item.get_closest_marker("real_time") is not None:
        return {"real_time": asyncio.new_event_loop}
    return {"virtual_time": LeapingEventLoop}
