"""One line of ``invoke --jsonl``: what is read from it, and what is said of a wrong one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.bulk.line import Defaults, Line, Refused, read_line
from runtime.messages import Image, Message, ModelRequest, Reasoning, Tool, ToolCall

HELLO = [{"role": "user", "content": "hello"}]
LOOK = {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}


def read(defaults: Defaults = Defaults(), **fields: Any) -> Line | Refused:  # noqa: B008  # it is frozen
    line = {"id": "a", "provider": "echo", "model": "echo-1", "messages": HELLO} | fields
    return read_line(json.dumps(line).encode(), "in.jsonl:7", defaults)


def request_of(**fields: Any) -> ModelRequest:
    line = read(**fields)
    assert isinstance(line, Line), line
    return line.request


def fault_of(**fields: Any) -> str:
    line = read(**fields)
    assert isinstance(line, Refused)
    message = str(line.error)
    assert message.startswith("in.jsonl:7: ")
    assert type(line.error).__name__ == "InvalidRequest"
    return message.removeprefix("in.jsonl:7: ")


def test_a_line_with_the_least_leaves_everything_else_to_the_model() -> None:
    line = read(id=None, provider=None)
    assert line == Line(
        id=None,
        request=ModelRequest(
            provider="",
            model="echo-1",
            messages=(Message("user", "hello"),),
            max_output_tokens=None,
        ),
    )


def test_every_field_of_a_line_reaches_the_request() -> None:
    line = read(
        id=12,
        endpoint="chat",
        base_url="http://127.0.0.1:9/v1",
        system="Be brief.",
        tools=[{"type": "function", "function": LOOK | {"strict": True}}],
        tool_choice={"type": "function", "function": {"name": "look"}},
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": False},
        },
        max_tokens=5,
        temperature=1,
        reasoning={"effort": "low", "max_tokens": 9, "summary": "auto"},
        stop=["a", "b"],
        stream=True,
        max_attempts=2,
        timeout=3,
        extra_headers={"x-a": "b"},
        extra_body={"top_p": 0.5},
    )
    assert line == Line(
        id=12,
        endpoint="chat",
        base_url="http://127.0.0.1:9/v1",
        timeout_s=3.0,
        request=ModelRequest(
            provider="echo",
            model="echo-1",
            messages=(Message("user", "hello"),),
            system="Be brief.",
            schema={"type": "object"},
            schema_name="s",
            schema_strict=False,
            tools=(Tool("look", "Looks.", {"type": "object"}, strict=True),),
            forced_tool="look",
            max_output_tokens=5,
            temperature=1.0,
            reasoning=Reasoning(effort="low", budget_tokens=9, summary=True),
            stop=("a", "b"),
            stream=True,
            extra_headers={"x-a": "b"},
            extra_body={"top_p": 0.5},
            max_attempts=2,
        ),
    )


def test_what_the_command_line_says_holds_where_a_line_says_nothing() -> None:
    defaults = Defaults("openai", "gpt-4o", stream=True)
    line = read(defaults, provider=None, model=None)
    assert isinstance(line, Line)
    assert (line.request.provider, line.request.model, line.request.stream) == (
        *("openai", "gpt-4o"),
        True,
    )
    own = read(defaults, stream=False)
    assert isinstance(own, Line)
    assert (own.request.provider, own.request.model, own.request.stream) == (
        *("echo", "echo-1"),
        False,
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"stop": "end"}, {"stop": ("end",)}),
        ({"tools": [{"type": "function", **LOOK}]}, {"tools": (Tool(**LOOK),)}),
        ({"tools": [LOOK]}, {"tools": (Tool(**LOOK),)}),
        ({"tools": [LOOK], "tool_choice": "required"}, {"tool_choice": "required"}),
        (
            {"tools": [LOOK], "tool_choice": {"type": "function", "name": "look"}},
            {"forced_tool": "look", "tool_choice": None},
        ),
        ({"response_format": {"type": "json_object"}}, {"json_object": True}),
        ({"response_format": {"type": "text"}}, {"json_object": False, "schema": None}),
        ({"response_format": "json_object"}, {"json_object": True}),
        (
            {"response_format": {"type": "json_schema", "name": "n", "schema": {"a": 1}}},
            {"schema": {"a": 1}, "schema_name": "n", "schema_strict": None},
        ),
        ({"reasoning": "low"}, {"reasoning": Reasoning(effort="low")}),
        ({"reasoning": {"budget_tokens": 7}}, {"reasoning": Reasoning(budget_tokens=7)}),
        ({"reasoning": {"summary": True}}, {"reasoning": Reasoning(summary=True)}),
        ({"reasoning": {"summary": "none"}}, {"reasoning": Reasoning()}),
        ({"temperature": None, "stop": None, "tools": None}, {"temperature": None, "stop": ()}),
    ],
)
def test_every_way_of_writing_a_field_is_understood(
    fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    request = request_of(**fields)
    assert {name: getattr(request, name) for name in expected} == expected


# --- turns ---------------------------------------------------------------------------------------


def test_a_conversation_with_images_tool_calls_and_results_is_read() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}}
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
    request = request_of(
        messages=[
            {"role": "system", "content": "One."},
            {"role": "developer", "content": [{"type": "text", "text": "Two."}]},
            {"role": "user", "content": [{"type": "text", "text": "see"}, image]},
            {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None},
            {"role": "tool", "tool_call_id": "c1", "content": "seen"},
        ]
    )
    assert request.system == "One.\n\nTwo."
    assert request.messages == (
        Message("user", ("see", Image("https://a/b.png", "low"))),
        Message("assistant", tool_calls=(ToolCall("c1", "look", {"a": 1}, '{"a": 1}'),)),
        Message("tool", "seen", call_id="c1", name="look"),
    )


def test_an_answer_of_ours_can_be_sent_back() -> None:
    calls = [
        {"id": "c1", "name": "look", "arguments": {"a": "é"}},
        {"id": "c2", "name": "look", "arguments": None, "arguments_raw": '{"a": '},
    ]
    messages = [*HELLO, {"role": "assistant", "content": "", "tool_calls": calls}]
    assert request_of(messages=messages).messages[1].tool_calls == (
        ToolCall("c1", "look", {"a": "é"}, '{"a": "é"}'),
        ToolCall("c2", "look", None, '{"a": '),
    )


@pytest.mark.parametrize("raw", ["[1]", "NaN", '{"a": NaN}', "{", '"x"'])
def test_arguments_that_are_no_object_are_kept_as_text(raw: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": raw}}
    messages = [*HELLO, {"role": "assistant", "tool_calls": [call]}]
    (found,) = request_of(messages=messages).messages[1].tool_calls
    assert (found.arguments, found.arguments_raw) == (None, raw)


def test_system_messages_are_joined_and_a_late_one_is_warned_of() -> None:
    late = [*HELLO, {"role": "system", "content": "Two."}, *HELLO]
    line = read(system="One.", messages=late)
    assert isinstance(line, Line)
    assert line.request.system == "One.\n\nTwo."
    assert [turn.role for turn in line.request.messages] == ["user", "user"]
    assert line.warnings == ("a system message after the first turn was moved to the beginning",)


# --- faults --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"temperature": "hot"}, 'temperature must be a number of 0 or more, not "hot"'),
        ({"temperature": True}, "temperature must be a number of 0 or more, not true"),
        ({"max_tokens": 0}, "max_tokens must be a whole number of 1 or more, not 0"),
        ({"max_tokens": 1.5}, "max_tokens must be a whole number of 1 or more, not 1.5"),
        ({"max_attempts": 101}, "max_attempts must be a whole number from 1 to 100, not 101"),
        ({"timeout": -1}, "timeout must be a number of seconds from 0.001 to 31,622,400, not -1"),
        ({"stream": "yes"}, 'stream must be true or false, not "yes"'),
        ({"stop": ["a", ""]}, "stop must be a text or a list of texts, none of them empty"),
        ({"endpoint": "completions"}, "endpoint must be one of responses, chat, messages, gen"),
        ({"extra_headers": {"a": 1}}, "extra_headers must be an object whose values are texts"),
        ({"extra_body": []}, "extra_body must be an object, not a list"),
        (
            {"extra_body": {"model": "gpt-5"}},
            "extra_body.model must not be given here; the line has a field for it, model",
        ),
        ({"extra_body": {"models": ["a", "b"]}}, "extra_body.models must not be given here; a "),
        ({"model": None}, "model is missing; name it, or all lines' with --model"),
        ({"messages": None}, "messages is missing"),
        ({"messages": []}, "messages must hold a message of the user"),
        ({"messages": "hello"}, 'messages must be a list of objects, not "hello"'),
        ({"messages": ["hello"]}, 'messages[0] must be an object, not "hello"'),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages must hold a message"),
        ({"messages": [{"role": "bot", "content": "x"}]}, "messages[0].role must be one of"),
        ({"messages": [{"role": "user"}]}, "messages[0].content is missing"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content must be a text or"),
        ({"messages": [{"role": "user", "content": "x", "nme": 1}]}, "messages[0].nme is no field"),
        (
            {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
            "messages[0].content[0].type must be one of text, image_url, refusal",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
            "messages[0].content[0].image_url must begin with http://, https:// or data:",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id is missing"),
        (
            {"messages": [*HELLO, {"role": "assistant", "tool_calls": [{"id": "c"}]}]},
            "messages[1].tool_calls[0].function is missing",
        ),
        ({"tools": [{"type": "function"}]}, "tools[0].function is missing"),
        ({"tools": [{"type": "web"}]}, "tools[0].type must be one of function"),
        ({"tools": [LOOK], "tool_choice": "any"}, "tool_choice must be auto, none, required or"),
        (
            {"tools": [LOOK], "tool_choice": {"type": "function", "function": {"name": "x"}}},
            'tool_choice names "x", which is none of the tools',
        ),
        ({"response_format": {"type": "xml"}}, "response_format.type must be one of text, json_"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema is missing"),
        ({"reasoning": {"effort": "low", "x": 1}}, "reasoning.x is no field that is known here"),
        (
            {"reasoning": {"max_tokens": 1, "budget_tokens": 2}},
            "reasoning.budget_tokens is another",
        ),
        ({"bogus": 1}, "bogus is no field that is known here (extra_body takes what only a"),
        ({"custom_id": "x"}, "custom_id is no field that is known here; it is called id"),
        ({"base_url": "ftp://x"}, "base_url must begin with http:// or https://"),
        ({"base_url": "http://me:secret@x"}, "base_url must not hold a credential"),
        ({"base_url": "http://x/?a=secret"}, "base_url must not have a query or a fragment"),
        ({"base_url": "http://"}, "base_url must name a host"),
        ({"base_url": "http://[::1"}, "base_url must name a host"),
        ({"base_url": "http://x:99999"}, "base_url must name a host"),
        ({"base_url": "http://\u00e9..x"}, "base_url must name a host"),
        ({"base_url": "http://a..b"}, "base_url must name a host"),
        ({"base_url": "http://a b"}, "base_url must not have blanks or odd characters"),
        ({"base_url": "http://\ud83d"}, "base_url must not have blanks or odd characters"),
        ({"id": 1.5}, "id must be a text or a whole number, not 1.5"),
    ],
)
def test_a_fault_names_the_file_the_line_and_the_field(fields: dict[str, Any], fault: str) -> None:
    message = fault_of(**fields)
    assert message.startswith(fault)
    assert "secret" not in message


@pytest.mark.parametrize(
    "name",
    [
        *("model", "stream", "messages", "input", "contents", "system", "instructions"),
        *("systemInstruction", "system_instruction", "models", "fallbacks", "fallback_models"),
        *("max_tokens", "max_completion_tokens", "maxOutputTokens", "max_new_tokens", "n"),
        *("best_of", "candidateCount", "num_predict"),
        *("MODEL", "Model", "mo_del", "\u017ftream"),  # as servers read the names of fields, too
    ],
)
def test_nothing_goes_past_the_policies_in_extra_body(name: str) -> None:
    assert fault_of(extra_body={name: "x"}).startswith(f"extra_body.{name} must not be given here")
    assert fault_of(extra_body={name: None}).startswith(f"extra_body.{name} must not be given here")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ("generationConfig", "maxOutputTokens"),
        ("generation_config", "candidate_count"),
        ("options", "num_predict"),
    ],
)
def test_nothing_goes_past_a_budget_in_the_settings_of_extra_body(settings: str, name: str) -> None:
    told = fault_of(extra_body={settings: {name: 9, "temperature": 1}})
    assert told.startswith(f"extra_body.{settings}.{name} must not be given here")
    assert len(told.splitlines()) == 1


def test_what_only_a_vendor_knows_may_be_in_extra_body() -> None:
    body = {"top_p": 1, "stream_options": {}, "tools": [], "options": {"model": "x"}, "user": "u"}
    assert request_of(extra_body=body).extra_body == body


def test_all_faults_of_a_line_are_told_at_once() -> None:
    message = fault_of(temperature="hot", stream=1, bogus=2)
    for field in ("temperature", "stream", "bogus"):
        assert field in message


def test_of_very_many_faults_the_first_are_told_and_the_others_counted() -> None:
    message = fault_of(**{f"bogus{number}": 1 for number in range(100)})
    told = message.count("is no field")
    assert 2 <= told <= 8
    assert message.endswith(f"; and {100 - told} more")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"nope", "is not JSON: Expecting value at column 1"),
        (b'{"a": NaN}', "is not JSON: NaN is no JSON number"),
        (b"[" * 100_000, "is not JSON: it is nested too deeply"),
        (b'{"id": "\xff"}', "is not JSON: it is not UTF-8 at byte 9"),
        (b"[1]", "must be a JSON object, not a list"),
        (b"7", "must be a JSON object, not 7"),
    ],
)
def test_a_line_that_is_no_object_is_refused_without_an_id(text: bytes, fault: str) -> None:
    line = read_line(text, "in.jsonl:7", Defaults())
    assert isinstance(line, Refused)
    assert (line.id, str(line.error)) == (None, f"in.jsonl:7: {fault}")


def test_a_refused_line_keeps_its_id_provider_and_model() -> None:
    line = read(id="x", temperature="hot")
    assert isinstance(line, Refused)
    assert (line.id, line.provider, line.model) == ("x", "echo", "echo-1")
    line = read(endpoint="chat", base_url=7)
    assert isinstance(line, Refused)
    assert line.endpoint == "chat"


@pytest.mark.parametrize("text", [b"nope", b"[1]", b'{"id": 1.5}'])
def test_a_line_that_says_nothing_is_refused_with_what_the_command_line_says(text: bytes) -> None:
    line = read_line(text, "f:1", Defaults("openai", "gpt-4o", endpoint="responses"))
    assert isinstance(line, Refused)
    assert (line.provider, line.model, line.endpoint) == ("openai", "gpt-4o", "responses")


def test_the_endpoint_of_the_usual_provider_is_not_that_of_another_one() -> None:
    line = read(Defaults("openai", "gpt-4o", endpoint="responses"), temperature="hot")
    assert isinstance(line, Refused)
    assert (line.provider, line.endpoint) == ("echo", None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        *("id", "provider", "model", "endpoint", "base_url", "messages", "system", "tools"),
        *("tool_choice", "response_format", "max_tokens", "temperature", "reasoning", "stop"),
        *("stream", "max_attempts", "timeout", "extra_headers", "extra_body", "role", "content"),
        *("type", "function", "name", "tool_calls", "image_url", "json_schema", "schema", "url"),
    ]
)
SHAPED = st.recursive(
    JSON,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=12,
)


@given(st.dictionaries(FIELDS, SHAPED, max_size=8) | SHAPED)
def test_whatever_json_a_line_is_it_is_read_or_refused(data: Any) -> None:
    line = read_line(json.dumps(data).encode(), "f:1", Defaults("echo", "echo-1"))
    assert isinstance(line, Line | Refused)
    if isinstance(line, Line):
        assert line.request.messages


@given(st.binary(max_size=60))
def test_whatever_bytes_a_line_is_it_is_refused(data: bytes) -> None:
    assert isinstance(read_line(data, "f:1", Defaults("echo", "echo-1")), Refused)


def test_what_no_dialect_has_a_place_for_is_left_out_with_a_warning() -> None:
    line = read(
        messages=[
            {"role": "user", "name": "Ann", "content": [{"type": "text", "text": "hello"}]},
            {"role": "assistant", "content": "hi", "reasoning_content": "hm", "annotations": []},
        ]
    )
    assert isinstance(line, Line)
    assert line.request.messages == (Message("user", ("hello",)), Message("assistant", "hi"))
    assert line.warnings == (
        "the name of a user was left out",
        "the thoughts of an assistant were left out: no dialect takes them as text",
    )


def test_refusals_and_images_are_read_in_the_ways_in_which_servers_write_them() -> None:
    request = request_of(
        messages=[
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": "data:image/png;base64,AA"}],
            },
            {"role": "assistant", "content": None, "refusal": "No."},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "Never."}]},
        ]
    )
    assert request.messages == (
        Message("user", (Image("data:image/png;base64,AA"),)),
        Message("assistant", "No."),
        Message("assistant", "Never."),
    )


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        ({"type": "image_url"}, "image_url is missing"),
        ({"type": "image_url", "image_url": {}}, "image_url.url is missing"),
        (
            {"type": "image_url", "image_url": {"url": "http://x", "detail": "most"}},
            "image_url.det",
        ),
        ({"type": "image_url", "image_url": 5}, "image_url must be an object, not 5"),
        ({"type": "text"}, "text is missing"),
        ({"type": "text", "text": 5}, "text must be a text, not 5"),
    ],
)
def test_a_fault_in_a_part_names_the_part(part: dict[str, Any], fault: str) -> None:
    message = fault_of(messages=[{"role": "user", "content": [part]}])
    assert message.startswith(f"messages[0].content[0].{fault}")


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        ([{"role": "user", "content": []}], "messages[0].content must not be an empty list"),
        ([{"role": "system", "content": [{"type": "image_url"}]}], "messages[0].content[0].type"),
        (
            [{"role": "assistant", "tool_calls": [{"id": "a", "name": "f", "arguments": 5}]}],
            "messages[0].tool_calls[0].arguments must be a text or an object, not 5",
        ),
    ],
)
def test_a_fault_in_a_turn_names_the_turn(messages: list[Any], fault: str) -> None:
    assert fault_of(messages=messages).startswith(fault)
