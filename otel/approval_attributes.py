"""What the spans of questions to people say: ``approve {tool or agent}``, from asking to deciding.

The words of the question and of who decides are not in them, as they may be anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel import conventions as names
from otel.attributes import present

if TYPE_CHECKING:
    from otel.attributes import Attributes


def approval_start(
    agent: str, *, run_id: str, task_id: str, ticket: str, tool: str | None = None
) -> Attributes:
    """Describe that somebody is asked.

    Args:
        agent: the slug of the agent that asks.
        run_id: the run.
        task_id: the delegation for which it asks.
        ticket: what people name the question by.
        tool: the tool that may be used or not; None where an agent's code asks.
    """
    return present(
        {
            names.OPERATION_NAME: names.APPROVE,
            names.AGENT_NAME: agent,
            names.RUN_ID: run_id,
            names.TASK_ID: task_id,
            names.APPROVAL_TICKET: ticket,
            names.TOOL_NAME: tool,
        }
    )


def approval_end(*, approved: bool, by: str, wait_s: float) -> Attributes:
    """Describe what was decided, by whom, and after how many seconds."""
    return {
        names.APPROVAL_APPROVED: approved,
        names.APPROVAL_BY: by,
        names.APPROVAL_WAIT_MS: round(wait_s * 1_000, 3),
    }
