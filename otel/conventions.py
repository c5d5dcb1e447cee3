"""Every telemetry name this runtime emits, in one place. Names only: no import, no behaviour.

The GenAI conventions are in development and have neither a release nor a schema URL. Pinned here:
open-telemetry/semantic-conventions-genai at commit 024a4f944a12 (``docs/gen-ai``, built on
semantic-conventions v1.44.0), and three names beside it:

- ``gen_ai.usage.cost.*`` is that repository's draft #443, on inference spans only. No convention
  for money exists yet, so ``operation.cost`` (what Logfire reads) goes along with it.
- ``gen_ai.usage.cache_creation.input_tokens`` is what v1.41 called ``cache_write`` (renamed in
  #440). Jaeger and Phoenix still read the old name, so both are sent.
- ``gen_ai.client.token.usage`` gives way to the counters ``gen_ai.client.inference.usage.*``. Both
  are measured until nobody reads the old one.

``opentelemetry.semconv._incubating`` marks its GenAI names deprecated and lacks the new ones.
"""

from __future__ import annotations

from typing import Final

SCOPE: Final = "magsag.runtime"

# --- operations: the value of gen_ai.operation.name, and the first word of a span's name ---------

OPERATION_NAME: Final = "gen_ai.operation.name"
INVOKE_WORKFLOW: Final = "invoke_workflow"
INVOKE_AGENT: Final = "invoke_agent"
EXECUTE_TOOL: Final = "execute_tool"
CHAT: Final = "chat"
PLAN: Final = "plan"
APPROVE: Final = "approve"

# --- on any span ---------------------------------------------------------------------------------

ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
SESSION_ID: Final = "session.id"
CONVERSATION_ID: Final = "gen_ai.conversation.id"

# --- workflows, agents, tools --------------------------------------------------------------------

WORKFLOW_NAME: Final = "gen_ai.workflow.name"
AGENT_NAME: Final = "gen_ai.agent.name"
AGENT_DESCRIPTION: Final = "gen_ai.agent.description"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_DESCRIPTION: Final = "gen_ai.tool.description"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"

# --- model calls ---------------------------------------------------------------------------------

PROVIDER_NAME: Final = "gen_ai.provider.name"
OUTPUT_TYPE: Final = "gen_ai.output.type"
PROMPT_NAME: Final = "gen_ai.prompt.name"
PROMPT_VERSION: Final = "gen_ai.prompt.version"

REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
REQUEST_PREVIOUS_RESPONSE_ID: Final = "gen_ai.request.previous_response.id"

RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"

USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE_INPUT_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
USAGE_CACHE_CREATION_INPUT_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
USAGE_REASONING_OUTPUT_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"

# --- contents: opt-in ----------------------------------------------------------------------------

INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"

# --- attempts and waits of a model call -----------------------------------------------------------

HTTP_REQUEST_METHOD: Final = "http.request.method"
HTTP_REQUEST_RESEND_COUNT: Final = "http.request.resend_count"
HTTP_RESPONSE_STATUS_CODE: Final = "http.response.status_code"
WAIT_HELD_BY: Final = "magsag.wait.held_by"

# --- money: only where it was billed, so that a sum over spans counts nothing twice --------------

COST_AMOUNT: Final = "gen_ai.usage.cost.amount"
COST_CURRENCY: Final = "gen_ai.usage.cost.currency"
COST_SOURCE: Final = "gen_ai.usage.cost.source"
OPERATION_COST: Final = "operation.cost"
COST_NANO_USD: Final = "magsag.cost.nano_usd"
COST_INPUT_NANO_USD: Final = "magsag.cost.input_nano_usd"

# --- our own -------------------------------------------------------------------------------------

RUN_ID: Final = "magsag.run.id"
FORK_RUN_ID: Final = "magsag.fork.run.id"
FORK_STEP: Final = "magsag.fork.step"
TASK_ID: Final = "magsag.task.id"
ACTOR_ID: Final = "magsag.actor.id"
MESSAGE_ID: Final = "magsag.message.id"
DELEGATION_FROM: Final = "magsag.delegation.from"
DELEGATION_TO: Final = "magsag.delegation.to"
DELEGATION_DEPTH: Final = "magsag.delegation.depth"
DELEGATION_MODE: Final = "magsag.delegation.mode"
TRACE_PARENT: Final = "magsag.trace.parent"
SUB_TRACE_EVENT: Final = "magsag.sub_trace"
TRACE_CHILD: Final = "magsag.trace.child"
MAILBOX_WAIT_MS: Final = "magsag.mailbox.wait_ms"
TURNS: Final = "magsag.turns"
ATTEMPTS: Final = "magsag.attempts"
RETRY_WAIT_MS: Final = "magsag.retry.wait_ms"
RATE_LIMIT_WAIT_MS: Final = "magsag.ratelimit.wait_ms"
BUDGET_WAIT_MS: Final = "magsag.budget.wait_ms"
FALLBACK_FROM: Final = "magsag.fallback.from"
FALLBACK_REASON: Final = "magsag.fallback.reason"
FALLBACK_INDEX: Final = "magsag.fallback.index"
CACHE_HIT: Final = "magsag.cache.hit"
RUN_STATUS: Final = "magsag.run.status"
APPROVAL_TICKET: Final = "magsag.approval.ticket"
APPROVAL_APPROVED: Final = "magsag.approval.approved"
APPROVAL_BY: Final = "magsag.approval.by"
APPROVAL_WAIT_MS: Final = "magsag.approval.wait_ms"
APPROVAL_PARKED: Final = "magsag.approval.parked"
TOOL_BYTES: Final = "magsag.tool.bytes"
TOTAL_CALLS: Final = "magsag.total.calls"
TOTAL_INPUT_TOKENS: Final = "magsag.total.input_tokens"
TOTAL_OUTPUT_TOKENS: Final = "magsag.total.output_tokens"
TOTAL_COST_NANO_USD: Final = "magsag.total.cost.nano_usd"

# --- OpenInference's, for MAGSAG_TRACE_COMPAT=openinference --------------------------------------

OPENINFERENCE_SPAN_KIND: Final = "openinference.span.kind"
LLM_MODEL_NAME: Final = "llm.model_name"
LLM_PROVIDER: Final = "llm.provider"
LLM_TOKENS_PROMPT: Final = "llm.token_count.prompt"
LLM_TOKENS_COMPLETION: Final = "llm.token_count.completion"
LLM_TOKENS_TOTAL: Final = "llm.token_count.total"
LLM_TOKENS_CACHE_READ: Final = "llm.token_count.prompt_details.cache_read"
LLM_TOKENS_CACHE_WRITE: Final = "llm.token_count.prompt_details.cache_write"
LLM_TOKENS_REASONING: Final = "llm.token_count.completion_details.reasoning"
LLM_COST_PROMPT: Final = "llm.cost.prompt"
LLM_COST_COMPLETION: Final = "llm.cost.completion"
LLM_COST_TOTAL: Final = "llm.cost.total"
INPUT_VALUE: Final = "input.value"
OUTPUT_VALUE: Final = "output.value"

# --- resource ------------------------------------------------------------------------------------

SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
DEPLOYMENT_ENVIRONMENT_NAME: Final = "deployment.environment.name"

# --- metrics: names of the conventions -----------------------------------------------------------

TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - no password

CLIENT_OPERATION_DURATION: Final = "gen_ai.client.operation.duration"
CLIENT_TIME_TO_FIRST_CHUNK: Final = "gen_ai.client.operation.time_to_first_chunk"
CLIENT_TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # noqa: S105 - no password
INFERENCE_INPUT_TOKENS: Final = "gen_ai.client.inference.usage.input_tokens"
INFERENCE_OUTPUT_TOKENS: Final = "gen_ai.client.inference.usage.output_tokens"
INFERENCE_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.client.inference.usage.cache_read.input_tokens"
INFERENCE_CACHE_WRITE_INPUT_TOKENS: Final = "gen_ai.client.inference.usage.cache_write.input_tokens"
INFERENCE_REASONING_OUTPUT_TOKENS: Final = "gen_ai.client.inference.usage.reasoning.output_tokens"
EXECUTE_TOOL_DURATION: Final = "gen_ai.execute_tool.duration"
INVOKE_AGENT_DURATION: Final = "gen_ai.invoke_agent.duration"
INVOKE_AGENT_INFERENCE_CALLS: Final = "gen_ai.invoke_agent.inference_calls"
INVOKE_AGENT_TOOL_CALLS: Final = "gen_ai.invoke_agent.tool_calls"
INVOKE_WORKFLOW_DURATION: Final = "gen_ai.invoke_workflow.duration"

# --- metrics: our own ----------------------------------------------------------------------------

RUNS: Final = "magsag.runs"
RUNS_ACTIVE: Final = "magsag.runs.active"
MAILBOX_DEPTH: Final = "magsag.mailbox.depth"
MAILBOX_WAIT: Final = "magsag.mailbox.wait"
ACTORS_ALIVE: Final = "magsag.actors.alive"
ACTOR_RESTARTS: Final = "magsag.actor.restarts"
DEAD_LETTERS: Final = "magsag.dead_letters"
ADMISSION_QUEUE: Final = "magsag.admission.queue"
ADMISSION_IN_FLIGHT: Final = "magsag.admission.in_flight"
ADMISSION_WAIT: Final = "magsag.admission.wait"
ADMISSION_PAUSE: Final = "magsag.admission.pause"
CIRCUITS: Final = "magsag.circuits"
CLIENT_ATTEMPTS: Final = "magsag.client.attempts"
CLIENT_RETRIES: Final = "magsag.client.retries"
CLIENT_FALLBACKS: Final = "magsag.client.fallbacks"
BUDGET_RESERVED: Final = "magsag.budget.reserved.nano_usd"
BUDGET_SPENT: Final = "magsag.budget.spent.nano_usd"
JOURNAL_PENDING: Final = "magsag.journal.pending"
SPOOL_PENDING: Final = "magsag.spool.pending"

ACCOUNT: Final = "magsag.account"
CIRCUIT_STATE: Final = "magsag.circuit.state"
DEAD_LETTER_REASON: Final = "magsag.dead_letter.reason"
OUTCOME: Final = "magsag.outcome"
SUPERVISOR: Final = "magsag.supervisor"

# --- metrics: buckets, as the conventions advise -------------------------------------------------

DURATION_BUCKETS: Final = tuple(0.01 * 2**power for power in range(14))
TOKEN_BUCKETS: Final = tuple(4.0**power for power in range(14))
AGENT_DURATION_BUCKETS: Final = tuple(0.1 * 2**power for power in range(13))
WORKFLOW_DURATION_BUCKETS: Final = tuple(
    map(float, (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200))
)
CALL_BUCKETS: Final = tuple(2.0**power for power in range(8))
