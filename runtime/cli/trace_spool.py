"""``trace status``, ``trace flush`` and ``trace export``: the spans that wait for a collector."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from otel.settings import TelemetryMisconfigured, export_settings
from otel.spool.encoding import resource
from otel.spool.reading import contents, exported
from otel.spool.recovery import recover_rejected
from otel.spool.sender import sender_of
from otel.spool.settings import FOLDER, spool_settings
from otel.spool.spool import Spool
from runtime.cli.history import History
from runtime.cli.places import journal_location
from runtime.cli.streams import emit, emit_json, say
from runtime.cli.text import plural
from runtime.cli.whole_file import whole_file
from runtime.errors import ConfigurationError, UnknownName
from runtime.identity import trace_id_of
from runtime.journal import JournalFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel.settings import ExportSettings
    from otel.spool.sender import Sender
    from otel.spool.settings import SpoolSettings
    from otel.spool.spool import SpoolStatistics
    from runtime.errors import RuntimeFault

LOOKS_EVERY_S = 0.05
STANDARD_OUTPUT = "-"


def show_status(*, as_json: bool) -> None:
    """Print what waits in the spool.

    Raises:
        ConfigurationError: a variable cannot be understood, or a file cannot be read.
    """
    folder = _folder(os.environ)
    try:
        found = contents(folder)
    except OSError as error:
        raise ConfigurationError(f"the spool {folder} cannot be read: {error}") from error
    if as_json:
        emit_json({"folder": str(folder), **found._asdict()})
        return
    rows = {
        "spool": str(folder),
        "waiting": f"{plural(found.pending, 'span')} ({found.living:,} of living processes)",
        "open": f"{plural(found.open, 'span')} of living processes",
        "crashed": f"{plural(found.crashed, 'span')} to be closed by the next process",
        "refused": plural(found.rejected, "span"),
        "size": f"{found.size:,} bytes",
    }
    emit("\n".join(f"{name:8} {value}" for name, value in rows.items()))
    for name in found.unknown:
        say(f"warning: {name} is no file of a spool")


def flush(endpoint: str | None, timeout_s: float, *, rejected: bool) -> int:
    """Send what dead processes have left, and return the exit code: 1 if something still waits.

    Args:
        endpoint: where to; None as the variables say.
        timeout_s: the seconds that it may take.
        rejected: send again what a collector refused, too.

    Raises:
        ConfigurationError: no endpoint is named, or a variable cannot be understood.
    """
    settings = _settings(endpoint)
    folder, most_bytes, _ = _spool_settings(os.environ)
    spool = Spool(folder, resource({}), most_bytes=most_bytes)
    if rejected:
        recover_rejected(spool)
    counted = anyio.run(_drained, spool, sender_of(spool, settings), timeout_s)
    spool.close()
    emit(_flushed(counted, settings.shown_endpoint))
    return 1 if counted.pending or counted.rejected else 0


async def _drained(spool: Spool, sender: Sender, timeout_s: float) -> SpoolStatistics:
    """Send for so many seconds, and return what came of it."""
    sender.start()
    with anyio.move_on_after(timeout_s):
        await anyio.to_thread.run_sync(sender.recovered.wait, abandon_on_cancel=True)
        while spool.statistics().pending:  # noqa: ASYNC110  # another thread sends
            await anyio.sleep(LOOKS_EVERY_S)
    counted = spool.statistics()
    await anyio.to_thread.run_sync(sender.stop, LOOKS_EVERY_S)
    return counted


def export(file: str, run_id: str | None, database: str | None, *, rejected: bool) -> None:
    """Write the spans that wait as OTLP's JSON, which Jaeger's upload takes.

    Args:
        file: where to; ``-`` for standard output.
        run_id: only those of a run: its id, the beginning of it, or ``last``.
        database: what ``--db`` says.
        rejected: those too that a collector refused.

    Raises:
        ConfigurationError: none are there, or the file cannot be written.
    """
    folder = _folder(os.environ)
    trace_id, fault = (None, None) if run_id is None else _trace_of(database, run_id)
    try:
        found = list(exported(folder, trace_id, rejected=rejected))
    except OSError as error:
        raise ConfigurationError(f"the spool {folder} cannot be read: {error}") from error
    if not found:
        of_run = "" if run_id is None else f" of run {run_id}"
        taken = (
            "what a collector has taken is not there any more, and `trace show` draws a run from"
            " the journal"
        )
        raise ConfigurationError(f"no spans{of_run} wait in {folder}; {fault or taken}")
    text = json.dumps({"resourceSpans": found}, ensure_ascii=False)
    if file == STANDARD_OUTPUT:
        emit(text)
        return
    with whole_file(Path(file), journal_location(None, os.environ, Path.cwd())) as part:
        part.write_text(text + "\n", encoding="utf-8")
    say(f"{file}: {plural(sum(map(_count, found)), 'span')}")


def _trace_of(database: str | None, name: str) -> tuple[int, RuntimeFault | None]:
    """Return the trace id of a run, and why the journal does not know it: then it is a whole id."""
    try:
        row = anyio.run(lambda: History(database).find(name))
    except (UnknownName, ConfigurationError, JournalFailed) as fault:
        return trace_id_of(name), fault
    return int(row.trace_id, 16), None


def _count(of_resource: Mapping[str, Any]) -> int:
    return sum(len(of_scope["spans"]) for of_scope in of_resource["scopeSpans"])


def _flushed(counted: SpoolStatistics, endpoint: str) -> str:
    facts = [f"{plural(counted.delivered, 'span')} sent to {endpoint}"]
    if counted.rejected:
        facts.append(f"{counted.rejected:,} refused")
    facts.append(f"{counted.pending:,} still waiting")
    return ", ".join(facts)


def _folder(environ: Mapping[str, str]) -> Path:
    return _spool_settings(environ).folder


def _spool_settings(environ: Mapping[str, str]) -> SpoolSettings:
    try:
        settings = spool_settings(environ)
    except TelemetryMisconfigured as error:
        raise ConfigurationError(str(error)) from error
    if settings.folder.exists() and not settings.folder.is_dir():
        raise ConfigurationError(f"the spool {settings.folder} is no folder; name one in {FOLDER}")
    return settings


def _settings(endpoint: str | None) -> ExportSettings:
    environ = dict(os.environ)
    if endpoint is not None:
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
        environ.pop("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", None)
    try:
        settings = export_settings(environ)
    except TelemetryMisconfigured as error:
        raise ConfigurationError(str(error)) from error
    if settings is not None and settings.protocol == "grpc":
        raise ConfigurationError(
            "trace flush speaks HTTP only: name an endpoint for that, whose port is usually 4318,"
            " and set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
        )
    if settings is None:
        raise ConfigurationError(
            "there is nowhere to send spans to; set OTEL_EXPORTER_OTLP_ENDPOINT or give --endpoint"
        )
    return settings
