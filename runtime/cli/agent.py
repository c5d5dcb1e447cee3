"""``agent``: agents by themselves."""

from __future__ import annotations

from runtime.cli.lazy import Lazy, LazyGroup
from runtime.cli.options import debug_option

COMMANDS = {
    "run": Lazy("runtime.cli.run:run_agent", "Run an agent."),
    "list": Lazy("runtime.cli.listing:list_agents", "List agents."),
}

agent = debug_option(
    LazyGroup(name="agent", table=COMMANDS, help="Run or list agents.", no_args_is_help=False)
)
