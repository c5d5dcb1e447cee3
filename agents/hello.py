"""The tutorial: ``python -m runtime run hello --input '{"name": "Ada"}'``.

The parameters after ``ctx`` are the input, checked by their hints before this code runs.
"""

from __future__ import annotations

from runtime import Context, mag


@mag(name="hello-mag")
async def hello(ctx: Context, name: str = "world", question: str = "") -> str:
    """Greet somebody, and let a model answer their question if they have one."""
    greeting = f"Hello, {name}!"
    return f"{greeting} {await ctx.ask(question)}" if question.strip() else greeting
