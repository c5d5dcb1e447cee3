"""What a server's header fields say about its limits, whatever they are called."""

from __future__ import annotations

from typing import NamedTuple


class Allowance(NamedTuple):
    """One limit, as an answer's header fields have it. None: not said, or not to be believed.

    Attributes:
        limit: how much may be used in its period.
        remaining: how much of it is left.
        reset_s: in how many seconds all of it will be there again.
    """

    limit: float | None = None
    remaining: float | None = None
    reset_s: float | None = None


class RateHeaders(NamedTuple):
    """The limits of one account that one answer names; None where it names none.

    Attributes:
        requests: requests in a minute.
        tokens: tokens in a minute, prompts and answers together.
        input_tokens: prompt tokens in a minute.
        output_tokens: answer tokens in a minute.
        requests_day: requests in a day.
        exhausted_s: nothing is left of a limit whose period is not named, and all of it will be
            there again in so many seconds.
    """

    requests: Allowance | None = None
    tokens: Allowance | None = None
    input_tokens: Allowance | None = None
    output_tokens: Allowance | None = None
    requests_day: Allowance | None = None
    exhausted_s: float | None = None
