"""What recorded exchanges cost, by tables that were written and multiplied by hand.

A row names an exchange, the tokens that a person reads in its usage by the vendor's rule, each kind
in one place only, the vendor's prices in dollars per million of them (those of ``DAY``), and what
these come to: tokens times nano-dollars, where $2.50 a million is 2_500 a token. Nothing of it is
computed by the product. What was never recorded is in ``WRITTEN``, with usages made up.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from providers import adapter_of, price_of
from runtime.governance.cost import cost_of
from runtime.messages import ModelReply, ProviderProfile, Usage
from runtime.pricing import Pricing
from runtime.rules import Rules
from tests.catalog_workspace import Workspace
from tests.recordings import FOLDER, is_streamed, read_plain, read_stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY = date(2026, 11, 29)
DIALECTS = {
    "chat": "openai_chat",
    "responses": "openai_responses",
    "messages": "anthropic",
    "generateContent": "google",
    "ollama_chat": "ollama",
}


class Tokens(NamedTuple):
    """The tokens of a call; each is in exactly one of these.

    Attributes:
        fresh: of the prompt, neither read from a cache nor written to one.
        read: of the prompt, read from a cache.
        written: of the prompt, written to a cache for as long as is usual.
        hourly: of the prompt, written to a cache for an hour.
        output: generated, those of thoughts too where they have no price of their own.
        thought: generated as thoughts, where these have a price of their own.
    """

    fresh: int = 0
    read: int = 0
    written: int = 0
    hourly: int = 0
    output: int = 0
    thought: int = 0

    @property
    def usage(self) -> Usage:
        """The same as the product counts it."""
        return Usage(
            input_tokens=self.fresh + self.read + self.written + self.hourly,
            output_tokens=self.output + self.thought,
            cached_input_tokens=self.read,
            cache_write_tokens=self.written + self.hourly,
            cache_write_1h_tokens=self.hourly,
            reasoning_tokens=self.thought,
        )


class Usd(NamedTuple):
    """Dollars for a million of each, as the vendor's price list has them."""

    fresh: str = "0"
    read: str = "0"
    written: str = "0"
    hourly: str = "0"
    output: str = "0"
    thought: str = "0"


class Row(NamedTuple):
    """A recorded exchange.

    Attributes:
        exchange: its id, which is the name of its file.
        vendor: whose price list counts.
        model: the model that was asked.
        tokens: what its usage says.
        usd: the list's prices.
        nano: what it costs, in nano-USD.
    """

    exchange: str
    vendor: str
    model: str
    tokens: Tokens
    usd: Usd
    nano: int


class Written(NamedTuple):
    """A usage that nobody recorded.

    Attributes:
        about: what is special.
        tier: the tier that served it, in the server's word; None where it says nothing.
        day: the day.

    The others are those of ``Row``.
    """

    about: str
    vendor: str
    model: str
    tokens: Tokens
    usd: Usd
    nano: int
    tier: str | None = None
    day: date = DAY


# --- OpenAI and Azure ----------------------------------------------------------------------------
# prompt_tokens (Responses: input_tokens) has the cached_tokens and the cache_write_tokens of its
# details in it; completion_tokens (output_tokens) has the reasoning_tokens in it, at one price. A
# stream says all of it once, in its last event. What `service_tier` says at the end counts.
OPENAI = (
    Row("openai-chat-plain-0363dbbb", "openai", "gpt-4o",
        Tokens(fresh=64, output=12), Usd(fresh="2.50", output="10.00"),
        64 * 2_500 + 12 * 10_000),
    Row("openai-chat-plain-d9488401", "openai", "gpt-4o-mini",  # 4_466, of which 4_352 cached
        Tokens(fresh=114, read=4_352, output=47), Usd(fresh="0.15", read="0.075", output="0.60"),
        114 * 150 + 4_352 * 75 + 47 * 600),
    Row("openai-chat-plain-eb68ddbf", "openai", "gpt-4.1-nano",  # 1_080, of which 1_024 cached
        Tokens(fresh=56, read=1_024, output=7), Usd(fresh="0.10", read="0.025", output="0.40"),
        56 * 100 + 1_024 * 25 + 7 * 400),
    Row("openai-chat-plain-1d7fc4ae", "openai", "o3-mini",  # 30, of which 15 reasoning
        Tokens(fresh=12, output=30), Usd(fresh="1.10", output="4.40"),
        12 * 1_100 + 30 * 4_400),
    Row("openai-chat-plain-442b2081", "openai", "gpt-5-nano",  # 100, all of it reasoning
        Tokens(fresh=2_245, output=100), Usd(fresh="0.05", output="0.40"),
        2_245 * 50 + 100 * 400),
    Row("openai-chat-plain-f77c7cf8", "openai", "gpt-4",
        Tokens(fresh=82, output=16), Usd(fresh="30.00", output="60.00"),
        82 * 30_000 + 16 * 60_000),
    Row("openai-chat-stream-6dad90b1", "openai", "gpt-4.1",  # 1_144, of which 1_024 cached
        Tokens(fresh=120, read=1_024, output=3), Usd(fresh="2.00", read="0.50", output="8.00"),
        120 * 2_000 + 1_024 * 500 + 3 * 8_000),
    Row("openai-chat-stream-847b0976", "openai", "gpt-5",  # 379, of which 320 reasoning
        Tokens(fresh=190, output=379), Usd(fresh="1.25", output="10.00"),
        190 * 1_250 + 379 * 10_000),
    Row("openai-chat-stream-5980c17e", "openai", "gpt-5.6-terra",  # flex: half of 2.00 and 12.00
        Tokens(fresh=155, output=18), Usd(fresh="1.00", output="6.00"),
        155 * 1_000 + 18 * 6_000),
    Row("openai-chat-stream-be0b6e9f", "openai", "gpt-5.6-luna",  # flex: half of 0.20 and 1.20
        Tokens(fresh=16, output=16), Usd(fresh="0.10", output="0.60"),
        16 * 100 + 16 * 600),
    Row("openai-responses-plain-41bd6747", "openai", "gpt-5.6-sol",  # 1_220, 1_217 of it written
        Tokens(fresh=3, written=1_217, output=100),
        Usd(fresh="4.00", written="5.00", output="20.00"),
        3 * 4_000 + 1_217 * 5_000 + 100 * 20_000),
    Row("openai-responses-plain-5fbec3b6", "openai", "gpt-5",  # 1_493, of which 1_280 cached
        Tokens(fresh=213, read=1_280, output=125), Usd(fresh="1.25", read="0.125", output="10.00"),
        213 * 1_250 + 1_280 * 125 + 125 * 10_000),
    Row("openai-responses-plain-f963f96d", "openai", "gpt-5.2",  # 4_565, of which 4_352 cached
        Tokens(fresh=213, read=4_352, output=5), Usd(fresh="1.75", read="0.175", output="14.00"),
        213 * 1_750 + 4_352 * 175 + 5 * 14_000),
    Row("openai-responses-stream-39a8e016", "openai", "gpt-5.6",  # asked "auto", served "default"
        Tokens(fresh=20, output=32), Usd(fresh="4.00", output="20.00"),
        20 * 4_000 + 32 * 20_000),
    Row("openai-responses-stream-ccfcb7dc", "openai", "o4-mini",  # 166, of which 128 reasoning
        Tokens(fresh=20, output=166), Usd(fresh="1.10", output="4.40"),
        20 * 1_100 + 166 * 4_400),
    Row("azure-chat-plain-f96fa9fb", "azure", "gpt-4o",
        Tokens(fresh=442, output=27), Usd(fresh="2.50", output="10.00"),
        442 * 2_500 + 27 * 10_000),
    Row("azure-chat-plain-a9d05c56", "azure", "gpt-5-nano",  # 4_600, of which 4_416 reasoning
        Tokens(fresh=50, output=4_600), Usd(fresh="0.05", output="0.40"),
        50 * 50 + 4_600 * 400),
    Row("azure-responses-plain-c7e16908", "azure", "gpt-5.5",
        Tokens(fresh=18, output=16), Usd(fresh="5.00", output="30.00"),
        18 * 5_000 + 16 * 30_000),
    Row("azure-responses-stream-d2d5bdf4", "azure", "gpt-5-mini",  # 208, of which 192 reasoning
        Tokens(fresh=19, output=208), Usd(fresh="0.25", output="2.00"),
        19 * 250 + 208 * 2_000),
    # The prompt was filtered: the server says 0, which is a value.
    Row("azure-responses-stream-6bf4521c", "azure", "gpt-4o-mini",
        Tokens(), Usd(fresh="0.15", output="0.60"),
        0),
    # This server counts 403 cached tokens in a prompt of 347: there are no more than all of them.
    Row("azure-chat-stream-57d35398", "azure", "grok-4-1-fast-non-reasoning",
        Tokens(read=347, output=18), Usd(read="0.05", output="0.50"),
        347 * 50 + 18 * 500),
)  # fmt: skip

# --- Anthropic -----------------------------------------------------------------------------------
# input_tokens is what no cache had a part in; cache_read_input_tokens and
# cache_creation_input_tokens come on top. Where `cache_creation` tells writes for five minutes from
# those for an hour, these have a price each. output_tokens has the thoughts in it. In a stream the
# counts of message_delta are totals and replace those of message_start.
ANTHROPIC = (
    Row("anthropic-messages-plain-016417d8", "anthropic", "claude-haiku-4-5-20251001",
        Tokens(fresh=4_658, output=120), Usd(fresh="1.00", output="5.00"),
        4_658 * 1_000 + 120 * 5_000),
    Row("anthropic-messages-plain-0796a82f", "anthropic", "claude-sonnet-5",
        Tokens(fresh=4, read=1_150, written=3_522, output=113),
        Usd(fresh="2.00", read="0.20", written="2.50", output="10.00"),
        4 * 2_000 + 1_150 * 200 + 3_522 * 2_500 + 113 * 10_000),
    Row("anthropic-messages-plain-36cdbbe4", "anthropic", "claude-sonnet-5",
        Tokens(fresh=2, read=1_690, written=80, output=52),
        Usd(fresh="2.00", read="0.20", written="2.50", output="10.00"),
        2 * 2_000 + 1_690 * 200 + 80 * 2_500 + 52 * 10_000),
    # More than 200_000: every token of the call at the price of long prompts. (Ten web searches,
    # which the vendor bills by the piece, are not in it.)
    Row("anthropic-messages-plain-1f9aa8a4", "anthropic", "claude-sonnet-4-5",
        Tokens(fresh=401_468, output=792), Usd(fresh="6.00", output="22.50"),
        401_468 * 6_000 + 792 * 22_500),
    Row("anthropic-messages-plain-48fb2ad3", "anthropic", "claude-sonnet-4-5-20250929",
        Tokens(fresh=24, read=1_857, output=33), Usd(fresh="3.00", read="0.30", output="15.00"),
        24 * 3_000 + 1_857 * 300 + 33 * 15_000),
    Row("anthropic-messages-plain-e9536100", "anthropic", "claude-3-5-haiku-20241022",
        Tokens(fresh=3, read=2_091, output=95), Usd(fresh="0.80", read="0.08", output="4.00"),
        3 * 800 + 2_091 * 80 + 95 * 4_000),
    Row("anthropic-messages-plain-ed66f8fb", "anthropic", "claude-opus-5",  # 85, 18 of it thoughts
        Tokens(fresh=15, read=837, output=85), Usd(fresh="5.00", read="0.50", output="25.00"),
        15 * 5_000 + 837 * 500 + 85 * 25_000),
    Row("anthropic-messages-stream-2a203a12", "anthropic", "claude-3-5-sonnet-20240620",
        Tokens(fresh=506, output=153), Usd(fresh="3.00", output="15.00"),
        506 * 3_000 + 153 * 15_000),
    Row("anthropic-messages-stream-490bcbfe", "anthropic", "claude-sonnet-4-20250514",
        Tokens(fresh=18, written=1_031, output=100),
        Usd(fresh="3.00", written="3.75", output="15.00"),
        18 * 3_000 + 1_031 * 3_750 + 100 * 15_000),
    Row("anthropic-messages-stream-5bf1a751", "anthropic", "claude-sonnet-4-0",
        Tokens(fresh=6, read=1_276, written=72, output=4),
        Usd(fresh="3.00", read="0.30", written="3.75", output="15.00"),
        6 * 3_000 + 1_276 * 300 + 72 * 3_750 + 4 * 15_000),
    Row("anthropic-messages-stream-749d6d5a", "anthropic", "claude-haiku-4-5-20251001",
        Tokens(fresh=9_447, output=114),  # message_start said 2_225 and 25
        Usd(fresh="1.00", output="5.00"),
        9_447 * 1_000 + 114 * 5_000),
    Row("anthropic-messages-stream-7d75bcb6", "anthropic", "claude-opus-4-8",
        Tokens(fresh=2, read=1_599, output=4), Usd(fresh="5.00", read="0.50", output="25.00"),
        2 * 5_000 + 1_599 * 500 + 4 * 25_000),
)  # fmt: skip

# --- Google --------------------------------------------------------------------------------------
# promptTokenCount has the cachedContentTokenCount in it; toolUsePromptTokenCount comes on top and
# is prompt. candidatesTokenCount is without the thoughtsTokenCount; both are output at one price.
# In a stream each chunk says the totals so far: the last one counts.
GOOGLE = (
    Row("google-generatecontent-plain-0f292679", "google", "gemini-2.5-flash",  # 373, 204 cached
        Tokens(fresh=169, read=204, output=89 + 167),
        Usd(fresh="0.30", read="0.03", output="2.50"),
        169 * 300 + 204 * 30 + 256 * 2_500),
    Row("google-generatecontent-plain-27b341f3", "google", "gemini-2.5-pro",
        Tokens(fresh=194, output=33 + 216), Usd(fresh="1.25", output="10.00"),
        194 * 1_250 + 249 * 10_000),
    Row("google-generatecontent-plain-941a326d", "google", "gemini-3.5-flash",  # 568, 217 cached
        Tokens(fresh=351, read=217, output=305 + 1_027),
        Usd(fresh="1.50", read="0.15", output="9.00"),
        351 * 1_500 + 217 * 150 + 1_332 * 9_000),
    Row("google-generatecontent-plain-a678466a", "google", "gemini-3.5-flash",  # and what tools say
        Tokens(fresh=132 + 1_387, output=65 + 149), Usd(fresh="1.50", output="9.00"),
        1_519 * 1_500 + 214 * 9_000),
    Row("google-generatecontent-plain-91f7ef50", "google", "gemini-2.5-flash",  # thoughts alone
        Tokens(fresh=12, output=84), Usd(fresh="0.30", output="2.50"),
        12 * 300 + 84 * 2_500),
    Row("google-generatecontent-plain-941f1737", "google", "gemini-3-flash-preview",  # no answer
        Tokens(fresh=36), Usd(fresh="0.50", output="3.00"),
        36 * 500),
    Row("google-generatecontent-plain-6a3fc938", "google", "gemini-2.5-flash",  # Vertex
        Tokens(fresh=11, read=9_602, output=33 + 39), Usd(fresh="0.30", read="0.03", output="2.50"),
        11 * 300 + 9_602 * 30 + 72 * 2_500),
    Row("google-generatecontent-stream-3ec184f4", "google", "gemini-2.5-pro",  # Vertex
        Tokens(fresh=37, output=77 + 263), Usd(fresh="1.25", output="10.00"),
        37 * 1_250 + 340 * 10_000),
    Row("google-generatecontent-stream-43e3090f", "google", "gemini-2.5-flash",
        Tokens(fresh=91 + 574, output=93 + 211), Usd(fresh="0.30", output="2.50"),
        665 * 300 + 304 * 2_500),
    Row("google-generatecontent-stream-9f1f7b7b", "google", "gemini-flash-latest",  # a JSON array
        Tokens(fresh=10, output=20 + 423), Usd(fresh="0.75", output="3.75"),
        10 * 750 + 443 * 3_750),
)  # fmt: skip

# --- servers that speak others' dialects ---------------------------------------------------------
# Their counts are OpenAI's or Anthropic's. DeepSeek charges by the hour; the product takes the
# dearest one. What runs on this machine costs nothing, which is 0 and not unknown.
OTHERS = (
    Row("compat_deepseek-chat-stream-94ebe35a", "deepseek", "deepseek-v4-flash",  # 368, 256 cached
        Tokens(fresh=112, read=256, output=19), Usd(fresh="0.30", read="0.006", output="1.20"),
        112 * 300 + 256 * 6 + 19 * 1_200),
    Row("compat_deepseek-responses-plain-7f53ff80", "deepseek", "deepseek-v4-flash",
        Tokens(fresh=13_514, read=15_872, output=1_450),  # 29_386, of which 15_872 cached
        Usd(fresh="0.30", read="0.006", output="1.20"),
        13_514 * 300 + 15_872 * 6 + 1_450 * 1_200),
    Row("compat_mistral-chat-stream-d6e7aac1", "mistral", "mistral-small-latest",  # 192 cached
        Tokens(fresh=99, read=192, output=27), Usd(fresh="0.15", read="0.015", output="0.60"),
        99 * 150 + 192 * 15 + 27 * 600),
    Row("compat_groq-chat-plain-306af517", "groq", "meta-llama/llama-guard-4-12b",
        Tokens(fresh=1_659, output=2), Usd(fresh="0.20", output="0.20"),
        1_659 * 200 + 2 * 200),
    Row("compat_groq-chat-stream-a521c735", "groq", "moonshotai/kimi-k2-instruct-0905",
        Tokens(fresh=93, output=32), Usd(fresh="1.00", output="3.00"),
        93 * 1_000 + 32 * 3_000),
    Row("compat_xai-responses-stream-ec881058", "x-ai", "grok-4.3",  # 595, of which 384 cached
        Tokens(fresh=211, read=384, output=106), Usd(fresh="1.25", read="0.20", output="2.50"),
        211 * 1_250 + 384 * 200 + 106 * 2_500),
    Row("compat_openrouter-chat-plain-7e4dbf0a", "openrouter", "openai/gpt-4.1",
        Tokens(fresh=43, output=13), Usd(fresh="2.00", output="8.00"),
        43 * 2_000 + 13 * 8_000),
    Row("compat_openrouter-chat-stream-3577f2f6", "openrouter", "openai/gpt-4o-mini-2024-07-18",
        Tokens(fresh=123, output=10), Usd(fresh="0.15", output="0.60"),
        123 * 150 + 10 * 600),
    Row("compat_openrouter-messages-stream-0da2dff5", "openrouter", "anthropic/claude-haiku-4.5",
        Tokens(fresh=32, output=16), Usd(fresh="1.00", output="5.00"),
        32 * 1_000 + 16 * 5_000),
    Row("compat_llamacpp-chat-stream-2a864d3f", "local",
        "Mistral-Small-3.2-24B-Instruct-2506-Q4_K_M",
        Tokens(fresh=1, read=663, output=18), Usd(),
        0),
    Row("compat_vllm-responses-plain-c9388ecf", "local", "Qwen/Qwen3-0.6B",
        Tokens(fresh=14, output=8), Usd(),
        0),
    Row("ollama-chat-stream-030332f5", "ollama", "gpt-oss:120b",
        Tokens(fresh=283, output=92), Usd(),
        0),
    Row("ollama-ollamachat-plain-6e2138ef", "ollama", "qwen3:4b",
        Tokens(fresh=1_561, output=1_050), Usd(),
        0),
    Row("ollama-ollamachat-stream-03477b9e", "ollama", "gemma3:1b",
        Tokens(fresh=25, output=9), Usd(),
        0),
)  # fmt: skip
ROWS = (*OPENAI, *ANTHROPIC, *GOOGLE, *OTHERS)

# --- what was not recorded -----------------------------------------------------------------------
# Above the length, all of the call has the price of long prompts, its answer too; what was read
# from a cache or written to one counts for the length like the rest.
LONG = (
    Written("as long as is usual", "google", "gemini-2.5-pro",
            Tokens(fresh=199_000, read=1_000, output=10),
            Usd(fresh="1.25", read="0.125", output="10.00"),
            199_000 * 1_250 + 1_000 * 125 + 10 * 10_000),
    Written("one token more", "google", "gemini-2.5-pro",
            Tokens(fresh=199_001, read=1_000, output=10),
            Usd(fresh="2.50", read="0.25", output="15.00"),
            199_001 * 2_500 + 1_000 * 250 + 10 * 15_000),
    Written("one token more of an older one", "google", "gemini-1.5-flash",
            Tokens(fresh=128_001, output=1), Usd(fresh="0.15", output="0.60"),
            128_001 * 150 + 1 * 600),
    Written("as long as is usual", "openai", "gpt-5.6",
            Tokens(fresh=272_000, output=100), Usd(fresh="4.00", output="20.00"),
            272_000 * 4_000 + 100 * 20_000),
    Written("long with a cache", "openai", "gpt-5.6",
            Tokens(fresh=1, read=270_000, written=2_000, output=100),
            Usd(fresh="8.00", read="0.80", written="10.00", output="30.00"),
            1 * 8_000 + 270_000 * 800 + 2_000 * 10_000 + 100 * 30_000),
    Written("long and flex", "openai", "gpt-5.6",
            Tokens(fresh=300_000, output=100), Usd(fresh="4.00", output="15.00"),
            300_000 * 4_000 + 100 * 15_000, tier="flex"),
    Written("long and priority", "openai", "gpt-5.6",
            Tokens(fresh=300_000, output=100), Usd(fresh="16.00", output="60.00"),
            300_000 * 16_000 + 100 * 60_000, tier="priority"),
    Written("long with both kinds of writes", "anthropic", "claude-sonnet-4-5",
            Tokens(fresh=1, read=150_000, written=30_000, hourly=20_000, output=7),
            Usd(fresh="6.00", read="0.60", written="7.50", hourly="12.00", output="22.50"),
            1 * 6_000 + 150_000 * 600 + 30_000 * 7_500 + 20_000 * 12_000 + 7 * 22_500),
    Written("five times as much above 100_000", "anthropic", "claude-haiku-5-5",
            Tokens(fresh=100_001, output=8), Usd(fresh="0.50", output="2.50"),
            100_001 * 500 + 8 * 2_500),
    Written("long and by the batch", "anthropic", "claude-haiku-5-5",
            Tokens(fresh=100_001, output=8), Usd(fresh="0.25", output="1.25"),
            100_001 * 250 + 8 * 1_250, tier="batch"),
    Written("at 199_999", "x-ai", "grok-4.3",
            Tokens(fresh=199_999, output=1), Usd(fresh="1.25", output="2.50"),
            199_999 * 1_250 + 1 * 2_500),
    Written("at 200_000", "x-ai", "grok-4.3",
            Tokens(fresh=200_000, output=1), Usd(fresh="2.50", output="5.00"),
            200_000 * 2_500 + 1 * 5_000),
)  # fmt: skip

# The tier is the one that the server says it was. A word without a price costs as usual.
TIERS = (
    Written("priority", "openai", "gpt-4o",
            Tokens(fresh=1_001, read=2_003, output=77),
            Usd(fresh="4.25", read="2.125", output="17.00"),
            1_001 * 4_250 + 2_003 * 2_125 + 77 * 17_000, tier="priority"),
    Written("fast", "openai", "gpt-4o",
            Tokens(fresh=1_001, output=77), Usd(fresh="4.25", output="17.00"),
            1_001 * 4_250 + 77 * 17_000, tier="fast"),
    Written("flex", "openai", "o4-mini",
            Tokens(fresh=1_001, read=2_003, output=77),
            Usd(fresh="0.55", read="0.138", output="2.20"),
            1_001 * 550 + 2_003 * 138 + 77 * 2_200, tier="flex"),
    Written("batch, which does not say what its cache costs", "openai", "gpt-4o",
            Tokens(fresh=1_001, read=2_003, output=77),
            Usd(fresh="1.25", read="1.25", output="5.00"),
            1_001 * 1_250 + 2_003 * 1_250 + 77 * 5_000, tier="batch"),
    Written("batch", "anthropic", "claude-opus-5",
            Tokens(fresh=11, read=13, written=17, hourly=19, output=23),
            Usd(fresh="2.50", read="0.25", written="3.125", hourly="5.00", output="12.50"),
            11 * 2_500 + 13 * 250 + 17 * 3_125 + 19 * 5_000 + 23 * 12_500, tier="batch"),
    Written("fast", "anthropic", "claude-opus-5",
            Tokens(fresh=11, read=13, written=17, hourly=19, output=23),
            Usd(fresh="10.00", read="1.00", written="12.50", hourly="20.00", output="50.00"),
            11 * 10_000 + 13 * 1_000 + 17 * 12_500 + 19 * 20_000 + 23 * 50_000, tier="fast"),
    Written("batch", "google", "gemini-2.5-flash",
            Tokens(fresh=1_001, read=2_003, output=77),
            Usd(fresh="0.15", read="0.03", output="1.25"),
            1_001 * 150 + 2_003 * 30 + 77 * 1_250, tier="batch"),
    Written("priority", "google", "gemini-3.8-flash-tts",
            Tokens(fresh=1_001, output=77), Usd(fresh="0.90", output="16.20"),
            1_001 * 900 + 77 * 16_200, tier="priority"),
    *(
        Written(f"the usual one, called {tier}", "openai", "gpt-4o",
                Tokens(fresh=3, output=5), Usd(fresh="2.50", output="10.00"),
                3 * 2_500 + 5 * 10_000, tier=tier)
        for tier in (None, "", "default", "standard", "auto", "on_demand", "ON_DEMAND")
    ),
)  # fmt: skip

KINDS = (
    Written("kept for an hour", "anthropic", "claude-opus-4-8",
            Tokens(fresh=2, hourly=1_031, output=4),
            Usd(fresh="5.00", hourly="10.00", output="25.00"),
            2 * 5_000 + 1_031 * 10_000 + 4 * 25_000),
    Written("thoughts with a price of their own", "perplexity", "sonar-deep-research",
            Tokens(fresh=10, output=20, thought=30),
            Usd(fresh="2.00", output="8.00", thought="3.00"),
            10 * 2_000 + 20 * 8_000 + 30 * 3_000),
    # What is not a whole nano-dollar is rounded up, once, when all is added.
    Written("132.5 nano-dollars", "openai", "gpt-5-nano",
            Tokens(fresh=5, read=3), Usd(fresh="0.025", read="0.0025"),
            (5 * 250 + 3 * 25 + 5) // 10, tier="flex"),
    Written("67.5 nano-dollars", "anthropic", "claude-haiku-5-5",
            Tokens(read=1, written=1), Usd(read="0.005", written="0.0625"),
            (1 * 50 + 1 * 625 + 5) // 10, tier="batch"),
    Written("two halves", "openai", "gpt-5-nano",
            Tokens(fresh=5, read=2), Usd(fresh="0.025", read="0.0025"),
            (5 * 250 + 2 * 25) // 10, tier="flex"),
)  # fmt: skip

DAYS = (
    Written("the day before it costs twice as much", "google", "gemini-3.8-flash",
            Tokens(fresh=101, read=11, output=13), Usd(fresh="0.75", read="0.075", output="3.75"),
            101 * 750 + 11 * 75 + 13 * 3_750, day=date(2026, 12, 31)),
    Written("the day from which it costs twice as much", "google", "gemini-3.8-flash",
            Tokens(fresh=101, read=11, output=13), Usd(fresh="1.50", read="0.15", output="7.50"),
            101 * 1_500 + 11 * 150 + 13 * 7_500, day=date(2027, 1, 1)),
    Written("by the batch from then on", "google", "gemini-3.8-flash",
            Tokens(fresh=101, output=13), Usd(fresh="0.75", output="3.75"),
            101 * 750 + 13 * 3_750, tier="batch", day=date(2027, 1, 1)),
    Written("the last day of a price for long prompts", "anthropic", "claude-sonnet-4-6",
            Tokens(fresh=200_001, output=1), Usd(fresh="6.00", output="22.50"),
            200_001 * 6_000 + 1 * 22_500, day=date(2026, 3, 12)),
    Written("the first day without one", "anthropic", "claude-sonnet-4-6",
            Tokens(fresh=200_001, output=1), Usd(fresh="3.00", output="15.00"),
            200_001 * 3_000 + 1 * 15_000, day=date(2026, 3, 13)),
    Written("the day before priority had a price", "openai", "gpt-4o",
            Tokens(fresh=1_001, output=77), Usd(fresh="2.50", output="10.00"),
            1_001 * 2_500 + 77 * 10_000, tier="priority", day=date(2026, 10, 11)),
)  # fmt: skip
WRITTEN = (*LONG, *TIERS, *KINDS, *DAYS)


# --- the tables against the product --------------------------------------------------------------


def recorded(name: str) -> dict[str, Any]:
    """Return an exchange, or skip the test."""
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"no recording {name} here; MAGSAG_RECORDINGS names their folder")
    exchange: dict[str, Any] = json.loads(path.read_text())
    return exchange


def reply_to(exchange: dict[str, Any]) -> ModelReply:
    """Return what the product makes of an exchange."""
    profile = ProviderProfile(name="recorded", dialect=DIALECTS[exchange["endpoint"]])
    adapter = adapter_of(profile)
    if is_streamed(exchange):
        reply, _ = read_stream(adapter, exchange, "event")
    else:
        reply = read_plain(adapter, exchange)
    assert isinstance(reply, ModelReply), reply
    return reply


def tokens_of(usage: Usage) -> Tokens:
    """Return a usage with each token in one place; a cache has no more than there is."""
    read = min(usage.cached_input_tokens or 0, usage.input_tokens)
    written, hourly = usage.cache_write_tokens or 0, usage.cache_write_1h_tokens or 0
    return Tokens(
        fresh=usage.input_tokens - read - written,
        read=read,
        written=written - hourly,
        hourly=hourly,
        output=usage.output_tokens,
    )


@pytest.mark.parametrize("row", [*ROWS, *WRITTEN], ids=lambda row: " ".join(map(str, row[:3])))
def test_the_tables_are_multiplied_without_a_mistake(row: Row | Written) -> None:
    """Of the tables alone: nothing of the product has a part in it."""
    pairs = zip(row.tokens, row.usd, strict=True)
    micro = sum((count * Decimal(usd) for count, usd in pairs), Decimal(0))
    assert row.nano == (micro * 1_000).to_integral_value(ROUND_CEILING)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.exchange)
def test_a_recorded_exchange_costs_what_its_vendor_s_rule_gives(row: Row) -> None:
    exchange = recorded(row.exchange)
    assert exchange["model"] == row.model
    reply = reply_to(exchange)
    assert reply.usage is not None
    assert tokens_of(reply.usage) == row.tokens
    price = price_of(row.vendor, row.model, {}, on=DAY)
    assert price is not None
    assert cost_of(reply.usage, price, reply.service_tier) == row.nano


@pytest.mark.parametrize("row", WRITTEN, ids=lambda row: f"{row.model}, {row.about}")
def test_a_usage_that_nobody_recorded_costs_what_its_vendor_s_rule_gives(row: Written) -> None:
    price = price_of(row.vendor, row.model, {}, on=row.day)
    assert price is not None
    assert cost_of(row.tokens.usage, price, row.tier) == row.nano


@pytest.mark.parametrize(
    ("name", "told"),
    [
        # OpenRouter tells dollars; xAI tells ticks, ten thousand million of which are a dollar.
        ("compat_openrouter-chat-plain-7e4dbf0a", lambda usage: Decimal(str(usage["cost"]))),
        ("compat_openrouter-chat-stream-3577f2f6", lambda usage: Decimal(str(usage["cost"]))),
        ("compat_openrouter-messages-stream-0da2dff5", lambda usage: Decimal(str(usage["cost"]))),
        (
            "compat_xai-responses-stream-ec881058",
            lambda usage: Decimal(usage["cost_in_usd_ticks"]) / 10**10,
        ),
    ],
)
def test_where_a_server_says_what_it_charged_the_table_has_the_same(
    name: str, told: Callable[[Any], Decimal]
) -> None:
    (row,) = (row for row in ROWS if row.exchange == name)
    said = recorded(name)["response"]
    lines = [json.dumps(said["body"])] if "body" in said else str(said["sse"]).splitlines()
    events = [json.loads(line.removeprefix("data:")) for line in lines if '"cost' in line]
    last = events[-1].get("response", events[-1])["usage"]
    assert told(last) * 10**9 == row.nano


@pytest.mark.parametrize(
    "name",
    [
        "openai-chat-stream-731bac47",
        "azure-chat-stream-f8eaa93c",
        "google-generatecontent-plain-634410fe",
        "compat_llamacpp-chat-stream-33de3093",
        "compat_vllm-chat-stream-23bb3c0b",
    ],
)
def test_a_usage_that_is_not_said_is_unknown_and_no_zero(name: str) -> None:
    assert reply_to(recorded(name)).usage is None


@pytest.mark.parametrize(
    ("vendor", "name"),
    [
        ("cerebras", "compat_cerebras-chat-stream-b98118c3"),
        ("together", "compat_together-chat-stream-515531cb"),
        ("azure", "azure-chat-stream-3293f187"),  # a deployment's own name
    ],
)
def test_a_model_that_no_list_has_is_unpriced_and_not_free(vendor: str, name: str) -> None:
    exchange = recorded(name)
    assert reply_to(exchange).usage is not None
    assert price_of(vendor, exchange["model"], {}, on=DAY) is None


# --- the catalog's own prices --------------------------------------------------------------------

PROVIDERS = """\
providers:
  echo:
    dialect: echo
    models: {echo-1: {}, extract-1: {}}
  openai:
    dialect: openai_chat
    base_url: https://api.openai.com/v1
    api_key_env: [OPENAI_API_KEY]
    models: {gpt-4o: {}}
    any_model: true
  azure:
    dialect: openai_chat
    base_url: https://ours.openai.azure.com/openai/v1
    models: {gpt-4: {base_model: gpt-4.1}, house: {}}
  gpus:
    dialect: openai_chat
    region: local
    base_url: http://localhost:8000/v1
    any_model: true
"""
PRICES = """\
prices:
  openai/gpt-4o:
    input_usd_per_mtok: "2.20"
    output_usd_per_mtok: "9.00"
    cached_input_usd_per_mtok: "0.999999999"
    cache_write_usd_per_mtok: "3.00"
    cache_write_1h_usd_per_mtok: "4.00"
    reasoning_usd_per_mtok: "7.00"
    since: 2027-01-01
    before:
      input_usd_per_mtok: "2.00"
      output_usd_per_mtok: "8.00"
      since: 2026-11-29
      before: {input_usd_per_mtok: "1.00", output_usd_per_mtok: "4.00"}
    long_prompts:
      - {above_tokens: 2_000, input_usd_per_mtok: "50", output_usd_per_mtok: "90"}
      - {above_tokens: 1_000, input_usd_per_mtok: "5", output_usd_per_mtok: "9"}
    service_tiers:
      flex:
        input_usd_per_mtok: "1.10"
        output_usd_per_mtok: "4.50"
        long_prompts:
          - {above_tokens: 1_000, input_usd_per_mtok: "2.50", output_usd_per_mtok: "4.60"}
  openai/new:
    input_usd_per_mtok: "1.00"
    output_usd_per_mtok: "1.00"
    since: 2026-12-01
"""
NEW_YEAR, THE_DAY_BEFORE = date(2027, 1, 1), date(2026, 12, 31)


def pricing_of(root: Path, day: date) -> Pricing:
    """Return the product's own way to a price, on a day, in a workspace with its own prices."""
    catalog = Workspace(root).load({"providers.yaml": PROVIDERS, "prices.yaml": PRICES})
    noon = datetime.combine(day, time(12), UTC).timestamp()
    return Pricing(catalog, price_of, Rules(catalog, {}, lambda: noon))


@pytest.mark.parametrize(
    ("tokens", "tier", "day", "nano"),
    [
        # Each kind at its own price, 999.999999 nano-dollars for what was read, rounded up at last.
        (
            Tokens(fresh=10, read=20, written=30, hourly=40, output=50, thought=60),
            None,
            NEW_YEAR,
            10 * 2_200 + 20 * 1_000 + 30 * 3_000 + 40 * 4_000 + 50 * 9_000 + 60 * 7_000,
        ),
        (Tokens(fresh=1_000, output=1), None, NEW_YEAR, 1_000 * 2_200 + 1 * 9_000),
        (Tokens(fresh=1_001, output=1), None, NEW_YEAR, 1_001 * 5_000 + 1 * 9_000),
        (Tokens(fresh=2_000, output=1), None, NEW_YEAR, 2_000 * 5_000 + 1 * 9_000),
        (Tokens(fresh=2_001, output=1), None, NEW_YEAR, 2_001 * 50_000 + 1 * 90_000),
        # A tier that does not say what a cache costs takes its price of prompts for it.
        (Tokens(fresh=3, read=5, output=7), "flex", NEW_YEAR, 8 * 1_100 + 7 * 4_500),
        (Tokens(fresh=2_001, output=7), "flex", NEW_YEAR, 2_001 * 2_500 + 7 * 4_600),
        (Tokens(fresh=3, output=7), "priority", NEW_YEAR, 3 * 2_200 + 7 * 9_000),
        # What held before had neither a cache nor tiers nor prices for long prompts.
        (Tokens(fresh=3, read=5, output=7), None, THE_DAY_BEFORE, 8 * 2_000 + 7 * 8_000),
        (Tokens(fresh=2_001, output=7), "flex", THE_DAY_BEFORE, 2_001 * 2_000 + 7 * 8_000),
        (Tokens(fresh=3, output=7), None, date(2026, 11, 29), 3 * 2_000 + 7 * 8_000),
        (Tokens(fresh=3, output=7), None, date(2026, 11, 28), 3 * 1_000 + 7 * 4_000),
    ],
)
def test_the_catalog_s_own_prices_give_what_they_say(
    tmp_path: Path, tokens: Tokens, tier: str | None, day: date, nano: int
) -> None:
    price = pricing_of(tmp_path, day)("openai", "gpt-4o")
    assert price is not None
    assert cost_of(tokens.usage, price, tier) == nano


@pytest.mark.parametrize(
    ("provider", "model", "nano"),
    [
        ("openai", "gpt-4o-mini", 1_000 * 150 + 10 * 600),  # $0.15, $0.60: the list's
        ("azure", "gpt-4", 1_000 * 2_000 + 10 * 8_000),  # a deployment of gpt-4.1: $2, $8
        ("azure", "house", None),  # one that nobody says the model of
        ("openai", "new", None),  # nobody says what it cost before December
        ("openai", "no-such-model", None),
        ("gpus", "gpt-4o", 0),  # whatever it is called, it runs here
        ("echo", "echo-1", 0),
    ],
)
def test_what_a_catalog_s_model_costs_is_what_its_vendor_charges_nothing_or_unknown(
    tmp_path: Path, provider: str, model: str, nano: int | None
) -> None:
    price = pricing_of(tmp_path, DAY)(provider, model)
    usage = Usage(input_tokens=1_000, output_tokens=10)
    assert (None if price is None else cost_of(usage, price)) == nano


def test_only_what_is_on_this_machine_is_free_and_not_what_a_variable_has_moved(
    tmp_path: Path,
) -> None:
    catalog = Workspace(tmp_path).load({"providers.yaml": PROVIDERS, "prices.yaml": PRICES})
    gpus = catalog.providers["gpus"].model_copy(update={"base_url_env": ("GPUS",)})
    moved = replace(catalog, providers={**catalog.providers, "gpus": gpus})
    for address, free in (("http://127.0.0.1:9/v1", True), ("https://gpus.example/v1", False)):
        rules = Rules(moved, {"GPUS": address}, lambda: 0.0)
        price = Pricing(moved, price_of, rules)("gpus", "gpt-4o")
        assert (price is not None and price.input == 0) == free


def test_a_recorded_deployment_costs_what_its_model_does(tmp_path: Path) -> None:
    """The deployment is called gpt-4 and answers as gpt-4.1: 205 tokens at $2, 24 at $8."""
    exchange = recorded("azure-chat-plain-cb853cdc")
    assert exchange["model"] == "gpt-4"
    reply = reply_to(exchange)
    assert reply.model.endswith("2025-04-14")
    price = pricing_of(tmp_path, DAY)("azure", exchange["model"])
    assert price is not None
    assert reply.usage is not None
    assert cost_of(reply.usage, price, reply.service_tier) == 205 * 2_000 + 24 * 8_000
