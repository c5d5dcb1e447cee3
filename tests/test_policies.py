"""What policies say of concrete targets and kinds of data, and that nobody is asked against it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.catalog import ModelEntry, ProviderEntry, Target
from runtime.catalog.catalog import Retirement
from runtime.catalog.policy import Cap
from runtime.governance.policy import (
    Candidate,
    check,
    contents,
    is_required,
    misspelt,
    spending_limits,
)
from runtime.rules import Rules
from tests.catalog_workspace import Workspace
from tests.echoes import catalog_of, policy, provider

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.catalog import Policy

GUIDE = """\
policies:
  - name: production_models
    description: Allowed models in production
    allowed_models:
      - gpt-4o
      - gpt-4o-mini
      - claude-3-5-sonnet-20241022

  - name: cost_limits
    description: Maximum cost per run
    thresholds:
      max_cost_per_run_usd: 5.0
      max_cost_per_agent_daily_usd: 100.0

  - name: data_residency
    description: Models for sensitive data
    requirements:
      pii_processing: ["llama3.1:70b"]  # Local only
      financial_data: ["gpt-4o"]  # Approved providers

  - name: tools
    tool_permissions:
      default: always
      tools: {"shell.*": never, read: require_approval}
"""


def test_the_policies_of_the_guide_load_and_mean_what_they_say(tmp_path: Path) -> None:
    policies = Workspace(tmp_path).load({"policies/model_governance.yaml": GUIDE}).policies

    def told_of(model: str, *classes: str) -> str | None:
        denial = check(policies, Candidate(Target("p", model)), classes)
        return None if denial is None else denial.rule

    assert told_of("gpt-4o") is None
    assert told_of("gpt-5") == "production_models"
    assert told_of("gpt-4o", "financial_data") is None
    assert told_of("gpt-4o-mini", "financial_data") == "data_residency"
    assert told_of("gpt-4o", "pii_processing") == "data_residency"
    assert told_of("llama3.1:70b") == "production_models"
    assert told_of("llama3.1:70b", "pii_processing") is None  # that data has a rule of its own
    assert told_of("llama3.1:70b", "financial_data") == "production_models"
    limits, tools = policies[-3], policies[-1]
    assert limits.max_cost_per_run == 5 * 10**9
    assert limits.caps == (("agent", "day", (("*", 100 * 10**9),)),)
    assert tools.tools is not None
    assert [(rule.tool, rule.permission) for rule in tools.tools.rules] == [
        ("shell.*", "never"),
        ("read", "require_approval"),
    ]


# --- one target ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "allowed", "denied"),
    [
        (["gpt-4o"], ["openai/gpt-4o", "azure/gpt-4o"], ["openai/gpt-4o-mini", "x/GPT-4o"]),
        (["openai/gpt-4o"], ["openai/gpt-4o"], ["azure/gpt-4o", "openai/gpt-4"]),
        (["gpt-4o*"], ["openai/gpt-4o", "openai/gpt-4o-mini"], ["openai/gpt-4"]),
        (["openai/*"], ["openai/x", "openai/org/x"], ["azure/x", "myopenai/x"]),
        (["*/gpt-?"], ["a/gpt-4", "b/gpt-5"], ["a/gpt-10"]),
        (["router/org/model"], ["router/org/model"], ["other/org/model", "org/model"]),
        (["openai/*"], ["openai/gpt-4o"], ["router/openai/gpt-4o"]),  # a name is no provider
        (["a", "b/c"], ["x/a", "b/c"], ["b/d", "x/c"]),
        ([], [], ["openai/gpt-4o", "echo/echo-1"]),
        (["llama3.1:70b"], ["ollama/llama3.1:70b"], ["ollama/llama3x1:70b"]),
    ],
)
def test_models_are_allowed_by_name_by_provider_and_by_pattern(
    names: list[str], allowed: list[str], denied: list[str]
) -> None:
    rule = policy(allowed_models=frozenset(names))
    for name in allowed:
        assert check([rule], Candidate(Target.read(name))) is None
    for name in denied:
        denial = check([rule], Candidate(Target.read(name)))
        assert denial is not None
        assert (denial.rule, denial.source) == ("p", "p.yaml:1")


@pytest.mark.parametrize(
    ("model", "classes", "rule"),
    [
        ("local", ["pii"], None),
        ("local", ["money"], "money"),
        ("bank", ["money"], None),
        ("both", ["pii", "money"], None),
        ("local", ["pii", "money"], "money"),
        ("bank", ["pii", "money"], "pii"),
        ("any", ["weather"], None),
        ("any", [], None),
        ("both", ["nobody"], "nobody"),
    ],
)
def test_every_kind_of_data_in_a_question_must_be_allowed(
    model: str, classes: list[str], rule: str | None
) -> None:
    rules = [
        policy("pii", requirements={"pii": frozenset(("local", "both"))}),
        policy("money", requirements={"money": frozenset(("p/bank", "bo*"))}),
        policy("nobody", requirements={"nobody": frozenset()}),
    ]
    denial = check(rules, Candidate(Target("p", model)), classes)
    assert (denial and denial.rule) == rule


NAMES = st.sampled_from(["a", "b", "p/a", "q/b", "*", "p/*", "?"])
POLICIES = st.lists(
    st.builds(
        lambda allowed, required: policy(allowed_models=allowed, requirements=required),
        st.none() | st.frozensets(NAMES, max_size=3),
        st.dictionaries(st.sampled_from(["x", "y"]), st.frozensets(NAMES, max_size=3)),
    ),
    max_size=4,
)


ALLOWING = st.lists(
    st.builds(lambda allowed: policy(allowed_models=allowed), st.frozensets(NAMES, max_size=3)),
    max_size=4,
)


@given(POLICIES, ALLOWING, st.sets(st.sampled_from("xy")), st.sampled_from(["p/a", "q/b", "p/c"]))
def test_only_a_requirement_that_names_a_model_ever_allows_more(
    some: list[Policy], more: list[Policy], classes: set[str], name: str
) -> None:
    candidate = Candidate(Target.read(name))
    if check(some + more, candidate, classes) is None:
        assert check(some, candidate, classes) is None
        if not is_required(some, candidate.target, classes):
            assert check(some + more, candidate, ()) is None


@given(POLICIES, st.sets(st.sampled_from("xy")), st.sampled_from(["p/a", "q/b", "p/c"]))
def test_a_model_that_a_requirement_names_still_needs_every_other_requirement(
    policies: list[Policy], classes: set[str], name: str
) -> None:
    candidate = Candidate(Target.read(name))
    if check(policies, candidate, classes) is None:
        for each in policies:
            for data_class in each.requirements.keys() & classes:
                only = [replace(each, allowed_models=None)]
                assert check(only, candidate, [data_class]) is None


# --- where data stays ----------------------------------------------------------------------------

STAYS = policy(residency={"pii": frozenset(("local",)), "money": frozenset(("eu", "local"))})


def _at(address: str, region: str | None = None, **fields: Any) -> ProviderEntry:
    known = {"m": ModelEntry()}
    usual = {"dialect": "openai_chat", "base_url": address, "region": region, "models": known}
    return ProviderEntry(**{name: each for name, each in (usual | fields).items() if each})


@pytest.mark.parametrize(
    ("entry", "environ", "base_url", "may_see"),
    [
        (_at("https://eu.example", "eu"), {}, None, {"money"}),
        (_at("https://us.example"), {}, None, set()),
        (_at("https://eu.example", "eu", base_url_env=("URL",)),
         {"URL": "https://us.example"}, None, set()),  # moved: nobody knows where to
        (_at("https://eu.example", "eu"), {}, "https://eu.example/v1", {"money"}),  # its own
        (_at("https://eu.example", "eu"), {}, "https://us.example", set()),
        (_at("http://127.0.0.1:1", "local"), {}, None, {"pii", "money"}),
        (_at("http://localhost:1"), {}, None, set()),  # nobody says that its data stays here
        (_at("http://box.lan:1", "local"), {}, None, {"pii", "money"}),  # the catalog knows it
        (_at("http://127.0.0.1:1", "local", base_url_env=("URL",)),
         {"URL": "https://us.example"}, None, set()),  # its word is not true any more
        (_at("http://127.0.0.1:1", "local", base_url_env=("URL",)),
         {"URL": "http://[::1]:2"}, None, {"pii", "money"}),
        (_at("https://eu.example", "eu"), {}, "http://127.0.0.1:2/v1", {"pii", "money"}),
        (_at("http://127.0.0.1:1", "local"), {}, "https://us.example/v1", set()),
        (provider("m"), {}, None, {"pii", "money"}),
        (provider("m", region="us"), {}, None, set()),
    ],
)  # fmt: skip
def test_data_stays_where_a_policy_says_and_local_must_be_true(
    entry: ProviderEntry, environ: dict[str, str], base_url: str | None, may_see: set[str]
) -> None:
    rules = Rules(catalog_of({"p": entry}, policies=(STAYS,)), environ, lambda: 0.0)
    seen = {
        name
        for name in ("pii", "money")
        if rules.forbids(Target("p", "m"), frozenset((name,)), base_url=base_url) is None
    }
    assert seen == may_see
    assert rules.forbids(Target("p", "m"), frozenset(), base_url=base_url) is None


# --- days ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "day", "denied"),
    [
        ("old", date(2026, 3, 31), False),
        ("old", date(2026, 4, 1), True),
        ("deployment", date(2026, 4, 1), True),  # it is that model by another name
        ("new", date(2030, 1, 1), False),
    ],
)
def test_a_retired_model_is_denied_from_its_day_on(model: str, day: date, denied: bool) -> None:
    known = {"old": ModelEntry(), "deployment": ModelEntry(base_model="old"), "new": ModelEntry()}
    entry = provider(vendor="maker").model_copy(update={"models": known})
    until = Retirement(date(2026, 4, 1), "retirements.yaml:3")
    clock = datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp
    for rule, expected in ((policy(denies_retired=True), denied), (policy(), False)):
        catalog = catalog_of({"p": entry}, policies=(rule,), retirements={"maker/old": until})
        denial = Rules(catalog, {}, clock).forbids(Target("p", model), frozenset())
        assert (denial is not None) == expected
        assert denial is None or "retired since 2026-04-01 (retirements.yaml:3)" in denial.reason


# --- names of kinds of data ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("pii_processing", None),
        ("pii_procesing", "pii_processing"),
        ("pii-processing", "pii_processing"),
        ("PII_PROCESSING", "pii_processing"),
        ("Financial_Data", "financial_data"),
        ("financial_dat", "financial_data"),
        ("weather", None),
        ("", None),
    ],
)
def test_a_misspelt_kind_of_data_is_not_taken_for_one_without_a_rule(
    name: str, meant: str | None
) -> None:
    rules = [
        policy(requirements={"pii_processing": frozenset()}),
        policy(residency={"financial_data": frozenset()}, contents={"*": "keep"}),
    ]
    assert misspelt(rules, name) == meant


@pytest.mark.parametrize(
    ("words", "classes", "in_journal", "in_audit"),
    [
        ({}, [], True, False),
        ({"*": "keep"}, [], True, True),
        ({"*": "digest"}, ["pii"], False, False),
        ({"pii": "digest"}, [], True, False),
        ({"pii": "digest", "*": "keep"}, ["pii"], False, False),
        ({"pii": "digest", "*": "keep"}, ["pii", "public"], False, False),
        ({"public": "keep"}, ["public"], True, True),
        ({"public": "keep"}, ["pii", "public"], True, False),  # of pii nobody says so
        ({"pub*": "keep"}, ["public"], True, True),
    ],
)
def test_the_strictest_word_on_any_kind_of_data_decides_what_is_kept(
    words: dict[str, Any], classes: list[str], in_journal: bool, in_audit: bool
) -> None:
    kept = contents([policy(contents={name: word}) for name, word in words.items()], classes)
    assert kept == (in_journal, in_audit)


# --- money ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"agent": "writer"}, [("agent", "day", 5), ("agent", "month", 90)]),
        ({"agent": "writer-2"}, [("agent", "day", 7), ("agent", "month", 90)]),
        ({"agent": "other"}, [("agent", "day", 7), ("agent", "month", 90)]),
        ({"provider": "openai"}, [("provider", "month", 1)]),
        ({"provider": "openrouter"}, [("provider", "month", 50)]),
        ({"provider": "echo"}, []),
        ({"tenant": "acme"}, [("tenant", "day", 3)]),
        ({"tenant": ""}, []),
        ({}, []),
        ({"agent": "other", "provider": "openai", "tenant": "acme"},
         [("agent", "day", 7), ("agent", "month", 90), ("provider", "month", 1),
          ("tenant", "day", 3)]),
    ],
)  # fmt: skip
def test_of_several_limits_of_a_kind_the_tightest_holds_and_in_each_the_most_exact(
    names: dict[Any, str], expected: list[tuple[str, str, int]]
) -> None:
    rules = [
        policy("a", caps=(Cap("agent", "day", (("writer", 5), ("*", 9))),)),
        policy("b", caps=(Cap("agent", "day", (("writer*", 8), ("*", 7))),)),
        policy(
            "c", caps=(Cap("agent", "day", (("writer-*", 7),)), Cap("tenant", "day", (("*", 3),)))
        ),
        policy("d", caps=(Cap("agent", "month", (("*", 90),)),)),
        policy("e", caps=(Cap("provider", "month", (("open*", 50), ("openai", 1))),)),
    ]
    found = spending_limits(rules, names)
    assert [(each.subject, each.window, each.amount) for each in found] == expected
    assert all(each.name == names[each.subject] for each in found)
