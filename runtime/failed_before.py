"""Errors that steps ended with in a former process, raised again as far as the journal knows them.

Who handles them must not see a difference: their class has the name that it had, and their text is
the same, because both go to models as what came of a tool, and a prompt that is not the same is
another step.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from runtime import errors
from runtime.errors import (
    BudgetExceeded,
    DeadlineExceeded,
    InDoubt,
    PolicyDenied,
    ProviderError,
    RuntimeFault,
    Timeout,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.approval import Decision
    from runtime.journal import EventRow

KNOWN = (str, int, float, bool)
UNSAID = frozenset(("partial", "until"))  # words of the answer; a time of another clock
LONG_AGO = 0.0


class RecordedFailure(RuntimeFault):
    """A step failed before, with an error that only its own code could make again.

    Its class is named as that error's was.
    """

    reason = "failed_before"


def failure_of(event: EventRow) -> Exception:
    """Return the error that a step ended with, as far as the journal knows it."""
    body = event.body
    name, message = str(body.get("error_class") or ""), str(body.get("error") or "")
    kind = getattr(errors, name, None) or getattr(builtins, name, None)
    if not isinstance(kind, type) or not issubclass(kind, Exception):
        return _named(RecordedFailure, name, message)
    if issubclass(kind, ProviderError):
        return _provider_error(kind, message, body)
    if issubclass(kind, RuntimeFault) and not issubclass(kind, DeadlineExceeded):
        return _named(RecordedFailure, name, message)
    return _like(kind, message)


def denial_of(event: EventRow) -> RuntimeFault:
    """Return the error of a call that was not made, as a policy or a limit was against it."""
    body = event.body
    if body.get("reason") == BudgetExceeded.reason:
        return BudgetExceeded(body["error"], scope=body.get("scope") or "")
    target = f"{body.get('provider')}/{body.get('model')}"
    return PolicyDenied(body["error"], denied=((target, body["error"]),))


def details_of(error: BaseException) -> dict[str, Any]:
    """Return what a provider's error says besides its text, as JSON data."""
    if not isinstance(error, ProviderError):
        return {}
    said = vars(error).items()
    told = {name: v for name, v in said if v and type(v) in KNOWN and name not in UNSAID}
    is_for_a_while = getattr(error, "until", None) is not None  # who waited for that asked again
    return told | ({"until": LONG_AGO} if is_for_a_while else {})


def in_doubt(skill: str, decision: Decision) -> InDoubt:
    """Return the error of a step that may have taken place, and is not to be repeated."""
    return InDoubt(
        f"{skill} had begun when the run was interrupted, and nobody knows whether it took place;"
        f" it was asked whether it may be used again, and {decision}"
    )


def _provider_error(
    kind: type[ProviderError], message: str, body: Mapping[str, Any]
) -> ProviderError:
    details = {"attempts": int(body.get("attempts") or 0)} | (body.get("details") or {})
    stage = {"stage": details.get("stage", "")} if issubclass(kind, Timeout) else {}
    fault = kind(message, **stage)
    vars(fault).update(details)
    return fault


def _like(kind: type[Exception], message: str) -> Exception:
    """Return an error of a class of Python's with a text."""
    try:
        error = kind(message)
    except TypeError:  # it wants more than a text, which nobody has kept
        return _named(RecordedFailure, kind.__name__, message)
    return error if str(error) == message else _named(kind, kind.__name__, message)


def _named(kind: type[Exception], name: str, message: str) -> Exception:
    """Return an error of a class that is called so, whose text is exactly that."""
    named = type(name or kind.__name__, (kind,), {"__str__": lambda _: message})
    error: Exception = named(message)
    return error
