"""The backend over HTTP: dialects, faults and secrets; without a network where none is needed."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest

from providers import adapter_of
from providers.backend import Attempt
from providers.http_backend import HttpBackend
from runtime.errors import (
    AuthFailed,
    ConfigurationError,
    ConnectionFailed,
    EndpointUnsupported,
    ModelUnavailable,
    ProviderError,
    RateLimitError,
    ServerError,
    Timeout,
)
from runtime.messages import ModelEvent, ModelRequest, Timeouts
from tests.fake_backends import a_request
from tests.fake_http import (
    DONE,
    END,
    KEY,
    Answer,
    FakePort,
    a_backend,
    a_profile,
    completion,
    delta,
    whole,
)
from tests.http_ports import everything_logged, everything_of
from tests.loopback import json_response, loopback, response

if TYPE_CHECKING:
    import socket

    from providers.adapter import HttpRequest
    from runtime.messages import ModelReply
    from tests.loopback import Received

GREETING = json_response({"model": "m-1", "choices": [{"message": {"content": "hello"}}]})
TWO_DIALECTS: dict[str, Any] = {"dialect": "openai_responses", "fallback_dialect": "openai_chat"}
ABSENT = {
    "Ollama": Answer((b"404 page not found",), 404),
    "llama.cpp": whole({"error": {"code": 404, "message": "File Not Found"}}, 404),
    "vLLM": whole({"error": {"message": "not implemented"}}, 501),
    "LM Studio": whole({"error": "Unexpected endpoint or method. (POST /v1/responses)"}),
}


async def invoke(
    backend: HttpBackend, request: ModelRequest | None = None
) -> tuple[ModelReply | ProviderError, Attempt]:
    """Make one attempt; return its answer or error, and the attempt."""
    attempt = Attempt(request or a_request())
    try:
        return await backend.invoke(attempt), attempt
    except ProviderError as error:
        return error, attempt


async def answer_to(*answers: Answer | Exception, stream: bool = False, **fields: Any) -> Any:
    """Return the answer or error of one attempt."""
    script = iter(answers)
    backend = a_backend(FakePort(lambda _: next(script)), **fields)
    return (await invoke(backend, a_request(stream=stream)))[0]


def without_responses(absent: Answer) -> FakePort:
    """Return a server that knows Chat Completions only, and says so in its own way."""

    def answer(request: HttpRequest) -> Answer:
        if request.path.endswith("/responses"):
            return Answer(absent.steps, absent.status, absent.headers)
        if json.loads(request.body).get("stream"):
            return Answer((delta("hel"), delta("lo"), END, DONE))
        return completion()

    return FakePort(answer)


def paths(port: FakePort) -> list[str]:
    return [request.path.rpartition("/")[2] for request in port.sent]


# --- the other dialect ---------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("server", ABSENT)
async def test_a_server_without_the_first_dialect_is_asked_in_the_other_and_it_is_said(
    server: str, *, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    port = without_responses(ABSENT[server])
    backend = a_backend(port, **TWO_DIALECTS)
    for _ in range(3):
        reply, _ = await invoke(backend, a_request(stream=stream))
        assert not isinstance(reply, ProviderError)
        assert (reply.text, reply.endpoint) == ("hello", "chat")
        assert any("has no Responses API" in said for said in reply.warnings)
    assert paths(port) == ["responses", "completions", "completions", "completions"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_the_status_of_an_answer_is_known_afterwards() -> None:
    _, attempt = await invoke(a_backend(FakePort(lambda _: completion())))
    assert attempt.status == 200
    _, attempt = await invoke(a_backend(FakePort(lambda _: whole({"error": {}}, 503))))
    assert attempt.status == 503
    _, attempt = await invoke(a_backend(FakePort(lambda _: ConnectionFailed("x"))))
    assert attempt.status is None


async def test_a_server_is_asked_again_in_an_hour_and_for_another_model_at_once() -> None:
    port = without_responses(ABSENT["Ollama"])
    backend = a_backend(port, **TWO_DIALECTS)
    await invoke(backend)
    await invoke(backend, a_request(model="other"))
    assert paths(port).count("responses") == 2
    await anyio.sleep(3_601.0)
    await invoke(backend)
    assert paths(port).count("responses") == 3


async def test_a_model_that_is_not_there_is_no_dialect_that_is_not_there() -> None:
    missing = whole({"error": {"message": "model 'm' not found", "code": "model_not_found"}}, 404)
    port = without_responses(missing)
    error, _ = await invoke(a_backend(port, **TWO_DIALECTS))
    assert type(error) is ModelUnavailable
    assert paths(port) == ["responses"]


async def test_without_another_dialect_a_missing_endpoint_is_an_error() -> None:
    error = await answer_to(ABSENT["LM Studio"], dialect="openai_responses")
    assert type(error) is EndpointUnsupported


async def test_what_the_other_dialect_fails_with_is_the_failure() -> None:
    broken = whole({"error": {"message": "out of memory"}}, 500)
    error = await answer_to(ABSENT["Ollama"], broken, **TWO_DIALECTS)
    assert type(error) is ServerError


async def test_an_answer_in_one_piece_to_a_request_for_several_is_handed_on_as_one() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"content": "hello", "tool_calls": [call]}
    answer = whole({"model": "m", "choices": [{"finish_reason": "stop", "message": message}]})
    send, receive = anyio.create_memory_object_stream[ModelEvent](8)
    with send, receive:
        backend = a_backend(FakePort(lambda _: answer))
        reply = await backend.invoke(Attempt(a_request(stream=True), send))
        text, tool = receive.receive_nowait(), receive.receive_nowait()
    assert (text.kind, text.text, reply.text) == ("text", "hello", "hello")
    assert (tool.kind, tool.call_id, tool.name, tool.text) == ("tool_call", "c1", "f", "{}")


# --- faults --------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_answer_becomes_its_own_class_and_its_headers_are_heard(
    *, stream: bool
) -> None:
    headers = {"retry-after": "7", "x-ratelimit-limit-requests": "30"}
    limited = whole({"error": {"message": "slower"}}, 429, headers=headers)
    backend = a_backend(FakePort(lambda _: limited))
    error, attempt = await invoke(backend, a_request(stream=stream))
    assert isinstance(error, RateLimitError)
    assert (error.retry_after, error.http_status) == (7.0, 429)
    assert (error.provider, error.model) == ("p", "m")
    assert attempt.headers.items() >= headers.items()
    assert limited.closed


@pytest.mark.parametrize("stream", [False, True])
async def test_a_connection_that_fails_names_who_was_asked(*, stream: bool) -> None:
    error = await answer_to(ConnectionFailed("refused"), stream=stream)
    assert type(error) is ConnectionFailed
    assert (error.provider, error.model) == ("p", "m")


async def test_a_head_that_does_not_come_is_the_first_byte_that_does_not_come() -> None:
    late = Answer((delta("x"), END, DONE), head_s=3_600.0)
    error = await answer_to(late, stream=True, timeouts=Timeouts(first_byte=30.0))
    assert (type(error), error.stage) == (Timeout, "first_byte")
    assert anyio.current_time() == 30.0


async def test_head_and_first_byte_share_their_time() -> None:
    late = Answer((20.0, delta("x")), head_s=20.0)
    error = await answer_to(late, stream=True, timeouts=Timeouts(first_byte=30.0))
    assert (type(error), error.stage) == (Timeout, "first_byte")
    assert anyio.current_time() == 30.0
    assert late.closed


async def test_an_answer_that_is_not_streamed_may_take_its_time_but_not_for_ever() -> None:
    slow = Answer((50.0, *completion().steps), head_s=200.0)
    assert (await answer_to(slow)).text == "hello"
    error = await answer_to(Answer((900.0,)), timeouts=Timeouts(total=600.0))
    assert (type(error), error.stage) == (Timeout, "total")
    assert anyio.current_time() == 250.0 + 600.0


@pytest.mark.parametrize(
    "answer",
    [Answer(head_s=900.0), Answer((900.0,)), Answer((900.0,), status=500)],
    ids=["no head", "no body", "no error body"],
)
async def test_the_total_holds_whatever_a_stream_waits_for(answer: Answer) -> None:
    timeouts = Timeouts(first_byte=700.0, total=600.0)
    error = await answer_to(answer, stream=True, timeouts=timeouts)
    assert (type(error), error.stage) == (Timeout, "total")
    assert anyio.current_time() == 600.0
    assert (error.provider, error.model) == ("p", "m")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_attempt_that_is_given_up_closes_its_answer(*, stream: bool) -> None:
    answer = Answer((delta("x"), 3_600.0))
    with anyio.move_on_after(5.0):
        await answer_to(answer, stream=stream)
    assert answer.closed


async def test_a_backend_that_was_not_opened_says_so() -> None:
    profile = a_profile()
    with pytest.raises(RuntimeError, match="not opened"):
        await HttpBackend(profile, adapter_of(profile)).invoke(Attempt(a_request()))


async def test_closing_twice_closes_the_port_once_and_opens_nothing() -> None:
    port = FakePort(lambda _: completion())
    backend = a_backend(port)
    await backend.close()
    assert port.closed
    assert repr(backend) == "<HttpBackend p not opened>"
    await backend.close()


# --- the key -------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_a_missing_key_is_said_with_what_to_do(*, stream: bool) -> None:
    refusal = whole({"error": {"message": "who are you?"}}, 401)
    error = await answer_to(refusal, stream=stream, api_key="", key_help="set P_KEY")
    assert type(error) is AuthFailed
    assert str(error) == "p/m: there is no key; set P_KEY (401)"


async def test_a_wrong_key_is_not_taken_for_a_missing_one() -> None:
    refusal = whole({"error": {"message": "wrong key"}}, 401)
    error = await answer_to(refusal, key_help="set P_KEY")
    assert type(error) is AuthFailed
    assert "set P_KEY" not in str(error)


QUOTING: dict[str, tuple[Answer, bool]] = {
    "a refusal": (whole({"error": {"message": f"bad key {KEY}"}}, 401), False),
    "a refused stream": (whole({"error": {"message": f"bad key {KEY}", "code": KEY}}, 403), True),
    "an error in a 200": (whole({"error": {"message": f"server_error {KEY}"}}), False),
    "a request id": (whole({"error": {}}, 500, headers={"x-request-id": KEY}), False),
    "no JSON": (Answer((f"<html>{KEY}".encode(),), 502), False),
    "an error in a stream": (
        Answer((b'data: {"error": {"message": "bad %s"}}\n\n' % KEY.encode(),)), True,
    ),
    "an error after a piece": (
        Answer((delta("x"), b'data: {"error": {"message": "bad %s"}}\n\n' % KEY.encode())), True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("where", QUOTING)
async def test_a_server_that_quotes_the_key_finds_it_in_no_error_and_no_log(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer, stream = QUOTING[where]
    error = await answer_to(answer, stream=stream)
    assert isinstance(error, ProviderError)
    chain = f"{error} {vars(error)} {error.__cause__} {error.__context__}"
    assert KEY not in chain + everything_logged(caplog.records)


@pytest.mark.parametrize("key", [KEY + "\n", "sk-ünicode", "two words"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    profile = a_profile(api_key=key)
    with pytest.raises(ConfigurationError, match="line end copied") as refused:
        HttpBackend(profile, adapter_of(profile))
    assert key.strip() not in str(refused.value)
    assert key.strip() not in repr(profile)


@pytest.mark.parametrize(
    ("base_url", "said"),
    [
        ("", "begins with http:// or https://"),
        ("api.openai.com/v1", "begins with http:// or https://"),
        ("ftp://x/v1", "begins with http:// or https://"),
        ("http://", "begins with http:// or https://"),
        ("http://x:port/v1", "is no address"),
        ("http://x:99999/v1", "is no address"),
        ("http://a b/v1", "blanks or odd characters"),
        ("https://user:hunter2@x/v1", "holds a credential"),
        ("https://x/v1?key=hunter2", "holds a query"),
    ],
)
def test_a_base_url_that_is_none_is_refused_without_showing_a_credential(
    base_url: str, said: str
) -> None:
    profile = a_profile(base_url=base_url)
    with pytest.raises(ConfigurationError, match=said) as refused:
        HttpBackend(profile, adapter_of(profile))
    assert "provider 'p': base_url" in str(refused.value)
    assert "hunter2" not in str(refused.value)


# --- over real connections -----------------------------------------------------------------------


async def over(base_url: str, request: ModelRequest, pieces: Any = None) -> ModelReply:
    """Make one attempt over a backend of its own."""
    profile = a_profile(base_url=base_url)
    backend = HttpBackend(profile, adapter_of(profile))
    await backend.open()
    try:
        return await backend.invoke(Attempt(request, pieces))
    finally:
        await backend.close()


@pytest.mark.real_time
async def test_a_call_is_sent_and_its_answer_read() -> None:
    with loopback(GREETING) as server:
        reply = await over(server.url, a_request())
    assert (reply.text, reply.model) == ("hello", "m-1")
    [seen] = server.requests
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
    assert seen.headers["authorization"] == f"Bearer {KEY}"


def streamed(connection: socket.socket, *events: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
    connection.sendall(b"transfer-encoding: chunked\r\n\r\n")
    for event in events:
        connection.sendall(b"%x\r\n%s\r\n" % (len(event), event))


@pytest.mark.real_time
async def test_a_stream_is_read_over_a_real_connection() -> None:
    def tell(_received: Received, connection: socket.socket) -> bytes:
        streamed(connection, delta("hel"), delta("lo"), END, DONE)
        return b"0\r\n\r\n"

    send, receive = anyio.create_memory_object_stream[ModelEvent](8)
    with send, receive, loopback(tell) as server:
        reply = await over(server.url, a_request(stream=True), send)
        assert [receive.receive_nowait().text for _ in range(2)] == ["hel", "lo"]
    assert reply.text == "hello"


@pytest.mark.real_time
async def test_a_stream_that_is_given_up_closes_its_connection() -> None:
    def begin(_received: Received, connection: socket.socket) -> None:
        streamed(connection, delta("x"))
        server.wait_for_close(connection)

    send, receive = anyio.create_memory_object_stream[ModelEvent](8)
    with send, receive, loopback(begin) as server:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(over, server.url, a_request(stream=True), send)
            await receive.receive()
            tasks.cancel_scope.cancel()
        assert await anyio.to_thread.run_sync(server.deserted.wait, 10.0)


@pytest.mark.real_time
async def test_a_call_that_is_cancelled_leaves_its_connection_behind() -> None:
    begun = anyio.Event()

    def answer_later(received: Received, _connection: socket.socket) -> bytes:
        if b"wait" in received.body:
            anyio.from_thread.run_sync(begun.set, token=token)
            server.released.wait()
        return GREETING

    with loopback(answer_later) as server:
        token = anyio.lowlevel.current_token()
        profile = a_profile(base_url=server.url)
        backend = HttpBackend(profile, adapter_of(profile))
        await backend.open()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(backend.invoke, Attempt(a_request("wait")))
            await begun.wait()
            tasks.cancel_scope.cancel()
        assert (await backend.invoke(Attempt(a_request("go on")))).text == "hello"
        await backend.close()


@pytest.mark.real_time
@pytest.mark.parametrize(
    "answer", [json_response({"error": {"message": f"no {KEY}"}}, 500), response(401)]
)
async def test_a_failed_connection_keeps_neither_key_nor_prompt_in_its_frames(
    answer: bytes,
) -> None:
    prompt = "a prompt that nobody shall find"
    with loopback(answer) as server, pytest.raises(ProviderError) as raised:
        await over(server.url, a_request(prompt))
    assert KEY not in everything_of(raised.value)
    assert prompt not in everything_of(raised.value)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
