"""One call with all its attempts, on the virtual clock: retries, deadlines, breaker, settlement."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.retry import EFFECTS, GROWTH, LONG, effect_of
from runtime.errors import (
    AuthFailed,
    CircuitOpen,
    Conflict,
    ConnectionFailed,
    ContentFiltered,
    ContextOverflow,
    DeadlineExceeded,
    EndpointUnsupported,
    InvalidRequest,
    MalformedResponse,
    ModelUnavailable,
    Overloaded,
    ProviderError,
    QueueFull,
    QuotaExhausted,
    RateLimitError,
    RegionBlocked,
    RequestTooLarge,
    ServerError,
    StreamInterrupted,
    Timeout,
    Warming,
)
from runtime.messages import Limits, ModelEvent, Usage
from tests.conftest import LeapingEventLoop
from tests.fake_backends import (
    ByModel,
    Scripted,
    a_reply,
    a_request,
    an_account,
    call,
    outcome_of,
    outcomes_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from providers.account import Account
    from providers.backend import Attempt
    from runtime.messages import HeldBy


def server_error() -> ProviderError:
    return ServerError("broken", http_status=500)


class Row(NamedTuple):
    """What one kind of failure does to a call that has three attempts, and to its target."""

    error: Callable[[], ProviderError]
    attempts: int
    breaker: str = "closed"
    paused: bool = False
    unavailable: bool = False


ROWS = [
    Row(server_error, 3),
    Row(lambda: ConnectionFailed("x"), 3),
    Row(lambda: ConnectionFailed("x", sent=True), 3),
    Row(lambda: Timeout("x", stage="connect"), 3),
    Row(lambda: Timeout("x", stage="first_byte"), 3),
    Row(lambda: Overloaded("x", http_status=529), 3, paused=True),
    Row(lambda: Conflict("x", http_status=409), 2),
    Row(lambda: RateLimitError("x", http_status=429), 3, paused=True),
    Row(lambda: RateLimitError("x", http_status=429, retry_after=2.0), 3, paused=True),
    Row(lambda: RateLimitError("x", http_status=429, growth=True), 3, paused=True),
    Row(lambda: RateLimitError("x", http_status=429, long=True), 1, unavailable=True),
    Row(lambda: RateLimitError("x", http_status=429, retry_after=61.0), 1, unavailable=True),
    Row(lambda: QuotaExhausted("x", http_status=429), 1, "disabled"),
    Row(lambda: AuthFailed("x", http_status=401), 1, "disabled"),
    Row(lambda: ModelUnavailable("x", http_status=404), 1, "disabled"),
    Row(lambda: RegionBlocked("x", http_status=403), 1),
    Row(lambda: ContextOverflow("x", http_status=400), 1),
    Row(lambda: ContentFiltered("x", http_status=400), 1),
    Row(lambda: InvalidRequest("x", http_status=400), 1),
    Row(lambda: RequestTooLarge("x", http_status=413), 1),
    Row(lambda: EndpointUnsupported("x", http_status=404), 1),
    Row(lambda: MalformedResponse("x", http_status=200), 1),
    Row(lambda: StreamInterrupted("x"), 1),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: repr(row.error()))
async def test_what_each_kind_of_failure_does_to_its_call_and_its_target(row: Row) -> None:
    backend = Scripted(lambda _: row.error())
    account = an_account(backend)
    error = await outcome_of(account)
    now, seen = anyio.current_time(), account.statistics(anyio.current_time())
    assert type(error) is type(row.error())
    assert (error.attempts, len(backend.requests)) == (row.attempts, row.attempts)
    assert (error.provider, error.model) == ("p", "m")
    assert error.elapsed_s == pytest.approx(now)
    assert seen.breakers["m"].state == row.breaker
    assert (seen.groups["m"].paused_until > now) is row.paused
    assert (seen.groups["m"].unavailable_until > now) is row.unavailable
    assert seen.groups["m"].in_flight == seen.groups["m"].queued == 0


@pytest.mark.parametrize("row", ROWS, ids=lambda row: repr(row.error()))
async def test_a_call_of_one_attempt_makes_one_whatever_it_fails_with(row: Row) -> None:
    backend = Scripted(lambda _: row.error())
    await outcome_of(an_account(backend), a_request(max_attempts=1))
    assert len(backend.requests) == 1


async def test_a_model_that_is_being_loaded_is_asked_once_a_second_until_it_is_there() -> None:
    loading = [Warming("x", http_status=503) for _ in range(30)]
    backend = Scripted(*loading, a_reply())
    reply = await call(an_account(backend))
    assert (reply.text, reply.attempts) == ("yes", 31)
    assert backend.times[-1] == pytest.approx(60)  # each attempt takes one second, too


async def test_a_model_that_is_never_loaded_is_given_up_when_the_time_is_over() -> None:
    backend = Scripted(lambda _: Warming("x", http_status=503))
    error = await outcome_of(an_account(backend), a_request(deadline=anyio.current_time() + 20))
    assert type(error) is Warming
    assert len(backend.requests) == 10
    backend = Scripted(lambda _: Warming("x", http_status=503))
    assert type(await outcome_of(an_account(backend))) is Warming
    assert len(backend.requests) == 301


async def test_a_retry_that_succeeds_is_a_success_that_tells_of_its_attempts() -> None:
    backend = Scripted(server_error(), server_error(), a_reply())
    account = an_account(backend)
    reply = await call(account)
    assert (reply.text, reply.attempts, reply.provider) == ("yes", 3, "p")
    assert reply.lost_usage is None
    # Half of 0.5 s and half of 1 s, as every draw is one half.
    assert backend.times == pytest.approx([0.0, 1.25, 2.75])
    assert account.retry_tokens.left == pytest.approx(8.1)


async def test_a_server_that_says_how_long_to_wait_is_not_asked_earlier() -> None:
    backend = Scripted(RateLimitError("x", http_status=429, retry_after=7.0), a_reply())
    await call(an_account(backend))
    first, second = backend.times
    assert 1.0 + 7.0 <= second - first <= 1.0 + 7.0 * 1.1 + 2.0  # and the pace that it taught


async def test_an_exception_that_nobody_foresaw_ends_the_call_and_frees_its_place() -> None:
    backend = Scripted(ZeroDivisionError("a bug"), a_reply())
    account = an_account(backend)
    assert type(await outcome_of(account)) is ZeroDivisionError
    assert account.statistics(1.0).in_flight == 0
    assert await outcome_of(account) == "yes"


# --- who pays for retries ------------------------------------------------------------------------


async def test_ten_retries_are_paid_for_and_then_a_failing_account_makes_none() -> None:
    backend = Scripted(lambda _: server_error())
    account = an_account(backend)
    for number in range(7):
        await outcome_of(account, a_request(model=f"m{number}"))
    assert len(backend.requests) == 7 + 10
    assert account.retry_tokens.left == 0


async def test_the_retries_of_rate_limited_calls_cost_nothing() -> None:
    backend = Scripted(lambda _: RateLimitError("x", http_status=429))
    account = an_account(backend)
    for _ in range(6):
        await outcome_of(account)
    assert len(backend.requests) == 18
    assert account.retry_tokens.left == 10


# --- what may have been executed -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (lambda: ConnectionFailed("x", sent=False), 3),
        (lambda: ConnectionFailed("x", sent=True), 1),
        (lambda: Timeout("x", stage="connect"), 3),
        (lambda: Timeout("x", stage="total"), 1),
        (server_error, 3),
    ],
)
async def test_without_leave_nothing_is_repeated_that_may_have_been_executed(
    error: Callable[[], ProviderError], attempts: int
) -> None:
    backend = Scripted(lambda _: error())
    await outcome_of(an_account(backend, retry_ambiguous=False))
    assert len(backend.requests) == attempts


async def test_what_an_attempt_of_unknown_fate_may_have_used_is_told_with_the_answer() -> None:
    backend = Scripted(Timeout("x", stage="first_byte"), server_error(), a_reply())
    reply = await call(an_account(backend), a_request("x" * 3_500))
    assert reply.lost_usage == Usage(input_tokens=1_008, output_tokens=256)
    assert reply.attempts == 3


async def test_whoever_pays_is_asked_before_each_attempt_that_follows_one_of_unknown_fate() -> None:
    class Purse:
        def __init__(self, *pays: bool) -> None:
            self.pays = list(pays)
            self.heard: list[str] = []

        def sent(self) -> None:
            self.heard.append("sent")

        def ended(self, error: BaseException | None, status: int | None) -> None:
            """Nothing to pay for."""

        def waiting(self, held_by: HeldBy) -> None:
            """Waiting costs nothing."""

        def went_on(self, *, cut_off: bool = False) -> None:
            """Nor does going on."""

        def spared(self) -> None:
            self.heard.append("spared")

        async def again(self) -> bool:
            self.heard.append("again")
            return self.pays.pop(0)

    lost = Timeout("x", stage="first_byte")
    backend, purse = Scripted(server_error(), lost, a_reply()), Purse(True)
    reply = await call(an_account(backend), a_request(max_attempts=9), payer=purse)
    assert reply.text == "yes"
    assert purse.heard == ["sent", "spared", "sent", "again", "sent"]
    backend = Scripted(lost, a_reply())
    with pytest.raises(Timeout) as raised:
        await call(an_account(backend), a_request(max_attempts=9), payer=Purse(False))
    assert (raised.value.attempts, raised.value.lost_usage, len(backend.requests)) == (1, None, 1)


async def test_the_last_failure_tells_what_the_attempts_before_it_may_have_used() -> None:
    backend = Scripted(lambda _: ConnectionFailed("x", sent=True))
    error = await outcome_of(an_account(backend), a_request("x" * 3_500))
    assert error.lost_usage == Usage(input_tokens=2_016, output_tokens=512)


async def test_once_a_piece_was_handed_on_nobody_tries_again() -> None:
    def cut_off(attempt: Attempt) -> ProviderError:
        assert attempt.hand_on(ModelEvent("text", "half an"))
        return Timeout("x", stage="total")

    backend = Scripted(cut_off, a_reply())
    send, receive = anyio.create_memory_object_stream[ModelEvent](8)
    with send, receive, pytest.raises(Timeout) as raised:
        await call(an_account(backend), a_request(stream=True), send)
    assert raised.value.attempts == len(backend.requests) == 1


async def test_what_was_used_so_far_is_no_piece_that_keeps_from_trying_again() -> None:
    def cut_off(attempt: Attempt) -> ProviderError:
        assert attempt.hand_on(ModelEvent("usage", usage=Usage(input_tokens=9)))
        return ConnectionFailed("x", sent=True)

    backend = Scripted(cut_off, a_reply())
    send, receive = anyio.create_memory_object_stream[ModelEvent](8)
    with send, receive:
        assert (await call(an_account(backend), a_request(stream=True), send)).text == "yes"
        assert receive.statistics().current_buffer_used == 0


# --- deadlines -----------------------------------------------------------------------------------


async def test_a_call_whose_time_is_over_reaches_nobody() -> None:
    backend = Scripted()
    error = await outcome_of(an_account(backend), a_request(deadline=anyio.current_time()))
    assert (type(error), error.stage, backend.requests) == (DeadlineExceeded, "queue", [])


async def test_a_deadline_in_flight_cuts_the_attempt_off_at_that_very_instant() -> None:
    backend = Scripted(seconds=9.0)
    account = an_account(backend)
    error = await outcome_of(account, a_request(deadline=2.5))
    assert (type(error), error.stage) == (DeadlineExceeded, "total")
    assert anyio.current_time() == 2.5
    assert account.statistics(2.5).in_flight == backend.in_flight == 0


async def test_a_deadline_in_the_queue_is_certain_to_have_cost_nothing() -> None:
    backend = Scripted(seconds=9.0)
    account = an_account(backend, Limits(concurrency=1))
    first, second = await outcomes_of(account, a_request(), a_request(deadline=2.5))
    assert first == "yes"
    assert (type(second), second.stage) == (DeadlineExceeded, "queue")
    assert len(backend.requests) == 1


async def test_what_cannot_start_in_time_is_refused_at_once() -> None:
    backend = Scripted(RateLimitError("x", http_status=429, retry_after=50.0))
    account = an_account(backend)
    await outcome_of(account, a_request(max_attempts=1))
    error = await outcome_of(account, a_request(deadline=40.0))
    assert (type(error), error.stage) == (DeadlineExceeded, "queue")
    assert anyio.current_time() == 1.0
    assert len(backend.requests) == 1


async def test_a_retry_that_would_come_too_late_is_not_waited_for() -> None:
    backend = Scripted(lambda _: RateLimitError("x", http_status=429, retry_after=5.0))
    error = await outcome_of(an_account(backend), a_request(deadline=4.0))
    assert (type(error), error.attempts) == (RateLimitError, 1)
    assert anyio.current_time() == 1.0


async def test_a_retry_whose_turn_comes_too_late_may_still_have_to_be_paid_for() -> None:
    """The first attempt was perhaps billed; so "it only waited" would be a lie about money."""
    backend = Scripted(Timeout("x", stage="first_byte"), a_reply(), seconds=1.0)
    account = an_account(backend, Limits(concurrency=1))

    async def take_the_place() -> None:
        await anyio.sleep(1.01)
        backend.seconds = 60.0
        await call(account, a_request("other"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take_the_place)
        error = await outcome_of(account, a_request(deadline=5.0))
    assert (type(error), error.stage) == (DeadlineExceeded, "total")
    assert [request.messages[0].text for request in backend.requests] == ["hi", "other"]


async def test_who_waits_when_a_pause_outlasts_its_deadline_is_sent_away_at_once() -> None:
    backend = Scripted(RateLimitError("x", http_status=429, retry_after=30.0), a_reply())
    account = an_account(backend, Limits(concurrency=1))
    ended: dict[float, float] = {}

    async def one(deadline: float) -> None:
        await outcome_of(account, a_request(deadline=deadline))
        ended[deadline] = anyio.current_time()

    async with anyio.create_task_group() as tasks:
        for deadline in (900.0, 20.0, 10.0, 800.0):
            tasks.start_soon(one, deadline)
    assert ended[20.0] == ended[10.0] == 1.0
    assert min(ended[900.0], ended[800.0]) > 31.0
    assert len(backend.requests) == 3


async def test_a_pause_that_grows_sends_those_away_who_could_wait_for_it_before() -> None:
    backend = Scripted(
        RateLimitError("x", http_status=429, retry_after=5.0),
        RateLimitError("x", http_status=429, retry_after=30.0),
        a_reply(),
    )
    account = an_account(backend, Limits(concurrency=1, concurrency_start=None))
    ended: list[Any] = []

    async def patient() -> None:
        await outcome_of(account)

    async def late() -> None:
        await anyio.sleep(1.5)
        ended.extend([await outcome_of(account, a_request(deadline=20.0)), anyio.current_time()])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(patient)
        tasks.start_soon(patient)
        tasks.start_soon(late)
    error, instant = ended
    assert (type(error), error.stage, error.attempts) == (DeadlineExceeded, "queue", 0)
    assert instant == pytest.approx(backend.times[1] + 1.0)


async def test_a_stream_that_its_deadline_cuts_off_tells_what_had_come() -> None:
    usage = Usage(input_tokens=11, output_tokens=20)

    class Endless(Scripted):
        async def invoke(self, attempt: Attempt) -> Any:
            if not self.requests:
                return await super().invoke(attempt)
            attempt.so_far = lambda: a_reply("half an ans", usage)
            return await anyio.sleep_forever()

    account = an_account(Endless(Timeout("x", stage="first_byte")))
    error = await outcome_of(account, a_request("x" * 3_500, deadline=9.0))
    assert (type(error), error.stage, error.attempts) == (DeadlineExceeded, "total", 2)
    assert (error.partial, error.usage) == ("half an ans", usage)
    assert error.lost_usage == Usage(input_tokens=1_008, output_tokens=256)
    assert (error.provider, error.model) == ("p", "m")
    assert pickle.loads(pickle.dumps(error)).partial == "half an ans"  # noqa: S301  # our own bytes


async def test_what_came_of_an_attempt_before_is_not_told_as_the_answer_so_far() -> None:
    def cut_off(attempt: Attempt) -> ProviderError:
        attempt.so_far = lambda: a_reply("old")
        return Timeout("x", stage="first_byte")

    backend = Scripted(cut_off, lambda _: Warming("x", http_status=503), seconds=1.0)
    account = an_account(backend, Limits(concurrency=1))

    async def take_the_place() -> None:
        await anyio.sleep(1.01)
        backend.seconds = 60.0
        await outcome_of(account, a_request("other", max_attempts=1))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take_the_place)
        error = await outcome_of(account, a_request(deadline=5.0))
    assert (type(error), error.partial, error.usage) == (DeadlineExceeded, "", None)
    assert (error.stage, error.attempts) == ("total", 1)
    assert error.lost_usage.output_tokens == 256


async def test_a_retry_that_finds_no_place_to_wait_fails_as_its_attempt_did() -> None:
    backend = Scripted(Timeout("x", stage="first_byte"), a_reply())
    account = an_account(backend, Limits(concurrency=1, max_queue=1))

    async def crowd() -> None:
        await anyio.sleep(1.01)
        backend.seconds = 60.0
        await outcomes_of(account, a_request("other"), a_request("another"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crowd)
        error = await outcome_of(account)
    assert (type(error), error.attempts) == (Timeout, 1)
    assert error.lost_usage.output_tokens == 256


# --- the queue -----------------------------------------------------------------------------------


async def test_one_more_than_may_wait_is_refused_and_costs_the_others_nothing() -> None:
    account = an_account(Scripted(), Limits(concurrency=1, max_queue=2))
    found = await outcomes_of(account, *[a_request()] * 4)
    assert [one if isinstance(one, str) else type(one) for one in found] == [
        *["yes"] * 3, QueueFull,
    ]  # fmt: skip
    assert await outcome_of(account) == "yes"


async def test_a_call_larger_than_the_limit_never_waits() -> None:
    backend = Scripted()
    account = an_account(backend, Limits(tpm=500, share=1.0))
    error = await outcome_of(account, a_request("x" * 9_000))
    assert (type(error), error.provider, error.attempts) == (RequestTooLarge, "p", 0)
    assert backend.requests == []


async def test_who_waits_when_the_server_asks_for_too_long_is_sent_away_at_once() -> None:
    backend = Scripted(RateLimitError("x", http_status=429, retry_after=3_600.0), a_reply())
    account = an_account(backend, Limits(concurrency=1))
    found = await outcomes_of(account, *[a_request()] * 3)
    assert [(type(one), one.long, one.attempts) for one in found] == [
        (RateLimitError, False, 1), (RateLimitError, True, 0), (RateLimitError, True, 0),
    ]  # fmt: skip
    assert found[1].retry_after == pytest.approx(3_780.0)
    assert anyio.current_time() == 1.0
    assert account.statistics(1.0).queued == 0
    await anyio.sleep_until(3_781.1)
    assert await outcome_of(account) == "yes"


# --- the breaker ---------------------------------------------------------------------------------


async def broken(backend: Scripted) -> Account:
    """Return an account whose breaker has just been opened by five failures."""
    account = an_account(backend)
    for _ in range(5):
        await outcome_of(account, a_request(max_attempts=1))
    assert account.statistics(anyio.current_time()).breakers["m"].state == "open"
    return account


def until_half_open(account: Account) -> float:
    until = account.statistics(anyio.current_time()).breakers["m"].until
    assert until is not None
    return until


async def test_an_open_breaker_refuses_at_once_who_does_not_wait_and_says_until_when(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend = Scripted(lambda _: server_error())
    account = await broken(backend)
    assert caplog.messages == ["p/m is left alone for 6 s: the last 5 calls failed"]
    error = await outcome_of(account, a_request(wait_for_circuit=False))
    assert type(error) is CircuitOpen
    assert error.until == until_half_open(account) == pytest.approx(5.0 + 5.5)
    assert (error.provider, error.model, error.attempts) == ("p", "m", 0)
    assert len(backend.requests) == 5


async def test_a_breaker_is_one_models_own_affair() -> None:
    account = await broken(ByModel({"m": server_error}))
    assert await outcome_of(account, a_request("yes", model="other")) == "yes"


async def test_a_breaker_that_opens_between_two_attempts_is_waited_for() -> None:
    backend = Scripted(*[server_error() for _ in range(5)], a_reply())
    account = an_account(backend)
    await outcome_of(account)
    reply = await call(account)
    assert (reply.attempts, len(backend.requests)) == (3, 6)
    assert backend.times[5] - backend.times[4] == pytest.approx(1.0 + 5.5)


async def test_a_retry_that_may_not_wait_for_the_circuit_fails_as_its_attempt_did() -> None:
    backend = Scripted(lambda _: server_error())
    account = an_account(backend)
    await outcome_of(account)
    error = await outcome_of(account, a_request(wait_for_circuit=False))
    assert (type(error), error.attempts, len(backend.requests)) == (ServerError, 2, 5)


async def test_half_open_one_probe_goes_out_and_who_does_not_wait_is_refused() -> None:
    backend = ByModel({"m": server_error})
    account = await broken(backend)
    backend.errors.clear()
    await anyio.sleep_until(until_half_open(account))
    now = anyio.current_time()
    found = await outcomes_of(account, *[a_request("yes", wait_for_circuit=False)] * 5)
    assert found[0] == "yes"
    assert [(type(one), one.until) for one in found[1:]] == [(CircuitOpen, now)] * 4
    assert account.statistics(anyio.current_time()).breakers["m"].state == "half_open"
    assert await outcome_of(account, a_request("yes")) == "yes"
    assert account.statistics(anyio.current_time()).breakers["m"].state == "closed"


async def test_a_probe_that_fails_opens_it_for_twice_as_long() -> None:
    account = await broken(Scripted(lambda _: server_error()))
    await anyio.sleep_until(until_half_open(account))
    await outcome_of(account, a_request(max_attempts=1))
    assert until_half_open(account) - anyio.current_time() == pytest.approx(11.0)


@pytest.mark.parametrize("end", ["cancelled", "deadline", "bug", "rate limit", "invalid", "unsent"])
async def test_a_probe_comes_back_however_it_ends(end: str) -> None:
    ends: dict[str, BaseException] = {
        "bug": ZeroDivisionError("x"),
        "rate limit": RateLimitError("x", http_status=429),
        "invalid": InvalidRequest("x", http_status=400),
        "unsent": InvalidRequest("x"),
    }
    backend = Scripted(*[server_error() for _ in range(5)], ends.get(end, a_reply()), a_reply())
    account = await broken(backend)
    await anyio.sleep_until(until_half_open(account))
    now = anyio.current_time()
    with anyio.move_on_after(0.5 if end == "cancelled" else None):
        deadline = now + 0.5 if end == "deadline" else None
        await outcome_of(account, a_request(max_attempts=1, deadline=deadline))
    assert await outcome_of(account) == "yes"


async def test_a_probe_that_is_cancelled_in_the_moment_of_its_start_comes_back() -> None:
    backend = Scripted(*[server_error() for _ in range(5)], a_reply())
    account = await broken(backend)
    await anyio.sleep_until(until_half_open(account))
    with anyio.CancelScope() as scope:
        scope.cancel()
        await call(account)
    assert scope.cancelled_caught
    assert await outcome_of(account) == "yes"


async def test_who_queues_for_a_target_that_fails_meanwhile_uses_up_no_turn() -> None:
    backend = Scripted(lambda _: server_error())
    account = an_account(backend, Limits(concurrency=1))
    requests = [a_request(max_attempts=1, wait_for_circuit=False)] * 8
    found = await outcomes_of(account, *requests)
    assert [type(one) for one in found] == [*[ServerError] * 5, *[CircuitOpen] * 3]
    assert len(backend.requests) == 5
    group = account.statistics(anyio.current_time()).groups["m"]
    assert (group.in_flight, group.queued, group.charged_requests) == (0, 0, 5)


async def test_what_no_waiting_mends_names_no_end_and_is_tried_again_in_ten_minutes() -> None:
    backend = Scripted(AuthFailed("wrong key", http_status=401), a_reply())
    account = an_account(backend)
    await outcome_of(account)
    error = await outcome_of(account)
    assert (type(error), error.until) == (CircuitOpen, None)
    assert "AuthFailed: wrong key" in str(error)
    await anyio.sleep(601.0)
    assert await outcome_of(account) == "yes"


# --- settlement ----------------------------------------------------------------------------------

COUNTED = Limits(rpm=1e6, itpm=1e6, otpm=1e6, share=1.0, burst_s=60.0, concurrency_start=None)
RESERVED = (1, 1_008, 256)


@pytest.mark.parametrize(
    ("outcome", "charged"),
    [
        (a_reply(usage=Usage(input_tokens=700, output_tokens=3)), (1, 700, 3)),
        (a_reply(usage=Usage()), (1, 0, 0)),
        (a_reply(usage=None), RESERVED),
        (ConnectionFailed("x", sent=False), (0, 0, 0)),
        (Timeout("x", stage="connect"), (0, 0, 0)),
        (InvalidRequest("refused before it was sent"), (0, 0, 0)),
        (InvalidRequest("x", http_status=400), (1, 0, 0)),
        (server_error(), (1, 0, 0)),
        (RateLimitError("x", http_status=429), (1, 0, 0)),
        (Overloaded("x", http_status=529), (1, 0, 0)),
        (ConnectionFailed("x", sent=True), RESERVED),
        (Timeout("x", stage="first_byte"), RESERVED),
        (MalformedResponse("x", http_status=200), RESERVED),
        (StreamInterrupted("x"), RESERVED),
        (ZeroDivisionError("a bug"), RESERVED),
    ],
    ids=repr,
)
async def test_what_each_end_of_an_attempt_leaves_charged(
    outcome: Any, charged: tuple[int, int, int]
) -> None:
    account = an_account(Scripted(outcome), COUNTED)
    await outcome_of(account, a_request("x" * 3_500, max_attempts=1))
    group = account.statistics(anyio.current_time()).groups["m"]
    now = (group.charged_requests, group.charged_tokens_in, group.charged_tokens_out)
    assert now == charged
    assert group.in_flight == 0


async def test_a_call_that_is_given_up_stays_charged_and_frees_its_place() -> None:
    account = an_account(Scripted(seconds=9.0), COUNTED)
    with anyio.move_on_after(1.0):
        await call(account, a_request("x" * 3_500))
    group = account.statistics(1.0).groups["m"]
    assert (group.charged_requests, group.charged_tokens_in, group.in_flight) == (1, 1_008, 0)


async def test_cached_tokens_are_not_counted_where_the_server_does_not() -> None:
    reply = a_reply(usage=Usage(input_tokens=700, cached_input_tokens=600, output_tokens=3))
    limits = Limits(itpm=1e6, counts_cached_tokens=False)
    account = an_account(Scripted(reply), limits)
    await call(account)
    assert account.statistics(1.0).groups["m"].charged_tokens_in == 100


async def test_the_whole_allowance_is_reserved_where_the_server_counts_it() -> None:
    account = an_account(Scripted(seconds=9.0), Limits(otpm=1e6, counts_max_tokens=True))
    with anyio.move_on_after(1.0):
        await call(account, a_request(max_output_tokens=3_000))
    assert account.statistics(1.0).groups["m"].charged_tokens_out == 3_000


@pytest.mark.parametrize("outcome", [a_reply(), RateLimitError("x", http_status=429)], ids=repr)
async def test_what_an_answer_says_of_the_limits_is_kept_to(outcome: Any) -> None:
    headers = {"x-ratelimit-limit-requests": "30", "x-ratelimit-remaining-requests": "29"}
    account = an_account(Scripted(outcome, headers=headers), Limits(rpm=60, share=1.0))
    await outcome_of(account, a_request(max_attempts=1))
    assert account.statistics(1.0).groups["m"].limits["rpm"] == 30.0


async def test_an_answer_without_usage_is_answered_with_an_estimate_that_says_so() -> None:
    reply = await call(an_account(Scripted(a_reply("four words of answer", usage=None))))
    assert reply.usage_source == "estimated"
    assert reply.usage.output_tokens > 0


# --- whatever happens ----------------------------------------------------------------------------

KINDS: list[Callable[[], Any]] = [a_reply, *(row.error for row in ROWS)]
calls = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.3, 4.0, 20.0]),  # seconds after the one before it
        st.sampled_from([None, 0.5, 3.0, 30.0]),  # seconds until its deadline
        st.sampled_from([None, 0.2, 2.0]),  # seconds after which its caller gives up
        st.sampled_from(["a", "b"]),  # its model
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=120, deadline=None)
@given(calls, st.lists(st.sampled_from(range(len(KINDS))), min_size=1, max_size=25))
def test_whatever_happens_everybody_ends_and_nothing_is_left(plan: Any, script: list[int]) -> None:
    """I7, I12 and I6: attempts are bounded, one probe at a time, all are answered in time."""

    async def scenario() -> None:
        limits = Limits(rpm=120, concurrency=3, max_queue=10, share=1.0)
        backend = Scripted(*((lambda _, kind=kind: KINDS[kind]()) for kind in script))
        account = an_account(backend, limits, group_by="account")
        successes = 0

        async def one(deadline: float | None, patience: float | None, model: str) -> None:
            nonlocal successes
            end = None if deadline is None else anyio.current_time() + deadline
            request = a_request(model=model, deadline=end)
            with anyio.move_on_after(patience):
                found = await outcome_of(account, request)
                successes += found == "yes"
                assert getattr(found, "attempts", 1) <= 3
                assert end is None or anyio.current_time() <= end

        async with anyio.create_task_group() as tasks:
            for pause, *rest in plan:
                await anyio.sleep(pause)
                tasks.start_soon(one, *rest)
        now = anyio.current_time()
        seen = account.statistics(now)
        assert (seen.in_flight, seen.queued, backend.in_flight) == (0, 0, 0)
        assert len(backend.requests) <= 3 * len(plan)
        assert seen.retry_tokens <= 10
        for ward in (account.ward(model) for model in "ab"):
            assert not any((ward.circuit.waiting, ward.circuit.queued, ward.calls))
            late = now + 4_000.0
            assert ward.circuit.attempt(late)  # no probe was lost
            ward.circuit.neutral(late, late)

    anyio.run(scenario, backend_options={"loop_factory": LeapingEventLoop})


def test_the_table_of_this_file_has_every_kind_of_effect() -> None:
    told = {effect_of(row.error()) for row in ROWS} | {EFFECTS[Warming]}  # that one has its own
    assert told >= {*EFFECTS.values(), GROWTH, LONG}
