"""The digest of an agent changes with what it does, and with nothing else."""

from __future__ import annotations

import subprocess
import sys
from enum import Enum
from shutil import copytree, ignore_patterns
from typing import TYPE_CHECKING

import pytest

from runtime import Context, mag, running
from runtime.code import Codes, changes
from runtime.code.modules import text_of
from runtime.definitions import load_directory
from runtime.workspace import open_catalog
from tests.cli_workspace import environment, make_workspace

if TYPE_CHECKING:
    from pathlib import Path

AGENTS = '''\
"""Two agents."""
import re
from functools import lru_cache
from enum import Enum
from dataclasses import dataclass
from pydantic import BaseModel, Field
import naps_words as words
from naps_words import TONES, polite
from runtime import Context, mag, sag, skill

MANNER = "kind"
LIMITS = {"words": 10}
CACHE = []
PART = "of tables"
PARTS = {"a": PART, "b": [1]}


@lru_cache
def cached(text):
    return text + "!"


class Tool:
    def use(self):
        return 5


TOOL = Tool()


def twice(function):
    async def again(ctx):
        return [await function(ctx), 2]

    again.__name__ = function.__name__
    return again


class Colour(Enum):
    RED = 1


class Note(BaseModel):
    text: str = Field(description="what is said")


@dataclass
class Size:
    width: int = 3


def helper(text):
    return [each for each in text if each in {"a", "b", "c"}]


@skill
def count(text: str) -> int:
    return len(helper(text))


@sag
async def inner(ctx: Context, text: str, size: Size = Size()) -> Note:
    CACHE.append(text)
    return await ctx.ask(f"{MANNER} {TONES} {words.GREETING} {polite(text)} {LIMITS}", returns=Note)


@mag
async def naps(ctx: Context, text: str = "x") -> str:
    """Delegate."""
    await ctx.use(count, text)
    await ctx.delegate("quiet")
    from naps_late import later
    later()
    return (await ctx.delegate(inner, text)).unwrap().text


@sag
@twice
async def quiet(ctx: Context) -> str:
    return str(Colour.RED) + cached(PARTS["a"]) + str(TOOL.use())


@sag
async def apart(ctx: Context) -> str:
    return "nobody asks me"
'''
WORDS = """\
GREETING = "hello"
TONES = ["soft", "loud"]


def polite(text):
    return f"please, {text}"
"""
LATE = """\
# not loaded before it is needed
def later():
    return 1
"""
PRINT = """
from runtime.code import Codes
from runtime.definitions import load_directory
from runtime.workspace import open_catalog
print(Codes(load_directory(open_catalog("catalog"))).of("naps").digest)
"""


def entry(name: str, role: str = "sag", more: str = "") -> str:
    return f"name: {name}\nrole: {role}\ndescription: d.\nentrypoint: agents/naps.py:{name}\n{more}"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # it is known by its second alone
    monkeypatch.setattr(sys, "path", [*sys.path])
    make_workspace(tmp_path)
    write(tmp_path)
    return tmp_path


def write(
    folder: Path, agents: str = AGENTS, words: str = WORDS, late: str = LATE, more: str = ""
) -> None:
    (folder / "naps_late.py").write_text(late)
    (folder / "agents" / "naps.py").write_text(agents)
    (folder / "naps_words.py").write_text(words)
    for name in ("inner", "quiet", "apart"):
        (folder / "catalog" / "agents" / f"{name}.yaml").write_text(entry(name))
    (folder / "catalog" / "agents" / "naps.yaml").write_text(entry("naps", "mag", more))


def loaded(folder: Path) -> Codes:
    """Load a workspace as a new process would."""
    text_of.cache_clear()  # a new process has none
    for name in [name for name in sys.modules if name.startswith("naps_")]:
        del sys.modules[name]
    return Codes(load_directory(open_catalog(folder / "catalog")))


EDITS = {
    "the words of a prompt": ("{MANNER} ", "very {MANNER} ", ["agent inner"]),
    "a constant": ('"kind"', '"rude"', ["agent inner"]),
    "a table": ('"words": 10', '"words": 11', ["agent inner"]),
    "the type of an answer": ("what is said", "what is shouted", ["agent inner"]),
    "a field of an input": ("width: int = 3", "width: int = 4", ["agent inner"]),
    "a helper of a skill": ('"b", "c"', '"b", "d"', ["skill count"]),
    "an agent that a text names": ("str(Colour.RED)", "repr(Colour.RED)", ["agent quiet"]),
    "a part of a table": ('"of tables"', '"of chairs"', ["agent quiet"]),
    "a helper that is cached": ('text + "!"', 'text + "?"', ["agent quiet"]),
    "the class of a tool": ("return 5", "return 6", ["agent quiet"]),
    "what decorates an agent": ("function(ctx), 2", "function(ctx), 3", ["agent quiet"]),
    "a member of an enumeration": ("RED = 1", "RED = 2", ["agent quiet"]),
    "a step": ('await ctx.delegate("quiet")', "await ctx.delegate(quiet)", ["agent naps"]),
    "a comment and empty lines": ("\n@skill", "\n\n\n# used everywhere\n@skill", []),
    "an agent that the run cannot reach": ("nobody asks me", "nobody will", []),
    "what changes while it runs": ("CACHE = []", "CACHE =  [ ]", []),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.real_time
def test_an_edit_changes_the_digests_of_those_alone_that_do_something_else(
    workspace: Path, edit: str
) -> None:
    before, after, expected = EDITS[edit]
    assert AGENTS.count(before) == 1, edit
    then = loaded(workspace).of("naps")
    write(workspace, AGENTS.replace(before, after))
    assert changes(then, loaded(workspace), "naps") == expected


@pytest.mark.parametrize("word", ["hello", "soft", "please"])
@pytest.mark.real_time
def test_what_is_in_another_file_of_the_workspace_counts_too(workspace: Path, word: str) -> None:
    then = loaded(workspace).of("naps")
    write(workspace, words=WORDS.replace(word, "other"))
    assert changes(then, loaded(workspace), "naps") == ["agent inner"]


@pytest.mark.real_time
def test_a_module_that_is_imported_late_counts_too(workspace: Path) -> None:
    then = loaded(workspace).of("naps")
    write(workspace, late=LATE.replace("not loaded", "loaded late"))
    assert changes(then, loaded(workspace), "naps") == []
    write(workspace, late=LATE.replace("1", "2"))
    assert changes(then, loaded(workspace), "naps") == ["agent naps"]


@pytest.mark.real_time
def test_where_the_workspace_is_does_not_count(workspace: Path, tmp_path: Path) -> None:
    plain = AGENTS.replace("(ctx: Context, text: str, size", "(ctx: Context, text: Note, size")
    write(workspace, plain)
    then = loaded(workspace).of("naps")
    moved = tmp_path / "moved"
    copytree(workspace, moved, ignore=ignore_patterns("moved"))
    sys.path[:] = [path for path in sys.path if path != str(workspace)]
    assert changes(then, loaded(moved), "naps") == []


@pytest.mark.real_time
def test_an_agent_that_is_gone_is_said_to_be(workspace: Path) -> None:
    then = loaded(workspace).of("naps")
    (workspace / "catalog" / "agents" / "quiet.yaml").unlink()
    assert changes(then, loaded(workspace), "naps") == ["agent quiet (not here any more)"]


@pytest.mark.real_time
def test_whom_the_catalog_lets_it_reach_counts(workspace: Path) -> None:
    assert "apart" not in loaded(workspace).of("naps").agents
    write(workspace, more="agents: [apart, inner, quiet]\n")
    assert "apart" in loaded(workspace).of("naps").agents


@pytest.mark.real_time
def test_the_prompt_of_an_agent_in_yaml_is_its_code(workspace: Path) -> None:
    said = "name: poet\nrole: sag\ndescription: d.\nprompt: A poem on {topic}\n"
    said += "input: {topic: {type: str}}\noutput: {poem: {type: str}}\n"
    file = workspace / "catalog" / "agents" / "poet.yaml"
    file.write_text(said)
    then = loaded(workspace).of("poet")
    assert changes(then, loaded(workspace), "poet") == []
    for before, after in (("A poem", "An ode"), ("{poem: {type: str}}", "{poem: {type: int}}")):
        file.write_text(said.replace(before, after))
        assert changes(then, loaded(workspace), "poet") == ["agent poet"]


@pytest.mark.real_time
def test_another_python_cannot_be_compared(workspace: Path) -> None:
    then = loaded(workspace).of("naps")._replace(python="cpython-30")
    (said,) = changes(then, loaded(workspace), "naps")
    assert said.startswith("Python (it was cpython-30, this is ")


@pytest.mark.real_time
def test_every_process_reads_the_same(workspace: Path) -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", PRINT], cwd=workspace, env=environment(PYTHONHASHSEED=seed),
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(digests) == 1


class Shy(Enum):
    """A kind of value that does not like to be looked at."""

    IT = 1

    def __repr__(self) -> str:
        raise ZeroDivisionError


async def test_code_that_cannot_be_read_does_not_fail_its_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @mag
    async def uses(ctx: Context) -> int:
        return len([Shy.IT])

    async with running(agents=(uses,), environ={}) as system:
        for _ in range(2):
            assert (await system.run(uses)).output == 1
    (said,) = [record.message for record in caplog.records if record.name == "runtime.run"]
    assert said.startswith("the code of agent uses cannot be read whole")
