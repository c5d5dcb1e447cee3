"""What the spans of workflows, agents and tools say: one function for a start, one for an end.

All arguments are plain. What is None is left out. What a sampler may look at (operation, agent,
tool) is known at the start. Nothing here carries the content of messages. Model calls, which say
most, are in ``chat_attributes``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from otel import conventions as names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AttributeValue: TypeAlias = "str | bool | int | float | Sequence[str]"
Attributes: TypeAlias = "dict[str, AttributeValue]"


class Alike(dict[str, "AttributeValue"]):
    """Attributes that many spans have alike, so that whoever writes them need do so only once.

    Attributes:
        written: as the spool writes them; empty before.
    """

    __slots__ = ("written",)

    def __init__(self, attributes: Attributes) -> None:
        super().__init__(attributes)
        self.written = b""


class Joined(dict[str, "AttributeValue"]):
    """Attributes in several parts, some of them alike in many spans; no name is in two.

    Their order is that of the parts: where a span may have fewer, the last ones are left out.

    Attributes:
        parts: those of its kind of work, say, those of its run, and its own.
    """

    __slots__ = ("parts",)

    def __init__(self, *parts: Attributes) -> None:
        super().__init__()
        for each in parts:
            self.update(each)
        self.parts = parts


def span_name(operation: str, subject: str) -> str:
    """Return the name of a span, e.g. ``chat gpt-5-mini`` or ``invoke_agent writer``."""
    return f"{operation} {subject}" if subject else operation


def present(attributes: Mapping[str, AttributeValue | None]) -> Attributes:
    """Return the attributes that have a value."""
    return {name: value for name, value in attributes.items() if value is not None}


def invoke_workflow_start(
    name: str,
    *,
    run_id: str,
    session_id: str | None = None,
    conversation_id: str | None = None,
    forked_from: Mapping[str, Any] | None = None,
) -> Attributes:
    """Describe the root span of a run.

    Args:
        name: the workflow's name in the catalog.
        run_id: the run.
        session_id: the user's session, if there is one.
        conversation_id: the user's conversation, if there is one; never made up.
        forked_from: ``run_id`` and ``step`` that it was forked from, if it was.
    """
    own: Attributes = {names.OPERATION_NAME: names.INVOKE_WORKFLOW, names.WORKFLOW_NAME: name}
    if forked_from is not None:
        own[names.FORK_RUN_ID] = forked_from["run_id"]
        own[names.FORK_STEP] = forked_from["step"]
    return Joined(own, of_run(run_id, conversation_id, session_id))


@lru_cache(maxsize=1_024)  # runs that are under way, or most of them
def of_run(run_id: str | None, conversation_id: str | None, session_id: str | None) -> Alike:
    """Return what all spans of a run, or of one dialogue in it, say alike."""
    return Alike(
        present(
            {
                names.CONVERSATION_ID: conversation_id,
                names.SESSION_ID: session_id,
                names.RUN_ID: run_id,
            }
        )
    )


def invoke_workflow_end(
    *,
    calls: int | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cost_nano_usd: int | None = None,
) -> Attributes:
    """Describe what a whole run took: model calls, tokens, nano-USD."""
    return _totals(calls, input_tokens, output_tokens, cost_nano_usd)


def invoke_agent_start(
    name: str,
    *,
    run_id: str,
    task_id: str,
    description: str | None = None,
    actor_id: str | None = None,
    delegated_by: str | None = None,
    depth: int | None = None,
    mode: Literal["ask", "tell"] = "ask",
    message_id: str | None = None,
    mailbox_wait_ms: float | None = None,
    conversation_id: str | None = None,
    session_id: str | None = None,
    trace_parent: str | None = None,
) -> Attributes:
    """Describe an agent that begins to work on a delegation.

    Args:
        name: the agent's slug.
        run_id: the run.
        task_id: the delegation.
        description: what the agent is for.
        actor_id: the actor that runs the body.
        delegated_by: the slug of the agent that delegated; None at the root of a run.
        depth: how many agents are above it.
        mode: whether the caller waits for the answer.
        message_id: the message that carried the delegation.
        mailbox_wait_ms: how long it lay in the mailbox, in milliseconds.
        conversation_id: the user's conversation, if there is one.
        session_id: the user's session, if there is one.
        trace_parent: the trace that it belongs to, where it is the root of a sub-trace.
    """
    own: Attributes = {names.TASK_ID: task_id}
    if actor_id is not None:
        own[names.ACTOR_ID] = actor_id
    if message_id is not None:
        own[names.MESSAGE_ID] = message_id
    if mailbox_wait_ms is not None:
        own[names.MAILBOX_WAIT_MS] = mailbox_wait_ms
    if trace_parent is not None:
        own[names.TRACE_PARENT] = trace_parent
    alike = _invoke_agent(name, description, delegated_by, depth, mode)
    return Joined(alike, of_run(run_id, conversation_id, session_id), own)


@lru_cache(maxsize=256)
def _invoke_agent(
    name: str, description: str | None, delegated_by: str | None, depth: int | None, mode: str
) -> Alike:
    """Return what all bodies of an agent say alike that stand at the same place."""
    return Alike(
        present(
            {
                names.OPERATION_NAME: names.INVOKE_AGENT,
                names.AGENT_NAME: name,
                names.AGENT_DESCRIPTION: description,
                names.DELEGATION_FROM: delegated_by,
                names.DELEGATION_TO: name,
                names.DELEGATION_DEPTH: depth,
                names.DELEGATION_MODE: mode,
            }
        )
    )


def plan_start(
    agent: str,
    *,
    run_id: str,
    task_id: str,
    conversation_id: str | None = None,
    session_id: str | None = None,
) -> Attributes:
    """Describe that an agent begins to plan; the model call is below, what it plans is beside it.

    Args:
        agent: the agent's slug.
        run_id: the run.
        task_id: the delegation that it plans for.
        conversation_id: the user's conversation, if there is one.
        session_id: the user's session, if there is one.
    """
    own: Attributes = {
        names.OPERATION_NAME: names.PLAN,
        names.AGENT_NAME: agent,
        names.TASK_ID: task_id,
    }
    return Joined(own, of_run(run_id, conversation_id, session_id))


@lru_cache(maxsize=256)  # most agents ask nothing, or once
def invoke_agent_end(
    *,
    turns: int | None = None,
    calls: int | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cost_nano_usd: int | None = None,
) -> Alike:
    """Describe what an agent took, those it delegated to included.

    These are totals under our own names: as ``gen_ai.usage.*`` they would be counted twice.

    Args:
        turns: how often the agent asked a model.
        calls: model calls below this span.
        input_tokens: prompt tokens below this span.
        output_tokens: generated tokens below this span.
        cost_nano_usd: money spent below this span.
    """
    totals = _totals(calls, input_tokens, output_tokens, cost_nano_usd)
    return Alike(present({names.TURNS: turns}) | totals)


def execute_tool_start(
    name: str,
    *,
    tool_type: Literal["function", "extension", "datastore"] = "function",
    call_id: str | None = None,
    description: str | None = None,
    agent: str | None = None,
    run_id: str | None = None,
    task_id: str | None = None,
) -> Attributes:
    """Describe a skill or another tool that begins to run.

    Args:
        name: the skill's name.
        tool_type: what kind of tool it is.
        call_id: the id that the model gave to the call, or that of the journal.
        description: what the tool is for.
        agent: the slug of the agent that executes it.
        run_id: the run.
        task_id: the delegation that uses it.
    """
    own = present({names.TOOL_CALL_ID: call_id, names.TASK_ID: task_id})
    alike = _execute_tool(name, tool_type, description, agent)
    return Joined(alike, of_run(run_id, None, None), own)


@lru_cache(maxsize=256)
def _execute_tool(name: str, tool_type: str, description: str | None, agent: str | None) -> Alike:
    """Return what all uses of a tool by an agent say alike."""
    return Alike(
        present(
            {
                names.OPERATION_NAME: names.EXECUTE_TOOL,
                names.TOOL_NAME: name,
                names.TOOL_TYPE: tool_type,
                names.TOOL_DESCRIPTION: description,
                names.AGENT_NAME: agent,
            }
        )
    )


def execute_tool_end(
    *, result_bytes: int | None = None, cost_nano_usd: int | None = None
) -> Attributes:
    """Describe what a tool gave: the size of its result, and its price where it has one."""
    return present({names.TOOL_BYTES: result_bytes, names.COST_NANO_USD: cost_nano_usd})


def _totals(
    calls: int | None,
    input_tokens: int | None,
    output_tokens: int | None,
    cost_nano_usd: int | None,
) -> Attributes:
    return present(
        {
            names.TOTAL_CALLS: calls,
            names.TOTAL_INPUT_TOKENS: input_tokens,
            names.TOTAL_OUTPUT_TOKENS: output_tokens,
            names.TOTAL_COST_NANO_USD: cost_nano_usd,
        }
    )
