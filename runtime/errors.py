"""Everything that can go wrong, as a closed set. A class docstring is the sentence a person reads.

``reason`` is the short word that a ``Result``, a span and the journal carry.
``exit_code`` is what ``python -m runtime`` ends with when the error ends a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from runtime.messages import Usage

LONGEST_MESSAGE = 500
Stage = Literal["connect", "first_byte", "idle", "total", "queue", "body"]


class RuntimeFault(Exception):
    """The root of all errors that this runtime raises on purpose."""

    reason: ClassVar[str] = "failure"
    exit_code: ClassVar[int] = 2

    def __str__(self) -> str:
        """Return the message, or else the class's own sentence."""
        return super().__str__() or (type(self).__doc__ or "").partition("\n")[0]


# --- configuration: found before anything runs ---------------------------------------------------


class ConfigurationError(RuntimeFault):
    """Something in the catalog, the environment or the command line is wrong."""

    reason = "configuration"
    exit_code = 1


class UnknownName(ConfigurationError):
    """No agent, skill, workflow, provider or model of that name is in the catalog."""


class InvalidInput(RuntimeFault):
    """What an agent or skill was given does not have the type that it declares."""

    reason = "invalid_input"
    exit_code = 1


class InvalidOutput(RuntimeFault):
    """What an agent, skill or model answered does not have the type that was declared."""

    reason = "invalid_output"


# --- delegations ---------------------------------------------------------------------------------


class DelegationFailed(RuntimeFault):
    """An agent could not answer, and its caller insisted on an answer."""

    def __init__(self, task_id: str, reason: str, error: str) -> None:
        super().__init__(f"{task_id}: {error or reason}")
        self.task_id = task_id
        self.cause = reason
        self.error = error

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the arguments, not by the message."""
        return type(self), (self.task_id, self.cause, self.error)


class DeadlineExceeded(RuntimeFault):
    """There was no time left.

    Attributes:
        stage: what a model call was at: ``queue`` is certain to have cost nothing; empty when it
            was no model call.
        provider: the provider's name in the catalog; empty when it was no model call.
        model: the model that was asked.
        attempts: how many attempts were made at this target.
        partial: the text that had come.
        usage: the tokens of the attempt that was cut off, the server's word or an estimate; None
            when nothing is known.
        lost_usage: about what earlier attempts have used whose fate nobody knows.
    """

    reason = "deadline"

    def __init__(
        self,
        message: str = "",
        *,
        stage: str = "",
        provider: str = "",
        model: str = "",
        attempts: int = 0,
        partial: str = "",
        usage: Usage | None = None,
        lost_usage: Usage | None = None,
    ) -> None:
        super().__init__(message)
        self.stage = stage
        self.provider = provider
        self.model = model
        self.attempts = attempts
        self.partial = partial
        self.usage = usage
        self.lost_usage = lost_usage


class Cancelled(RuntimeFault):
    """The run, or the part of it that this belongs to, was cancelled."""

    reason = "cancelled"
    exit_code = 130


class InDoubt(RuntimeFault):
    """A step with side effects had begun when its run was interrupted: it may have taken place."""

    reason = "in_doubt"


class CodeChanged(ConfigurationError):
    """The code of a run is not what it was, and its policy does not let it go on like that."""

    reason = "code_changed"


class LimitReached(ConfigurationError):
    """The time or the money of a run is used up, so it cannot go on until it is given more."""

    reason = "limit_reached"


class DelegationCycle(RuntimeFault):
    """A stateful agent would wait for itself: it is already busy further up in this run."""

    reason = "cycle"


class QueueFull(RuntimeFault):
    """A bounded queue has no place left, and its owner refuses instead of waiting."""

    reason = "queue_full"


# --- money and policy ----------------------------------------------------------------------------


class BudgetExceeded(RuntimeFault):
    """What the next step may cost does not fit into what is left.

    Attributes:
        scope: whose budget it is, e.g. ``run``, or ``agent writer, 2026-11-29``; empty where it
            is not about an amount.
        limit: nano-USD that may be spent.
        spent: nano-USD that are.
        reserved: nano-USD that calls under way may come to.
        needed: nano-USD that the next call may cost.
    """

    reason = "budget"
    exit_code = 3

    def __init__(
        self,
        message: str = "",
        *,
        scope: str = "",
        limit: int = 0,
        spent: int = 0,
        reserved: int = 0,
        needed: int = 0,
    ) -> None:
        super().__init__(message)
        self.scope = scope
        self.limit = limit
        self.spent = spent
        self.reserved = reserved
        self.needed = needed


class PolicyDenied(RuntimeFault):
    """A rule forbids it.

    Attributes:
        denied: the models that must not be asked, as ``provider/model``, each with the reason;
            empty where it is not about models.
    """

    reason = "denied"
    exit_code = 4

    def __init__(self, message: str = "", *, denied: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.denied = denied


class Denied(PolicyDenied):
    """Somebody was asked, and said no."""


# --- providers -----------------------------------------------------------------------------------


class ProviderError(RuntimeFault):
    """A model call failed. Carries what is needed to act, never prompts, bodies or keys.

    ``retryable`` says whether the same target may be tried again, which the server may forbid;
    ``fallback_ok`` whether another target may be.

    Attributes:
        provider: the provider's name in the catalog.
        model: the model that was asked.
        http_status: the status of the answer; None when there was none.
        type: the wire's own type of the error.
        code: the wire's own code of the error.
        wire_message: the wire's own sentence, at most 500 characters, without the key.
        request_id: the server's id of the exchange.
        retry_after: the seconds that the server asks to wait.
        attempts: how many attempts were made at this target.
        elapsed_s: the seconds from the first attempt to the failure.
        lost_usage: about what earlier attempts have used whose fate nobody knows; it may be billed.
    """

    reason = "provider"
    retryable: bool = False
    fallback_ok: ClassVar[bool] = True

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        model: str = "",
        http_status: int | None = None,
        type: str | None = None,  # noqa: A002  # the wire's own word for it
        code: str | int | None = None,
        wire_message: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        attempts: int = 0,
        elapsed_s: float = 0.0,
    ) -> None:
        super().__init__(message[:LONGEST_MESSAGE])
        self.provider = provider
        self.model = model
        self.http_status = http_status
        self.type = type
        self.code = code
        self.wire_message = None if wire_message is None else wire_message[:LONGEST_MESSAGE]
        self.request_id = request_id
        self.retry_after = retry_after
        self.attempts = attempts
        self.elapsed_s = elapsed_s
        self.lost_usage: Usage | None = None


class TransientError(ProviderError):
    """It may well work the next time."""

    retryable = True


class ConnectionFailed(TransientError):
    """The server could not be reached, or hung up.

    Attributes:
        sent: whether the request may have reached the server.
        lasting: whether it is something that no waiting mends, e.g. a certificate.
    """

    def __init__(
        self, message: str, *, sent: bool = False, lasting: bool = False, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.sent = sent
        self.lasting = lasting
        self.retryable = not lasting


class ServerError(TransientError):
    """The server says that the fault is its own."""


class Overloaded(TransientError):
    """The server has too much to do."""


class Warming(Overloaded):
    """The server is loading the model."""


class Conflict(TransientError):
    """The request met another one; one more try may help."""

    fallback_ok = False


class Timeout(TransientError):
    """The server did not answer in time."""

    def __init__(self, message: str, *, stage: Stage, **details: Any) -> None:
        super().__init__(message, **details)
        self.stage = stage


class RateLimitError(ProviderError):
    """The account's rate limit is used up for now.

    Attributes:
        growth: whether the complaint is that the rate grows too fast.
        long: whether it is a limit of a day or more, so that waiting is no use.
    """

    reason = "rate_limit"
    retryable = True

    def __init__(
        self, message: str, *, growth: bool = False, long: bool = False, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.growth = growth
        self.long = long


class RequestTooLarge(ProviderError):
    """The request alone is larger than what the account may use in a minute."""


class QuotaExhausted(ProviderError):
    """The account's money or quota is used up; waiting does not help."""


class AuthFailed(ProviderError):
    """The provider does not accept the key."""


class RegionBlocked(ProviderError):
    """The provider does not serve this region, or not this data from it."""


class ModelUnavailable(ProviderError):
    """The provider has no such model for this key."""


class ContextOverflow(ProviderError):
    """The prompt is longer than the model's context window."""


class ContentFiltered(ProviderError):
    """The provider's content filter stopped the prompt or the answer."""


class InvalidRequest(ProviderError):
    """The provider says that the request is wrong."""

    fallback_ok = False


class EndpointUnsupported(ProviderError):
    """The server does not know this API."""


class MalformedResponse(ProviderError):
    """The answer is not what the provider's API promises."""


class StreamInterrupted(ProviderError):
    """The answer broke off after a part of it had been handed on.

    Attributes:
        partial: the text that had come.
        usage: the tokens so far: the server's word or an estimate; None when nothing is known.
    """

    fallback_ok = False

    def __init__(
        self, message: str, *, partial: str = "", usage: Usage | None = None, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.partial = partial
        self.usage = usage


class StreamAbandoned(StreamInterrupted):
    """Nobody reads the answer any more."""


class CircuitOpen(ProviderError):
    """The target failed too often; it is left alone for a while.

    Attributes:
        until: when it may be tried again, in seconds of the event loop's clock; None: not by
            itself.
    """

    def __init__(self, message: str, *, until: float | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.until = until


class AllTargetsFailed(ProviderError):
    """Every target that may answer has failed.

    Attributes:
        failures: what each target failed with, in the order in which they were asked.
    """

    fallback_ok = False

    def __init__(
        self, message: str, *, failures: tuple[RuntimeFault, ...] = (), **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.failures = failures
