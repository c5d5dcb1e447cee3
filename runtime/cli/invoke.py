"""``invoke``: call models, one prompt or a file of them, without an agent."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.cli.machines import sharing_options
from runtime.cli.options import (
    DataClass,
    Positive,
    Session,
    catalog_option,
    db_option,
    debug_option,
    json_option,
    loudness_options,
    tenant_option,
)

if TYPE_CHECKING:
    from decimal import Decimal

DEFAULT_CONCURRENCY = 64
MOST_CONCURRENCY = 10_000
STANDARD_INPUT = "-"
HOW = (
    'say what to ask: python -m runtime invoke --provider echo --model echo-1 "hello", or'
    " --jsonl FILE with one JSON object per line, or --jsonl - for standard input"
)
HELP = """Call models: PROMPT, or every line of a file, with the limits and retries of every call.

PROMPT prints the answer's text; with --stream piece by piece, with --json as an object.

\b
A line of --jsonl has these fields; all but model and messages may be left out:
  id                 a text or a whole number; answers are told apart by it
  provider, model    as the catalog has them
  endpoint           responses, chat, messages, generateContent, ollama
  base_url           a server of its own, with limits of its own
  messages, system   in the shape of OpenAI's chat completions, images and tools too
  tools, tool_choice, response_format, stop
  max_tokens, temperature
  reasoning          an effort, or {effort, max_tokens, summary}
  stream             true or false
  max_attempts, timeout (seconds for the whole call, waiting for its turn included)
  data_class         the kind of data in it, for policies: a name or a list
  extra_headers, extra_body (what only a vendor knows: no model, prompt, max_tokens)

\b
An answer has these, whatever was asked:
  id, ok, text, tool_calls [{id, name, arguments}], finish_reason, finish_reason_raw,
  usage {input_tokens, output_tokens, cached_input_tokens, cache_write_tokens,
  reasoning_tokens}, cost_usd, model, provider, endpoint, attempts, warnings, request_id,
  error {class, status, type, code, message, retryable, retry_after}

text is the answer's own; the words of a refusal are in warnings.

On stdout answers are in the order of the lines. A FILE of --output gets each answer the moment
it is there, and is put in that order when the command ends. The same command again asks only
what has no answer in it yet, after a crash, too; what was in flight then may be billed twice.

--rpm, --tpm and --max-concurrency stand in for the catalog's numbers and hold for all models
of an account together; each base_url is an account. How many calls at once a server bears is
learned, from few upwards, unless both --rpm and --max-concurrency are given. A key goes to its
own provider and to this machine, to another base_url only with --send-key.

With --engine nats the calls are made here all the same, and the limits, pauses and circuits of
an account hold for this command and for the nodes and other such commands of the cluster
together. They are what the catalog says, the same for all, so those three options are refused.
Where they bound the calls in flight, those of a killed command count until timeouts.total is
over, and for a minute at least.

Exits with 0 when every line was answered, with 2 when some were not, with 130 after Ctrl-C:
then what was answered is written, and the rest left for the next time.
"""


@debug_option
@click.command(help=HELP)
@click.argument("prompt", required=False)
@click.option("--jsonl", metavar="FILE|-", help="Lines to ask, one JSON object each.")
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where answers go, and where an earlier call is gone on with. [default: stdout]",
)
@click.option("--keep-failed", is_flag=True, help="Do not ask lines again that failed.")
@click.option(
    "--provider",
    metavar="P",
    envvar="MAGSAG_PROVIDER",
    help="For lines that name none. [env: MAGSAG_PROVIDER]",
)
@click.option(
    "--model",
    metavar="M",
    envvar="MAGSAG_MODEL",
    help="For lines that name none. [env: MAGSAG_MODEL]",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, MOST_CONCURRENCY),
    default=DEFAULT_CONCURRENCY,
    show_default=True,
    metavar="N",
    help="Lines that are asked at the same time.",
)
@click.option("--stream", is_flag=True, help="Stream the answers of lines that do not say.")
@click.option("--rpm", type=Positive("N"), help="Requests a minute, of each account.")
@click.option("--tpm", type=Positive("N"), help="Tokens a minute, of each account.")
@click.option(
    "--max-concurrency",
    type=click.IntRange(1, MOST_CONCURRENCY),
    metavar="N",
    help="Calls in flight, of each account.",
)
@click.option("--budget-usd", type=Positive("USD"), help="What all of it may cost at most.")
@tenant_option
@click.option(
    "--data-class",
    "data_classes",
    type=DataClass(),
    multiple=True,
    help="The kind of data in all of it, for policies; repeatable.",
)
@click.option("--send-key", is_flag=True, help="Send keys to whatever base_url a line names.")
@db_option
@sharing_options
@catalog_option
@json_option
@loudness_options(
    quiet="Nothing but the answers and errors.",
    verbose="Log what goes well, too, and tell what each account did.",
)
@click.pass_obj
def invoke(
    session: Session,
    /,
    *,
    prompt: str | None,
    jsonl: str | None,
    output: Path | None,
    rpm: Decimal | None,
    tpm: Decimal | None,
    db: str | None,
    **choices: Any,
) -> int:
    """Call models and return the exit code; see ``HELP``."""
    if choices["machines"].engine == "nats":
        _refuse_in_cluster(rpm, tpm, choices["max_concurrency"])
    if prompt is not None:
        _refuse_with_prompt(jsonl, output, keep_failed=choices["keep_failed"])
    elif jsonl is None and (sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError(HOW)
    elif choices["as_json"]:
        raise click.UsageError("--json is for a PROMPT; the answers to lines are JSON anyway")
    from runtime.cli.asking import Wishes  # noqa: PLC0415  # 0.4 s, not for --help

    wishes = Wishes(
        session=session,
        rpm=None if rpm is None else float(rpm),
        tpm=None if tpm is None else float(tpm),
        database=db,
        **choices,
    )
    if prompt is not None:
        from runtime.cli.prompt import ask_once  # noqa: PLC0415  # as above

        return ask_once(prompt, wishes)
    from runtime.cli.bulk import ask_lines  # noqa: PLC0415  # as above

    return ask_lines(jsonl or STANDARD_INPUT, output, wishes)


def _refuse_in_cluster(rpm: Decimal | None, tpm: Decimal | None, most: int | None) -> None:
    """Refuse limits that only this process knows: whoever grants them may be another one."""
    given = {"--rpm": rpm, "--tpm": tpm, "--max-concurrency": most}
    wrong = [name for name, value in given.items() if value is not None]
    if wrong:
        raise click.UsageError(
            f"{wrong[0]} is for this process alone, and with --engine nats a whole cluster shares"
            " the limits of the catalog; put it there for all, or say --engine local"
        )


def _refuse_with_prompt(jsonl: str | None, output: Path | None, *, keep_failed: bool) -> None:
    given = {
        "--jsonl": jsonl is not None,
        "--output": output is not None,
        "--keep-failed": keep_failed,
    }
    wrong = [name for name, is_given in given.items() if is_given]
    if wrong:
        raise click.UsageError(f"a PROMPT and {wrong[0]} exclude each other")
