"""Which part of a prompt is the instruction and which is the document.

The document is, in this order: what follows a line that begins with ``Document:`` or ``Text:``;
what stands between a fence (three backticks) and the fence that ends the message, if that is most
of it; the whole message.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST_DOCUMENT = 1_000_000  # characters; what follows them is not read
MARKER = re.compile(r"^[ \t]*(?:document|text)[ \t]*:", re.IGNORECASE | re.MULTILINE)
OPENING_FENCE = re.compile(r"^```[^\n`]*\n", re.MULTILINE)
CLOSING_FENCE = re.compile(r"\n```[ \t]*\Z")
NUMBER_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "single": 1, "few": 3, "dozen": 12,
}  # fmt: skip
AMOUNT = re.compile(
    rf"\b(\d{{1,3}}|{'|'.join(NUMBER_WORDS)})[\s-]+(?:[\w-]+\s+){{0,2}}?"
    r"(?:(sentence|line)|(bullet|point|highlight|takeaway|fact|finding)|(keyword|topic|tag|term))s?\b",
    re.IGNORECASE,
)
AMOUNT_KINDS = ("sentences", "points", "keywords")
MOST_AMOUNT = 100
# What an instruction is after, as opposed to what is to be done.
FOCUS = re.compile(
    r"\b(?:about|regarding|concerning|on the subject of|focus(?:ing)? on|with respect to)\b(.+)"
    r"|\b(?:what|how|why|who|when|where|which|does|do|is|are|can|should)\b(.+\?)",
    re.IGNORECASE | re.DOTALL,
)


class PromptParts(NamedTuple):
    """A prompt taken apart.

    Attributes:
        instruction: what shall be done; may be empty.
        document: what it shall be done with, at most ``LONGEST_DOCUMENT`` characters.
        cut: how many characters of the document were left out.
    """

    instruction: str
    document: str
    cut: int


def take_apart(message: str) -> PromptParts:
    """Return the parts of a user's message."""
    instruction, document = _split(message)
    cut = max(0, len(document) - LONGEST_DOCUMENT)
    return PromptParts(instruction.strip(), document[:LONGEST_DOCUMENT], cut)


def asked_amounts(instruction: str) -> dict[str, int]:
    """Return how many ``sentences``, ``points`` or ``keywords`` an instruction asks for."""
    amounts: dict[str, int] = {}
    for match in AMOUNT.finditer(instruction):
        word, *kinds = match.groups()
        number = NUMBER_WORDS.get(word.lower()) or int(word)
        kind = next(name for name, found in zip(AMOUNT_KINDS, kinds, strict=True) if found)
        amounts.setdefault(kind, min(max(number, 1), MOST_AMOUNT))
    return amounts


def focus_of(instruction: str) -> str:
    """Return the part of an instruction that names a subject, as a question does; may be empty."""
    match = FOCUS.search(instruction)
    return next((group for group in match.groups() if group), "") if match else ""


def _split(message: str) -> tuple[str, str]:
    marker = MARKER.search(message)
    if marker is not None:
        return message[: marker.start()], message[marker.end() :]
    opening, closing = OPENING_FENCE.search(message), CLOSING_FENCE.search(message.rstrip())
    if opening is not None and closing is not None and opening.end() <= closing.start():
        document = message[opening.end() : closing.start()]
        if len(document) > len(message) / 2:
            return message[: opening.start()], document
    return "", message
