"""Who is alive, who is dead for certain, and of whom nobody can know."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.journal.liveness import is_lost, look, standing, this_process
from runtime.journal.ownership import ProcessIdentity, Sighting, identity_of, standing_of
from runtime.journal.ownership import is_lost as is_lost_by
from tests.interrupted import dead_pid

HERE = ProcessIdentity("host", 7, 100, "pid:[1]", "boot", "machine")
GONE, NOBODY_KNOWS = Sighting(exists=False), Sighting(exists=None)
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of processes")


def there(started: int | None = None) -> Sighting:
    return Sighting(exists=True, started=started)


@pytest.mark.parametrize(
    ("changed", "seen", "expected"),
    [
        ({}, GONE, "alive"),  # who asks is alive
        ({"pid": 8}, there(100), "alive"),
        ({"pid": 8}, GONE, "dead"),
        ({"pid": 8}, there(101), "dead"),  # the number is another's by now
        ({"started": 99}, there(100), "dead"),  # a container that was started again: always 7
        ({"pid": 8}, there(), "alive"),  # hidden from us
        ({"pid": 8, "started": None}, there(100), "alive"),
        ({"namespace": "pid:[2]"}, GONE, "unknown"),
        ({"namespace": ""}, GONE, "unknown"),
        ({"host": "renamed"}, there(100), "alive"),
        ({"host": "renamed", "pid": 8}, GONE, "dead"),
        ({"boot": "former"}, there(100), "dead"),
        ({"boot": "former", "machine": ""}, GONE, "unknown"),
        ({"boot": "another's", "machine": "another"}, GONE, "unknown"),
        ({"boot": "another's", "host": "another"}, GONE, "unknown"),
        ({"pid": 8}, NOBODY_KNOWS, "unknown"),
    ],
)
def test_the_standing_of_a_process_is_only_certain_where_it_can_be_seen(
    changed: dict[str, object], seen: Sighting, expected: str
) -> None:
    owner = replace(HERE, **changed)  # type: ignore[arg-type]  # the table has what fits
    assert standing_of(owner, HERE, lambda _pid: seen) == expected


@pytest.mark.parametrize(
    ("host", "seen", "expected"),
    [
        ("host", GONE, "dead"),
        ("host", there(), "alive"),
        ("host", NOBODY_KNOWS, "unknown"),
        ("elsewhere", GONE, "unknown"),
    ],
)
def test_where_no_boot_is_known_host_and_number_decide(
    host: str, seen: Sighting, expected: str
) -> None:
    for here in (HERE, ProcessIdentity("host", 7)):
        assert standing_of(ProcessIdentity(host, 8), here, lambda _pid: seen) == expected


@pytest.mark.parametrize(
    ("known", "held_until", "expected"),
    [
        ("dead", 20.0, True),
        ("dead", None, True),
        ("alive", 20.0, False),
        ("alive", 10.0, True),  # it was stopped, or its disk was
        ("alive", None, False),
        ("unknown", 20.0, False),
        ("unknown", 10.0, True),
        ("unknown", None, True),
    ],
)
def test_a_run_is_kept_by_whoever_may_be_alive_until_its_lease_is_over(
    known: str, held_until: float | None, expected: bool
) -> None:
    assert is_lost_by(known, held_until, 10.0) is expected  # type: ignore[arg-type]  # one of three


def test_a_run_of_which_nobody_says_whose_it_is_is_nobody_s_to_take() -> None:
    assert identity_of(None, 7, None) is identity_of(None, None, "host") is None
    assert is_lost(10.0, None, None, None, 1.0) is False


@given(
    st.builds(
        ProcessIdentity,
        host=st.text(min_size=1),
        pid=st.integers(min_value=1),
        started=st.none() | st.integers(min_value=0),
        namespace=st.text(st.characters(exclude_characters="/")),
        boot=st.text(st.characters(exclude_characters="/")),
        machine=st.text(st.characters(exclude_characters="/")),
    )
)
def test_an_identity_is_read_as_it_was_written(identity: ProcessIdentity) -> None:
    assert identity_of(str(identity), None, None) == identity


@on_linux
def test_this_process_is_known_in_full_and_a_child_is_another() -> None:
    here = this_process()
    assert here.pid == os.getpid()
    assert None not in (here.started, here.namespace or None, here.boot or None)
    assert look(here.pid).started == here.started
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, str(this_process()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = identity_of(pipe.read(), None, None)
    assert said is not None
    assert said.pid == child
    assert standing(said) == "dead"


@on_linux
def test_the_same_number_with_another_start_is_dead() -> None:
    parent = replace(this_process(), pid=os.getppid(), started=look(os.getppid()).started)
    assert standing(parent) == "alive"
    assert parent.started is not None
    assert standing(replace(parent, started=parent.started + 1)) == "dead"


@on_linux
def test_a_process_that_was_killed_is_dead_before_anybody_has_waited_for_it() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        alive = replace(this_process(), pid=process.pid, started=look(process.pid).started)
        assert standing(alive) == "alive"
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert standing(alive) == "dead"


def test_a_number_that_no_process_has_is_seen() -> None:
    assert look(dead_pid()).exists is False
    assert look(2**70).exists is False
