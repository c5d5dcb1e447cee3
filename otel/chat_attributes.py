"""What the span of a model call says: ``chat {model}``, the only place of tokens and model money.

One span is the logical call with all its retries. What a sampler may look at (operation,
provider, model, server) is set at the start. Prompts and answers are not in it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from otel import conventions as names
from otel.attributes import Alike, Attributes, Joined, of_run, present

if TYPE_CHECKING:
    from collections.abc import Sequence

_NANO = 1_000_000_000

_WELL_KNOWN_PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}


def provider_name(provider: str) -> str:
    """Return the conventions' own name of a provider where they have one, else it unchanged."""
    return _WELL_KNOWN_PROVIDERS.get(provider, provider)


def chat_start(
    model: str,
    *,
    provider: str,
    server_address: str | None = None,
    server_port: int | None = None,
    max_tokens: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    frequency_penalty: float | None = None,
    presence_penalty: float | None = None,
    stop_sequences: Sequence[str] = (),
    seed: int | None = None,
    choice_count: int = 1,
    stream: bool = False,
    reasoning_level: str | None = None,
    previous_response_id: str | None = None,
    output_type: Literal["text", "json", "image", "speech"] | None = None,
    prompt_name: str | None = None,
    prompt_version: str | None = None,
    conversation_id: str | None = None,
    session_id: str | None = None,
    run_id: str | None = None,
    task_id: str | None = None,
) -> Attributes:
    """Describe a model call that begins, by what the request says; what it leaves open is absent.

    Args:
        model: the model that is asked for, exactly as the provider is asked.
        provider: the provider's name in the catalog, or the conventions' own.
        server_address: the host that is asked; None for a model in this process.
        server_port: its port; only with an address.
        max_tokens: the most that may be generated.
        temperature: the sampling temperature.
        top_p: the share of probability that is sampled from.
        top_k: the number of candidates that is sampled from.
        frequency_penalty: the penalty of tokens by their count.
        presence_penalty: the penalty of tokens that are there at all.
        stop_sequences: what ends the generation.
        seed: the seed.
        choice_count: how many answers are asked for; the usual 1 is not said.
        stream: whether the answer is streamed; only said when it is.
        reasoning_level: the reasoning effort, in the provider's own word.
        previous_response_id: the answer that this call goes on from.
        output_type: what kind of output is asked for; ``json`` for a schema.
        prompt_name: the name of the prompt template.
        prompt_version: its version; only with a name.
        conversation_id: the user's conversation, if there is one.
        session_id: the user's session, if there is one.
        run_id: the run that asks.
        task_id: the delegation that asks.
    """
    alike = _asked(
        model, provider, server_address, server_port, max_tokens, temperature, top_p, top_k,
        frequency_penalty, presence_penalty, tuple(stop_sequences), seed, choice_count, stream,
        reasoning_level, output_type, prompt_name, prompt_version,
    )  # fmt: skip
    own: Attributes = {}
    if previous_response_id is not None:
        own[names.REQUEST_PREVIOUS_RESPONSE_ID] = previous_response_id
    if task_id is not None:
        own[names.TASK_ID] = task_id
    return Joined(alike, of_run(run_id, conversation_id, session_id), own)


@lru_cache(maxsize=256, typed=True)  # typed: 1 and 1.0 are not said in the same way
def _asked(  # noqa: PLR0917  # called by position, which costs less here
    model: str,
    provider: str,
    server_address: str | None,
    server_port: int | None,
    max_tokens: int | None,
    temperature: float | None,
    top_p: float | None,
    top_k: int | None,
    frequency_penalty: float | None,
    presence_penalty: float | None,
    stop_sequences: tuple[str, ...],
    seed: int | None,
    choice_count: int,
    stream: bool,
    reasoning_level: str | None,
    output_type: str | None,
    prompt_name: str | None,
    prompt_version: str | None,
) -> Alike:
    """Return what calls say alike that ask the same of the same model."""
    return Alike(
        present(
            {
                names.OPERATION_NAME: names.CHAT,
                names.PROVIDER_NAME: provider_name(provider),
                names.REQUEST_MODEL: model,
                names.SERVER_ADDRESS: server_address,
                names.SERVER_PORT: server_port if server_address else None,
                names.REQUEST_MAX_TOKENS: max_tokens,
                names.REQUEST_TEMPERATURE: temperature,
                names.REQUEST_TOP_P: top_p,
                names.REQUEST_TOP_K: top_k,
                names.REQUEST_FREQUENCY_PENALTY: frequency_penalty,
                names.REQUEST_PRESENCE_PENALTY: presence_penalty,
                names.REQUEST_STOP_SEQUENCES: stop_sequences or None,
                names.REQUEST_SEED: seed,
                names.REQUEST_CHOICE_COUNT: choice_count if choice_count != 1 else None,
                names.REQUEST_STREAM: stream or None,
                names.REQUEST_REASONING_LEVEL: reasoning_level,
                names.OUTPUT_TYPE: output_type,
                names.PROMPT_NAME: prompt_name,
                names.PROMPT_VERSION: prompt_version if prompt_name else None,
            }
        )
    )


def fallback(source: str, *, reason: str, index: int) -> Attributes:
    """Describe that a model is asked because another one has failed; also for the link to it.

    Args:
        source: the model that failed, as ``provider/model``.
        reason: the kind of its failure, e.g. ``rate_limited``.
        index: how many models have failed so far.
    """
    return {
        names.FALLBACK_FROM: source,
        names.FALLBACK_REASON: reason,
        names.FALLBACK_INDEX: index,
    }


def chat_end(
    *,
    response_id: str | None = None,
    response_model: str | None = None,
    finish_reasons: Sequence[str] = (),
    time_to_first_chunk_s: float | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cached_input_tokens: int | None = None,
    cache_write_tokens: int | None = None,
    reasoning_tokens: int | None = None,
    cost_nano_usd: int | None = None,
    input_cost_nano_usd: int | None = None,
    cost_source: Literal["provider", "local"] = "local",
    attempts: int | None = None,
    retry_wait_ms: float | None = None,
    rate_limit_wait_ms: float | None = None,
    budget_wait_ms: float | None = None,
    cache_hit: bool | None = None,
) -> Attributes:
    """Describe how a model call ended. A call that failed but was billed keeps usage and cost.

    Args:
        response_id: the server's id of the answer.
        response_model: the model that answered, as the server names it.
        finish_reasons: why each choice ended; ``error`` for one that never came.
        time_to_first_chunk_s: seconds to the first chunk of a streamed answer.
        input_tokens: all prompt tokens, cached and cache-written ones included.
        output_tokens: all generated tokens, reasoning included.
        cached_input_tokens: the part of the input read from a cache.
        cache_write_tokens: the part of the input written to a cache.
        reasoning_tokens: the part of the output spent on reasoning.
        cost_nano_usd: what it cost; None when that is not known.
        input_cost_nano_usd: the part of that for the prompt; only with a cost.
        cost_source: ``provider`` when the answer said the price, ``local`` when it was computed.
        attempts: how many requests it took.
        retry_wait_ms: milliseconds waited between attempts.
        rate_limit_wait_ms: milliseconds waited for the account's rate limit.
        budget_wait_ms: milliseconds waited for what other calls had reserved.
        cache_hit: whether our own cache answered.
    """
    priced_by = None if cost_nano_usd is None else cost_source
    alike = _answered(response_model, tuple(finish_reasons), attempts, cache_hit, priced_by)
    own = present(
        {
            names.RESPONSE_ID: response_id,
            names.RESPONSE_TIME_TO_FIRST_CHUNK: time_to_first_chunk_s,
            names.USAGE_INPUT_TOKENS: input_tokens,
            names.USAGE_OUTPUT_TOKENS: output_tokens,
            names.USAGE_CACHE_READ_INPUT_TOKENS: cached_input_tokens,
            names.USAGE_CACHE_WRITE_INPUT_TOKENS: cache_write_tokens,
            names.USAGE_CACHE_CREATION_INPUT_TOKENS: cache_write_tokens,
            names.USAGE_REASONING_OUTPUT_TOKENS: reasoning_tokens,
            names.RETRY_WAIT_MS: retry_wait_ms,
            names.RATE_LIMIT_WAIT_MS: rate_limit_wait_ms,
            names.BUDGET_WAIT_MS: budget_wait_ms,
        }
    )
    if cost_nano_usd is not None:
        own[names.COST_AMOUNT] = own[names.OPERATION_COST] = cost_nano_usd / _NANO
        own[names.COST_NANO_USD] = cost_nano_usd
        if input_cost_nano_usd is not None:
            own[names.COST_INPUT_NANO_USD] = input_cost_nano_usd
    return Joined(alike, own)


@lru_cache(maxsize=256)
def _answered(
    model: str | None,
    finish_reasons: tuple[str, ...],
    attempts: int | None,
    cache_hit: bool | None,
    priced_by: str | None,
) -> Alike:
    """Return what calls say alike that ended in the same way."""
    return Alike(
        present(
            {
                names.RESPONSE_MODEL: model,
                names.RESPONSE_FINISH_REASONS: finish_reasons or None,
                names.ATTEMPTS: attempts,
                names.CACHE_HIT: cache_hit,
                names.COST_CURRENCY: priced_by and "USD",
                names.COST_SOURCE: priced_by,
            }
        )
    )
