"""Secrets stay out of what people read, wherever they are and whatever they look like."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel.redaction import Redactor
from otel.secret_shapes import is_secret_name, secrets_in

CANARY = "canary-7f3a9b"
KNOWN = "value-of-a-variable"

SECRET_NAMES = (
    *(
        "api_key",
        "OPENAI_API_KEY",
        "x-api-key",
        "apiKey",
        "APIKey",
        "authorization",
        "Authorization",
    ),
    *("proxy-authorization", "password", "db_password", "passwd", "passphrase", "secret"),
    *("client_secret", "SecretAccessKey", "token", "access_token", "refreshToken", "X-Auth-Token"),
    *("cookie", "Set-Cookie", "private_key", "credentials", "auth", "pwd", "jwt"),
)
HARMLESS_NAMES = (
    *("input_tokens", "max_tokens", "tokens", "token_type", "author", "key", "primary_key"),
    *("run_id", "model", "authored_by", "passed", "", "日本", "_"),
)
SECRET_TEXTS = (
    "sk-canary7f3a9b",
    "sk-proj-canary-7f3a9b_X",
    "sk-ant-api03-canary7f3a9b",
    "sk_live_canary7f3a9b",
    "AIzaSyCanary7f3a9b0123456789",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_canary7f3a9b0123456789",
    "gsk_canary7f3a9b0123456789",
    "xai-canary7f3a9b0123456789",
    "hf_canary7f3a9b0123456789",
    "xoxb-canary7f3a9b0123456789",
    "eyJhbGciOi.eyJjYW5hcnki.c2lnbmF0dXJl",
    "Bearer canary7f3a9b",
    "basic Y2FuYXJ5OjdmM2E5Yg==",
    "https://user:canary7f3a9b@host/path",
    "api_key=canary7f3a9b",
    'password: "canary 7f3a9b"',
    "{'x-api-key': 'canary 7f3a9b'}",
    "[(b'authorization', b'canary 7f3a9b')]",
    'Profile(name="a", api_key="canary\\"7f3a9b")',
    "token = canary7f3a9b",
    '{\\"api_key\\": \\"canary 7f3a9b\\"}',
    r"{\'auth\': \'canary 7f3a9b\'}",
    "-----BEGIN RSA PRIVATE KEY-----\ncanary7f3a9b\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\ncanary7f3a9b",
    KNOWN,
)
REMAINS = ("canary", "7f3a9b", "IOSFODNN7", "Y2FuYXJ5", "c2lnbmF0", KNOWN)

redactor = Redactor([KNOWN, "short", ""])
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=9),
)


def nested_around(secret: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values in which the secret lies at any depth, in any kind of container."""
    return st.recursive(
        secret,
        lambda inner: st.one_of(
            st.tuples(inner, leaves, leaves),
            st.lists(st.one_of(inner, leaves), min_size=1, max_size=3).map(lambda items: [*items]),
            st.dictionaries(st.text(max_size=5), st.one_of(inner, leaves), max_size=3),
            inner.map(lambda value: {"outer": value, "count": 1}),
            inner.map(ValueError),
        ),
        max_leaves=12,
    )


def shown(value: object) -> str:
    return json.dumps(redactor.plain(value), ensure_ascii=False)


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_value_under_a_secret_name_is_hidden_at_any_depth(name: str) -> None:
    assert is_secret_name(name)
    for value in (
        {name: CANARY},
        {name: {"deep": [CANARY]}},
        {name.encode(): CANARY.encode()},
        [{"a": ({name: CANARY},)}],
        [(name, CANARY)],
        (name.encode(), CANARY.encode()),
    ):
        assert CANARY not in shown(value)


@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_a_value_under_a_harmless_name_stays(name: str) -> None:
    assert redactor.plain({name: CANARY}) == {name: CANARY}


def test_that_there_is_no_secret_is_no_secret() -> None:
    said = {"api_key": None, "token": "", "secret": True}
    assert redactor.plain(said) == said


@pytest.mark.parametrize("text", SECRET_TEXTS)
@pytest.mark.parametrize(
    "around", ["{}", "before {} after", "({})", "x={},y", "a\n{}\nb", "a\\n{}", "日本 {} 語"]
)
def test_a_secret_is_known_by_its_shape_inside_any_text(text: str, around: str) -> None:
    said = redactor.text(around.format(text))
    assert not [part for part in REMAINS if part in said], said
    assert "[redacted]" in said


@pytest.mark.parametrize("text", SECRET_TEXTS)
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redactor.text(f"before {text} after")
    assert redactor.text(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "task-runner-abcdefghij is ready",
        "used 12 input_tokens and 7 output_tokens: fine",
        "https://example.com:8080/path@2",
        "the key to the matter",
        "01997f2e-0000-7000-8000-000000000000",
        "gpt-5-mini answered in 1.5 s",
        "api_key=None, token=null",
        "the bearer of it",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redactor.text(text) == text


@given(nested_around(st.sampled_from(SECRET_TEXTS)))
def test_no_nesting_lets_a_secret_through(value: object) -> None:
    said = shown(value)
    assert not [part for part in REMAINS if part in said]


@given(nested_around(st.sampled_from(SECRET_NAMES).map(lambda name: {name: CANARY})))
def test_no_nesting_lets_a_named_secret_through(value: object) -> None:
    assert CANARY not in shown(value)


@given(nested_around(leaves))
def test_everything_becomes_json_that_any_parser_reads(value: object) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(json.dumps(redactor.plain(value)), parse_constant=refuse)


def test_plain_values_keep_their_types() -> None:
    said = {"a": 1, "b": 1.5, "c": True, "d": None, "e": "text", "f": [1, {"g": 2}]}
    assert redactor.plain(said) == said
    assert redactor.plain(Decimal("1.50")) == "1.50"
    assert redactor.plain(math.inf) == "inf"
    assert redactor.plain({3: b"\xff"}) == {"3": "\\xff"}


def test_an_object_that_cannot_be_shown_does_not_take_its_neighbours_with_it() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    assert redactor.plain({"a": Broken(), "b": 1}) == {"a": "<unprintable Broken>", "b": 1}


def test_a_value_that_contains_itself_comes_to_an_end() -> None:
    endless: dict[str, Any] = {"a": 1}
    endless["self"] = [endless, endless]
    assert len(shown(endless)) < 200_000


def test_huge_values_are_cut_and_the_beginning_and_the_end_stay() -> None:
    text = "begin" + "x" * 20_000 + "end"
    said = redactor.text(text)
    assert len(said) < 9_000
    assert said.startswith("begin")
    assert said.endswith("end")
    assert len(shown([["y" * 50] * 10_000] * 10)) < 200_000
    assert len(shown({f"{n}" * 2_000: n for n in range(10_000)})) < 500_000
    assert len(str(redactor.plain(10**5_000))) < 100


def test_no_part_of_a_secret_is_left_where_a_text_is_cut() -> None:
    for padding in range(32_700, 32_790):
        said = redactor.text("-" * padding + " Bearer canary7f3a9b canary7f3a9b")
        assert "7f3a9b" not in said[: len(said) // 2 + 10]
        assert "Bearer canary" not in said


def test_the_values_of_variables_are_known_by_the_names_of_the_variables() -> None:
    environ = {"OPENAI_API_KEY": "an-odd-looking-key", "HOME": "/home/somebody", "TOKEN": "1"}
    assert secrets_in(environ) == {"an-odd-looking-key", "1"}
    said = Redactor(secrets_in(environ)).text("1 key: an-odd-looking-key in /home/somebody")
    assert said == "1 key: [redacted] in /home/somebody"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://x/y?key=AbCd1234&z=1", "https://x/y?key=[redacted]&z=1"),
        ("https://x/y?a=1&sig=AbCd%2F12", "https://x/y?a=1&sig=[redacted]"),
        ("https://x?X-Amz-Signature=abcdef0123", "https://x?X-Amz-Signature=[redacted]"),
        ("https://x?access_token=abcdef", "https://x?access_token=[redacted]"),
        ("https://x?page=12345&monkeys=12345", "https://x?page=12345&monkeys=12345"),
    ],
)
def test_the_secrets_of_an_address_are_not_shown(address: str, shown: str) -> None:
    assert Redactor().text(address) == shown
