"""What tokens cost, in integer nano-USD: money is never a float. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.kept import kept

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from runtime.messages import Image, Message, ModelRequest, Price, Tool, Usage

NANO = 1_000_000_000
TOKENS_PER_PRICE = 1_000_000
TOKENS_PER_MESSAGE = 16  # what a dialect adds around a turn, at most
TOKENS_PER_REQUEST = 256  # what a server's template adds, a system prompt of its own included
TOKENS_FOR_TOOLS = 512  # what it adds where there are tools or a schema; Anthropic's are about 350
TOKENS_PER_IMAGE = 50_000  # the most that a vendor counts for one: small models count them dearly
LARGEST_ALLOWANCE = 128_000  # of output, where the request leaves it to the model
TIER_FIELDS = ("service_tier", "serviceTier", "speed")  # of a body, where a caller asks for a tier
LEFT_TO_THE_SERVER = "auto"
MAY_BE_GIVEN = ("priority",)  # what OpenAI gives unasked where a project is set so


def cost_of(usage: Usage, price: Price, service_tier: str | None = None) -> int:
    """Return what a call cost, in nano-USD, rounded up.

    Args:
        usage: its tokens.
        price: the price of its model.
        service_tier: the tier that served it, as the server says.
    """
    rate = _applying(price, usage.input_tokens, service_tier)
    return _rounded_up(_of_prompt(usage, rate) + _of_answer(usage, rate))


def prompt_cost_of(usage: Usage, price: Price, service_tier: str | None = None) -> int:
    """Return what the prompt of a call cost, in nano-USD, rounded up; see ``cost_of``."""
    return _rounded_up(_of_prompt(usage, _applying(price, usage.input_tokens, service_tier)))


def _of_prompt(usage: Usage, rate: Price) -> int:
    if not usage.cached_input_tokens and not usage.cache_write_tokens:
        return usage.input_tokens * rate.input
    # Some servers count more cached tokens than the prompt has.
    cached = min(usage.cached_input_tokens or 0, usage.input_tokens)
    written = min(usage.cache_write_tokens or 0, usage.input_tokens - cached)
    for_an_hour = min(written, usage.cache_write_1h_tokens or 0)
    hourly = rate.cache_write if rate.cache_write_1h is None else rate.cache_write_1h
    return (
        (usage.input_tokens - cached - written) * rate.input
        + cached * rate.cached_input
        + (written - for_an_hour) * rate.cache_write
        + for_an_hour * hourly
    )


def _of_answer(usage: Usage, rate: Price) -> int:
    if not usage.reasoning_tokens or rate.reasoning is None:
        return usage.output_tokens * rate.output
    thought = min(usage.output_tokens, usage.reasoning_tokens)
    return (usage.output_tokens - thought) * rate.output + thought * rate.reasoning


def _rounded_up(total: int) -> int:
    return -(-total // TOKENS_PER_PRICE)


def worst_case(request: ModelRequest, price: Price) -> int:
    """Return the most that a call may cost, in nano-USD.

    No tokenizer makes more tokens than there are bytes, and a server's template adds some; each is
    taken at the dearest input price, and the whole allowance of output is used. A tier of service
    counts where it is asked for, and a dearer one that the server may give by itself where it is
    left to it.
    """
    tokens = most_input(request)
    allowance = request.max_output_tokens
    output = LARGEST_ALLOWANCE if allowance is None else allowance
    rates = _possible_rates(request, price, tokens)
    return _rounded_up(max([tokens * _dearest(r) + output * _of_output(r) for r in rates]))


def _possible_rates(request: ModelRequest, price: Price, tokens: int) -> list[Price]:
    tiers = [price]
    if price.service_tiers:
        possible = asked_tiers(request) or MAY_BE_GIVEN
        tiers += (each for name, each in price.service_tiers.items() if name in possible)
    longer = [e.price for tier in tiers for e in tier.long_prompts if tokens > e.above]
    return tiers + longer


def asked_tiers(request: ModelRequest) -> tuple[str, ...]:
    """Return the tiers of service that a request asks for; none where it leaves that open."""
    if not request.extra_body:
        return ()
    given = (request.extra_body.get(name) for name in TIER_FIELDS)
    return tuple(str(each) for each in given if each not in (None, LEFT_TO_THE_SERVER))


def most_input(request: ModelRequest) -> int:
    """Return the most prompt tokens that a call may have."""
    text = sum(map(_message_size, request.messages)) + _size(request.system or "")
    if request.schema:
        text += _written_size(request.schema)
    if request.extra_body:
        text += _size(str(request.extra_body))
    if request.tools:
        text += sum(map(_written_size, request.tools))
    added = TOKENS_PER_REQUEST + TOKENS_PER_MESSAGE * (len(request.messages) + len(request.tools))
    return text + added + (TOKENS_FOR_TOOLS if request.tools or request.schema else 0)


def price_on(price: Price | None, day: date) -> Price | None:
    """Return what a price is on a day; None when nobody knows."""
    while price is not None and price.since is not None and day < price.since:
        price = price.before
    return price


def _applying(price: Price, prompt_tokens: int, service_tier: str | None) -> Price:
    """Return the rates that a call is charged by: those of its tier, and of its prompt's length."""
    chosen = price.service_tiers.get(service_tier or "", price)
    if not chosen.long_prompts:
        return chosen
    reached = [each.price for each in chosen.long_prompts if prompt_tokens > each.above]
    return reached[-1] if reached else chosen


def _dearest(rate: Price) -> int:
    return max(rate.input, rate.cached_input, rate.cache_write, rate.cache_write_1h or 0)


def _of_output(rate: Price) -> int:
    return max(rate.output, rate.reasoning or 0)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


@kept
def _written_size(value: Mapping[str, Any] | Tool) -> int:
    return _size(str(value))


def _message_size(message: Message) -> int:
    """Return the most tokens that a turn may be, besides what a dialect adds around it."""
    content = message.content
    size = _size(content) if isinstance(content, str) else sum(map(_part_size, content))
    for call in message.tool_calls:
        size += _size(call.name) + _size(call.arguments_raw)
    return size + (_size(str(message.state.data)) if message.state is not None else 0)


def _part_size(part: str | Image) -> int:
    return _size(part) if isinstance(part, str) else TOKENS_PER_IMAGE


def usd(nano: int) -> float:
    """Return nano-USD as USD, for people and JSON only."""
    return nano / NANO


def dollars(nano: int) -> str:
    """Return nano-USD as USD for people, exactly: ``0.000000012``, never with an exponent."""
    whole, rest = divmod(nano, NANO)
    return f"{whole}.{rest:09}".rstrip("0").rstrip(".")
