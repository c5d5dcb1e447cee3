"""Calls over real connections: answers, faults of every kind, and where the key may not be."""

from __future__ import annotations

import gzip
import logging
import ssl
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import httpx
import pytest

from providers import http
from providers.adapter import HttpRequest
from providers.http import HttpPort
from providers.openai_chat import openai_chat_backend
from runtime.errors import (
    AuthFailed,
    ConfigurationError,
    ConnectionFailed,
    InvalidRequest,
    MalformedResponse,
    ProviderError,
    RateLimitError,
    Timeout,
)
from runtime.messages import Message, ModelReply, ModelRequest, ProviderProfile
from tests.loopback import closed_port, json_response, loopback, reset, response

if TYPE_CHECKING:
    import socket

    from tests.loopback import Received

pytestmark = pytest.mark.real_time

CANARY = "sk-canary-0123456789abcdef"
GREETING = json_response({"model": "m-1", "choices": [{"message": {"content": "hello"}}]})


def profile(base_url: str, **fields: Any) -> ProviderProfile:
    usual = ProviderProfile(
        name="p",
        dialect="openai_chat",
        base_url=base_url,
        api_key=CANARY,
        first_byte_timeout_s=5.0,
    )
    return replace(usual, **fields)


def a_request(text: str = "hi") -> ModelRequest:
    return ModelRequest(provider="p", model="m", messages=(Message("user", text),))


async def call(base_url: str, times: int = 1, **fields: Any) -> ModelReply:
    backend = openai_chat_backend(profile(base_url, **fields))
    await backend.open()
    try:
        for _ in range(times):
            reply = await backend.invoke(a_request())
        return reply
    finally:
        await backend.close()


async def failure_of(base_url: str, **fields: Any) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        await call(base_url, **fields)
    return raised.value


async def test_a_call_is_sent_and_its_answer_read() -> None:
    with loopback(GREETING) as server:
        reply = await call(server.url)
    assert (reply.text, reply.model) == ("hello", "m-1")
    [seen] = server.requests
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
    assert seen.headers["authorization"] == f"Bearer {CANARY}"
    assert seen.headers["content-type"] == "application/json"


async def test_one_connection_serves_calls_one_after_the_other() -> None:
    with loopback(GREETING) as server:
        await call(server.url, times=5)
    assert (len(server.requests), server.connections) == (5, 1)


async def test_calls_at_the_same_time_share_one_client() -> None:
    with loopback(GREETING) as server:
        backend = openai_chat_backend(profile(server.url, concurrency=4))
        await backend.open()
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(backend.invoke, a_request())
        await backend.close()
    assert len(server.requests) == 4


@pytest.mark.parametrize("base", ["/v1", "/v1/", ""])
async def test_a_slash_at_the_end_of_the_base_url_makes_no_difference(base: str) -> None:
    with loopback(GREETING) as server:
        await call(f"http://127.0.0.1:{server.port}{base}")
    assert server.requests[0].path == f"{base.rstrip('/')}/chat/completions"


async def test_a_compressed_answer_is_read() -> None:
    body = gzip.compress(GREETING.partition(b"\r\n\r\n")[2])
    with loopback(response(200, body, content_encoding="gzip")) as server:
        assert (await call(server.url)).text == "hello"


async def test_an_error_answer_becomes_its_own_class_with_what_the_headers_say() -> None:
    limited = response(
        429, b'{"error": {"message": "slow down"}}', retry_after="7", x_request_id="r9"
    )
    with loopback(limited) as server:
        error = await failure_of(server.url)
    assert type(error) is RateLimitError
    assert (error.retry_after, error.request_id, error.http_status) == (7.0, "r9", 429)


async def test_an_answer_that_is_no_json_is_malformed() -> None:
    with loopback(response(200, b"<html>hello</html>", content_type="text/html")) as server:
        error = await failure_of(server.url)
    assert type(error) is MalformedResponse
    assert "18 bytes, text/html" in str(error)


# --- faults --------------------------------------------------------------------------------------


async def test_a_server_that_is_not_there_is_named_with_the_next_step() -> None:
    port = closed_port()
    error = await failure_of(f"http://127.0.0.1:{port}/v1")
    assert type(error) is ConnectionFailed
    assert (error.provider, error.model) == ("p", "m")
    assert f"127.0.0.1:{port}" in str(error)
    assert "is the server running?" in str(error)


async def test_a_name_that_does_not_resolve_is_said_as_such() -> None:
    error = await failure_of("http://no-such-host.invalid/v1")
    assert type(error) is ConnectionFailed
    assert "name could not be resolved" in str(error)


async def test_plain_http_on_a_tls_address_is_said_as_such() -> None:
    with loopback(lambda *_: None) as server:
        error = await failure_of(server.url.replace("http://", "https://"))
    assert type(error) is ConnectionFailed
    assert "is it https at all?" in str(error)


def test_a_certificate_that_is_not_trusted_is_said_as_such() -> None:
    error = httpx.ConnectError("[SSL] failed")
    error.__cause__ = ssl.SSLCertVerificationError("self-signed certificate")
    translated = http._translated(error, "p: models.example.com:443")
    assert type(translated) is ConnectionFailed
    assert str(translated).startswith(
        "p: models.example.com:443 cannot be reached: its TLS certificate is not trusted here"
    )


async def test_a_server_that_never_answers_is_a_timeout_before_the_first_byte() -> None:
    def keep_waiting(_received: Received, _connection: socket.socket) -> None:
        server.released.wait()

    with loopback(keep_waiting) as server:
        error = await failure_of(server.url, first_byte_timeout_s=0.05)
    assert isinstance(error, Timeout)
    assert error.stage == "first_byte"


async def test_a_server_that_stops_in_the_middle_is_a_timeout_of_the_body() -> None:
    def stop_in_the_middle(_received: Received, connection: socket.socket) -> None:
        connection.sendall(GREETING[:-5])
        server.released.wait()

    with loopback(stop_in_the_middle) as server:
        error = await failure_of(server.url, first_byte_timeout_s=0.05)
    assert isinstance(error, Timeout)
    assert error.stage == "body"


async def test_a_server_that_trickles_is_ended_in_total(monkeypatch: pytest.MonkeyPatch) -> None:
    def trickle(_received: Received, connection: socket.socket) -> None:
        connection.sendall(
            response(200, b"")[:-2].replace(b"length: 0", b"length: 1000000") + b"\r\n"
        )
        while not server.released.wait(0.01):
            connection.sendall(b" ")

    monkeypatch.setattr(http, "TOTAL_TIMEOUT_S", 0.2)
    with loopback(trickle) as server:
        error = await failure_of(server.url)
    assert isinstance(error, Timeout)
    assert error.stage == "total"


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\ncontent-le", GREETING[:-5]])
async def test_a_server_that_hangs_up_has_failed_the_connection(sent: bytes) -> None:
    def hang_up(_received: Received, connection: socket.socket) -> None:
        connection.sendall(sent)

    with loopback(hang_up) as server:
        assert type(await failure_of(server.url)) is ConnectionFailed


async def test_a_reset_in_the_body_has_failed_the_connection() -> None:
    def reset_in_the_body(_received: Received, connection: socket.socket) -> None:
        connection.sendall(GREETING[:-5])
        reset(connection)

    with loopback(reset_in_the_body) as server:
        error = await failure_of(server.url)
    assert type(error) is ConnectionFailed
    assert f"127.0.0.1:{server.port}" in str(error)


async def test_what_is_no_http_has_failed_the_connection() -> None:
    with loopback(b"SSH-2.0-OpenSSH_9.6\r\n\r\n") as server:
        assert type(await failure_of(server.url)) is ConnectionFailed


async def test_a_body_that_cannot_be_decompressed_is_malformed() -> None:
    with loopback(response(200, b"no gzip", content_encoding="gzip")) as server:
        assert type(await failure_of(server.url)) is MalformedResponse


async def test_a_body_beyond_the_bound_is_not_read_on() -> None:
    def flood(_received: Received, connection: socket.socket) -> None:
        size = 10 * http.LARGEST_BODY
        connection.sendall(f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode())
        for _ in range(size // 65_536):
            connection.sendall(b" " * 65_536)

    with loopback(flood) as server:
        error = await failure_of(server.url)
    assert type(error) is MalformedResponse
    assert str(http.LARGEST_BODY) in str(error)


async def test_a_bomb_is_not_unpacked_beyond_the_bound() -> None:
    bomb = gzip.compress(b" " * (3 * http.LARGEST_BODY))
    with loopback(response(200, bomb, content_encoding="gzip")) as server:
        assert type(await failure_of(server.url)) is MalformedResponse


async def test_a_call_that_is_cancelled_leaves_its_connection_behind() -> None:
    started = anyio.Event()

    def answer_later(received: Received, _connection: socket.socket) -> bytes:
        if b"wait" in received.body:
            anyio.from_thread.run_sync(started.set, token=token)
            server.released.wait()
        return GREETING

    with loopback(answer_later) as server:
        token = anyio.lowlevel.current_token()
        backend = openai_chat_backend(profile(server.url, concurrency=1))
        await backend.open()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(backend.invoke, a_request("wait"))
            await started.wait()
            tasks.cancel_scope.cancel()
        assert (await backend.invoke(a_request("go on"))).text == "hello"
        await backend.close()


# --- redirects and proxies -----------------------------------------------------------------------


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_within_the_origin_is_followed_with_the_same_request(status: int) -> None:
    def redirect_once(received: Received, _connection: socket.socket) -> bytes:
        if received.path == "/v1/chat/completions":
            return response(status, location="/v2/chat")
        return GREETING

    with loopback(redirect_once) as server:
        assert (await call(server.url)).text == "hello"
    first, second = server.requests
    assert second.path == "/v2/chat"
    assert (second.method, second.body) == (first.method, first.body)


async def test_the_key_follows_no_redirect_to_another_origin() -> None:
    with loopback(GREETING) as other:
        elsewhere = response(307, location=f"{other.url}/chat/completions")
        with loopback(elsewhere) as server:
            error = await failure_of(server.url)
    assert type(error) is InvalidRequest
    assert f"http://127.0.0.1:{other.port}/v1" in str(error)
    assert "make it the base_url" in str(error)
    assert other.requests == []


@pytest.mark.parametrize("answer", [
    response(302, location="/v1/elsewhere"), response(307, location="http://["),
    response(307, location="/v1/chat/completions"),
])  # fmt: skip
async def test_a_redirect_that_cannot_be_followed_is_an_invalid_request(answer: bytes) -> None:
    with loopback(answer) as server:
        assert type(await failure_of(server.url)) is InvalidRequest
    assert len(server.requests) <= 3


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with loopback(GREETING) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert (await call("http://models.example.com/v1")).text == "hello"
    assert proxy.requests[0].path == "http://models.example.com/v1/chat/completions"


# --- configuration -------------------------------------------------------------------------------


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
    with pytest.raises(ConfigurationError, match=said) as refused:
        openai_chat_backend(profile(base_url))
    assert "provider 'p': base_url" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("key", [CANARY + "\n", "sk-ünicode", "two words"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigurationError, match="line end copied") as refused:
        openai_chat_backend(profile("http://x", api_key=key))
    assert key.strip() not in str(refused.value)


async def test_without_a_key_none_is_sent_and_a_refusal_says_what_to_do() -> None:
    with loopback(json_response({"error": {"message": "who are you?"}}, status=401)) as server:
        error = await failure_of(server.url, api_key="", key_help="set P_KEY")
    assert type(error) is AuthFailed
    assert str(error) == "p/m: there is no key; set P_KEY (401)"
    assert "authorization" not in server.requests[0].headers


# --- the key -------------------------------------------------------------------------------------


def everything_of(error: BaseException | None) -> str:
    """Return all that a log could show of an error: its chain, their attributes, their frames."""
    shown = []
    while error is not None:
        shown += [repr(error), str(error), repr(vars(error)), *traceback.format_exception(error)]
        error = error.__cause__ or error.__context__
    return "\n".join(shown)


def refuse_with_the_key(received: Received, _connection: socket.socket) -> bytes:
    return json_response(
        {"error": {"message": f"bad key {received.headers['authorization']}"}}, 401
    )


def fail_in_a_200_with_the_key(received: Received, _connection: socket.socket) -> bytes:
    return json_response({"error": f"server_error {received.headers['authorization']}"})


def hang_up_at_once(_received: Received, _connection: socket.socket) -> None:
    return None


@pytest.mark.parametrize(
    "script", [refuse_with_the_key, fail_in_a_200_with_the_key, hang_up_at_once, GREETING]
)
async def test_the_key_is_in_no_error_no_log_and_no_repr(
    script: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with loopback(script) as server:
        account = profile(server.url)
        backend = openai_chat_backend(account)
        await backend.open()
        shown = [repr(account), repr(backend)]
        try:
            shown.append(repr(await backend.invoke(a_request())))
        except ProviderError as error:
            shown.append(everything_of(error))
        await backend.close()
    shown += [repr(record.__dict__) for record in caplog.records]
    assert server.requests[0].headers["authorization"].endswith(CANARY)
    assert CANARY not in "\n".join(shown)


async def test_a_failed_connection_keeps_neither_key_nor_prompt_alive() -> None:
    with loopback(hang_up_at_once) as server:
        error = await failure_of(server.url)
    assert error.__cause__ is None
    assert error.__context__ is None


async def test_an_account_that_was_never_asked_is_opened_and_closed() -> None:
    backend = openai_chat_backend(profile("http://127.0.0.1:9"))
    await backend.close()
    assert repr(backend) == "<HttpBackend p not opened>"
    await backend.open()
    assert repr(backend) == "<HttpBackend p <HttpPort http://127.0.0.1:9 open>>"
    await backend.close()
    assert repr(backend) == "<HttpBackend p <HttpPort http://127.0.0.1:9 closed>>"


async def test_a_request_that_http_does_not_allow_is_invalid() -> None:
    with loopback(GREETING) as server:
        port = HttpPort(profile(server.url))
        with pytest.raises(InvalidRequest) as raised:
            await port.send(HttpRequest("POST", "/x", {"api-key": f"{CANARY}\n"}, b""))
        await port.close()
    assert CANARY not in everything_of(raised.value)
