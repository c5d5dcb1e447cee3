"""How much may be asked of a provider at once, and how long to wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, Field, GetJsonSchemaHandler

from runtime.catalog.values import Entry, Given, Seconds, refusal
from runtime.messages import Limits, Timeouts

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

MOST_CALLS = 100_000  # in flight
ADAPTIVE_START = 4
LOCAL_CONCURRENCY = 4  # a model server on one machine works at a few answers at a time
LOCAL_FIRST_BYTE_S = 300.0  # it may have to load the model first

Rate: TypeAlias = Annotated[float, Field(gt=0, le=10**12)]
Calls: TypeAlias = Annotated[int, Field(ge=1, le=MOST_CALLS)]
Places: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000)]


class ConcurrencyEntry(Entry):
    """How many calls may be in flight.

    Attributes:
        start: how many to begin with; None for 4, or ``max`` where that is less.
        max: how far it may grow while the server accepts them.
    """

    start: Given[Calls] = None
    max: Calls = Limits().concurrency

    @property
    def first(self) -> int:
        """How many calls may be in flight at the beginning."""
        return min(ADAPTIVE_START, self.max) if self.start is None else self.start


def _long_form(value: Any) -> Any:
    """A number alone is fixed: it neither grows nor begins lower."""
    if type(value) is int and 1 <= value <= MOST_CALLS:
        return {"start": value, "max": value}
    if isinstance(value, dict):
        return value
    what = f"must be a whole number from 1 to {MOST_CALLS:,}, or {{start, max}}"
    raise refusal(what, "write it like '8', or like '{start: 4, max: 64}'")


class _OrANumber:
    """Tells editors that a number alone will do."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        number = {"type": "integer", "minimum": 1, "maximum": MOST_CALLS}
        return {"anyOf": [number, handler(schema)]}


Concurrency: TypeAlias = Annotated[ConcurrencyEntry, BeforeValidator(_long_form), _OrANumber()]


class LimitsEntry(Entry):
    """What one limit group of an account may do; what is not given is learnt from the server.

    Attributes:
        rpm: requests in any minute.
        tpm: tokens in any minute, prompts and answers together.
        itpm: prompt tokens in any minute.
        otpm: answer tokens in any minute.
        rpd: requests in any day.
        share: the part of these limits that this process takes, above 0 and at most 1.
        burst_s: how many seconds' worth of requests may go out at once.
        concurrency: the most calls in flight: a number, or how it grows.
        max_queue: the most calls that wait for their turn.
        max_queue_per_run: the most of them that one run may have.
        counts_max_tokens: whether the server counts the whole allowance of output at once.
        counts_cached_tokens: whether the server counts prompt tokens that it read from a cache.
    """

    rpm: Given[Rate] = None
    tpm: Given[Rate] = None
    itpm: Given[Rate] = None
    otpm: Given[Rate] = None
    rpd: Given[Rate] = None
    share: Given[Annotated[float, Field(gt=0, le=1)]] = None
    burst_s: Given[Annotated[float, Field(gt=0, le=60)]] = None
    concurrency: Given[Concurrency] = None
    max_queue: Given[Places] = None
    max_queue_per_run: Given[Places] = None
    counts_max_tokens: Given[bool] = None
    counts_cached_tokens: Given[bool] = None

    def over(self, general: LimitsEntry) -> LimitsEntry:
        """Return these limits, with ``general`` where they say nothing."""
        return general.model_copy(update={name: getattr(self, name) for name in _given(self)})

    def resolve(self, *, fixed: int | None) -> Limits:
        """Return them as an account has them.

        Args:
            fixed: how many calls may be in flight where they do not say so; None to begin with
                few and let the server teach.
        """
        given = {name: getattr(self, name) for name in _given(self)}
        concurrency: ConcurrencyEntry | None = given.pop("concurrency", None)
        if concurrency is None:
            own = {} if fixed is None else {"start": fixed, "max": fixed}
            concurrency = ConcurrencyEntry(**own)
        start = concurrency.first if concurrency.first < concurrency.max else None
        return Limits(**given, concurrency=concurrency.max, concurrency_start=start)


class TimeoutsEntry(Entry):
    """How long to wait for a server, in seconds.

    Attributes:
        connect: until it accepts the connection; 5 if not given.
        first_byte: until an answer begins; 30 if not given, 300 in the region ``local``.
        idle: between two pieces of an answer; 60 if not given.
        total: for one attempt; 600 if not given.
    """

    connect: Given[Seconds] = None
    first_byte: Given[Seconds] = None
    idle: Given[Seconds] = None
    total: Given[Seconds] = None

    def resolve(self, *, local: bool) -> Timeouts:
        """Return them as an account has them.

        Args:
            local: whether the server may have to load its model before it answers.
        """
        general = {"first_byte": LOCAL_FIRST_BYTE_S} if local else {}
        return Timeouts(**general | {name: getattr(self, name) for name in _given(self)})


def _given(entry: BaseModel) -> list[str]:
    return [name for name in type(entry).model_fields if getattr(entry, name) is not None]
