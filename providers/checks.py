"""Whether an account can be asked from here: one look at its server's list of models, no prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import anyio
import anyio.to_thread

from providers import IN_PROCESS, adapter_of
from providers.adapter import SUCCESS
from providers.redaction import Redaction
from runtime.actors import current_time
from runtime.errors import (
    AuthFailed,
    ConnectionFailed,
    EndpointUnsupported,
    MalformedResponse,
    ModelUnavailable,
    ProviderError,
    QuotaExhausted,
    RateLimitError,
    RegionBlocked,
    Timeout,
    TransientError,
)
from runtime.messages import ModelRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from providers.adapter import Adapter, HttpResponse
    from providers.http.port import Port
    from runtime.messages import ProviderProfile

LIMIT_WORDS = ("ratelimit", "rate-limit")
MOST_LIMITS = 32
LONGEST_LIMIT = 100


class CheckReport(NamedTuple):
    """What one look at an account has shown.

    Attributes:
        reachable: whether a server answered.
        authorised: whether it took the key, as far as its answer tells.
        models: the names of its models; empty when it did not list them.
        limits: what its header fields say about limits, by the field's name.
        problem: what is wrong, one line; None when it can be asked.
        advice: what to do about that, one line; None when it can be asked.
        latency_ms: how long the answer took.
    """

    reachable: bool
    authorised: bool
    models: tuple[str, ...]
    limits: Mapping[str, str]
    problem: str | None
    advice: str | None
    latency_ms: float


class Finding(NamedTuple):
    """What an error tells about an account, and what a person does about it."""

    errors: type[ProviderError] | tuple[type[ProviderError], ...]
    reached: bool
    authorised: bool
    advice: str


FINDINGS = (  # the first that fits
    Finding(ConnectionFailed, False, False, "start the server, or correct its address, {address}"),
    Finding(AuthFailed, True, False, "{key}"),
    Finding(RegionBlocked, True, True, "choose a provider that serves this region"),
    Finding(QuotaExhausted, True, True, "raise the quota or the balance of this account"),
    Finding(RateLimitError, True, True, "wait, or lower the account's limits in the catalog"),
    Finding(TransientError, True, False, "try again; the fault is the server's"),
    Finding(
        (EndpointUnsupported, ModelUnavailable, MalformedResponse), True, False,
        "correct the address, {address}, or the dialect, {dialect}",
    ),
    Finding(ProviderError, True, False, "correct the account's entry in the catalog"),
)  # fmt: skip


async def check(profile: ProviderProfile, timeout_s: float) -> CheckReport:
    """Ask an account for its models and say what came of it.

    Args:
        profile: the account.
        timeout_s: the seconds that the answer may take.

    Raises:
        ConfigurationError: the profile is wrong, e.g. its base URL or an option.
    """
    if profile.dialect == IN_PROCESS:
        return _here()
    from providers.http import open_port  # noqa: PLC0415  # not for accounts in this process

    adapter = adapter_of(profile)
    # The HTTP library and the machine's certificates take a third of a second to load.
    port = await anyio.to_thread.run_sync(open_port, profile)
    try:
        return await _look(profile, adapter, port, timeout_s)
    finally:
        with anyio.CancelScope(shield=True):
            await port.close()


def _here() -> CheckReport:
    from providers.echo import MODELS  # noqa: PLC0415  # not for accounts behind HTTP

    return CheckReport(
        reachable=True,
        authorised=True,
        models=tuple(MODELS),
        limits={},
        problem=None,
        advice=None,
        latency_ms=0.0,
    )


async def _look(
    profile: ProviderProfile, adapter: Adapter, port: Port, timeout_s: float
) -> CheckReport:
    limits: Mapping[str, str] = {}
    started = current_time()
    try:
        answer = await _answer(profile, adapter, port, timeout_s)
        response = Redaction(profile.api_key).response(answer)
        limits = limits_seen(response.headers)
        found = _models(response, adapter, profile)
    except ProviderError as error:
        return _failed(error, profile, limits, _since(started))
    return CheckReport(
        reachable=True,
        authorised=True,
        models=found,
        limits=limits,
        problem=None,
        advice=None,
        latency_ms=_since(started),
    )


async def _answer(
    profile: ProviderProfile, adapter: Adapter, port: Port, timeout_s: float
) -> HttpResponse:
    with anyio.move_on_after(timeout_s):
        return await port.send(adapter.models_request(profile.api_key))
    raise Timeout(f"{profile.base_url} did not answer within {timeout_s:g} s", stage="first_byte")


def _models(response: HttpResponse, adapter: Adapter, profile: ProviderProfile) -> tuple[str, ...]:
    if response.status in SUCCESS:
        return adapter.parse_models(response)
    request = ModelRequest(provider=profile.name, model="models", messages=())
    raise adapter.parse_error(response, request)


def limits_seen(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the header fields that speak of limits, in the order of their names; at most 32."""
    names = sorted(name for name in headers if any(word in name for word in LIMIT_WORDS))
    return {name: headers[name][:LONGEST_LIMIT] for name in names[:MOST_LIMITS]}


def _failed(
    error: ProviderError, profile: ProviderProfile, limits: Mapping[str, str], latency_ms: float
) -> CheckReport:
    finding = next(row for row in FINDINGS if isinstance(error, row.errors))
    unreached = isinstance(error, Timeout) and error.stage == "connect"
    return CheckReport(
        reachable=finding.reached and not unreached,
        authorised=finding.authorised,
        models=(),
        limits=limits,
        problem=_said(error),
        advice=finding.advice.format(
            address=profile.base_url, dialect=profile.dialect, key=_key_advice(profile)
        ),
        latency_ms=latency_ms,
    )


def _said(error: ProviderError) -> str:
    """Return what the server says, or else what we say, on one line."""
    if error.wire_message is None:
        return " ".join(str(error).split())
    code = error.code if error.code is not None else error.type
    known = "" if code is None else f" ({code})"
    return " ".join(f"{error.http_status}{known}: {error.wire_message}".split())


def _key_advice(profile: ProviderProfile) -> str:
    if not profile.key_help:
        return "name a variable for its key: 'api_key_env' in the catalog"
    return f"correct the key: {profile.key_help}" if profile.api_key else profile.key_help


def _since(started: float) -> float:
    return round((current_time() - started) * 1000.0, 1)
