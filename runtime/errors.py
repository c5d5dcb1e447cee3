"""Everything that can go wrong, as a closed set. A class docstring is the sentence a person reads.

``reason`` is the short word that a ``Result``, a span and the journal carry.
``exit_code`` is what ``python -m runtime`` ends with when the error ends a run.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

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
    """There was no time left."""

    reason = "deadline"


class Cancelled(RuntimeFault):
    """The run, or the part of it that this belongs to, was cancelled."""

    reason = "cancelled"
    exit_code = 130


class DelegationCycle(RuntimeFault):
    """A stateful agent would wait for itself: it is already busy further up in this run."""

    reason = "cycle"


class QueueFull(RuntimeFault):
    """A bounded queue has no place left, and its owner refuses instead of waiting."""

    reason = "queue_full"


# --- money and policy ----------------------------------------------------------------------------


class BudgetExceeded(RuntimeFault):
    """What the next step may cost does not fit into what is left."""

    reason = "budget"
    exit_code = 3


class PolicyDenied(RuntimeFault):
    """A rule forbids it."""

    reason = "denied"
    exit_code = 4


# --- providers -----------------------------------------------------------------------------------


class ProviderError(RuntimeFault):
    """A model call failed. Carries what is needed to act, never prompts, bodies or keys.

    Attributes:
        provider: the provider's name in the catalog.
        model: the model that was asked.
        http_status: the status of the answer; None when there was none.
        code: the wire's own code or type of the error.
        request_id: the server's id of the exchange.
        retry_after: the seconds that the server asks to wait.
    """

    reason = "provider"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        model: str = "",
        http_status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message[:500])
        self.provider = provider
        self.model = model
        self.http_status = http_status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after


class TransientError(ProviderError):
    """It may well work the next time."""

    retryable = True


class ConnectionFailed(TransientError):
    """The server could not be reached, or hung up."""


class ServerError(TransientError):
    """The server says that the fault is its own."""


class Overloaded(TransientError):
    """The server has too much to do."""


class Timeout(TransientError):
    """The server did not answer in time."""

    def __init__(self, message: str, *, stage: Stage, **details: Any) -> None:
        super().__init__(message, **details)
        self.stage = stage


class RateLimitError(ProviderError):
    """The account's rate limit is used up for now."""

    reason = "rate_limit"
    retryable = True


class QuotaExhausted(ProviderError):
    """The account's money or quota is used up; waiting does not help."""


class AuthFailed(ProviderError):
    """The provider does not accept the key."""


class ModelUnavailable(ProviderError):
    """The provider has no such model for this key."""


class ContextOverflow(ProviderError):
    """The prompt is longer than the model's context window."""


class ContentFiltered(ProviderError):
    """The provider's content filter stopped the prompt or the answer."""


class InvalidRequest(ProviderError):
    """The provider says that the request is wrong."""


class MalformedResponse(ProviderError):
    """The answer is not what the provider's API promises."""
