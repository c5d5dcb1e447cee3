"""What a question needs, and what a model is known not to be able to do.

What nobody knows of a model does not count against it: its server will say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.catalog import ModelEntry, NeedsEntry


class Needs(NamedTuple):
    """What a question needs.

    Attributes:
        tools: whether the model must call tools.
        vision: whether it must see images.
        structured_output: whether it must be held to a JSON Schema.
        context_tokens: how many tokens must fit into prompt and answer together.
    """

    tools: bool = False
    vision: bool = False
    structured_output: bool = False
    context_tokens: int = 0

    def and_those(self, of: NeedsEntry) -> Needs:
        """Return these needs with those of a route."""
        return Needs(
            tools=self.tools or of.tools,
            vision=self.vision or of.vision,
            structured_output=self.structured_output or of.structured_output,
            context_tokens=max(self.context_tokens, of.context_tokens),
        )


def lack_of(model: ModelEntry | None, needs: Needs) -> str | None:
    """Return what a model is known to lack; None if nothing, or nothing is known of it.

    Args:
        model: what the catalog says of it; None if it says nothing.
        needs: what the question needs.
    """
    lacks = ", ".join(() if model is None else _lacks(model, needs))
    return f"cannot {lacks}" if lacks else None


def _lacks(model: ModelEntry, needs: Needs) -> Iterator[str]:
    if needs.tools and model.tools is False:
        yield "call tools"
    if needs.vision and model.vision is False:
        yield "see images"
    if needs.structured_output and model.structured_output is False:
        yield "be held to a JSON Schema"
    if model.context_tokens is not None and model.context_tokens < needs.context_tokens:
        yield f"hold {needs.context_tokens:,} tokens (it holds {model.context_tokens:,})"
