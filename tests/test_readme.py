"""What the README says is run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

from runtime import running
from runtime.catalog import load_catalog

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    joined = "\n".join(blocks("bash")).replace("\\\n", " ")
    return [line.split("  #")[0].strip() for line in joined.splitlines() if line.strip()]


def python(*arguments: str, state: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "XDG_STATE_HOME": str(state)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_first_two_commands_are_the_whole_set_up() -> None:
    assert commands()[:2] == ["make run", "make test"]
    assert re.search(r"^run: \$\(READY\)", MAKEFILE, re.MULTILINE)
    assert re.search(r"^test: \$\(READY\)", MAKEFILE, re.MULTILINE)


def test_make_run_is_the_command_that_the_readme_says_and_prints_a_digest_of_these_documents(
    tmp_path: Path,
) -> None:
    said = re.search(r"`make run` is `python (-m runtime run digest .*?)`:", README)
    assert said is not None
    assert f"python {said[1]}" in MAKEFILE
    done = python(*shlex.split(said[1]), state=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Source: `README.md`" in done.stdout
    assert "Source: `CHANGELOG.md`" in done.stdout


def test_make_test_finds_its_tests(tmp_path: Path) -> None:
    done = python("-m", "pytest", "--collect-only", "-q", "tests/test_readme.py", state=tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_offer_command_gives_the_golden_case(tmp_path: Path) -> None:
    (line,) = [line for line in commands() if " run offer " in line]
    done = python(*shlex.split(line)[1:], state=tmp_path)
    offer = json.loads(done.stdout)["output"]["offer"]
    assert offer["base_salary"]["amount"] == 194_000
    assert (offer["band"]["min"], offer["band"]["max"]) == (174_600, 213_400)
    assert offer["sign_on_bonus"]["amount"] == 20_000


async def test_the_example_agents_run() -> None:
    (code,) = blocks("python")
    module = types.ModuleType("readme_example")
    exec(compile(code, "README.md", "exec", dont_inherit=True), module.__dict__)  # noqa: S102  # our own document
    async with running(agents=(module.research,), environ={}) as system:
        outcome = await system.run(module.research, ["what is an actor?", "and a supervisor?"])
    assert outcome.error is None
    assert len(outcome.output) == 2
    assert not any(answer.startswith("missing") for answer in outcome.output)


def test_the_yaml_examples_are_what_the_catalog_takes(tmp_path: Path) -> None:
    for folder in ("catalog", "agents"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    catalog = tmp_path / "catalog"
    routes, policies, limits = map(yaml.safe_load, blocks("yaml"))
    (catalog / "policies" / "model_governance.yaml").write_text(yaml.safe_dump(policies))
    for name, changed in (("routing/default.yaml", routes), ("providers.yaml", limits)):
        document = yaml.safe_load((catalog / name).read_text(encoding="utf-8"))
        providers = document.get("providers", {})
        for key, entry in changed.items():
            whole = providers if key in providers else document
            whole[key] = {**whole[key], **entry} if key in providers else entry
        (catalog / name).write_text(yaml.safe_dump(document))
    loaded = load_catalog(catalog)
    assert [policy.name for policy in loaded.policies] == [
        entry["name"] for entry in policies["policies"]
    ]
    assert loaded.providers["openai"].max_pause_s == 60
    assert loaded.routings["default"].routes[0].task_type == "report.*"


@pytest.mark.parametrize("path", re.findall(r"`(tests/[\w*.]+)`", README))
def test_every_promise_names_tests_that_exist(path: str) -> None:
    assert list(ROOT.glob(path))


@pytest.mark.parametrize("name", ["README.md", "AGENTS.md", "CHANGELOG.md", "otel/README.md"])
def test_links_between_documents_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", text):
        assert ((ROOT / name).parent / target).exists(), target
