"""From target to target: order, attempts, time, what falls through, and whom nobody may ask."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.cascade import MIN_SLICE_S, Cascade, Course, Fallen
from runtime.catalog import Target
from runtime.errors import (
    AllTargetsFailed,
    AuthFailed,
    BudgetExceeded,
    Cancelled,
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
    PolicyDenied,
    ProviderError,
    QueueFull,
    QuotaExhausted,
    RateLimitError,
    RegionBlocked,
    RequestTooLarge,
    RuntimeFault,
    ServerError,
    StreamInterrupted,
    Timeout,
)
from tests.conftest import LeapingEventLoop
from tests.fake_backends import a_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.cascade import Walked
    from runtime.messages import ModelRequest

A, B, C = (Target(name, "m") for name in "abc")
ALL_WORDS = frozenset(
    (
        "auth", "circuit_open", "content_filtered", "context_overflow", "malformed", "model_gone",
        "overloaded", "quota", "rate_limited", "region", "transient",
    )
)  # fmt: skip


def a_course(*targets: Target, **fields: Any) -> Course:
    usual: dict[str, Any] = {"fallback_on": ALL_WORDS, "per_target": 3, "total": 6, "windows": {}}
    return Course(targets=targets or (A, B, C), **usual | fields)


class World:
    """Targets that fail or answer as they are told.

    Attributes:
        asked: whom was asked what, oldest first.
        fallen: why.
        times: when.
    """

    def __init__(self, *, denied: frozenset[Target] = frozenset(), **fates: Any) -> None:
        self.asked: list[ModelRequest] = []
        self.fallen: list[Fallen | None] = []
        self.times: list[float] = []
        self._fates = fates
        self._denied = denied

    def check(self, target: Target) -> None:
        if target in self._denied:
            raise PolicyDenied(f"{target.provider} is denied")

    async def ask(self, request: ModelRequest, fallen: Fallen | None) -> str:
        self.asked.append(request)
        self.fallen.append(fallen)
        self.times.append(anyio.current_time())
        fate = self._fates.get(request.provider)
        if isinstance(fate, list):
            fate = fate.pop(0) if len(fate) > 1 else fate[0]
        if isinstance(fate, BaseException):
            raise fate
        if fate is not None:
            await fate(request)
        return f"answer of {request.provider}"

    async def walk(self, course: Course | None = None, **fields: Any) -> Walked[str]:
        cascade = Cascade(course or a_course(), self.check)
        return await cascade.walk(a_request(provider="", model="", **fields), self.ask)

    @property
    def order(self) -> str:
        return "".join(request.provider for request in self.asked)


def failed(attempts: int, kind: type[Any] = ServerError, **fields: Any) -> RuntimeFault:
    error: RuntimeFault = kind("it failed", attempts=attempts, **fields)
    return error


# --- order ---------------------------------------------------------------------------------------


async def test_the_first_target_that_answers_is_the_last_one_asked() -> None:
    world = World(a=failed(2))
    walked = await world.walk()
    assert (walked.answer, walked.target, world.order) == ("answer of b", B, "ab")
    assert walked.failures == ("ServerError: it failed",)
    assert [(request.provider, request.model) for request in world.asked] == [A, B]


async def test_whoever_is_asked_instead_of_another_is_told_of_whom_and_why() -> None:
    world = World(a=failed(1), b=failed(1, Overloaded))
    await world.walk()
    assert world.fallen == [None, Fallen(A, "transient", 1), Fallen(B, "overloaded", 2)]


async def test_who_has_answered_is_asked_first_from_then_on() -> None:
    world = World()
    await world.walk(a_course(A, B, C).from_target(B))
    assert world.order == "b"
    assert a_course(A, B, C).from_target(C).targets == (C, A, B)


async def test_when_all_fail_all_failures_are_told_in_order() -> None:
    world = World(a=failed(2), b=failed(2, Timeout, stage="idle"), c=failed(1, AuthFailed))
    with pytest.raises(AllTargetsFailed) as raised:
        await world.walk()
    error = raised.value
    assert [type(failure) for failure in error.failures] == [ServerError, Timeout, AuthFailed]
    assert error.attempts == 5
    assert "ServerError: it failed; Timeout: it failed; AuthFailed: it failed" in str(error)


async def test_an_only_target_fails_with_its_own_error() -> None:
    error = failed(3)
    with pytest.raises(ServerError) as raised:
        await World(a=error).walk(a_course(A))
    assert raised.value is error


# --- attempts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "dealt"),
    [((A,), [3]), ((A, B), [3, 3]), ((A, B, C), [2, 2, 2])],
)
async def test_six_attempts_are_dealt_out_so_that_every_target_is_reached(
    targets: tuple[Target, ...], dealt: list[int]
) -> None:
    async def use_all(request: ModelRequest) -> None:
        raise failed(request.max_attempts)

    world = World(a=use_all, b=use_all, c=use_all)
    with pytest.raises((ServerError, AllTargetsFailed)):
        await world.walk(a_course(*targets))
    assert [request.max_attempts for request in world.asked] == dealt


async def test_attempts_that_one_target_did_not_need_are_the_next_ones() -> None:
    world = World(a=failed(1), b=failed(1))
    await world.walk()
    assert [request.max_attempts for request in world.asked] == [2, 2, 3]


async def test_a_target_that_ran_out_of_time_is_taken_to_have_used_its_share() -> None:
    world = World(a=DeadlineExceeded("late", stage="total"), b=failed(2))
    await world.walk()
    assert [request.max_attempts for request in world.asked] == [2, 2, 2]


async def test_the_last_target_has_an_attempt_however_many_were_made() -> None:
    world = World(a=failed(6), b=failed(6))
    await world.walk()
    assert [request.max_attempts for request in world.asked] == [2, 1, 1]


# --- time ----------------------------------------------------------------------------------------


async def test_every_target_leaves_some_time_for_those_after_it() -> None:
    async def use_all(request: ModelRequest) -> None:
        assert request.deadline is not None
        await anyio.sleep_until(request.deadline)
        raise DeadlineExceeded("late", stage="total")

    world = World(a=use_all, b=use_all, c=use_all)
    with pytest.raises(AllTargetsFailed):
        await world.walk(deadline=60.0)
    ends = [request.deadline for request in world.asked]
    assert ends == pytest.approx([60.0 - 2 * MIN_SLICE_S, 60.0 - MIN_SLICE_S, 60.0])
    assert anyio.current_time() == 60.0


async def test_of_a_short_time_each_target_has_an_equal_share() -> None:
    world = World(a=failed(1), b=failed(1))
    await world.walk(deadline=1.5)
    assert [request.deadline for request in world.asked] == pytest.approx([0.5, 0.75, 1.5])


async def test_when_the_time_is_over_nobody_else_is_asked() -> None:
    async def overstay(_: ModelRequest) -> None:
        await anyio.sleep(10.0)
        raise failed(1)

    world = World(a=overstay)
    with pytest.raises(ServerError):
        await world.walk(deadline=5.0)
    assert world.order == "a"


async def test_without_a_deadline_none_is_made_up() -> None:
    world = World(a=failed(1))
    await world.walk()
    assert [request.deadline for request in world.asked] == [None, None]


# --- what falls through --------------------------------------------------------------------------

KINDS: list[tuple[Callable[[], RuntimeFault], str | None]] = [
    (lambda: ServerError("x"), "transient"),
    (lambda: ConnectionFailed("x", sent=True), "transient"),
    (lambda: Timeout("x", stage="idle"), "transient"),
    (lambda: DeadlineExceeded("x", stage="queue"), "transient"),
    (lambda: Overloaded("x"), "overloaded"),
    (lambda: RateLimitError("x"), "rate_limited"),
    (lambda: RequestTooLarge("x"), "rate_limited"),
    (lambda: QueueFull("x"), "rate_limited"),
    (lambda: QuotaExhausted("x"), "quota"),
    (lambda: AuthFailed("x"), "auth"),
    (lambda: RegionBlocked("x"), "region"),
    (lambda: ModelUnavailable("x"), "model_gone"),
    (lambda: EndpointUnsupported("x"), "model_gone"),
    (lambda: ContextOverflow("x"), "context_overflow"),
    (lambda: ContentFiltered("x"), "content_filtered"),
    (lambda: MalformedResponse("x"), "malformed"),
    (lambda: CircuitOpen("x"), "circuit_open"),
    (lambda: InvalidRequest("x"), None),
    (lambda: Conflict("x"), None),
    (lambda: StreamInterrupted("x"), None),
    (lambda: BudgetExceeded("x"), None),
    (lambda: Cancelled("x"), None),
]


@pytest.mark.parametrize(
    ("make", "word"), KINDS, ids=lambda each: repr(each() if callable(each) else each)
)
async def test_a_failure_falls_through_exactly_where_its_word_is_in_the_routing_file(
    make: Callable[[], RuntimeFault], word: str | None
) -> None:
    listed, others = World(a=make()), World(a=make())
    windows = {A: 1_000, B: 1_000_000}
    only = frozenset() if word is None else frozenset({word})
    with pytest.raises(type(make())):
        await others.walk(a_course(A, B, fallback_on=ALL_WORDS - only if only else only))
    assert others.order == "a"
    if word is None:
        with pytest.raises(type(make())):
            await listed.walk(a_course(A, B))
        assert listed.order == "a"
    else:
        await listed.walk(a_course(A, B, fallback_on=only, windows=windows))
        assert listed.order == "ab"


async def test_a_fallback_that_finds_the_request_wrong_ends_the_question() -> None:
    world = World(a=failed(1), b=InvalidRequest("wrong"))
    with pytest.raises(InvalidRequest):
        await world.walk()
    assert world.order == "ab"


async def test_a_bug_is_nobodys_failure() -> None:
    world = World(a=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await world.walk()
    assert world.order == "a"


# --- rules and money -----------------------------------------------------------------------------


async def test_a_denied_first_target_ends_the_question() -> None:
    world = World(denied=frozenset({A}))
    with pytest.raises(PolicyDenied):
        await world.walk()
    assert world.order == ""


async def test_a_denied_fallback_is_passed_over_whatever_the_routing_file_says() -> None:
    world = World(a=failed(1), denied=frozenset({B}))
    walked = await world.walk(a_course(fallback_on=frozenset({"transient"})))
    assert world.order == "ac"
    assert walked.failures[1] == "PolicyDenied: b is denied"


async def test_with_denied_fallbacks_only_the_failure_names_them() -> None:
    world = World(a=failed(1), denied=frozenset({B, C}))
    with pytest.raises(AllTargetsFailed, match="b is denied; PolicyDenied: c is denied"):
        await world.walk()
    assert world.order == "a"


async def test_a_fallback_that_the_budget_cannot_pay_is_passed_over() -> None:
    world = World(a=failed(1), b=BudgetExceeded("too dear"))
    await world.walk()
    assert world.order == "abc"


# --- windows -------------------------------------------------------------------------------------


async def test_what_overflows_goes_only_to_larger_windows() -> None:
    world = World(a=ContextOverflow("too long"))
    course = a_course(windows={A: 128_000, B: 64_000, C: 1_000_000})
    assert (await world.walk(course)).target == C
    assert world.order == "ac"


@pytest.mark.parametrize("window", [None, 128_000])
async def test_what_overflows_does_not_go_to_a_window_that_is_no_larger_or_unknown(
    window: int | None,
) -> None:
    world = World(a=ContextOverflow("too long"))
    with pytest.raises(AllTargetsFailed):
        await world.walk(a_course(A, B, windows={A: 128_000, B: window}))
    assert world.order == "a"


async def test_a_fallback_that_the_prompt_and_its_answer_cannot_fit_is_passed_over() -> None:
    world = World(a=failed(1))
    course = a_course(windows={B: 5_000, C: 9_000})
    await world.walk(course, text="x" * 8_000, max_output_tokens=4_000)
    assert world.order == "ac"


async def test_the_target_that_was_named_is_asked_whatever_is_known_of_its_window() -> None:
    world = World()
    await world.walk(a_course(windows={A: 10}), text="x" * 8_000)
    assert world.order == "a"


# --- all left alone for a while ------------------------------------------------------------------


async def test_when_all_are_left_alone_the_first_that_is_not_is_waited_for_once() -> None:
    world = World(
        a=[CircuitOpen("x", until=9.0), CircuitOpen("x", until=99.0)],
        b=[CircuitOpen("x", until=5.0), None],
    )
    assert (await world.walk(a_course(A, B))).target == B
    assert world.order == "abab"
    assert world.times[2:] == pytest.approx([5.0, 5.0], abs=0.01)
    assert world.times[2] >= 5.0


async def test_nobody_comes_a_rounding_error_too_early() -> None:
    """A probe that is early by the last bit of a number would be refused, and be the last one."""
    await anyio.sleep(0.1)
    now = anyio.current_time()
    instants = (number / 7.0 for number in range(1, 10_000))
    until = next(instant for instant in instants if now + (instant - now) < instant)
    world = World(a=[CircuitOpen("x", until=until), None])
    await world.walk(a_course(A))
    assert until <= world.times[1] <= until + 0.01


async def test_it_is_waited_for_once_and_not_for_ever() -> None:
    world = World(a=[CircuitOpen("x", until=5.0), CircuitOpen("x", until=50.0)])
    with pytest.raises(CircuitOpen) as raised:
        await world.walk(a_course(A))
    assert (world.order, raised.value.until) == ("aa", 50.0)


async def test_whoever_is_left_alone_for_longer_than_there_is_time_is_not_waited_for() -> None:
    world = World(a=CircuitOpen("x", until=50.0))
    with pytest.raises(CircuitOpen):
        await world.walk(a_course(A), deadline=50.0)
    assert anyio.current_time() == 0.0


@pytest.mark.parametrize("other", [CircuitOpen("disabled", until=None), failed(1)], ids=repr)
async def test_nobody_waits_where_a_target_fails_for_another_reason(other: Any) -> None:
    world = World(a=CircuitOpen("x", until=5.0), b=other)
    with pytest.raises(AllTargetsFailed):
        await world.walk(a_course(A, B))
    assert anyio.current_time() == 0.0


async def test_a_target_that_is_denied_anyway_keeps_nobody_from_waiting() -> None:
    world = World(a=[CircuitOpen("x", until=5.0), None], denied=frozenset({B}))
    assert (await world.walk(a_course(A, B))).target == A
    assert world.order == "aa"


@pytest.mark.parametrize(("targets", "waits"), [((A,), True), ((A, B), False)], ids=repr)
async def test_only_the_one_target_of_a_course_is_waited_for_while_its_circuit_is_open(
    targets: tuple[Target, ...], *, waits: bool
) -> None:
    world = World()
    await world.walk(a_course(*targets))
    assert [request.wait_for_circuit for request in world.asked] == [waits]


async def test_on_the_final_round_the_last_target_is_waited_for() -> None:
    world = World(
        a=[CircuitOpen("x", until=5.0), CircuitOpen("x", until=20.0)],
        b=[CircuitOpen("x", until=6.0), None],
    )
    assert (await world.walk(a_course(A, B))).target == B
    assert [request.wait_for_circuit for request in world.asked] == [False, False, False, True]


async def test_attempts_before_the_wait_count_after_it() -> None:
    world = World(a=[failed(2, CircuitOpen, until=5.0), failed(1)])
    with pytest.raises(ServerError):
        await world.walk(a_course(A))
    assert [request.max_attempts for request in world.asked] == [3, 1]


# --- whatever happens ----------------------------------------------------------------------------

NAMES = "abcdefg"
fates = st.sampled_from([None, *range(len(KINDS))])


class Plan(NamedTuple):
    """The targets by their fates, and the rules of a course."""

    fates: list[int | None]
    denied: set[str]
    words: set[str]
    deadline: float | None
    per_target: int
    total: int


plans = st.builds(
    Plan,
    st.lists(fates, min_size=1, max_size=7),
    st.sets(st.sampled_from(NAMES)),
    st.sets(st.sampled_from(sorted(ALL_WORDS))),
    st.none() | st.floats(0.5, 100.0),
    st.integers(1, 4),
    st.integers(1, 9),
)


def failing(kind: int, used: Counter[str]) -> Callable[[ModelRequest], Awaitable[None]]:
    """Return a target that makes all its attempts in a second, where it makes any, and fails."""

    async def fail(request: ModelRequest) -> None:
        error = KINDS[kind][0]()
        if isinstance(error, ProviderError):
            error.attempts = request.max_attempts
        if isinstance(error, ProviderError | DeadlineExceeded):
            used[request.provider] += request.max_attempts
        await anyio.sleep(1.0)
        raise error

    return fail


@settings(max_examples=300, deadline=None)
@given(plans)
def test_i11_nobody_is_asked_twice_and_nobody_denied_at_all(plan: Plan) -> None:
    targets = [Target(name, "m") for name in NAMES[: len(plan.fates)]]
    used = Counter[str]()

    async def scenario() -> None:
        fates = {
            target.provider: failing(kind, used)
            for target, kind in zip(targets, plan.fates, strict=True)
            if kind is not None
        }
        world = World(denied=frozenset(Target(name, "m") for name in plan.denied), **fates)
        rules = {"fallback_on": plan.words, "per_target": plan.per_target, "total": plan.total}
        try:
            walked = await world.walk(a_course(*targets, **rules), deadline=plan.deadline)
        except RuntimeFault:
            pass
        else:
            assert walked.target.provider == world.order[-1]
        assert len(set(world.order)) == len(world.order)
        assert not set(world.order) & plan.denied
        assert list(world.order) == sorted(world.order)
        assert max(used.values(), default=0) <= plan.per_target  # I7
        assert sum(used.values()) <= max(plan.total, len(targets))

    anyio.run(scenario, backend_options={"loop_factory": LeapingEventLoop})
