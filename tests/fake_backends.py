"""Backends whose every attempt a test decides about, and what asks them, on the virtual clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from providers.account import Account
from providers.call import Call
from runtime.messages import (
    Limits,
    LocalRequest,
    Message,
    ModelReply,
    ModelRequest,
    ProviderProfile,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from providers.backend import Attempt
    from runtime.messages import Payer

    Outcome = ModelReply | BaseException | Callable[[Attempt], ModelReply | BaseException]

USAGE = Usage(input_tokens=30, output_tokens=20)
OPEN = Limits(share=1.0, burst_s=60.0, concurrency_start=None)  # lets everything out at once


class Scripted:
    """Each attempt takes ``seconds`` and ends as the script says; beyond its end, as its last line.

    Attributes:
        requests: what was asked, oldest first.
        times: when, by the loop's clock.
        in_flight: attempts that are under way.
        most: the most of them at once.
        events: when it was opened and closed.
    """

    def __init__(self, *script: Outcome, seconds: float = 1.0, headers: Any = None) -> None:
        self.requests: list[ModelRequest] = []
        self.times: list[float] = []
        self.in_flight = 0
        self.most = 0
        self.events: list[str] = []
        self.seconds = seconds
        self._headers = headers or {}
        self._script = list(script or [a_reply()])

    async def open(self) -> None:
        self.events.append("opened")

    async def close(self) -> None:
        self.events.append(f"closed with {self.in_flight} in flight")

    async def invoke(self, attempt: Attempt) -> ModelReply:
        self.requests.append(attempt.request)
        self.times.append(anyio.current_time())
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        outcome = self._script[min(len(self.requests), len(self._script)) - 1]
        try:
            await anyio.sleep(self.seconds)
        finally:
            self.in_flight -= 1
        attempt.headers = self._headers
        if callable(outcome):
            outcome = outcome(attempt)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class ByModel(Scripted):
    """Ends each attempt as its model's name says: an error of that kind, or else an answer.

    Attributes:
        errors: the errors by model.
    """

    def __init__(self, errors: Mapping[str, Callable[[], BaseException]], **fields: Any) -> None:
        super().__init__(self._outcome, **fields)
        self.errors = dict(errors)

    def _outcome(self, attempt: Attempt) -> ModelReply | BaseException:
        error = self.errors.get(attempt.request.model)
        return error() if error is not None else a_reply(attempt.request.messages[0].text)


def a_reply(text: str = "yes", usage: Usage | None = USAGE) -> ModelReply:
    return ModelReply(text=text, usage=usage, model="m-1")


def a_request(text: str = "hi", **fields: Any) -> ModelRequest:
    usual = {"provider": "p", "model": "m", "messages": (Message("user", text),)}
    return ModelRequest(**usual | fields)


def a_profile(limits: Limits = OPEN, **fields: Any) -> ProviderProfile:
    return ProviderProfile(name="p", dialect="fake", limits={"*": limits}, **fields)


def an_account(backend: Scripted, limits: Limits = OPEN, **fields: Any) -> Account:
    """Return an account whose every draw is one half."""
    return Account(a_profile(limits, **fields), backend, draw=lambda: 0.5)


async def call(
    account: Account,
    request: ModelRequest | None = None,
    pieces: Any = None,
    payer: Payer | None = None,
) -> Any:
    return await Call(account, LocalRequest(request or a_request(), pieces, payer)).run()


async def outcome_of(account: Account, request: ModelRequest | None = None) -> Any:
    """Return the answer's text, or the error."""
    try:
        return (await call(account, request)).text
    except Exception as error:  # noqa: BLE001  # the error is the outcome
        return error


async def outcomes_of(account: Account, *requests: ModelRequest) -> list[Any]:
    """Make calls at the same time; return what became of each, in their order."""
    found: dict[int, Any] = {}

    async def one(number: int, request: ModelRequest) -> None:
        found[number] = await outcome_of(account, request)

    async with anyio.create_task_group() as tasks:
        for number, request in enumerate(requests):
            tasks.start_soon(one, number, request)
    return [found[number] for number in range(len(requests))]
