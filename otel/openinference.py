"""The same said once more in OpenInference's names, for Phoenix and others that go by them.

Derived from our own attributes, so nothing is said in these names that ours do not say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel import conventions as names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel.attributes import Attributes, AttributeValue

_NANO = 1_000_000_000

_KINDS = {
    names.INVOKE_WORKFLOW: "CHAIN",
    names.PLAN: "CHAIN",
    names.INVOKE_AGENT: "AGENT",
    names.EXECUTE_TOOL: "TOOL",
    names.CHAT: "LLM",
}
_SAME = {
    names.REQUEST_MODEL: names.LLM_MODEL_NAME,
    names.PROVIDER_NAME: names.LLM_PROVIDER,
    names.USAGE_INPUT_TOKENS: names.LLM_TOKENS_PROMPT,
    names.USAGE_OUTPUT_TOKENS: names.LLM_TOKENS_COMPLETION,
    names.USAGE_CACHE_READ_INPUT_TOKENS: names.LLM_TOKENS_CACHE_READ,
    names.USAGE_CACHE_WRITE_INPUT_TOKENS: names.LLM_TOKENS_CACHE_WRITE,
    names.USAGE_REASONING_OUTPUT_TOKENS: names.LLM_TOKENS_REASONING,
    names.COST_AMOUNT: names.LLM_COST_TOTAL,
    names.INPUT_MESSAGES: names.INPUT_VALUE,
    names.OUTPUT_MESSAGES: names.OUTPUT_VALUE,
    names.TOOL_CALL_ARGUMENTS: names.INPUT_VALUE,
    names.TOOL_CALL_RESULT: names.OUTPUT_VALUE,
}


def with_openinference(attributes: Mapping[str, AttributeValue]) -> Attributes:
    """Return the attributes with what they say in OpenInference's names added."""
    said = dict(attributes)
    kind = _KINDS.get(str(attributes.get(names.OPERATION_NAME)))
    if kind is not None:
        said[names.OPENINFERENCE_SPAN_KIND] = kind
    said |= {theirs: attributes[ours] for ours, theirs in _SAME.items() if ours in attributes}
    return said | _sums(attributes)


def _sums(attributes: Mapping[str, AttributeValue]) -> Attributes:
    """Return all tokens together, and what each side of a call cost."""
    sums: Attributes = {}
    prompt, completion = (
        attributes.get(name) for name in (names.USAGE_INPUT_TOKENS, names.USAGE_OUTPUT_TOKENS)
    )
    if isinstance(prompt, int) and isinstance(completion, int):
        sums[names.LLM_TOKENS_TOTAL] = prompt + completion
    whole, of_prompt = (
        attributes.get(name) for name in (names.COST_NANO_USD, names.COST_INPUT_NANO_USD)
    )
    if isinstance(whole, int) and isinstance(of_prompt, int):
        sums[names.LLM_COST_PROMPT] = of_prompt / _NANO
        sums[names.LLM_COST_COMPLETION] = (whole - of_prompt) / _NANO
    return sums
