"""The targets of one question, in order, until one answers: the fallback of routing, walked.

Each target is asked at most once. Before it is asked it is checked like the first one: policy,
context window, budget at its own price. A failure falls through to the next target only where
routing says so for its kind, and never once a piece of an answer was handed on. Retries at one
target are the provider actor's affair; here their number is dealt out, so that the last target is
always reached.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import anyio

from runtime.engines import current_time
from runtime.errors import (
    AllTargetsFailed,
    AuthFailed,
    BudgetExceeded,
    CircuitOpen,
    ContentFiltered,
    ContextOverflow,
    DeadlineExceeded,
    EndpointUnsupported,
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
    TransientError,
)
from runtime.estimate import estimate_input

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from runtime.catalog import Target
    from runtime.messages import ModelRequest

T = TypeVar("T")

# What a failure is called in `fallback_on`; the first class that fits decides.
WORDS: tuple[tuple[type[RuntimeFault] | tuple[type[RuntimeFault], ...], str], ...] = (
    (CircuitOpen, "circuit_open"),
    ((RateLimitError, RequestTooLarge, QueueFull), "rate_limited"),
    (Overloaded, "overloaded"),
    (QuotaExhausted, "quota"),
    (AuthFailed, "auth"),
    (RegionBlocked, "region"),
    ((ModelUnavailable, EndpointUnsupported), "model_gone"),
    (ContextOverflow, "context_overflow"),
    (ContentFiltered, "content_filtered"),
    (MalformedResponse, "malformed"),
    ((TransientError, DeadlineExceeded), "transient"),
)
FELL = 160  # characters of each failure in what is said of all
TIMER_S = 0.001  # a timer may be a rounding error early, which would be too early
MIN_SLICE_S = 1.0  # of the time that is left, for each target that may still have to be asked


@dataclass(frozen=True, slots=True)
class Course:
    """How a question goes from target to target.

    Attributes:
        targets: whom to ask, in order; at least one.
        fallback_on: the kinds of failure that fall through, see ``WORDS``.
        per_target: the most attempts at one target.
        total: the most attempts in all; the last target gets at least one.
        is_proposed: whether nobody has named the first target: a route proposes them all.
        windows: how many tokens a target's model holds, where that is known.
        passed_over: why others are not asked that would have been; told when all have failed.
    """

    targets: tuple[Target, ...]
    fallback_on: frozenset[str]
    per_target: int
    total: int
    windows: Mapping[Target, int | None]
    is_proposed: bool = False
    passed_over: tuple[RuntimeFault, ...] = ()

    def from_target(self, target: Target) -> Course:
        """Return the same course with ``target`` asked first."""
        others = tuple(one for one in self.targets if one != target)
        return replace(self, targets=(target, *others))


class Fallen(NamedTuple):
    """Why a further target is asked.

    Attributes:
        source: the target that has failed last.
        reason: the kind of its failure, as ``fallback_on`` calls it.
        position: how many targets have failed so far.
    """

    source: Target
    reason: str
    position: int


class Walked(NamedTuple, Generic[T]):
    """An answer, and how it was come by.

    Attributes:
        answer: what the target answered.
        target: who answered.
        failures: what the targets before it failed with, one line each.
    """

    answer: T
    target: Target
    failures: tuple[str, ...]


class Cascade:
    """Walks a course.

    Args:
        check: raises ``PolicyDenied`` for a target that must not be asked.
        fell: hears whose failure makes another target be asked, and what kind it is.
        sleep_until: waits for an instant of the event loop's clock.
    """

    def __init__(
        self,
        course: Course,
        check: Callable[[Target], None],
        fell: Callable[[Target, str], None] = lambda *_: None,
        sleep_until: Callable[[float], Awaitable[None]] = anyio.sleep_until,
    ) -> None:
        self._course = course
        self._check = check
        self._fell = fell
        self._sleep_until = sleep_until

    async def walk(
        self, request: ModelRequest, ask: Callable[[ModelRequest, Fallen | None], Awaitable[T]]
    ) -> Walked[T]:
        """Ask one target after the other until one answers.

        When every target is left alone for a while, wait once for the first that is not, if there
        is time for that.

        Args:
            request: the question; its provider and model are replaced by each target's.
            ask: asks one target; told why, where it is not the first one.

        Raises:
            ProviderError: the only target failed.
            AllTargetsFailed: every target failed.
            PolicyDenied: a rule forbids the first target.
            RuntimeFault: a failure that does not fall through.
        """
        used: dict[Target, int] = {}
        try:
            return await self._once(request, ask, used, final=len(self._course.targets) == 1)
        except (CircuitOpen, AllTargetsFailed) as error:
            until = _soonest(error)
            if until is None or (request.deadline is not None and until >= request.deadline):
                raise
            await self._sleep_until(until + TIMER_S)
        return await self._once(request, ask, used, final=True)

    async def _once(
        self,
        request: ModelRequest,
        ask: Callable[[ModelRequest, Fallen | None], Awaitable[T]],
        used: dict[Target, int],
        *,
        final: bool,
    ) -> Walked[T]:
        """Ask each target once; on the final round whoever is last waits for its circuit."""
        failures: list[RuntimeFault] = []
        for position, target in enumerate(self._course.targets):
            left = len(self._course.targets) - position
            share = self._for(target, request, used, left, waits=final and left == 1)
            try:
                self._check(target)
                self._check_window(target, request, failures)
                answer = await ask(share, self._fallen(failures))
                return Walked(answer, target, tuple(_line(one) for one in failures))
            except RuntimeFault as error:
                failures.append(error)
                used[target] = used.get(target, 0) + _attempts_of(error, share)
                if not self._falls_through(error, request, position, left):
                    raise
                if left > 1:
                    self._fell(target, _word(error) or error.reason)
        failures += self._course.passed_over
        raise AllTargetsFailed(
            f"all {len(failures)} targets failed: {'; '.join(_line(one) for one in failures)}",
            provider=request.provider,
            model=request.model,
            failures=tuple(failures),
            attempts=sum(used.values()),
        )

    def _for(
        self,
        target: Target,
        request: ModelRequest,
        used: Mapping[Target, int],
        left: int,
        *,
        waits: bool,
    ) -> ModelRequest:
        """Return the question as one target is asked it: its share of attempts and of time."""
        course = self._course
        here = course.per_target - used.get(target, 0)
        attempts = max(1, min(here, (course.total - sum(used.values())) // left))
        deadline = request.deadline
        if deadline is not None and left > 1:
            now = current_time()
            deadline = max(deadline - MIN_SLICE_S * (left - 1), now + (deadline - now) / left)
        return request.changed(
            provider=target.provider,
            model=target.model,
            max_attempts=attempts,
            deadline=deadline,
            # Another target may answer meanwhile; with none, whoever fails now has lost its input.
            wait_for_circuit=request.wait_for_circuit and waits,
        )

    def _fallen(self, failures: list[RuntimeFault]) -> Fallen | None:
        """Return why the next target is asked; None where it is the first."""
        if not failures:
            return None
        count, last = len(failures), failures[-1]
        return Fallen(self._course.targets[count - 1], _word(last) or last.reason, count)

    def _check_window(
        self, target: Target, request: ModelRequest, failures: list[RuntimeFault]
    ) -> None:
        """Refuse a further target that the prompt cannot fit, as far as anybody knows.

        Raises:
            ContextOverflow: its window is too small, or not larger than one that was.
        """
        if not failures:
            return  # whoever names a model is taken at their word
        window = self._course.windows.get(target)
        needed = estimate_input(request) + (request.max_output_tokens or 0)
        overflown = [
            self._course.windows.get(one) or 0
            for one, failure in zip(self._course.targets, failures, strict=False)
            if isinstance(failure, ContextOverflow)
        ]
        too_small = window is not None and window < needed
        if too_small or (overflown and (window is None or window <= max(overflown))):
            said = "of unknown size" if window is None else f"of {window} tokens"
            raise ContextOverflow(
                f"{target.provider}/{target.model} has a context window {said}: too small",
                provider=target.provider,
                model=target.model,
            )

    def _falls_through(
        self, error: RuntimeFault, request: ModelRequest, position: int, left: int
    ) -> bool:
        if len(self._course.targets) == 1 and not self._course.passed_over:
            return False
        if isinstance(error, PolicyDenied | BudgetExceeded):
            # Whoever named the first target must hear of it; the run's budget is one for all.
            return position > 0 or (self._course.is_proposed and _is_the_providers(error))
        over = request.deadline is not None and current_time() >= request.deadline
        if over and left > 1:
            return False
        if isinstance(error, ProviderError) and not error.fallback_ok:
            return False
        return _word(error) in self._course.fallback_on


def _word(error: RuntimeFault) -> str | None:
    """Return what a failure is called in ``fallback_on``; None where it has no name there."""
    return next((word for kind, word in WORDS if isinstance(error, kind)), None)


def _attempts_of(error: RuntimeFault, share: ModelRequest) -> int:
    """Return how many attempts a target has made; a deadline does not say, so all of them."""
    if isinstance(error, DeadlineExceeded):
        return share.max_attempts
    return error.attempts if isinstance(error, ProviderError) else 0


def _is_the_providers(error: PolicyDenied | BudgetExceeded) -> bool:
    """Whether it is what the provider may cost that is used up."""
    return isinstance(error, BudgetExceeded) and error.scope.startswith("provider ")


def _line(failure: RuntimeFault) -> str:
    return f"{type(failure).__name__}: {failure}"[:FELL]


def _soonest(error: ProviderError) -> float | None:
    """Return when the first target may be tried again, if all are only left alone for a while.

    Those that a rule forbids do not count: no waiting will make them answer.
    """
    all_ = error.failures if isinstance(error, AllTargetsFailed) else (error,)
    failures = [failure for failure in all_ if not isinstance(failure, PolicyDenied)]
    times = [failure.until for failure in failures if isinstance(failure, CircuitOpen)]
    known = [time for time in times if time is not None]
    return min(known) if len(known) == len(failures) else None
