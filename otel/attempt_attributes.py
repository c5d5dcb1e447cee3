"""What the spans below a model call say: one for each attempt of several, one for each long wait.

    chat gpt-5-mini
    ├─ magsag.wait rate_limit            the queue, a limit, a pause or a circuit held it
    ├─ POST                              the first attempt failed
    ├─ magsag.wait backoff
    └─ POST                              http.request.resend_count = 1

A call that is answered at once has none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from otel import conventions as names
from otel.attributes import present

if TYPE_CHECKING:
    from otel.attributes import Attributes

Wait = Literal["backoff", "rate_limit", "budget"]

HTTP_ATTEMPT: Final = "POST"  # what HTTP's own conventions call such a span
LOCAL_ATTEMPT: Final = "attempt"  # of a model in this process


def wait_name(wait: Wait) -> str:
    """Return the name of the span of a wait."""
    return f"magsag.wait {wait}"


def wait_start(
    held_by: str, *, run_id: str | None = None, task_id: str | None = None
) -> Attributes:
    """Describe a wait.

    Args:
        held_by: what let the call wait, e.g. ``pause``, ``limits`` or ``circuit``.
        run_id: the run that asks.
        task_id: the delegation that asks.
    """
    return present(
        {names.WAIT_HELD_BY: held_by, names.RUN_ID: run_id, names.TASK_ID: task_id or None}
    )


def attempt_start(
    number: int,
    *,
    over_http: bool,
    status: int | None = None,
    server_address: str | None = None,
    server_port: int | None = None,
    run_id: str | None = None,
    task_id: str | None = None,
) -> Attributes:
    """Describe one of several attempts.

    Args:
        number: the how-manieth it is, from 1; the first is no resend, and does not say so.
        over_http: whether it is an HTTP request.
        status: the HTTP status of the answer; None where there was none.
        server_address: the host that is asked.
        server_port: its port; only with an address.
        run_id: the run that asks.
        task_id: the delegation that asks.
    """
    return present(
        {
            names.HTTP_REQUEST_METHOD: "POST" if over_http else None,
            names.HTTP_REQUEST_RESEND_COUNT: number - 1 if over_http and number > 1 else None,
            names.HTTP_RESPONSE_STATUS_CODE: status,
            names.SERVER_ADDRESS: server_address,
            names.SERVER_PORT: server_port if server_address else None,
            names.RUN_ID: run_id,
            names.TASK_ID: task_id or None,
        }
    )
