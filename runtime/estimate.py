"""How many tokens a text may be, where nobody has counted: arithmetic on lengths, no tokenizer.

A tokenizer would block the event loop for as long as the prompt is, and its answer would be wrong
for every other vendor's model. The estimate is a constant for each byte of UTF-8.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from runtime.kept import kept
from runtime.messages import Image, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.messages import Message, ModelReply, ModelRequest, Tool

BYTES_A_TOKEN = 3.5  # of UTF-8; as a character has a byte or more, chars / 4 is always less
IMAGE_TOKENS = {"low": 100, "auto": 1_100, "high": 1_600}
MESSAGE_TOKENS, TOOL_TOKENS = 4, 10  # what frames them on the wire
EXACT_UP_TO = 65_536  # characters; a longer text that is not ASCII is counted by samples
SAMPLES, SAMPLE = 64, 1_024
MOST_NODES = 10_000  # of a JSON value; the factor learns what the rest comes to


def estimate_input(request: ModelRequest) -> int:
    """Return about how many prompt tokens a call has.

    Takes about as long for ten megabytes as for ten: every text costs its length, which is known,
    or a sample.
    """
    return math.ceil(prompt_tokens(request))


def prompt_tokens(request: ModelRequest) -> float:
    """Return the same before it is rounded up."""
    size = utf8_size(request.system or "") + sum(map(_message_size, request.messages))
    if request.schema:
        size += _schema_size(request.schema)
    if request.extra_body:
        size += _json_size(request.extra_body)
    if request.tools:
        size += sum(map(_tool_size, request.tools))
    images = sum(map(_image_tokens, request.messages))
    frames = MESSAGE_TOKENS * (1 + len(request.messages)) + TOOL_TOKENS * len(request.tools)
    return size / BYTES_A_TOKEN + images + frames


def utf8_size(text: str) -> int:
    """Return how many bytes a text has in UTF-8; about how many when it is long."""
    if text.isascii():
        return len(text)
    if len(text) <= EXACT_UP_TO:
        return len(text.encode("utf-8", "replace"))
    step = len(text) // SAMPLES
    sample = "".join(text[start : start + SAMPLE] for start in range(0, step * SAMPLES, step))
    return len(sample.encode("utf-8", "replace")) * len(text) // len(sample)


def cut_off_usage(request: ModelRequest, said: Usage | None, generated: str) -> Usage:
    """Return what an answer that was cut off has used: the server's word, or an estimate.

    Args:
        request: what was asked.
        said: what the server said so far; its zeros count.
        generated: all that it generated so far, thoughts and arguments included.
    """
    output = math.ceil(utf8_size(generated) / BYTES_A_TOKEN)
    if said is None:
        return Usage(input_tokens=estimate_input(request), output_tokens=output)
    return replace(said, output_tokens=max(said.output_tokens, output))


def answer_usage(request: ModelRequest, reply: ModelReply) -> Usage:
    """Return what an answer, or what there was of it, has used: the server's word or an estimate.

    Args:
        request: what was asked.
        reply: the answer.
    """
    arguments = (call.arguments_raw for call in reply.tool_calls)
    generated = "".join((reply.text, reply.reasoning, reply.refusal, *arguments))
    return cut_off_usage(request, reply.usage, generated)


@kept
def _tool_size(tool: Tool) -> int:
    return utf8_size(tool.name) + utf8_size(tool.description) + _json_size(tool.parameters)


@kept
def _schema_size(schema: Mapping[str, Any]) -> int:
    return _json_size(schema)


def _message_size(message: Message) -> int:
    parsed = [call.arguments for call in message.tool_calls if not call.arguments_raw]
    if message.state is not None:  # an assistant's turn as the wire had it: it is all in there
        return _json_size(message.state.data) + _json_size(parsed)
    size = utf8_size(message.text)
    for call in message.tool_calls:
        size += utf8_size(call.name) + utf8_size(call.arguments_raw)
    return size + _json_size(parsed)


def _image_tokens(message: Message) -> int:
    if isinstance(message.content, str):
        return 0
    images = (part for part in message.content if isinstance(part, Image))
    return sum(IMAGE_TOKENS[image.detail or "auto"] for image in images)


def _json_size(value: Any) -> int:
    """Return about how many bytes a JSON value has when it is written."""
    if not value:
        return 0
    size = 0
    left = [value]
    for _ in range(MOST_NODES):
        if not left:
            break
        node = left.pop()
        size += 2  # quotes, brackets, commas
        if isinstance(node, str):
            size += utf8_size(node)
        elif isinstance(node, dict):
            left.extend(islice(node, MOST_NODES))
            left.extend(islice(node.values(), MOST_NODES))
        elif isinstance(node, list | tuple):
            left.extend(islice(node, MOST_NODES))
        else:
            size += len(str(node))
    return size
