"""The Chat Completions dialect, without any I/O: what is sent, and what is made of the answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.adapter import HttpResponse
from providers.openai_chat import OpenAIChat
from runtime.errors import (
    AuthFailed,
    ConfigurationError,
    ContentFiltered,
    ContextOverflow,
    InvalidRequest,
    MalformedResponse,
    ModelUnavailable,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimitError,
    ServerError,
    Timeout,
    TransientError,
)
from runtime.messages import Message, ModelReply, ModelRequest, ProviderProfile, Usage

PERSON = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}


def adapter(**options: Any) -> OpenAIChat:
    return OpenAIChat(ProviderProfile(name="p", dialect="openai_chat", options=options))


def a_request(model: str = "gpt-4o", **fields: Any) -> ModelRequest:
    fields.setdefault("messages", (Message("user", "hi"),))
    return ModelRequest(provider="p", model=model, **fields)


def body_of(request: ModelRequest, **options: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(adapter(**options).to_request(request, "k").body)
    return body


def completion(message: Any = None, **more: Any) -> dict[str, Any]:
    choice = {"message": {"content": "hello"} if message is None else message}
    return {"choices": [choice | {"finish_reason": more.pop("finish_reason", "stop")}], **more}


def read(payload: Any, request: ModelRequest | None = None, **options: Any) -> ModelReply:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    response = HttpResponse(200, {"x-request-id": "r-1"}, body)
    return adapter(**options).parse_reply(response, request or a_request())


def error_of(status: int, payload: Any, **headers: str) -> ProviderError:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return adapter().parse_error(HttpResponse(status, named, body), a_request())


# --- requests ------------------------------------------------------------------------------------


def test_the_system_prompt_goes_before_the_turns_in_their_order() -> None:
    turns = (Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    assert body_of(a_request(messages=turns, system="be brief"))["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]


def test_without_a_system_prompt_no_system_turn_is_sent() -> None:
    assert body_of(a_request())["messages"] == [{"role": "user", "content": "hi"}]


def test_a_server_that_wants_it_gets_the_system_prompt_as_developer() -> None:
    sent = body_of(a_request(system="s"), system_role="developer")
    assert sent["messages"][0] == {"role": "developer", "content": "s"}


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("gpt-4o", "max_tokens"),
        ("gpt-4.1-mini", "max_tokens"),
        ("openai/gpt-oss-20b", "max_tokens"),
        ("olmo-2", "max_tokens"),
        ("gpt-5-chat-latest", "max_tokens"),
        ("o3-mini", "max_completion_tokens"),
        ("o4-mini-2025-04-16", "max_completion_tokens"),
        ("o1", "max_completion_tokens"),
        ("gpt-5-nano", "max_completion_tokens"),
        ("gpt-5.6", "max_completion_tokens"),
    ],
)
def test_reasoning_models_get_their_own_field_for_the_limit(model: str, field: str) -> None:
    sent = body_of(a_request(model, max_output_tokens=123))
    assert {name: sent[name] for name in sent if name.startswith("max_")} == {field: 123}


def test_the_profile_decides_about_the_limit_s_field_where_a_name_tells_nothing() -> None:
    sent = body_of(a_request("my-deployment"), max_tokens_field="max_completion_tokens")
    assert "max_completion_tokens" in sent
    assert "max_tokens" not in sent


def test_temperature_is_sent_as_it_is_and_only_when_given() -> None:
    assert body_of(a_request(temperature=0.0))["temperature"] == 0.0
    assert "temperature" not in body_of(a_request())


def test_a_reasoning_model_is_spared_the_temperature_and_the_reply_says_so() -> None:
    request = a_request("o3-mini", temperature=0.5)
    assert "temperature" not in body_of(request)
    assert read(completion(), request).warnings == (
        "temperature was not sent: o3-mini does not take it",
    )


def test_the_profile_may_insist_on_the_temperature_or_forbid_it() -> None:
    insisting = body_of(a_request("o3-mini", temperature=1), sampling_params="send")
    assert insisting["temperature"] == 1
    assert "temperature" not in body_of(a_request(temperature=1), sampling_params="omit")


def test_a_schema_is_sent_strict_after_it_was_made_to_fit() -> None:
    form = body_of(a_request(schema=PERSON, schema_name="a person!"))["response_format"]
    assert form == {
        "type": "json_schema",
        "json_schema": {
            "name": "a_person_",
            "strict": True,
            "schema": {**PERSON, "required": ["name", "age"], "additionalProperties": False},
        },
    }
    assert "required" not in PERSON


def test_a_schema_that_does_not_fit_is_sent_as_it_is_and_the_reply_says_why() -> None:
    schema = {"type": "object", "properties": {"tags": {"type": "object"}}}
    request = a_request(schema=schema)
    assert body_of(request)["response_format"]["json_schema"] == {
        "name": "answer",
        "strict": False,
        "schema": schema,
    }
    assert read(completion(), request).warnings == (
        "the schema was sent without strict: $.tags: is an object of any properties",
    )


def test_strict_can_be_switched_off_for_a_server_that_chokes_on_it() -> None:
    request = a_request(schema=PERSON)
    sent = body_of(request, strict_schema="never")["response_format"]["json_schema"]
    assert sent == {"name": "answer", "strict": False, "schema": PERSON}
    assert read(completion(), request, strict_schema="never").warnings == ()


def test_a_server_without_schemas_gets_the_schema_in_the_prompt() -> None:
    request = a_request(schema=PERSON, system="be brief")
    for form, extra in (("json_object", {"type": "json_object"}), ("prompt", None)):
        sent = body_of(request, structured_output=form)
        assert sent.get("response_format") == extra
        assert sent["messages"][0]["role"] == "system"
        assert sent["messages"][0]["content"].startswith("be brief\n\n")
        assert sent["messages"][0]["content"].endswith(json.dumps(PERSON))


def test_only_an_answer_to_a_prompted_schema_is_rid_of_its_fence() -> None:
    fenced = completion({"content": '```json\n{"a": 1}\n```'})
    request = a_request(schema=PERSON)
    assert read(fenced, request, structured_output="prompt").text == '{"a": 1}'
    assert read(fenced, request).text.startswith("```json")
    assert read(fenced, structured_output="prompt").text.startswith("```json")


def test_the_key_goes_into_one_header_field_and_is_in_no_repr() -> None:
    sent = adapter().to_request(a_request(), "sk-canary")
    assert sent.headers["authorization"] == "Bearer sk-canary"
    assert "sk-canary" not in repr(sent)
    azure = adapter(auth="api-key").to_request(a_request(), "sk-canary")
    assert azure.headers["api-key"] == "sk-canary"
    assert "authorization" not in azure.headers
    assert "authorization" not in adapter().to_request(a_request(), "").headers


def test_path_and_query_follow_the_profile() -> None:
    path = "/openai/deployments/{model}/chat/completions"
    sent = adapter(path=path, query={"api-version": "2024-10-21"}).to_request(a_request("a/b"), "")
    assert sent.path == "/openai/deployments/a%2Fb/chat/completions?api-version=2024-10-21"
    assert adapter().to_request(a_request(), "").path == "/chat/completions"


def test_a_text_with_a_lone_surrogate_is_still_sent() -> None:
    sent = body_of(a_request(messages=(Message("user", "a\ud800b"),)))
    assert sent["messages"][0]["content"] == "a?b"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"colour": "red"}, "no option 'colour'; known are auth,"),
        ({"structured_output": "xml"}, "one of json_schema, json_object, prompt, not 'xml'"),
        ({"auth": ["bearer"]}, "one of bearer, api-key"),
        ({"path": 5}, "'path' is text"),
        ({"query": {"a": 1}}, "'query' is a mapping of text to text"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match="provider 'p'") as refused:
        adapter(**options)
    assert said in str(refused.value)


# --- replies -------------------------------------------------------------------------------------


def test_a_reply_carries_text_usage_model_and_both_ids() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 12},
    }
    assert read(completion(id="c-1", model="gpt-4o-2024", usage=usage)) == ModelReply(
        text="hello",
        usage=Usage(
            input_tokens=100,
            output_tokens=20,
            cached_input_tokens=64,
            cache_write_tokens=8,
            reasoning_tokens=12,
        ),
        model="gpt-4o-2024",
        finish_reason="stop",
        finish_reason_raw="stop",
        response_id="c-1",
        request_id="r-1",
    )


def test_not_said_and_zero_are_different_counts() -> None:
    said = {"prompt_tokens": 1, "completion_tokens": 0, "prompt_tokens_details": None}
    assert read(completion(usage=said)).usage == Usage(input_tokens=1, output_tokens=0)
    zero = said | {"prompt_tokens_details": {"cached_tokens": 0}}
    assert read(completion(usage=zero)).usage == Usage(input_tokens=1, cached_input_tokens=0)


@pytest.mark.parametrize("usage", [None, {}, [], "many", {"prompt_tokens": "12"}])
def test_a_usage_that_says_nothing_is_none(usage: Any) -> None:
    assert read(completion(usage=usage)).usage is None


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("error", "error"),
        ("something_new", "other"),
        (None, "other"),
    ],
)
def test_why_it_stopped_is_normalised_and_kept(raw: str | None, normal: str) -> None:
    reply = read(completion(finish_reason=raw))
    assert (reply.finish_reason, reply.finish_reason_raw) == (normal, raw)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("", ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        ([{"type": "thinking", "thinking": [{"text": "no"}]}, {"type": "text", "text": "b"}], "b"),
        (["a", {"text": "b"}, {"type": "new"}, None, 5], "ab"),
        ({"text": "not a list"}, ""),
    ],
)
def test_content_of_any_shape_becomes_its_visible_text(content: Any, text: str) -> None:
    assert read(completion({"content": content})).text == text


def test_a_refusal_is_a_finish_of_its_own_and_its_words_are_kept() -> None:
    reply = read(completion({"content": None, "refusal": "I can't\nhelp."}))
    assert (reply.text, reply.finish_reason, reply.finish_reason_raw) == ("", "refusal", "stop")
    assert reply.warnings == ("the model refused: I can't help.",)
    in_part = read(completion({"content": [{"type": "refusal", "refusal": "no"}]}))
    assert in_part.finish_reason == "refusal"


@pytest.mark.parametrize(
    "payload",
    [
        b"<html>502</html>",
        b"",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b"[" * 100_000,
        {"choices": []},
        {"choices": None},
        {"choices": [None]},
        {"choices": [{"finish_reason": "stop"}]},
        {"object": "list", "data": []},
    ],
)
def test_what_is_no_completion_is_malformed(payload: Any) -> None:
    with pytest.raises(MalformedResponse, match=r"^p/gpt-4o: the answer") as refused:
        read(payload)
    assert refused.value.http_status == 200
    assert refused.value.request_id == "r-1"


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"error": {"code": 429, "message": "slow"}}, RateLimitError),
        ({"error": {"type": "server_error", "message": "oops"}}, ServerError),
        ({"error": {"type": "overloaded_error", "message": "busy"}}, Overloaded),
        ({"error": {"code": "insufficient_quota", "message": "pay"}}, QuotaExhausted),
        ({"error": "Unexpected endpoint or method. (POST /v1/x)"}, InvalidRequest),
        ({"error": {"message": "?"}}, ServerError),
        ({"choices": [{"error": {"code": 502, "message": "upstream"}}]}, ServerError),
    ],
)
def test_an_error_inside_a_200_is_that_error(
    payload: dict[str, Any], error: type[ProviderError]
) -> None:
    with pytest.raises(error) as raised:
        read(payload)
    assert type(raised.value) is error
    assert raised.value.http_status == 200


# --- errors --------------------------------------------------------------------------------------


def said(message: str, code: Any = None, type_: Any = None) -> dict[str, Any]:
    return {"error": {"message": message, "code": code, "type": type_}}


@pytest.mark.parametrize(
    ("status", "payload", "error"),
    [
        (400, said("no such field"), InvalidRequest),
        (400, said("x", "context_length_exceeded"), ContextOverflow),
        (400, said("maximum context length is 4096 tokens"), ContextOverflow),
        (400, said("exceeds the available context size", 400, "exceed_context_size_error"),
         ContextOverflow),
        (400, said("x", "content_filter"), ContentFiltered),
        (400, said("API key not valid"), AuthFailed),
        (400, said("Your credit balance is too low"), QuotaExhausted),
        (401, said("no"), AuthFailed),
        (402, said("no money"), QuotaExhausted),
        (403, said("no"), AuthFailed),
        (403, said("x", "model_not_found"), ModelUnavailable),
        (403, said("your input was flagged"), ContentFiltered),
        (404, said("The model `x` does not exist"), ModelUnavailable),
        (404, said("x", "DeploymentNotFound"), ModelUnavailable),
        (404, b"404 page not found", InvalidRequest),
        (404, {"detail": "Not Found"}, InvalidRequest),
        (408, b"upstream request timeout", Timeout),
        (409, said("x"), TransientError),
        (410, said("gone"), ModelUnavailable),
        (413, b"too large", InvalidRequest),
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, InvalidRequest),
        (429, said("x", "rate_limit_exceeded"), RateLimitError),
        (429, said("x", "insufficient_quota"), QuotaExhausted),
        (429, said("x", None, "insufficient_quota"), QuotaExhausted),
        (429, said("Request too large for gpt-4o: limit 30000, requested 50000"), QuotaExhausted),
        (429, said("We are experiencing high demand"), Overloaded),
        (429, b"", RateLimitError),
        (500, said("context_length_exceeded", "context_length_exceeded"), ServerError),
        (502, b"<html>Bad Gateway</html>", ServerError),
        (503, said("x", "server_is_overloaded"), Overloaded),
        (503, said("Loading model", 503, "unavailable_error"), Overloaded),
        (503, b"upstream connect error", ServerError),
        (504, b"", Timeout),
        (529, b"", Overloaded),
        (599, b"", ServerError),
        (418, [{"error": {"message": "wrapped in a list"}}], InvalidRequest),
    ],
)  # fmt: skip
def test_an_error_is_classified_by_status_code_and_words(
    status: int, payload: Any, error: type[ProviderError]
) -> None:
    raised = error_of(status, payload)
    assert type(raised) is error
    assert raised.http_status == status
    assert (raised.provider, raised.model) == ("p", "gpt-4o")


def test_a_402_of_a_budget_for_calls_in_flight_is_a_rate_limit() -> None:
    body = {"error": {"message": "x", "metadata": {"limit_source": "openrouter_in_flight_budget"}}}
    assert type(error_of(402, body)) is RateLimitError


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        ({"error": "just text"}, "just text", None),
        ({"code": "The caller", "error": "no permission"}, "no permission", "The caller"),
        ({"message": "at the top", "code": 400, "type": "BadRequestError"}, "at the top", "400"),
        ({"detail": "Invalid API Key"}, "Invalid API Key", None),
        ({"error": None, "message": "m"}, "m", None),
        (b"plain\n text", "plain text", None),
        ({"error": {"message": {"detail": ["a"]}}}, '{"detail": ["a"]}', None),
        ({}, "no message", None),
        ([], "no message", None),
        (None, "no message", None),
        (7, "7", None),
    ],
)
def test_an_error_of_any_shape_is_read(body: Any, message: str, code: str | None) -> None:
    error = error_of(400, body)
    assert str(error) == f"p/gpt-4o: 400{f' ({code})' if code and code != '400' else ''}: {message}"
    assert error.code == code


def test_a_wrong_path_is_told_apart_from_a_missing_model() -> None:
    assert "is base_url right?" in str(error_of(404, b"404 page not found"))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "20"}, 20.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "20", "retry_after_ms": "19500"}, 19.5),
        ({"x_ms_retry_after_ms": "250"}, 0.25),
        ({"retry_after": "1", "retry_after_ms": "0"}, 1.0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-3"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:30 GMT",
          "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:00 GMT",
          "date": "Wed, 21 Oct 2026 07:29:00 GMT"}, 0.0),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:30 -0000",
          "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
    ],
)  # fmt: skip
def test_the_time_to_wait_is_read_in_every_form(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert error_of(429, b"", **headers).retry_after == seconds


def test_the_server_s_id_of_the_exchange_is_kept() -> None:
    assert error_of(500, b"", x_request_id="req_1").request_id == "req_1"
    assert error_of(500, b"", apim_request_id="az-1").request_id == "az-1"


def test_a_long_message_is_cut() -> None:
    assert len(str(error_of(400, said("x" * 5_000)))) <= 500
