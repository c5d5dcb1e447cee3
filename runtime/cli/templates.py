"""What ``init`` writes: a first agent of each role, which runs as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SAG = '''\
"""The agent {slug}: a specialist that answers with one object."""

from __future__ import annotations

from pydantic import BaseModel

from runtime import Context, sag


class Answer(BaseModel):
    """What {slug} answers."""

    text: str


@sag
async def {name}(ctx: Context, text: str = "Actors send messages.") -> Answer:
    """Say in a sentence what a text is about."""
    summary = await ctx.ask(text, system="Summarise the text in one sentence.")
    ctx.log("summarised", characters=len(text))
    return Answer(text=summary)
'''

_MAG = '''\
"""The agent {slug}: it splits its work and puts the answers together."""

from __future__ import annotations

from pydantic import BaseModel

from runtime import Context, mag, sag


class Digest(BaseModel):
    """What {slug} answers."""

    summaries: list[str]
    failed: int


@sag
async def {name}_part(ctx: Context, text: str) -> str:
    """Say in a sentence what one paragraph is about."""
    return await ctx.ask(text, system="Summarise the text in one sentence.")


@mag
async def {name}(ctx: Context, text: str = "Actors send messages.") -> Digest:
    """Summarise every paragraph of a text, all at once."""
    paragraphs = [part.strip() for part in text.split("\\n\\n") if part.strip()]
    results = await ctx.fan_out({name}_part, paragraphs)
    return Digest(
        summaries=[result.unwrap() for result in results if result.ok],
        failed=sum(not result.ok for result in results),
    )
'''

CODE: Mapping[str, str] = {"mag": _MAG, "sag": _SAG}

ENTRY = """\
name: {slug}
role: {role}
description: {description}
entrypoint: agents/{name}.py:{name}
"""

DESCRIPTIONS: Mapping[str, str] = {
    "mag": "Summarises every paragraph of a text.",
    "sag": "Summarises a text.",
}
